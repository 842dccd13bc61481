"""SQLite: WAL, a few reading connections with a thread each, one writer at a time that begins IMMEDIATE."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import event, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from core.errors import Unavailable
from core.sql import Row
from storage.sql.database import Database, WriteTurn

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
        engine = create_async_engine(
            url,
            pool_size=2,
            max_overflow=4,
            hide_parameters=True,  # errors are logged
            connect_args={"async_creator_fn": _Interruptible.connect},
        )
        event.listen(engine.sync_engine, "connect", _prepare_connection)
        event.listen(engine.sync_engine, "begin", _begin_immediate)
        try:
            await asyncio.to_thread(_create, Path(path))
            await _turn_on(engine)
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

    async def wakes(self) -> AsyncGenerator[None, None]:
        known: object = None
        path = self.engine.url.database
        assert path is not None, "the database is a file"
        try:
            reader = await _whole(_open_reader(path))
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
        return len(self._readers) - self._idle.qsize()

    def _write_turn(self) -> AbstractAsyncContextManager[Any]:
        return self._turn

    async def close(self) -> None:
        for reader in self._readers:
            with contextlib.suppress(ValueError, sqlite3.Error):
                await reader.close()
        await self.engine.dispose()


class _Call:
    """What a connection's thread is asked to do, and need not when nobody waits for it any more."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self.running = self.dropped = False

    def __call__(self) -> Any:
        self.running = True  # before it looks: whoever drops it sees that it runs, or it sees that it was dropped
        try:
            return None if self.dropped else self._function()
        finally:
            self.running = False


class _Interruptible(aiosqlite.Connection):
    """Ends the statement that is cancelled: its thread would go on for nobody, and whoever comes next would wait for it."""

    @classmethod
    def connect(cls, path: str, **options: Any) -> _Interruptible:
        """To be awaited, like what `aiosqlite.connect` returns."""
        connection = cls(partial(sqlite3.connect, path, factory=_LettingGo, **options), iter_chunk_size=64)
        connection._thread.daemon = True  # as SQLAlchemy has it
        return connection

    async def _execute(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        call = _Call(partial(fn, *args, **kwargs))
        try:
            return await super()._execute(call)  # type: ignore[no-untyped-call]  # through which all of them go
        except asyncio.CancelledError:
            call.dropped = True
            while call.running:  # an interrupt is lost on a statement that has not quite begun
                await self.interrupt()
                await asyncio.sleep(0.001)
            raise


class _LettingGo(sqlite3.Connection):
    """Ends its transaction when it is closed: SQLite keeps that, and its locks, for as long as any cursor of it is left."""

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # closing ends what a broken store does not
            self.rollback()
        super().close()


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
                await connection.execution_options(isolation_level="AUTOCOMMIT")
        except OperationalError as error:
            if wait is None or "locked" not in str(error.orig):
                raise
            await asyncio.sleep(wait)
        else:
            return


async def _whole(opening: Coroutine[Any, Any, aiosqlite.Connection]) -> aiosqlite.Connection:
    """Cancelled while it is being opened, a connection would be left to its thread."""
    task = asyncio.ensure_future(opening)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await (await task).close()
        raise


async def _open_reader(path: str) -> aiosqlite.Connection:
    reader = await _Interruptible.connect(path, isolation_level=None, cached_statements=512)
    await reader.executescript("; ".join((*_PRAGMAS, "PRAGMA query_only = ON")))
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
