"""What only PostgreSQL has: a server that may be down, sessions, writers side by side, values that it does not store."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import func, make_url, select
from sqlalchemy.exc import IntegrityError

from core.errors import InvalidInput, Unavailable
from storage.sql.opening import open_database
from storage.sql.tables import groups, instruments
from tests.postgres import cloned
from tests.storage.sql.conftest import group, instrument, names, write

pytestmark = pytest.mark.slow


@pytest.fixture
def database_url():
    with cloned() as url:
        yield url


async def test_raw_rows_come_in_stored_form(database):
    """As SQLite has them: whoever reads raw rows reads one form."""
    key = uuid4()
    async with database.transaction() as tx:
        await tx.insert(instruments, **instrument(key, transfer_config={"a": [1, None, "ä"]}))
    text = "SELECT id::text, to_char(created_at AT TIME ZONE 'UTC', 'HH24:MI'), transfer_config, enabled FROM instruments"
    assert [tuple(row) for row in await database.fetch(text, [])] == [(str(key), "12:00", '{"a":[1,null,"ä"]}', True)]
    selected = select(instruments.c.id, instruments.c.created_at, instruments.c.deleted_at)
    compiled = str(selected.compile(dialect=database.dialect))
    assert [tuple(row) for row in await database.fetch(compiled, [])] == [(str(key), "2026-11-21T12:00:00.000000Z", None)]


async def test_text_sorts_by_code_point(database):
    await write(database, *[group(name) for name in ("a", "B", "é", "z", "Z", "_", "ä", "a b", "ab")])
    assert await names(database) == sorted(["a", "B", "é", "z", "Z", "_", "ä", "a b", "ab"])


async def test_readers_see_utc_whatever_the_server_says(database):
    assert await database.fetch("SELECT current_setting('timezone'), current_setting('jit')", []) == [("UTC", "off")]


@pytest.mark.parametrize("name", ["a\0b", "x" * 256])
async def test_what_cannot_be_stored_is_the_clients_mistake(database, name):
    with pytest.raises(InvalidInput, match=r"U\+0000|beyond what can be stored"):
        await write(database, group(name))
    assert await names(database) == []


async def test_what_cannot_be_bound_is_the_clients_mistake(database):
    with pytest.raises(InvalidInput, match=r"U\+0000"):
        await database.fetch("SELECT $1::text", ["\0"])
    with pytest.raises(InvalidInput, match="beyond what can be stored"):
        await database.fetch("SELECT $1::int", [2**40])


async def test_writers_do_not_wait_for_each_other(database, other):
    async with database.transaction() as one, asyncio.timeout(5):
        await one.insert(groups, **group("a"))
        async with other.transaction() as two:
            await two.insert(groups, **group("b"))
        assert await names(other) == ["b"]
    assert await names(other) == ["a", "b"]


async def test_two_who_write_the_same_name(database, other):
    """The second waits for the first, and then knows."""

    async def second() -> None:
        with pytest.raises(IntegrityError):
            await write(other, group("a"))

    async with database.transaction() as tx:
        await tx.insert(groups, **group("a"))
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.1)
        assert not waiting.done()
    await waiting
    assert await names(database) == ["a"]


async def test_a_named_lock_is_held_until_the_end(database, other):
    order = []

    async def second() -> None:
        async with other.transaction() as tx:
            await tx.lock("x")
            order.append("second")

    async with database.transaction() as tx:
        await tx.lock("x")
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.1)
        order.append("first")
    await waiting
    assert order == ["first", "second"]


async def test_a_cancelled_read_ends_on_the_server(database, other):
    task = asyncio.create_task(database.fetch("SELECT pg_sleep(30)", []))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
    async with asyncio.timeout(5):
        while (await other.fetch(running, []))[0][0]:  # noqa: ASYNC110  # the server sets no events
            await asyncio.sleep(0.05)
    assert await database.fetch("SELECT 1", []) == [(1,)]


async def test_more_readers_than_connections(database):
    rows = await asyncio.gather(*[database.fetch("SELECT pg_sleep(0.01), $1::int", [number]) for number in range(40)])
    assert [row[0][1] for row in rows] == list(range(40))


async def test_a_server_that_does_not_answer():
    with pytest.raises(Unavailable, match=r"postgresql\+asyncpg://me:\*\*\*@127.0.0.1:1/x does not answer"):
        await open_database("postgresql+asyncpg://me:hunter2@127.0.0.1:1/x")


async def test_a_server_that_refuses_us(database_url):
    url = make_url(database_url).set(password="wrong").render_as_string(hide_password=False)
    with pytest.raises(Unavailable, match="password authentication failed") as refusal:
        await open_database(url)
    assert "wrong" not in str(refusal.value)


async def test_sessions_that_the_server_ends_are_replaced(database, database_url):
    """As after its restart: what was under way is an error, what comes next works."""
    await write(database, group("a"))
    server = await asyncpg.connect(
        make_url(database_url).set(drivername="postgresql", database="postgres").render_as_string(False)
    )
    try:
        under_way = asyncio.create_task(database.fetch("SELECT pg_sleep(30)", []))
        await asyncio.sleep(0.2)
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
        await server.fetch(ended, make_url(database_url).database)
        with pytest.raises(Unavailable, match="the database does not answer"):
            await under_way
    finally:
        await server.close()
    await write(database, group("b"))
    assert await database.fetch("SELECT count(*) FROM groups", []) == [(2,)]
    assert await names(database) == ["a", "b"]


async def test_a_session_that_ends_within_a_change(database):
    async def change() -> None:
        async with database.transaction() as tx:
            await tx.insert(groups, **group("a"))
            own = await tx.scalar(select(func.pg_backend_pid()))
            await database.fetch("SELECT pg_terminate_backend($1::int)", [own])
            await tx.insert(groups, **group("b"))

    with pytest.raises(Unavailable, match="the database cannot be written"):
        await change()
    assert await names(database) == []
