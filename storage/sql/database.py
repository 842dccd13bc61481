"""The relational store: raw reads for plans, Core statements for use cases, one transaction per change.

`Database` is what the layers above see; `opening` picks the adapter from the URL.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, Table, func, insert, select, update
from sqlalchemy.engine import Dialect, RowMapping
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.errors import DomainError, InvalidInput, Unavailable
from core.sql import Bound, Row, Statement
from core.vocabulary import AuditAction
from storage.sql.events import publish


class Transaction:
    """The statements of one change. Rows come as mappings with Python values."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._events: list[dict[str, Any]] = []

    def announce(self, table: Table, key: object, at: datetime, action: AuditAction | None = None) -> None:
        """Tell whoever follows that row, once the change is stored. Without an action something beside the row has changed."""
        self._events.append({"entity": table.name, "entity_id": str(key), "action": action, "at": at})

    async def publish(self) -> None:
        """Write what was announced. Last of all: the lock is held until the commit, and nobody who has it waits for another."""
        if self._events:
            await self.lock("events")
            await publish(self._connection, self._events)

    async def execute(self, statement: Executable, parameters: Sequence[Mapping[str, Any]] | None = None) -> int:
        """Run a statement; how many rows it touched. With `parameters` once per mapping, and not every database counts then."""
        return (await self._connection.execute(statement, parameters)).rowcount

    async def execute_many(self, statement: Statement, rows: Iterable[Mapping[str, object]]) -> None:
        """Run a statement once per mapping. SQLAlchemy takes as long as the database to prepare as many."""
        if values := [tuple(statement.values(row)) for row in rows]:
            await self._connection.exec_driver_sql(statement.text, values)

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
        """The row with that id, which nobody else changes until the transaction ends."""
        return await self.first(select(table).where(table.c.id == key).with_for_update())

    async def insert(self, table: Table, **values: Any) -> None:
        """Add one row. A `number` that is not given is the next one: the database's own, where it can count."""
        counts = self._connection.dialect.supports_identity_columns
        if "number" in table.c and "number" not in values and not counts:
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
        if self._connection.dialect.name == "postgresql":
            await self._connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))

    async def must_exist(self, table: Table, key: UUID | None, *, field: str, noun: str) -> None:
        """`InvalidInput` naming the field unless `key` is None or the id of a live row."""
        if key is None:
            return
        live = [table.c.deleted_at.is_(None)] if "deleted_at" in table.c else []
        if await self.scalar(select(table.c.id).where(table.c.id == key, *live)) is None:
            raise InvalidInput(f"{noun} does not exist", field=field, value=str(key))


class Database(abc.ABC):
    """One relational store. Also the `core.sql.SqlStore` that plans run on."""

    failures: tuple[type[Exception], ...] = ()
    """What the driver raises and SQLAlchemy does not translate."""

    reads: Mapping[str, Any] = MappingProxyType({"isolation_level": "AUTOCOMMIT"})
    """Options of a connection that only reads, each statement by itself."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    @property
    def dialect(self) -> Dialect:
        """For which the engine compiles its statements."""
        return self.engine.dialect

    async def fetch(self, text: str, values: Sequence[object]) -> list[Row]:
        """Run one read statement; all its rows in stored form. Raises `Unavailable`."""
        (rows,) = await self.fetch_all(((text, values),))
        return rows

    @abc.abstractmethod
    async def fetch_all(self, queries: Sequence[Bound]) -> list[list[Row]]:
        """Run read statements one after the other; the rows of each."""

    def in_use(self) -> Mapping[str, int]:
        """How many connections are in use, for plans and for changes."""
        pool: Any = self.engine.pool
        return {"plans": self._reading_now(), "changes": pool.checkedout()}

    @abc.abstractmethod
    def _reading_now(self) -> int:
        """How many connections run a plan's statement."""

    def _write_turn(self) -> AbstractAsyncContextManager[Any]:
        """What a writer waits for inside this process; a database that orders its writers itself needs nothing."""
        return nullcontext()

    def _explained(self, error: BaseException) -> DomainError | None:
        """What a client did wrong, when that is why the database refused a statement."""
        return None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """All of it is stored when the block ends, or nothing. Integrity errors pass through for the caller to explain."""
        async with self._write_turn(), self._connected("the database cannot be written") as connection, connection.begin():
            transaction = Transaction(connection)
            yield transaction
            await transaction.publish()

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
        async with self._connected("the database does not answer") as connection:
            yield Transaction(await connection.execution_options(**self.reads))

    @asynccontextmanager
    async def _connected(self, complaint: str) -> AsyncIterator[AsyncConnection]:
        """A connection. What the database does not do becomes `Unavailable`; what the block itself raises stays."""
        try:
            async with AsyncExitStack() as stack:
                try:
                    connection = await stack.enter_async_context(self.engine.connect())
                except (OSError, PoolTimeout) as error:  # TimeoutError is one
                    raise Unavailable(complaint) from error
                yield connection
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise self._explained(error.orig or error) or Unavailable(complaint) from error
        except self.failures as error:
            raise Unavailable(complaint) from error

    @abc.abstractmethod
    def wakes(self) -> AsyncGenerator[None, None]:
        """One as soon as it listens, then one whenever something may have been announced since. Raises `Unavailable`."""

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
