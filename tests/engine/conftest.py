from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import make_url

from engine.graph import Graph
from storage.sql.database import Database
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
    if (url := make_url(database_url)).get_backend_name() == "sqlite":
        await asyncio.to_thread(_put_empty_shelves, Path(str(url.database)))
    database = await open_database(database_url)
    if url.get_backend_name() != "sqlite":
        await _create_tables(database)
    yield World(Graph(build_schema(), database.dialect), CountingStore(database))
    await database.close()


def _put_empty_shelves(path: Path) -> None:
    path.write_bytes(_empty_shelves())


@cache
def _empty_shelves() -> bytes:
    """An SQLite file with the tables. Not for event loops: it runs one."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "books.db"
        asyncio.run(_prepare(f"sqlite+aiosqlite:///{path}"))
        return path.read_bytes()


async def _prepare(url: str) -> None:
    database = await open_database(url)
    await _create_tables(database)
    await database.close()


async def _create_tables(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
