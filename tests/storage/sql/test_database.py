"""What every relational store does, on each of them: atomic changes, ordered writers, readers that see only what is committed."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError

from core.errors import InvalidInput, Unavailable
from core.vocabulary import AuditAction
from storage.sql.opening import open_database
from storage.sql.tables import audit_log, file_records, groups, instruments
from tests.storage.sql.conftest import NOON, group, instrument, names, write

# --- one change --------------------------------------------------------------------------------------------------------


async def test_all_of_it_is_stored(database, other):
    async with database.transaction() as tx:
        await tx.insert(groups, **group("a"))
        await tx.insert(groups, **group("b"))
        assert await names(database) == await names(other) == [], "readers see nothing before the end"
        assert len(await tx.all(select(groups))) == 2, "the change itself sees what it did"
    assert await names(database) == await names(other) == ["a", "b"]


@pytest.mark.parametrize("error", [RuntimeError("x"), asyncio.CancelledError(), KeyboardInterrupt()])
async def test_or_nothing(database, error):
    async def fail() -> None:
        async with database.transaction() as tx:
            await tx.insert(groups, **group("a"))
            raise error

    with pytest.raises(type(error)):
        await fail()
    assert await names(database) == []
    await write(database, group("b"))
    assert await names(database) == ["b"]


async def test_integrity_errors_pass_through_and_undo_the_change(database):
    await write(database, group("a"))
    with pytest.raises(IntegrityError):
        await write(database, group("b"), group("a"))
    with pytest.raises(IntegrityError):
        async with database.transaction() as tx:
            await tx.insert(instruments, **instrument(uuid4(), service_account_id=uuid4()))
    assert await names(database) == ["a"]


async def test_what_a_change_can_ask(database):
    row = group("a")
    async with database.transaction() as tx:
        await tx.insert(groups, **row)
        assert (await tx.get(groups, row["id"]))["name"] == "a"
        assert await tx.get(groups, uuid4()) is None
        assert await tx.first(select(groups.c.name)) == {"name": "a"}
        assert await tx.first(select(groups.c.name).where(groups.c.name == "b")) is None
        assert await tx.scalar(select(func.count()).select_from(groups)) == 1
        assert await tx.scalar(select(groups.c.name).where(groups.c.name == "b")) is None
        await tx.update(groups, row["id"], name="c", description="d")
        assert await tx.execute(groups.update().values(description="e")) == 1
        await tx.execute(insert(groups), [group("x"), group("y")])
    assert await names(database) == ["c", "x", "y"]


async def test_must_exist(database):
    live, deleted = group("live"), group("deleted", deleted_at=NOON)
    async with database.transaction() as tx:
        for row in (live, deleted):
            await tx.insert(groups, **row)
        await tx.must_exist(groups, live["id"], field="group_id", noun="Group")
        await tx.must_exist(groups, None, field="group_id", noun="Group")
        for missing in (deleted["id"], uuid4()):
            with pytest.raises(InvalidInput, match="Group does not exist") as refusal:
                await tx.must_exist(groups, missing, field="group_id", noun="Group")
            assert refusal.value.field == "group_id"


async def test_numbers_follow_each_other_across_writers(database, other):
    """They order the audit log, so none may be given twice."""

    async def write(store) -> None:
        async with store.transaction() as tx:
            await tx.insert(
                audit_log,
                id=uuid4(),
                domain="instruments",
                entity_type="group",
                entity_id=uuid4(),
                action=AuditAction.CREATE,
                created_at=NOON,
            )

    await asyncio.gather(*[write(store) for store in (database, other) * 10])
    rows = await database.all(select(audit_log.c.number).order_by(audit_log.c.number))
    assert [row["number"] for row in rows] == list(range(1, 21))


# --- several writers ---------------------------------------------------------------------------------------------------


async def test_writers_of_two_processes_take_turns(database, other):
    """Each reads before it writes, and no write is overwritten by one that did not see it."""
    row = group("counter", description="0")
    async with database.transaction() as tx:
        await tx.insert(groups, **row)

    async def count(store) -> None:
        async with store.transaction() as tx:
            value = int((await tx.get(groups, row["id"]))["description"])
            await asyncio.sleep(0)
            await tx.update(groups, row["id"], description=str(value + 1))

    await asyncio.gather(*[count(store) for store in (database, other) * 15])
    assert (await database.first(select(groups.c.description)))["description"] == "30"


async def test_what_is_locked_by_name_is_done_one_after_another(database, other):
    """For what no row stands for yet: each looks whether there is one before it makes one."""

    async def make(store) -> None:
        async with store.transaction() as tx:
            await tx.lock("the only group")
            if await tx.first(select(groups)) is None:
                await asyncio.sleep(0)
                await tx.insert(groups, **group(f"group {uuid4()}"))

    await asyncio.gather(*[make(store) for store in (database, other) * 8])
    assert len(await names(database)) == 1


async def test_readers_do_not_wait_for_a_writer(database, other):
    async with database.transaction() as tx:
        await tx.insert(groups, **group("a"))
        async with asyncio.timeout(5):
            assert await other.fetch("SELECT count(*) FROM groups", []) == [(0,)]
            assert await database.fetch("SELECT count(*) FROM groups", []) == [(0,)]
            assert await other.first(select(groups)) is None


async def test_many_reads_at_once(database):
    async with database.transaction() as tx:
        await tx.insert(groups, **group("a"))
    answers = await asyncio.gather(*[database.fetch("SELECT name FROM groups", []) for _ in range(50)])
    assert {tuple(rows) for rows in answers} == {(("a",),)}


async def test_several_reads_in_one_errand(database):
    marked = "$1" if database.dialect.name == "postgresql" else "?1"
    asked = [("SELECT 1", ()), (f"SELECT CAST({marked} AS TEXT)", ("a",)), ("SELECT name FROM groups", ())]
    assert await database.fetch_all(asked) == [[(1,)], [("a",)], []]
    with pytest.raises(Unavailable):
        await database.fetch_all([("SELECT 1", ()), ("DELETE FROM groups", ())])


async def test_reads_cannot_write(database):
    with pytest.raises(Unavailable):
        await database.fetch("DELETE FROM groups", [])


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i % 7 + 1 FROM n) SELECT count(*) FROM n"


@pytest.mark.slow
async def test_a_cancelled_read_ends_and_gives_its_connection_back(database):
    for _ in range(9):  # more than there are reading connections
        task = asyncio.create_task(database.fetch(ENDLESS, []))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(20):
        assert await database.fetch("SELECT 1", []) == [(1,)]


@pytest.mark.slow
async def test_a_cancelled_change_lets_go_of_the_store_at_once(database, other):
    """At whatever moment it was cancelled, and although somebody still looks at how it ended."""
    endings = []

    async def change(name: str) -> None:
        async with database.transaction() as tx:
            await tx.insert(groups, **group(name))
            await tx.scalar(text(ENDLESS))

    for moment in range(60):
        task = asyncio.create_task(change(f"cancelled {moment}"))
        await asyncio.sleep(moment / 4000)
        task.cancel()
        async with asyncio.timeout(5):
            endings += await asyncio.gather(task, return_exceptions=True)
            await write(other, group(f"next {moment}"))
    assert {type(ending) for ending in endings} == {asyncio.CancelledError}
    assert sorted(await names(database)) == sorted(f"next {moment}" for moment in range(60))


# --- a store that is down ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:", "mysql+asyncmy://x/y"])
async def test_stores_that_are_not_opened(url):
    with pytest.raises(ValueError, match=r"must be a file|no adapter for mysql"):
        await open_database(url)


async def test_a_store_without_its_tables(empty_url):
    """Never an empty list."""
    database = await open_database(empty_url)
    try:
        with pytest.raises(Unavailable):
            await database.fetch("SELECT * FROM instruments", [])
        with pytest.raises(Unavailable):
            await database.all(select(instruments))
        with pytest.raises(Unavailable):
            async with database.transaction() as tx:
                await tx.insert(groups, **group("a"))
    finally:
        await database.close()


async def test_a_closed_database_is_unavailable(database_url):
    database = await open_database(database_url)
    await database.close()
    with pytest.raises((Unavailable, ValueError)):
        await database.fetch("SELECT 1", [])
    await database.close()


async def test_errors_do_not_quote_what_was_written(database):
    """Password hashes and sealed secrets are values of statements; error texts go to the log."""
    await write(database, group("hunter2"))
    with pytest.raises(IntegrityError) as refusal:
        await write(database, group("hunter2"))
    assert "hunter2" not in str(refusal.value)


async def test_the_smallest_and_largest_integers(database):
    key = uuid4()
    record = {"persistent_id_type": "ark", "first_discovered_at": NOON, "filename": "f"}
    async with database.transaction() as tx:
        await tx.insert(instruments, **instrument(key))
        for number, size in enumerate((0, 2**63 - 1, -(2**63))):
            await tx.insert(
                file_records,
                id=uuid4(),
                persistent_id=str(number),
                source_path=str(number),
                instrument_id=key,
                size_bytes=size,
                **record,
            )
    sizes = await database.fetch("SELECT size_bytes FROM file_records ORDER BY source_path", [])
    assert sizes == [(0,), (2**63 - 1,), (-(2**63),)]
