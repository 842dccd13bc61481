"""Two `Database` objects on one store, as two processes have them; of each kind."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from storage.sql.opening import open_database
from storage.sql.tables import groups
from tests.postgres import cloned, empty

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def url_of(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def group(name: str, **columns: Any) -> dict[str, Any]:
    """A row of the simplest table that has a unique column and can be deleted."""
    return {"id": uuid4(), "name": name, "created_at": NOON, "updated_at": NOON} | columns


def instrument(key: UUID, **columns: Any) -> dict[str, Any]:
    row = {"id": key, "name": "NMR", "cifs_host": "nas", "cifs_share": "share", "enabled": True, "transfer_adapter": "rclone"}
    return row | {"created_at": NOON, "updated_at": NOON} | columns


async def names(database) -> list[str]:
    return [row["name"] for row in await database.all(select(groups.c.name).order_by(groups.c.name))]


async def write(database, *rows) -> None:
    async with database.transaction() as tx:
        for row in rows:
            await tx.insert(groups, **row)


@pytest.fixture
def path(migrated, tmp_path) -> Path:
    return Path(shutil.copy(migrated, tmp_path / "switchyard.db"))


@pytest.fixture
def database_url(database_kind, path) -> Iterator[str]:
    if database_kind == "sqlite":
        yield url_of(path)
        return
    with cloned() as url:
        yield url


@pytest.fixture
def empty_url(database_kind, tmp_path) -> Iterator[str]:
    """Of a database without tables."""
    if database_kind == "sqlite":
        yield url_of(tmp_path / "empty.db")
        return
    with empty() as url:
        yield url


@pytest.fixture
async def database(database_url):
    database = await open_database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def other(database_url):
    """The same store, opened again."""
    other = await open_database(database_url)
    yield other
    await other.close()
