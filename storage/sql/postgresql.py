"""PostgreSQL: plans read over bare connections that keep their prepared statements, changes go through SQLAlchemy.

Both see the same stored forms (`storage.sql.types`); a writer waits for the rows it needs, not for a turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import asyncpg
import orjson
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from core.errors import DomainError, InvalidInput, Unavailable
from core.sql import Bound, Row
from storage.sql.database import Database
from storage.sql.events import CHANNEL

log = logging.getLogger(__name__)

CONNECTIONS = 8
"""Most connections of one process for reading, and as many for writing."""

_CONNECT_TIMEOUT = 10.0
_STATEMENT_TIMEOUT = 60.0
_SESSION = {
    "application_name": "switchyard",
    "timezone": "UTC",
    "jit": "off",  # compiling costs more than statements of a few rows take
    "lock_timeout": "15s",
    "idle_in_transaction_session_timeout": "60s",
}
_FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""The last of them is what some calls raise on a connection that is just being lost."""

LISTENS_FOR = 15.0
"""Seconds in which nothing may be heard before the connection is asked whether it still stands."""

Connect = Callable[[], Awaitable[asyncpg.Connection]]


class PostgresqlDatabase(Database):
    """One database of a server."""

    failures = (asyncpg.InternalClientError,)

    def __init__(self, engine: AsyncEngine, readers: asyncpg.Pool, connect: Connect) -> None:
        super().__init__(engine)
        self._readers, self._connect = readers, connect

    @classmethod
    async def open(cls, url: str, *, connections: int = CONNECTIONS) -> PostgresqlDatabase:
        """Connect. Raises `Unavailable` naming the server when it does not answer, or refuses us."""
        address = make_url(url)
        dsn = address.set(drivername="postgresql").render_as_string(hide_password=False)

        async def connect(**options: Any) -> asyncpg.Connection:
            return await asyncpg.connect(
                dsn, timeout=_CONNECT_TIMEOUT, command_timeout=_STATEMENT_TIMEOUT, server_settings=_SESSION, **options
            )

        try:
            readers = await asyncpg.create_pool(
                dsn,
                timeout=_CONNECT_TIMEOUT,
                command_timeout=_STATEMENT_TIMEOUT,
                server_settings=_SESSION | {"default_transaction_read_only": "on"},
                min_size=0,
                max_size=connections,
                max_queries=2**31,  # a connection is worth its prepared statements
                statement_cache_size=512,
                max_cached_statement_lifetime=0,
                max_cacheable_statement_size=64 * 1024,
                reset=_as_it_is,
            )
            await readers.fetchval("SELECT 1")
        except _FAILURES as error:
            raise Unavailable(f"the database {address.render_as_string()} does not answer: {error}") from error
        engine = create_async_engine(
            address,
            async_creator=connect,
            pool_size=connections,
            max_overflow=0,
            pool_pre_ping=True,
            pool_timeout=_CONNECT_TIMEOUT,
            hide_parameters=True,  # errors are logged
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
        )
        return cls(engine, readers, connect)

    async def fetch_all(self, queries: Sequence[Bound]) -> list[list[Row]]:
        try:
            async with self._readers.acquire(timeout=_CONNECT_TIMEOUT) as reader:
                return [await reader.fetch(text, *values) for text, values in queries]
        except _FAILURES as error:
            raise self._explained(error) or Unavailable("the database does not answer") from error

    def _reading_now(self) -> int:
        return int(self._readers.get_size() - self._readers.get_idle_size())

    def _explained(self, error: BaseException) -> DomainError | None:
        state = getattr(error, "sqlstate", None) or ""
        if not state.startswith("22"):
            return None
        log.warning("a value was refused by the database: %s", error)
        if state == "22021":
            return InvalidInput("text may not contain the character U+0000")
        return InvalidInput("a value is of the wrong kind, or beyond what can be stored")

    async def wakes(self) -> AsyncGenerator[None, None]:
        heard = asyncio.Event()
        try:
            connection = await self._connect()
            try:
                connection.add_termination_listener(lambda _: heard.set())
                await connection.add_listener(CHANNEL, lambda *_: heard.set())
                heard.set()
                while True:
                    if connection.is_closed():
                        raise Unavailable("the database ended the connection")
                    if heard.is_set():
                        heard.clear()
                        yield
                    with suppress(TimeoutError):
                        await asyncio.wait_for(heard.wait(), LISTENS_FOR)
                        continue
                    await connection.execute("SELECT 1", timeout=_CONNECT_TIMEOUT)
            finally:
                connection.terminate()
        except _FAILURES as error:
            raise Unavailable("the database does not answer") from error

    async def close(self) -> None:
        await self._readers.close()
        await self.engine.dispose()


async def _as_it_is(_: object) -> None:
    """Readers change nothing of their session, so there is nothing to reset after each statement."""
