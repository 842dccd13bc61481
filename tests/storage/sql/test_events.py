"""The feed of changes: in the order of commits, whole, and told to every process."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from core.errors import Unavailable
from core.vocabulary import AuditAction
from storage.sql.events import forget_events, happened_after, newest, oldest
from storage.sql.opening import open_database
from storage.sql.tables import events, groups
from tests.postgres import BOTH
from tests.storage.sql.conftest import NOON, group

SOON = 5.0

only_postgresql = pytest.mark.parametrize("database_kind", BOTH[1:], indirect=True)


async def happen(database, *keys: str, at=NOON) -> None:
    async with database.transaction() as transaction:
        for key in keys:
            transaction.announce(groups, key, at, AuditAction.UPDATE)


async def keys_after(database, number: int) -> list[str]:
    return [key for _, _, key in await happened_after(database, number)]


async def test_nothing_has_happened(database):
    assert (await newest(database), await oldest(database), list(await happened_after(database, 0))) == (0, 0, [])


async def test_what_happened_is_part_of_the_change(database, other):
    await happen(database, "a", "b")
    with suppress(RuntimeError):
        async with database.transaction() as transaction:
            transaction.announce(groups, "c", NOON)
            raise RuntimeError
    await happen(other, "d")
    assert await keys_after(database, 0) == ["a", "b", "d"]
    rows = await database.all(select(events.c.entity, events.c.entity_id, events.c.action, events.c.at).limit(1))
    assert [tuple(row.values()) for row in rows] == [("groups", "a", AuditAction.UPDATE, NOON)]


@pytest.mark.slow
async def test_who_has_seen_a_number_has_missed_none(database_url):
    """Many writers, of several processes, whose transactions end in any order; a reader that only looks forward."""
    databases = [await open_database(database_url) for _ in range(3)]
    seen: list[int] = []
    done = asyncio.Event()

    async def write(place: int) -> None:
        for number in range(25):
            async with databases[place % 3].transaction() as transaction:
                transaction.announce(groups, f"{place}-{number}", NOON)
                await transaction.insert(groups, **group(f"{place}-{number}"))
                await asyncio.sleep(0.001 * (place % 4))  # after it was announced, and before it is written

    async def read() -> None:
        last = 0
        while not done.is_set() or last < await newest(databases[0]):
            for number, _, _ in await happened_after(databases[0], last):
                assert number > last
                last = number
                seen.append(number)
            await asyncio.sleep(0)

    try:
        reading = asyncio.create_task(read())
        await asyncio.gather(*(write(place) for place in range(8)))
        done.set()
        await reading
        rows = await databases[1].all(select(events.c.number).order_by(events.c.number))
        assert seen == [row["number"] for row in rows]
        assert len(seen) == 200
    finally:
        for database in databases:
            await database.close()


@pytest.mark.slow
async def test_others_are_woken(database, other):
    async with aclosing(database.wakes()) as wakes:
        await asyncio.wait_for(anext(wakes), SOON)
        for key in ("a", "b", "c"):
            waiting = asyncio.ensure_future(anext(wakes))
            await asyncio.sleep(0.05)
            await happen(other, key)
            await asyncio.wait_for(waiting, SOON)
            assert (await keys_after(database, 0))[-1] == key


@pytest.mark.slow
async def test_a_change_between_two_looks_is_not_missed(database, other):
    async with aclosing(database.wakes()) as wakes:
        await asyncio.wait_for(anext(wakes), SOON)
        await happen(other, "a")
        await asyncio.sleep(0.3)
        await asyncio.wait_for(anext(wakes), SOON)


async def test_waiting_can_be_given_up_at_any_time(database):
    for pause in (0, 0.001, 0.01, 0.1):
        wakes = database.wakes()
        waiting = asyncio.ensure_future(anext(wakes))
        await asyncio.sleep(pause)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await wakes.aclose()


@only_postgresql
async def test_a_lost_connection_is_told(database, other):
    async with aclosing(database.wakes()) as wakes:
        await asyncio.wait_for(anext(wakes), SOON)
        async with other.transaction() as transaction:
            mine = "pid <> pg_backend_pid() AND datname = current_database() AND query LIKE 'LISTEN%'"
            ended = await transaction.scalar(
                text(f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {mine}")
            )
        assert ended == 1
        with pytest.raises(Unavailable):
            await asyncio.wait_for(anext(wakes), SOON)


async def test_old_events_are_forgotten(database):
    await happen(database, "old", "older", at=NOON - timedelta(days=2))
    await happen(database, "new")
    assert await forget_events(database, NOON - timedelta(days=1)) == 2
    assert await keys_after(database, 0) == ["new"]
    assert await oldest(database) == await newest(database)


async def test_the_newest_stays_whatever_its_age(database, monkeypatch):
    """So that no number is given twice, and everybody knows where the feed has got to."""
    monkeypatch.setattr("storage.sql.events.BATCH", 3)
    await happen(database, *"abcdefgh")
    last = await newest(database)
    assert await forget_events(database, NOON + timedelta(days=1)) == 7
    assert (await oldest(database), await newest(database)) == (last, last)
    await happen(database, "i")
    assert await newest(database) == last + 1
