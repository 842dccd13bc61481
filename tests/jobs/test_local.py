"""The local runner writes into the caller's change."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from core.vocabulary import RunState
from jobs.local import LocalRunner
from jobs.runner import NewRun, Runner
from storage.sql.tables import runs

RUN = NewRun(kind="harvest", parameters={}, exclusive_key="harvest:i")


@pytest.fixture
def runner(clock) -> Runner:
    return LocalRunner(clock)


async def test_starting_queues_a_run(database, runner, rows):
    async with database.transaction() as transaction:
        first, second = await runner.start(transaction, RUN), await runner.start(transaction, RUN)
    assert [(row["id"], row["state"]) for row in await rows(runs, "number")] == [
        (first, RunState.QUEUED),
        (second, RunState.SKIPPED),
    ]


async def test_a_run_is_not_started_when_the_callers_change_is_undone(database, runner, rows):
    async def fail() -> None:
        async with database.transaction() as transaction:
            await runner.start(transaction, RUN)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await rows(runs) == []


async def test_every_registration_has_its_own_id(database, runner):
    async with database.transaction() as transaction:
        first, second = [await runner.register(transaction, uuid4()) for _ in range(2)]
    assert isinstance(first, UUID)
    assert first != second


async def test_unknown_deployments_can_be_forgotten(database, runner):
    async with database.transaction() as transaction:
        await runner.unregister(transaction, uuid4())
