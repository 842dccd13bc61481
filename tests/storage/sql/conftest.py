"""Two `Database` objects on one store, as two processes have them. An adapter is added by adding its URL."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from storage.sql.opening import open_database

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def url_of(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def group(name: str, **columns: Any) -> dict[str, Any]:
    """A row of the simplest table that has a unique column and can be deleted."""
    return {"id": uuid4(), "name": name, "created_at": NOON, "updated_at": NOON} | columns


def instrument(key: UUID, **columns: Any) -> dict[str, Any]:
    row = {"id": key, "name": "NMR", "cifs_host": "nas", "cifs_share": "share", "enabled": True, "transfer_adapter": "rclone"}
    return row | {"created_at": NOON, "updated_at": NOON} | columns


@pytest.fixture
def path(migrated, tmp_path) -> Path:
    return Path(shutil.copy(migrated, tmp_path / "switchyard.db"))


@pytest.fixture
async def database(path):
    database = await open_database(url_of(path))
    yield database
    await database.close()


@pytest.fixture
async def other(path):
    """The same store, opened again."""
    other = await open_database(url_of(path))
    yield other
    await other.close()
