"""A due schedule fires exactly once, whoever looks; what is disabled, deleted or past does not."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from core.vocabulary import RunState
from jobs.queue import Queue
from jobs.scheduler import Scheduler
from storage.sql.tables import instruments, runs, schedules


@pytest.fixture
def scheduler(laboratory, database, clock) -> Scheduler:
    return Scheduler(database, clock=clock, poll=0.01)


async def test_a_due_schedule_fires_a_harvest(scheduler, laboratory, clock, rows):
    clock.advance(seconds=61)
    await scheduler.tick()
    run_id = (await rows(runs))[0]["id"]
    assert await rows(runs) == [
        {
            "id": run_id,
            "number": 1,
            "kind": "harvest",
            "parameters": {
                "instrument_id": str(laboratory.instrument_id),
                "schedule_id": str(laboratory.schedule_id),
            },
            "exclusive_key": f"harvest:{laboratory.instrument_id}",
            "subject_id": laboratory.schedule_id,
            "target_id": laboratory.instrument_id,
            "scheduled_for": clock.now - timedelta(seconds=1),
            "state": RunState.QUEUED,
            "message": None,
            "progress": None,
            "attempt": 1,
            "worker": None,
            "lease_expires_at": None,
            "cancel_requested_at": None,
            "created_at": clock.now,
            "started_at": None,
            "finished_at": None,
        }
    ]


async def test_a_cron_time_fires_once(scheduler, clock, rows):
    clock.advance(seconds=58)
    for _ in range(5):
        clock.advance(seconds=1)
        await scheduler.tick()
    assert len(await rows(runs)) == 1


async def test_every_cron_time_fires(scheduler, clock, rows):
    for _ in range(90):
        clock.advance(seconds=2)
        await scheduler.tick()
    assert [row["state"] for row in await rows(runs, "number")] == [RunState.QUEUED, RunState.SKIPPED, RunState.SKIPPED]


async def test_two_schedulers_fire_once(scheduler, database, clock, rows):
    other = Scheduler(database, clock=clock)
    clock.advance(seconds=61)
    await asyncio.gather(scheduler.tick(), other.tick())
    assert len(await rows(runs)) == 1


async def test_a_clock_that_was_set_back_does_not_fire_again(scheduler, clock, rows):
    clock.advance(seconds=61)
    await scheduler.tick()
    clock.advance(seconds=-10)
    await scheduler.tick()
    clock.advance(seconds=10)
    await scheduler.tick()
    assert len(await rows(runs)) == 1


@pytest.mark.parametrize(
    ("of", "changes"),
    [
        ("schedule", {"enabled": False}),
        ("schedule", {"deleted_at": "now"}),
        ("instrument", {"enabled": False}),
        ("instrument", {"deleted_at": "now"}),
    ],
)
async def test_what_is_disabled_or_deleted_does_not_fire(scheduler, laboratory, clock, rows, of, changes):
    table, key = (schedules, laboratory.schedule_id) if of == "schedule" else (instruments, laboratory.instrument_id)
    changes = {name: clock() if value == "now" else value for name, value in changes.items()}
    await laboratory.change(table, key, **changes)
    clock.advance(seconds=61)
    await scheduler.tick()
    assert await rows(runs) == []


async def test_a_time_missed_in_a_restart_fires_once(laboratory, database, clock, rows):
    await laboratory.change(schedules, laboratory.schedule_id, cron_expression="0 13 * * *")
    clock.advance(hours=1, seconds=55)
    for _ in range(2):
        await Scheduler(database, clock=clock).tick()
    assert [row["scheduled_for"] for row in await rows(runs)] == [clock.now - timedelta(seconds=55)]


async def test_times_missed_while_down_are_not_replayed(laboratory, database, clock, rows):
    await laboratory.change(schedules, laboratory.schedule_id, cron_expression="0 13 * * *")
    clock.advance(hours=1, seconds=65)
    scheduler = Scheduler(database, clock=clock)
    await scheduler.tick()
    assert await rows(runs) == []


async def test_times_missed_while_the_machine_slept_are_not_replayed(scheduler, laboratory, clock, rows):
    await laboratory.change(schedules, laboratory.schedule_id, cron_expression="0 13 * * *")
    clock.advance(hours=5)
    await scheduler.tick()
    assert await rows(runs) == []


async def test_a_changed_schedule_counts_at_once(scheduler, laboratory, clock, rows):
    await laboratory.change(schedules, laboratory.schedule_id, cron_expression="0 13 * * *")
    clock.advance(seconds=61)
    await scheduler.tick()
    assert await rows(runs) == []
    await laboratory.change(schedules, laboratory.schedule_id, cron_expression="* * * * *", updated_at=clock())
    clock.advance(seconds=60)
    await scheduler.tick()
    assert len(await rows(runs)) == 1


async def test_a_schedule_does_not_fire_for_a_time_before_it_was_made(scheduler, laboratory, clock, rows):
    clock.advance(seconds=62)
    await laboratory.change(schedules, laboratory.schedule_id, updated_at=clock())
    clock.advance(seconds=1)
    await scheduler.tick()
    assert await rows(runs) == []


async def test_a_broken_schedule_does_not_hold_up_the_others(scheduler, laboratory, clock, rows, database):
    schedule = dict(await laboratory.schedule())
    async with database.transaction() as transaction:
        await transaction.insert(schedules, **(schedule | {"id": uuid4(), "cron_expression": "broken"}))
    clock.advance(seconds=61)
    await scheduler.tick()
    assert [row["subject_id"] for row in await rows(runs)] == [laboratory.schedule_id]


async def test_runs_of_dead_workers_are_recovered(scheduler, laboratory, database, clock, rows):
    run_id = await laboratory.trigger()
    await Queue(database, clock=clock).claim("a", ["harvest"])
    clock.advance(seconds=31)
    await scheduler.tick()
    assert [(row["id"], row["state"], row["attempt"]) for row in await rows(runs)] == [(run_id, RunState.QUEUED, 2)]


async def test_the_loop_goes_on_after_an_error_and_ends_when_told(scheduler, clock, rows, monkeypatch):
    ticks = []

    async def tick() -> None:
        ticks.append(clock())
        if len(ticks) == 3:
            stop.set()
        raise RuntimeError("the database is away")

    stop = asyncio.Event()
    monkeypatch.setattr(scheduler, "tick", tick)
    await asyncio.wait_for(scheduler.run(stop), 5)
    assert len(ticks) == 3


async def test_looking_costs_one_statement_when_nothing_is_due(scheduler, database, clock):
    from sqlalchemy import event

    statements = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    await scheduler.tick()  # the first look tidies, too
    statements.clear()
    clock.advance(seconds=1)
    await scheduler.tick()
    assert len([statement for statement in statements if "schedules" in statement]) == 1
    assert not [statement for statement in statements if "INSERT" in statement or "UPDATE" in statement]
