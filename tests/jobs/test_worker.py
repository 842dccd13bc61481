"""The worker's loop: every way a run can end, and that the worker survives them all."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from contextlib import suppress
from datetime import timedelta

import pytest

from core.errors import NotFound, Unavailable
from core.vocabulary import RunState
from jobs.active import ActiveRun, RunFailedError
from jobs.queue import LeaseLostError, Queue, cancel, enqueue
from jobs.runner import NewRun
from jobs.worker import StuckError, stop_without_parent, work, worker_name
from storage.sql.tables import runs


@pytest.fixture
def add(database, clock):
    async def add(**parameters):
        async with database.transaction() as transaction:
            return await enqueue(transaction, NewRun("test", parameters), now=clock())

    return add


async def _outcome(rows) -> list[tuple]:
    return [(row["state"], row["message"], row["progress"]) for row in await rows(runs, "number")]


async def test_a_job_that_returns_has_succeeded(add, finish_all, rows):
    await add(n=1)

    async def job(run: ActiveRun) -> str:
        await run.progress(n=run.parameters["n"])
        return "done"

    await finish_all({"test": job})
    assert await _outcome(rows) == [(RunState.SUCCEEDED, "done", {"n": 1})]


async def test_a_job_without_a_message_leaves_none(add, finish_all, rows):
    await add()

    async def job(run: ActiveRun) -> None:
        pass

    await finish_all({"test": job})
    assert await _outcome(rows) == [(RunState.SUCCEEDED, None, None)]


@pytest.mark.parametrize("error", [RunFailedError("the share is gone"), NotFound("the share is gone")])
async def test_a_foreseen_error_fails_the_run_in_its_own_words(add, finish_all, rows, log_of, error):
    run_id = await add()

    async def job(run: ActiveRun) -> None:
        raise error

    await finish_all({"test": job})
    assert await _outcome(rows) == [(RunState.FAILED, "the share is gone", None)]
    assert await log_of(run_id) == [("error", "the share is gone")]


async def test_an_unforeseen_error_is_masked_and_the_worker_goes_on(add, finish_all, rows, log_of, caplog):
    first = await add(fail=True)
    await add(fail=False)

    async def job(run: ActiveRun) -> None:
        if run.parameters["fail"]:
            raise KeyError("the password is hunter2")

    await finish_all({"test": job})
    message = f"an unexpected error ended the run (KeyError); the server's log has the details under {first}"
    assert await _outcome(rows) == [(RunState.FAILED, message, None), (RunState.SUCCEEDED, None, None)]
    assert await log_of(first) == [("error", message)]
    assert "hunter2" in caplog.text


async def test_a_stopping_worker_gives_its_run_back(add, database, rows):
    await add()
    stop = asyncio.Event()

    async def job(run: ActiveRun) -> None:
        stop.set()
        assert run.stopping
        run.leave_if_stopping()

    await work(database, {"test": job}, name="a", stop=stop)
    assert [(row["state"], row["attempt"], row["worker"]) for row in await rows(runs)] == [(RunState.QUEUED, 1, None)]


async def test_a_stopping_worker_may_finish_its_run(add, database, rows):
    await add()
    await add()
    stop = asyncio.Event()

    async def job(run: ActiveRun) -> str:
        stop.set()
        return "just in time"

    await work(database, {"test": job}, name="a", stop=stop)
    assert [row["state"] for row in await rows(runs, "number")] == [RunState.SUCCEEDED, RunState.QUEUED]


async def test_an_idle_worker_stops_at_once(database):
    stop = asyncio.Event()
    worker = asyncio.create_task(work(database, {}, name="a", stop=stop, poll=60))
    await asyncio.sleep(0.01)
    stop.set()
    await asyncio.wait_for(worker, 1)


async def test_a_pausing_job_is_woken_to_stop(add, database, rows):
    await add()
    stop = asyncio.Event()

    async def job(run: ActiveRun) -> None:
        asyncio.get_running_loop().call_later(0.01, stop.set)
        await run.pause(60)

    await asyncio.wait_for(work(database, {"test": job}, name="a", stop=stop), 5)
    assert [row["state"] for row in await rows(runs)] == [RunState.QUEUED]


@pytest.mark.slow
async def test_a_working_run_keeps_its_lease(add, database, finish_all, rows):
    await add()

    async def job(run: ActiveRun) -> None:
        for _ in range(6):
            await asyncio.sleep(0.1)
            assert await Queue(database).recover() == 0

    await finish_all({"test": job}, lease=timedelta(seconds=0.3))
    assert [(row["state"], row["attempt"]) for row in await rows(runs)] == [(RunState.SUCCEEDED, 1)]


async def test_a_run_that_was_taken_away_is_ended_and_writes_nothing(add, database, clock, rows, caplog):
    run_id = await add()
    stop, ended = asyncio.Event(), asyncio.Event()

    async def job(run: ActiveRun) -> None:
        clock.advance(minutes=1)
        while not await Queue(database, clock=clock).recover():  # the heartbeat was quicker
            clock.advance(minutes=1)
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
            stop.set()

    with caplog.at_level(logging.WARNING):
        worker = work(database, {"test": job}, name="a", stop=stop, lease=timedelta(seconds=0.3), clock=clock)
        await asyncio.wait_for(worker, 5)
    assert ended.is_set()
    assert [(row["state"], row["attempt"], row["message"]) for row in await rows(runs)] == [(RunState.QUEUED, 2, None)]
    assert f"run {run_id} was taken from this worker" in caplog.text


@pytest.mark.parametrize("looks", [True, False], ids=["that looks", "that does not look"])
async def test_a_cancelled_job_is_ended(add, database, finish_all, rows, looks):
    run_id = await add()

    async def job(run: ActiveRun) -> None:
        async with database.transaction() as transaction:
            await cancel(transaction, run_id, now=run.clock())
        await run.progress(n=1)
        if looks:
            await run.pause(60)
        await asyncio.sleep(60)

    await asyncio.wait_for(finish_all({"test": job}, patience=0.1), 10)
    assert await _outcome(rows) == [(RunState.CANCELED, "the run was cancelled", {"n": 1})]


async def test_a_pausing_job_is_woken_by_the_heartbeat_that_learns_of_its_cancellation(add, database, finish_all, rows):
    run_id = await add()

    async def job(run: ActiveRun) -> None:
        async with database.transaction() as transaction:
            await cancel(transaction, run_id, now=run.clock())
        await run.pause(60)

    await asyncio.wait_for(finish_all({"test": job}, lease=timedelta(seconds=0.3), patience=60), 10)
    assert await _outcome(rows) == [(RunState.CANCELED, "the run was cancelled", None)]


async def test_a_job_that_was_done_before_it_learned_of_its_cancellation_has_succeeded(add, database, finish_all, rows):
    run_id = await add()

    async def job(run: ActiveRun) -> str:
        async with database.transaction() as transaction:
            await cancel(transaction, run_id, now=run.clock())
        return "done"

    await finish_all({"test": job})
    assert await _outcome(rows) == [(RunState.SUCCEEDED, "done", None)]


@pytest.mark.slow
@pytest.mark.parametrize("looks", [True, False], ids=["that looks", "that does not look"])
async def test_a_job_that_takes_too_long_has_failed(add, finish_all, rows, log_of, looks):
    first = await add()
    await add()

    async def job(run: ActiveRun) -> str:
        if run.id == first:
            await (run.pause(60) if looks else asyncio.sleep(60))
        return "done"

    await asyncio.wait_for(finish_all({"test": job}, longest=timedelta(seconds=0.2), patience=0.1), 10)
    assert await _outcome(rows) == [
        (RunState.FAILED, "the run took longer than 0.2 s", None),
        (RunState.SUCCEEDED, "done", None),
    ]
    assert await log_of(first) == [("error", "the run took longer than 0.2 s")]


@pytest.mark.parametrize(
    ("longest", "words"),
    [(timedelta(hours=24), "24 h"), (timedelta(minutes=90), "90 min"), (timedelta(seconds=61), "61 s")],
)
async def test_the_bound_is_said_in_words(add, database, queue, longest, words):
    await add()
    run = ActiveRun(database, queue, await queue.claim("a", ["test"]), longest=longest)
    run._timed_out.set()
    assert str(run.ending) == f"the run took longer than {words}"


@pytest.mark.slow
async def test_a_job_that_hangs_is_given_up_with_its_worker(add, database, rows):
    """A thread cannot be ended, so it must not stay: `run_worker` ends the process."""
    await add()
    release = threading.Event()

    async def job(run: ActiveRun) -> None:
        thread = asyncio.ensure_future(asyncio.to_thread(release.wait, 30))
        with suppress(asyncio.CancelledError):
            await asyncio.shield(thread)
        await thread

    working = work(database, {"test": job}, name="a", stop=asyncio.Event(), longest=timedelta(seconds=0.1), patience=0.05)
    try:
        with pytest.raises(StuckError):
            await asyncio.wait_for(working, 10)
        assert await _outcome(rows) == [(RunState.FAILED, "the run took longer than 0.1 s", None)]
    finally:
        release.set()


@pytest.mark.slow
async def test_an_outcome_is_written_when_the_store_is_back(add, finish_all, rows, monkeypatch):
    await add()
    finish, failures = Queue.finish, iter([Unavailable("away")])

    async def flaky(self, *arguments):
        for failure in failures:
            raise failure
        await finish(self, *arguments)

    async def job(run: ActiveRun) -> str:
        return "done"

    monkeypatch.setattr(Queue, "finish", flaky)
    await finish_all({"test": job})
    assert await _outcome(rows) == [(RunState.SUCCEEDED, "done", None)]


async def test_progress_is_written_at_most_once_a_second(add, database, queue, clock, rows):
    await add()
    run = ActiveRun(database, queue, await queue.claim("a", ["test"]), clock=clock)
    await run.progress(n=1)
    await run.progress(n=2, m=1)
    assert (await rows(runs))[0]["progress"] == {"n": 1}
    clock.advance(seconds=1)
    await run.progress(n=3)
    assert (await rows(runs))[0]["progress"] == {"n": 3, "m": 1}


async def test_a_thread_may_not_go_on_once_the_lease_ran_out(add, database, queue, clock):
    await add()
    run = ActiveRun(database, queue, await queue.claim("a", ["test"]), clock=clock)
    clock.advance(seconds=29)
    await run.renew()
    clock.advance(seconds=29)
    run.must_be_held()
    clock.advance(seconds=1)
    with pytest.raises(LeaseLostError):
        run.must_be_held()


async def test_a_worker_stops_when_its_parent_has_gone():
    stop = asyncio.Event()
    watch = asyncio.create_task(stop_without_parent(stop, os.getppid(), poll=0.01))
    await asyncio.sleep(0.05)
    assert not stop.is_set()
    watch.cancel()
    await stop_without_parent(stop, os.getppid() + 1)
    assert stop.is_set()


def test_worker_names_are_unique():
    assert worker_name() != worker_name()
