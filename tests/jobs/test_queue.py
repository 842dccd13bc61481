"""Runs are claimed once, one per key; a lost lease ends all rights; nothing is lost or doubled."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from core.errors import Conflict, NotFound
from core.vocabulary import RunState
from jobs.queue import LEASE, Claim, LeaseLostError, Queue, cancel, enqueue
from jobs.runner import NewRun
from storage.sql.opening import open_database
from storage.sql.tables import run_log, runs

HARVEST = NewRun(kind="harvest", parameters={"instrument_id": "i"}, exclusive_key="harvest:i")


@pytest.fixture
def add(database, clock):
    async def add(run: NewRun = HARVEST, **options: Any) -> UUID:
        async with database.transaction() as transaction:
            return await enqueue(transaction, run, now=clock(), **options)

    return add


@pytest.fixture
def row(database):
    async def row(run_id: UUID) -> dict[str, Any]:
        found = await database.first(select(runs).where(runs.c.id == run_id))
        return dict(found)

    return row


async def test_an_enqueued_run_is_waiting(add, row, clock):
    subject, target = uuid4(), uuid4()
    run_id = await add(NewRun("harvest", {"a": [1]}, "key", subject, target), scheduled_for=clock())
    assert await row(run_id) == {
        "id": run_id,
        "number": 1,
        "kind": "harvest",
        "parameters": {"a": [1]},
        "exclusive_key": "key",
        "subject_id": subject,
        "target_id": target,
        "scheduled_for": clock.now,
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


async def test_a_run_is_skipped_when_one_of_its_key_waits(add, row, clock):
    first, second = await add(), await add()
    skipped = await row(second)
    assert (skipped["state"], skipped["message"], skipped["finished_at"]) == (
        RunState.SKIPPED,
        f"run {first} is queued already and will do this work",
        clock.now,
    )


async def test_one_may_wait_while_another_of_its_key_runs(add, row, queue):
    await add()
    await queue.claim("a", ["harvest"])
    second = await add()
    assert (await row(second))["state"] is RunState.QUEUED
    assert (await row(await add()))["state"] is RunState.SKIPPED


async def test_runs_without_a_key_do_not_exclude_each_other(add, queue):
    free = NewRun("harvest", {})
    first, second = await add(free), await add(free)
    assert [(await queue.claim("a", ["harvest"])).id, (await queue.claim("b", ["harvest"])).id] == [first, second]


async def test_a_claim_takes_the_oldest_and_starts_it(add, row, queue, clock):
    run_id = await add()
    clock.advance(seconds=5)
    assert await queue.claim("a", ["harvest"]) == Claim(run_id, "harvest", {"instrument_id": "i"}, "a", 1)
    claimed = await row(run_id)
    assert {name: claimed[name] for name in ("state", "worker", "started_at", "lease_expires_at", "attempt")} == {
        "state": RunState.RUNNING,
        "worker": "a",
        "started_at": clock.now,
        "lease_expires_at": clock.now + LEASE,
        "attempt": 1,
    }


async def test_an_empty_queue_gives_nothing(queue):
    assert await queue.claim("a", ["harvest"]) is None


async def test_a_run_of_another_kind_is_left_for_others(add, queue):
    await add()
    assert await queue.claim("a", ["replication"]) is None


async def test_a_run_waits_while_one_of_its_key_runs(add, queue):
    await add()
    running = await queue.claim("a", ["harvest"])
    second = await add()
    other = await add(NewRun("harvest", {}, "harvest:other"))
    assert (await queue.claim("b", ["harvest"])).id == other
    assert await queue.claim("c", ["harvest"]) is None
    await queue.finish(running, RunState.SUCCEEDED, None)
    assert (await queue.claim("c", ["harvest"])).id == second


@pytest.mark.slow
async def test_many_workers_at_once_claim_every_run_once(add, queue):
    expected = [await add(NewRun("harvest", {}, f"key {number}")) for number in range(8)]
    claims = await asyncio.gather(*(queue.claim(f"worker {number}", ["harvest"]) for number in range(12)))
    assert sorted(claim.id for claim in claims if claim) == sorted(expected)


async def test_a_finished_run_says_how_it_ended(add, row, queue, clock):
    run_id = await add()
    claim = await queue.claim("a", ["harvest"])
    clock.advance(minutes=1)
    await queue.finish(claim, RunState.FAILED, "the share is gone", {"files_done": 3})
    finished = await row(run_id)
    assert {name: finished[name] for name in ("state", "message", "progress", "finished_at", "lease_expires_at")} == {
        "state": RunState.FAILED,
        "message": "the share is gone",
        "progress": {"files_done": 3},
        "finished_at": clock.now,
        "lease_expires_at": None,
    }


async def test_the_log_is_numbered_per_run(add, queue, rows, clock):
    await add()
    await add(NewRun("harvest", {}, "other"))
    first, second = await queue.claim("a", ["harvest"]), await queue.claim("b", ["harvest"])
    await queue.log(first, "info", "one")
    await queue.log(second, "info", "eins")
    await queue.log(first, "warning", "two")
    assert sorted(
        (line["run_id"], line["line"], line["at"], line["level"], line["message"]) for line in await rows(run_log, "line")
    ) == sorted(
        [
            (first.id, 1, clock.now, "info", "one"),
            (first.id, 2, clock.now, "warning", "two"),
            (second.id, 1, clock.now, "info", "eins"),
        ]
    )


async def test_every_write_renews_the_lease(add, row, queue, clock):
    run_id = await add()
    claim = await queue.claim("a", ["harvest"])
    for write in (queue.renew(claim), queue.progress(claim, {"n": 1}), queue.log(claim, "info", "still here")):
        clock.advance(seconds=10)
        await write
        assert (await row(run_id))["lease_expires_at"] == clock.now + LEASE


async def test_a_live_lease_is_not_recovered(add, queue, clock):
    await add()
    await queue.claim("a", ["harvest"])
    clock.advance(seconds=29)
    assert await queue.recover() == 0


async def test_an_expired_lease_puts_the_run_back(add, row, queue, clock, log_of):
    run_id = await add()
    await queue.claim("a", ["harvest"])
    clock.advance(seconds=31)
    assert await queue.recover() == 1
    recovered = await row(run_id)
    assert {name: recovered[name] for name in ("state", "attempt", "worker", "lease_expires_at", "started_at", "message")} == {
        "state": RunState.QUEUED,
        "attempt": 2,
        "worker": None,
        "lease_expires_at": None,
        "started_at": None,
        "message": None,
    }
    assert await log_of(run_id) == [("warning", "The worker a died; the run is queued again (attempt 2 of 3)")]
    assert await queue.recover() == 0


async def test_the_third_death_fails_the_run(add, row, queue, clock):
    run_id = await add()
    for _ in range(3):
        assert (await queue.claim("a", ["harvest"])).id == run_id
        clock.advance(seconds=31)
        assert await queue.recover() == 1
    failed = await row(run_id)
    assert (failed["state"], failed["message"], failed["finished_at"], failed["attempt"]) == (
        RunState.FAILED,
        "the worker died",
        clock.now,
        3,
    )
    assert await queue.claim("a", ["harvest"]) is None


async def test_recovery_skips_the_run_that_waited_for_the_same_key(add, row, queue, clock):
    first = await add()
    await queue.claim("a", ["harvest"])
    second = await add()
    clock.advance(seconds=31)
    await queue.recover()
    skipped = await row(second)
    assert (await row(first))["state"] is RunState.QUEUED
    assert (skipped["state"], skipped["message"]) == (
        RunState.SKIPPED,
        f"run {first} is queued already and will do this work",
    )


@pytest.mark.parametrize(
    "write",
    [
        lambda queue, claim: queue.renew(claim),
        lambda queue, claim: queue.progress(claim, {"n": 1}),
        lambda queue, claim: queue.log(claim, "info", "done"),
        lambda queue, claim: queue.finish(claim, RunState.SUCCEEDED, "done"),
        lambda queue, claim: queue.release(claim),
    ],
    ids=["renew", "progress", "log", "finish", "release"],
)
@pytest.mark.parametrize("successor", ["nobody", "another", "the same worker"])
async def test_who_lost_the_lease_writes_nothing_more(add, row, queue, clock, write, successor):
    run_id = await add()
    lost = await queue.claim("a", ["harvest"])
    clock.advance(seconds=31)
    await queue.recover()
    if successor != "nobody":
        await queue.claim("a" if successor == "the same worker" else "b", ["harvest"])
    before = await row(run_id)
    clock.advance(seconds=1)
    with pytest.raises(LeaseLostError):
        await write(queue, lost)
    assert await row(run_id) == before


async def test_an_expired_lease_that_nobody_took_can_still_be_renewed(add, row, queue, clock):
    run_id = await add()
    claim = await queue.claim("a", ["harvest"])
    clock.advance(seconds=40)
    await queue.renew(claim)
    assert (await row(run_id))["lease_expires_at"] == clock.now + timedelta(seconds=30)


async def test_a_change_is_rolled_back_with_its_lost_claim(add, queue, clock, rows):
    await add()
    claim = await queue.claim("a", ["harvest"])
    clock.advance(seconds=31)
    await queue.recover()
    with pytest.raises(LeaseLostError):
        async with queue.transaction(claim) as transaction:
            await transaction.insert(run_log, run_id=claim.id, line=9, at=clock(), level="info", message="never")
    assert 9 not in [line["line"] for line in await rows(run_log, "line")]


async def test_a_released_run_waits_again_with_the_same_attempt(add, row, queue):
    run_id = await add()
    claim = await queue.claim("a", ["harvest"])
    await queue.release(claim)
    released = await row(run_id)
    assert (released["state"], released["attempt"], released["worker"]) == (RunState.QUEUED, 1, None)
    assert (await queue.claim("b", ["harvest"])).id == run_id


# Cancelling


@pytest.fixture
def ask_to_cancel(database, clock):
    async def ask(run_id: UUID) -> None:
        async with database.transaction() as transaction:
            await cancel(transaction, run_id, now=clock())

    return ask


async def test_a_waiting_run_is_cancelled_at_once(add, row, queue, clock, log_of, ask_to_cancel):
    run_id = await add()
    clock.advance(seconds=5)
    await ask_to_cancel(run_id)
    ended = await row(run_id)
    assert (ended["state"], ended["message"], ended["finished_at"]) == (RunState.CANCELED, "the run was cancelled", clock.now)
    assert await log_of(run_id) == [("warning", "Somebody asked to cancel the run")]
    assert await queue.claim("a", ["harvest"]) is None


async def test_the_key_of_a_cancelled_run_is_free(add, row, ask_to_cancel):
    await ask_to_cancel(await add())
    assert (await row(await add()))["state"] is RunState.QUEUED


@pytest.mark.parametrize("write", ["renew", "progress", "log"])
async def test_a_running_run_learns_of_it_by_its_next_write(add, row, queue, clock, ask_to_cancel, write):
    run_id = await add()
    claim = await queue.claim("a", ["harvest"])
    await ask_to_cancel(run_id)
    assert (await row(run_id))["cancel_requested_at"] == clock.now
    assert not claim.canceled.is_set()
    await {"renew": queue.renew, "progress": lambda c: queue.progress(c, {}), "log": lambda c: queue.log(c, "info", "x")}[
        write
    ](claim)
    assert claim.canceled.is_set()
    assert (await row(run_id))["state"] is RunState.RUNNING


async def test_asking_again_changes_nothing(add, row, queue, clock, ask_to_cancel):
    run_id = await add()
    await queue.claim("a", ["harvest"])
    await ask_to_cancel(run_id)
    asked = clock.now
    clock.advance(seconds=5)
    await ask_to_cancel(run_id)
    assert (await row(run_id))["cancel_requested_at"] == asked


@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELED])
async def test_what_has_ended_cannot_be_cancelled(add, row, queue, ask_to_cancel, state):
    run_id = await add()
    await queue.finish(await queue.claim("a", ["harvest"]), state, "over")
    before = await row(run_id)
    with pytest.raises(Conflict, match=f"^the run has ended already: it is {state.name}$"):
        await ask_to_cancel(run_id)
    assert await row(run_id) == before


async def test_what_is_not_there_cannot_be_cancelled(ask_to_cancel):
    with pytest.raises(NotFound):
        await ask_to_cancel(uuid4())


@pytest.mark.parametrize("end", ["the worker stops", "the worker dies"])
async def test_a_run_to_be_cancelled_is_not_queued_again(add, row, queue, clock, ask_to_cancel, end):
    run_id = await add()
    claim = await queue.claim("a", ["harvest"])
    waiting = await add()
    await ask_to_cancel(run_id)
    if end == "the worker stops":
        await queue.release(claim)
    else:
        clock.advance(seconds=31)
        assert await queue.recover() == 1
    ended = await row(run_id)
    assert (ended["state"], ended["finished_at"], ended["lease_expires_at"]) == (RunState.CANCELED, clock.now, None)
    assert (await row(waiting))["state"] is RunState.QUEUED


# Several processes


@pytest.fixture
async def others(database_url):
    """What other processes would have: connections of their own."""
    databases = [await open_database(database_url) for _ in range(3)]
    yield databases
    for each in databases:
        await each.close()


async def test_many_who_ask_at_once_queue_one_run(others, clock, rows):
    async def ask(database) -> None:
        async with database.transaction() as transaction:
            await enqueue(transaction, HARVEST, now=clock())

    await asyncio.gather(*(ask(database) for database in others * 4))
    states = sorted(run["state"] for run in await rows(runs))
    assert states == [RunState.QUEUED] + [RunState.SKIPPED] * 11


@pytest.mark.slow
async def test_claims_of_several_processes_never_share_a_run_or_a_key(others, add, clock):
    expected = [await add(NewRun("harvest", {}, f"key {number}")) for number in range(9)]
    queues = [Queue(database, clock=clock) for database in others]
    claims = await asyncio.gather(*(queues[number % 3].claim(f"worker {number}", ["harvest"]) for number in range(12)))
    assert sorted(claim.id for claim in claims if claim) == sorted(expected)


async def test_a_dead_run_is_taken_back_once_while_others_ask_for_the_same(others, add, row, clock, rows):
    run_id = await add()
    await Queue(others[0], clock=clock).claim("a", ["harvest"])
    clock.advance(seconds=31)

    async def ask(database) -> None:
        async with database.transaction() as transaction:
            await enqueue(transaction, HARVEST, now=clock())

    recovered = await asyncio.gather(
        *(Queue(database, clock=clock).recover() for database in others), *(ask(database) for database in others)
    )
    assert sum(count for count in recovered if count) == 1
    assert (await row(run_id))["attempt"] == 2
    states = sorted(run["state"] for run in await rows(runs))
    assert states == [RunState.QUEUED] + [RunState.SKIPPED] * 3


async def test_a_key_that_somebody_holds_does_not_hold_up_the_others(others, add, queue, clock):
    await add()
    other = await add(NewRun("harvest", {}, "another key"))
    running = await queue.claim("a", ["harvest"])
    await add()
    async with others[0].transaction() as transaction:
        if others[0].dialect.name == "postgresql":  # the other has one writer at a time
            await transaction.lock(f"runs of {HARVEST.exclusive_key}")
            claimed = await asyncio.wait_for(queue.claim("b", ["harvest"]), 5)
        else:
            claimed = None
    claimed = claimed or await queue.claim("b", ["harvest"])
    assert (running.exclusive_key, claimed.id) == (HARVEST.exclusive_key, other)


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING])
async def test_the_database_itself_refuses_two_of_one_key(database, add, clock, state):
    async def insert() -> None:
        async with database.transaction() as transaction:
            await transaction.insert(
                runs,
                id=uuid4(),
                kind="harvest",
                parameters={},
                exclusive_key="key",
                state=state,
                attempt=1,
                created_at=clock(),
            )

    await insert()
    with pytest.raises(IntegrityError):
        await insert()
