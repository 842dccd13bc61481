"""Cancelling a harvest: who may, what happens, what is written down."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from core.errors import Conflict, Forbidden, NotFound, Unauthenticated
from core.vocabulary import RunState
from jobs.local import LocalRunner
from jobs.queue import Queue
from resolvers.instruments.harvest_runs import cancel_run
from storage.sql.tables import runs


@pytest.fixture
def schedule():
    return uuid4()


@pytest.fixture
async def run(database, clock, schedule):
    """A harvest that waits."""
    key = uuid4()
    async with database.transaction() as transaction:
        await transaction.insert(
            runs,
            id=key,
            kind="harvest",
            parameters={},
            subject_id=schedule,
            state=RunState.QUEUED,
            attempt=1,
            created_at=clock.now,
        )
    return key


@pytest.fixture
def local(clock):
    """A caller whose runs are in the queue of this machine."""

    def of(ctx):
        ctx.services = replace(ctx.services, runner=LocalRunner(clock))
        return ctx

    return of


async def test_a_waiting_run_is_cancelled_and_noted_at_its_schedule(admin, local, run, schedule, clock, row, audited, entry):
    assert await cancel_run(local(admin), run) == run
    ended = await row(runs, run)
    assert (ended["state"], ended["message"], ended["finished_at"]) == (RunState.CANCELED, "the run was cancelled", clock.now)
    changes = {"canceled_run": {"before": None, "after": str(run)}}
    assert await audited() == [entry(admin, "update", "schedule", schedule, changes)]


async def test_a_running_run_is_asked_to_end(admin, local, run, clock, row, database):
    await Queue(database, clock=clock).claim("worker", ["harvest"])
    await cancel_run(local(admin), run)
    asked = await row(runs, run)
    assert (asked["state"], asked["cancel_requested_at"], asked["finished_at"]) == (RunState.RUNNING, clock.now, None)


async def test_a_run_that_has_ended_is_left_alone(admin, local, run, row, audited):
    await cancel_run(local(admin), run)
    before, log = await row(runs, run), await audited()
    with pytest.raises(Conflict, match=r"^the run has ended already: it is CANCELED$"):
        await cancel_run(local(admin), run)
    assert (await row(runs, run), await audited()) == (before, log)


async def test_only_harvests_are_found(admin, local, run, database):
    async with database.transaction() as transaction:
        await transaction.update(runs, run, kind="replication")
    for key in (run, uuid4()):
        with pytest.raises(NotFound, match=r"^Run not found$"):
            await cancel_run(local(admin), key)


async def test_only_admins_may(user, anonymous, local, run, row):
    with pytest.raises(Forbidden):
        await cancel_run(local(user), run)
    with pytest.raises(Unauthenticated):
        await cancel_run(local(anonymous), run)
    assert (await row(runs, run))["state"] is RunState.QUEUED
