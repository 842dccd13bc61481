from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from engine.graph import Graph
from storage.sql.opening import open_database
from tests.engine.world import CountingStore, World, build_schema, metadata
from tests.postgres import BOTH, empty


@pytest.fixture(params=BOTH)
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def database_url(database_kind: str, tmp_path: Path) -> Iterator[str]:
    if database_kind == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'books.db'}"
        return
    with empty() as url:
        yield url


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    database = await open_database(database_url)
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield World(Graph(build_schema(), database.dialect), CountingStore(database))
    await database.close()
