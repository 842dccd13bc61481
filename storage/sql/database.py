"""The relational store: raw reads for plans, Core statements for use cases, one transaction per change.

`Database` is what the layers above see; `opening` picks the adapter from the URL.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, Table, func, insert, select, update
from sqlalchemy.engine import Dialect, RowMapping
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.errors import InvalidInput, Unavailable
from core.sql import Row


class Transaction:
    """The statements of one change. Rows come as mappings with Python values."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def execute(self, statement: Executable, parameters: Sequence[Mapping[str, Any]] | None = None) -> int:
        """Run a statement (once per mapping when `parameters` is given); how many rows it touched."""
        return (await self._connection.execute(statement, parameters)).rowcount

    async def all(self, statement: Executable) -> Sequence[RowMapping]:
        """Every row."""
        return (await self._connection.execute(statement)).mappings().all()

    async def first(self, statement: Executable) -> RowMapping | None:
        """The first row, if there is one."""
        return (await self._connection.execute(statement)).mappings().first()

    async def scalar(self, statement: Executable) -> Any:
        """The first column of the first row, or None."""
        return await self._connection.scalar(statement)

    async def get(self, table: Table, key: UUID) -> RowMapping | None:
        """The row with that id."""
        return await self.first(select(table).where(table.c.id == key))

    async def insert(self, table: Table, **values: Any) -> None:
        """Add one row. A `number` that is not given is the next one."""
        if "number" in table.c and "number" not in values:
            values["number"] = select(func.coalesce(func.max(table.c.number), 0) + 1).scalar_subquery()
        await self._connection.execute(insert(table).values({table.c[name]: value for name, value in values.items()}))

    async def update(self, table: Table, key: UUID, **changes: Any) -> None:
        """Change columns of the row with that id."""
        await self._connection.execute(
            update(table).where(table.c.id == key).values({table.c[name]: value for name, value in changes.items()})
        )

    async def lock(self, name: str) -> None:
        """Hold that name until the transaction ends: what others do under it happens before or after, never in between.

        A database with one writer at a time has nothing to do for it.
        """

    async def must_exist(self, table: Table, key: UUID | None, *, field: str, noun: str) -> None:
        """`InvalidInput` naming the field unless `key` is None or the id of a live row."""
        if key is None:
            return
        live = [table.c.deleted_at.is_(None)] if "deleted_at" in table.c else []
        if await self.scalar(select(table.c.id).where(table.c.id == key, *live)) is None:
            raise InvalidInput(f"{noun} does not exist", field=field, value=str(key))


class Database(abc.ABC):
    """One relational store. Also the `core.sql.SqlStore` that plans run on."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    @property
    def dialect(self) -> Dialect:
        """For which the engine compiles its statements."""
        return self.engine.dialect

    @abc.abstractmethod
    async def fetch(self, text: str, values: Sequence[object]) -> list[Row]:
        """Run one read statement; all its rows in stored form. Raises `Unavailable`."""

    def _write_turn(self) -> AbstractAsyncContextManager[Any]:
        """What a writer waits for inside this process; a database that orders its writers itself needs nothing."""
        return nullcontext()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """All of it is stored when the block ends, or nothing. Integrity errors pass through for the caller to explain."""
        async with self._write_turn():
            try:
                async with self.engine.begin() as connection:
                    yield Transaction(connection)
            except IntegrityError:
                raise
            except DBAPIError as error:
                raise Unavailable("the database cannot be written") from error

    async def all(self, statement: Executable) -> Sequence[RowMapping]:
        """Every row of a read that is not part of a change."""
        async with self._reading() as transaction:
            return await transaction.all(statement)

    async def first(self, statement: Executable) -> RowMapping | None:
        """The first row of a read that is not part of a change."""
        async with self._reading() as transaction:
            return await transaction.first(statement)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Transaction]:
        try:
            async with self.engine.connect() as connection:
                yield Transaction(await connection.execution_options(isolation_level="AUTOCOMMIT"))
        except DBAPIError as error:
            raise Unavailable("the database does not answer") from error

    @abc.abstractmethod
    async def close(self) -> None:
        """Release every connection."""


class WriteTurn:
    """Lets one writer of this process in at a time, so that they queue in memory and not on the database's lock."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> None:
        await self._lock.acquire()

    async def __aexit__(self, *error: object) -> None:
        self._lock.release()
