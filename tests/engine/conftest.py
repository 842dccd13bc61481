from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.graph import Graph
from storage.sql.opening import open_database
from tests.engine.world import CountingStore, World, build_schema, metadata


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    database = await open_database(f"sqlite+aiosqlite:///{tmp_path / 'books.db'}")
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield World(Graph(build_schema(), database.dialect), CountingStore(database))
    await database.close()
