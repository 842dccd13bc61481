"""A connection to SQLite whose thread is bothered once for a statement, and no longer than somebody waits for it.

A subclass of the driver's: that leaves a cancelled statement to itself, and needs four errands where one does.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Self

import aiosqlite

from core.sql import Bound, Row


class Done(NamedTuple):
    """What a statement has given, in the driver's terms."""

    description: Any = None
    rowcount: int = -1
    lastrowid: int | None = None
    rows: Sequence[Any] = ()


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


class Connection(aiosqlite.Connection):
    """Ends the statement that is cancelled: its thread would go on for nobody, and whoever comes next would wait for it."""

    @classmethod
    def connect(cls, path: str, **options: Any) -> Connection:
        """To be awaited, like what `aiosqlite.connect` returns."""
        connection = cls(partial(sqlite3.connect, path, factory=_LettingGo, **options), iter_chunk_size=64)
        connection._thread.daemon = True  # as SQLAlchemy has it
        return connection

    def cursor(self) -> _Cursor:  # type: ignore[override]  # it is only SQLAlchemy's adapter that asks for one
        """What runs one statement."""
        return _Cursor(self)

    async def run(self, execute: Callable[..., Any], text: str, values: Sequence[Any]) -> Done:
        """One statement, with one errand."""
        done: Done = await self._execute(self._run, execute, text, values)
        return done

    def _run(self, execute: Callable[..., Any], text: str, values: Sequence[Any]) -> Done:
        with contextlib.closing(self._conn.cursor()) as cursor:
            execute(cursor, text, values)
            return Done(cursor.description, cursor.rowcount, cursor.lastrowid, cursor.fetchall() if cursor.description else ())

    async def fetch_all(self, queries: Sequence[Bound]) -> list[list[Row]]:
        """Some statements, with one errand; the rows of each."""
        rows: list[list[Row]] = await self._execute(self._fetch_all, queries)
        return rows

    def _fetch_all(self, queries: Sequence[Bound]) -> list[list[Row]]:
        return [self._conn.execute(text, values).fetchall() for text, values in queries]

    async def rollback(self) -> None:
        """End the transaction, if there is one: SQLAlchemy asks for it after reads, too."""
        if self.in_transaction:
            await super().rollback()

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


class _Cursor:
    """One statement and all of its rows, as SQLAlchemy's adapter asks for them."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._done = Done()

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, text: str, values: Sequence[Any] = ()) -> None:
        """Run it, and fetch what it gives."""
        self._done = await self._connection.run(sqlite3.Cursor.execute, text, values)

    async def executemany(self, text: str, values: Sequence[Sequence[Any]]) -> None:
        """Run it for each of these."""
        self._done = await self._connection.run(sqlite3.Cursor.executemany, text, values)

    @property
    def description(self) -> Any:
        return self._done.description

    @property
    def rowcount(self) -> int:
        return self._done.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._done.lastrowid

    async def fetchall(self) -> Sequence[Any]:
        return self._done.rows

    async def close(self) -> None:
        """The thread has closed its own."""
