"""SQLite: WAL, a few reading connections with a thread each, one writer at a time that begins IMMEDIATE."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy import event, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from core.errors import Unavailable
from core.sql import Bound, Row
from storage.sql.database import Database, WriteTurn
from storage.sql.sqlite_connection import Connection

READERS = 4
"""Reading connections: each is a thread, and reads of one request run one after another."""

LOOKS_EVERY = 0.25
"""Seconds between two looks whether another connection has written, while somebody follows a change."""

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # an acknowledged change survives a power cut
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 15000",  # other processes write, too: the job workers
)


_READS = "reads"
"""An option of connections that begin no transaction. Turning the driver's own mode on and off would be five more errands."""


class SqliteDatabase(Database):
    """One file. Readers never wait for the writer."""

    reads = MappingProxyType({_READS: True})

    def __init__(self, engine: AsyncEngine, path: str) -> None:
        super().__init__(engine)
        self._path = path
        self._readers: list[Connection] = []
        self._idle: asyncio.LifoQueue[Connection | None] = asyncio.LifoQueue()  # None: one that is not open yet
        for _ in range(READERS):
            self._idle.put_nowait(None)
        self._turn = WriteTurn()
        self._closed = False

    @classmethod
    async def open(cls, url: str) -> SqliteDatabase:
        """Create the file if it is missing. Raises `Unavailable` naming the file when it cannot be opened."""
        path = make_url(url).database
        if not path or path == ":memory:":
            raise ValueError("the database must be a file: several connections share it")
        engine = create_async_engine(
            url,
            pool_size=2,
            max_overflow=4,
            hide_parameters=True,  # errors are logged
            connect_args={"async_creator_fn": Connection.connect},
        )
        event.listen(engine.sync_engine, "connect", _prepare_connection)
        event.listen(engine.sync_engine, "begin", _begin_immediate)
        try:
            await asyncio.to_thread(_create, Path(path))
            await _turn_on(engine)
            return cls(engine, path)
        except Exception as error:
            await engine.dispose()
            raise Unavailable(f"the database {path} cannot be opened: {getattr(error, 'orig', error)}") from error

    async def fetch_all(self, queries: Sequence[Bound]) -> list[list[Row]]:
        reader = await self._idle.get()
        try:
            if self._closed:
                raise Unavailable("the database is closed")
            if reader is None:
                reader = await _whole(_open_reader(self._path))
                self._readers.append(reader)
            return await reader.fetch_all(queries)
        except sqlite3.DatabaseError as error:
            raise Unavailable("the database does not answer") from error
        finally:
            self._idle.put_nowait(reader)

    async def wakes(self) -> AsyncGenerator[None, None]:
        known: object = None
        try:
            reader = await _whole(_open_reader(self._path))
            try:
                while True:
                    found = await reader.execute_fetchall("PRAGMA data_version")  # another one after each commit of others
                    if found != known:
                        known = found
                        yield
                    await asyncio.sleep(LOOKS_EVERY)
            finally:
                await reader.close()
        except sqlite3.Error as error:
            raise Unavailable("the database does not answer") from error

    def _reading_now(self) -> int:
        return READERS - self._idle.qsize()

    def _write_turn(self) -> AbstractAsyncContextManager[Any]:
        return self._turn

    async def close(self) -> None:
        self._closed = True
        for reader in self._readers:
            with contextlib.suppress(sqlite3.Error):
                await reader.close()
        await self.engine.dispose()


def _create(path: Path) -> None:
    """An empty file that nobody else on the machine may read; SQLite gives its companions the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


async def _turn_on(engine: AsyncEngine) -> None:
    """The first connection makes the file and turns WAL on, which SQLite refuses at once while others do the same."""
    for wait in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, None):
        try:
            async with engine.connect() as connection:
                await connection.execution_options(**SqliteDatabase.reads)
        except OperationalError as error:
            if wait is None or "locked" not in str(error.orig):
                raise
            await asyncio.sleep(wait)
        else:
            return


async def _whole(opening: Coroutine[Any, Any, Connection]) -> Connection:
    """Cancelled while it is being opened, a connection would be left to its thread."""
    task = asyncio.ensure_future(opening)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await (await task).close()
        raise


async def _open_reader(path: str) -> Connection:
    reader = Connection.connect(path, isolation_level=None, cached_statements=512)
    await reader
    await reader.executescript(
        "; ".join((*_PRAGMAS, "PRAGMA query_only = ON", "PRAGMA cache_size = -8000"))
    )  # KB; 2 MB by itself
    return reader


def _prepare_connection(connection: Any, _: Any) -> None:
    """Leave transactions to us: the driver would begin DEFERRED, and fail when it then has to write."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin_immediate(connection: Any) -> None:
    if _READS not in connection.get_execution_options():
        connection.exec_driver_sql("BEGIN IMMEDIATE")
