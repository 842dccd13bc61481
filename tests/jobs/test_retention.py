"""What ended long ago goes, with its log; what it made and the newest of each schedule stay."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from core.vocabulary import KeyState, PersistentIdType, RunState, TransferAdapter, TransferStatus
from jobs.retention import remove_finished
from jobs.scheduler import TIDY_EVERY, Scheduler
from storage.sql.tables import file_records, file_transfers, idempotency_keys, links, run_log, runs


@pytest.fixture
def add(database, clock):
    """A run that ended so many days ago."""

    async def add(days: float, subject: UUID | None = None, state: RunState = RunState.SUCCEEDED, **values: Any) -> UUID:
        key, ended = uuid4(), clock() - timedelta(days=days)
        row = {"id": key, "kind": "harvest", "parameters": {}, "subject_id": subject, "state": state, "attempt": 1}
        async with database.transaction() as transaction:
            await transaction.insert(runs, **row | {"created_at": ended, "finished_at": ended} | values)
            await transaction.insert(run_log, id=uuid4(), run_id=key, line=1, at=ended, level="info", message="it was so")
        return key

    return add


@pytest.fixture
def left(rows):
    async def left() -> list[UUID]:
        return [row["id"] for row in await rows(runs, "number")]

    return left


async def test_old_runs_go_with_their_logs(database, clock, add, left, rows):
    await add(91)
    kept = await add(89)
    assert await remove_finished(database, clock() - timedelta(days=90)) == 1
    assert await left() == [kept]
    assert [line["run_id"] for line in await rows(run_log)] == [kept]


async def test_what_has_not_ended_stays(database, clock, add, left):
    states = [RunState.QUEUED, RunState.RUNNING]
    keys = [await add(400, state=state, finished_at=None) for state in states]
    assert await remove_finished(database, clock()) == 0
    assert await left() == keys


async def test_the_newest_of_each_schedule_that_did_its_work_stays(database, clock, add, left):
    one, other = uuid4(), uuid4()
    await add(300, one)
    newest = await add(200, one, RunState.FAILED)
    skipped = await add(150, one, RunState.SKIPPED)
    await add(300, other)
    only = await add(250, other)
    assert await remove_finished(database, clock() - timedelta(days=90)) == 2
    assert await left() == [newest, skipped, only]


async def test_transfers_and_links_of_a_removed_run_stay(database, laboratory, clock, add, left, rows):
    run_id, record = await add(91), uuid4()
    async with database.transaction() as transaction:
        await transaction.insert(
            file_records,
            id=record,
            persistent_id="ark:/99999/fk4x",
            persistent_id_type=PersistentIdType.ARK,
            instrument_id=laboratory.instrument_id,
            source_path="a",
            filename="a",
            first_discovered_at=clock(),
        )
        await transaction.insert(
            file_transfers,
            id=uuid4(),
            file_id=record,
            storage_location_id=laboratory.location_id,
            transfer_adapter=TransferAdapter.RCLONE,
            status=TransferStatus.COMPLETED,
            run_id=run_id,
        )
        await transaction.insert(
            links,
            id=uuid4(),
            from_type="FileRecord",
            from_id=str(record),
            to_type="HarvestRun",
            to_id=str(run_id),
            kind="produced_by",
            created_at=clock(),
        )
    before = [await rows(table) for table in (file_records, file_transfers, links)]
    await remove_finished(database, clock() - timedelta(days=90))
    assert await left() == []
    assert [await rows(table) for table in (file_records, file_transfers, links)] == before


async def test_many_go_in_small_transactions_and_by_several_processes(database, clock, add, left, monkeypatch):
    monkeypatch.setattr("jobs.retention.BATCH", 3)
    for _ in range(10):
        await add(91)
    before = clock() - timedelta(days=90)
    removed = await asyncio.gather(*(remove_finished(database, before) for _ in range(3)))
    assert sum(removed) == 10 - len(await left())
    assert await remove_finished(database, before) == len(await left())
    assert await left() == []


async def test_the_scheduler_tidies_now_and_then(database, clock, add, left):
    scheduler = Scheduler(database, clock=clock, retention=timedelta(days=90))
    await add(91)
    await scheduler.tick()
    assert await left() == []
    await add(91)
    await scheduler.tick()
    assert len(await left()) == 1
    clock.advance(seconds=TIDY_EVERY.total_seconds())
    await scheduler.tick()
    assert await left() == []


async def test_without_a_bound_everything_stays(database, clock, add, left):
    await add(4000)
    await Scheduler(database, clock=clock).tick()
    assert len(await left()) == 1


async def test_keys_go_when_their_time_is_over_whatever_is_kept_of_runs(database, clock, rows):
    async with database.transaction() as transaction:
        for number in range(250):
            row = {"name": f"{number}", "request": "", "state": KeyState.ANSWERED, "holder": uuid4(), "held_until": clock()}
            await transaction.insert(idempotency_keys, **row, expires_at=clock() + timedelta(minutes=number and 1))
    scheduler = Scheduler(database, clock=clock)
    await scheduler.tick()
    assert len(await rows(idempotency_keys, "name")) == 249
    clock.advance(seconds=TIDY_EVERY.total_seconds())
    await scheduler.tick()
    assert await rows(idempotency_keys, "name") == []
