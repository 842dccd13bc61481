"""Fresh PostgreSQL databases for tests, cloned from one that was migrated once per process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import make_url

from storage.sql.migrate import migrate
from storage.sql.opening import open_database
from tests.servers import address

BOTH = ("sqlite", pytest.param("postgresql", marks=pytest.mark.slow))
"""Parameters of a fixture `database_kind` whose tests hold on every database."""

only_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
"""For what PostgreSQL's types do not store, and for SQLite's own statements."""


@contextmanager
def empty() -> Iterator[str]:
    """The URL of a new database without tables; it is dropped at the end. Skips or fails when the server is down."""
    yield from _temporary("template0")


@contextmanager
def cloned() -> Iterator[str]:
    """The URL of a new database at the newest revision; it is dropped at the end. Skips or fails when the server is down."""
    yield from _temporary(_template())


def _temporary(template: str) -> Iterator[str]:
    name = f"test_{os.getpid()}_{uuid4().hex[:12]}"
    _administer(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield _url_of(name)
    finally:
        _administer(f"DROP DATABASE {name} WITH (FORCE)")


@cache
def _template() -> str:
    name = f"template_{os.getpid()}_{uuid4().hex[:6]}"
    _administer(f"CREATE DATABASE {name} TEMPLATE template0")

    async def prepare() -> None:
        database = await open_database(_url_of(name))
        await migrate(database)
        await database.close()

    _finish(prepare())
    return name


def drop_template() -> None:
    """At the end of a session of tests."""
    if _template.cache_info().currsize:
        _administer(f"DROP DATABASE {_template()} WITH (FORCE)")
        _template.cache_clear()


def _url_of(name: str) -> str:
    return make_url(address("postgres")).set(database=name).render_as_string(hide_password=False)


def _administer(statement: str) -> None:
    server = make_url(address("postgres")).set(drivername="postgresql").render_as_string(hide_password=False)

    async def run() -> None:
        connection = await asyncpg.connect(server)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    _finish(run())


def _finish(work: Coroutine[Any, Any, None]) -> None:
    """On a loop of its own: fixtures that need it are made outside of any."""
    asyncio.run(work)
