"""SQLite: WAL, a few reading connections with a thread each, one writer at a time that begins IMMEDIATE."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from core.errors import Unavailable
from core.sql import Row
from storage.sql.database import Database, WriteTurn

READERS = 4
"""Reading connections: each is a thread, and reads of one request run one after another."""

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # an acknowledged change survives a power cut
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 15000",  # other processes write, too: the job workers
)


class SqliteDatabase(Database):
    """One file. Readers never wait for the writer."""

    def __init__(self, engine: AsyncEngine, readers: Sequence[aiosqlite.Connection]) -> None:
        super().__init__(engine)
        self._readers = tuple(readers)
        self._idle: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()
        for reader in readers:
            self._idle.put_nowait(reader)
        self._turn = WriteTurn()

    @classmethod
    async def open(cls, url: str) -> SqliteDatabase:
        """Create the file if it is missing. Raises `Unavailable` naming the file when it cannot be opened."""
        path = make_url(url).database
        if not path or path == ":memory:":
            raise ValueError("the database must be a file: several connections share it")
        engine = create_async_engine(url, pool_size=2, max_overflow=4, hide_parameters=True)  # errors are logged
        event.listen(engine.sync_engine, "connect", _prepare_connection)
        event.listen(engine.sync_engine, "begin", _begin_immediate)
        try:
            await asyncio.to_thread(_create, Path(path))
            async with engine.connect() as connection:  # the first connection makes the file and turns WAL on
                await connection.execution_options(isolation_level="AUTOCOMMIT")
            return cls(engine, [await _open_reader(path) for _ in range(READERS)])
        except Exception as error:
            await engine.dispose()
            raise Unavailable(f"the database {path} cannot be opened: {getattr(error, 'orig', error)}") from error

    async def fetch(self, text: str, values: Sequence[object]) -> list[Row]:
        reader = await self._idle.get()
        try:
            return await reader.execute_fetchall(text, values)  # type: ignore[return-value]  # declared as an iterable
        except sqlite3.DatabaseError as error:
            raise Unavailable("the database does not answer") from error
        finally:
            self._idle.put_nowait(reader)

    def _write_turn(self) -> AbstractAsyncContextManager[Any]:
        return self._turn

    async def close(self) -> None:
        for reader in self._readers:
            with contextlib.suppress(ValueError, sqlite3.Error):
                await reader.close()
        await self.engine.dispose()


def _create(path: Path) -> None:
    """An empty file that nobody else on the machine may read; SQLite gives its companions the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


async def _open_reader(path: str) -> aiosqlite.Connection:
    reader = await aiosqlite.connect(path, isolation_level=None, cached_statements=512)
    for pragma in (*_PRAGMAS, "PRAGMA query_only = ON"):
        await reader.execute(pragma)
    return reader


def _prepare_connection(connection: Any, _: Any) -> None:
    """Leave transactions to us: the driver would begin DEFERRED, and fail when it then has to write."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin_immediate(connection: Any) -> None:
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
