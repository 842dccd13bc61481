from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from engine.graph import Graph
from storage.sql.database import Database
from storage.sql.opening import open_database
from tests.engine.world import CountingStore, World, build_schema, metadata
from tests.postgres import empty
from tests.sharing import copied, copy_again


@pytest.fixture
def database_url(database_kind: str, tmp_path: Path) -> Iterator[str]:
    """Of a database without tables."""
    if database_kind == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'books.db'}"
        return
    with empty() as url:
        yield url


@pytest.fixture(scope="session")
def empty_shelves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the tables."""
    path = tmp_path_factory.mktemp("shelves") / "books.db"
    asyncio.run(_prepare(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest_asyncio.fixture(scope="session")
async def _shelves(empty_shelves: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    async with copied(empty_shelves, tmp_path_factory.mktemp("shared")) as database:
        yield database


@pytest.fixture
async def world(database_kind: str, database_url: str, empty_shelves: Path, _shelves: Database) -> AsyncIterator[World]:
    if database_kind == "sqlite":
        copy_again(empty_shelves, _shelves)
        yield _world(_shelves)
        return
    database = await open_database(database_url)
    await _create_tables(database)
    yield _world(database)
    await database.close()


def _world(database: Database) -> World:
    return World(Graph(build_schema(), database.dialect), CountingStore(database))


async def _prepare(url: str) -> None:
    database = await open_database(url)
    await _create_tables(database)
    await database.close()


async def _create_tables(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
