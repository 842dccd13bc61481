"""The durable queue: runs in SQL, claimed by workers under a lease, taken back when the lease runs out.

Knows nothing of what a run does. Whoever writes for a run proves, in the same transaction, that the run is still theirs.

Any number of processes may do all of this at once. Locks are taken in one order: first the name of the exclusive key (by
whoever puts a run into the queue), then the run's row; a claim takes no name and skips rows that others hold. Two unique
indexes, one queued and one running per key, hold whatever happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError

from core.clock import Clock, utc_now
from core.errors import Conflict, NotFound
from core.vocabulary import AuditAction, RunState
from jobs.runner import NewRun
from storage.sql.database import Database, Transaction
from storage.sql.tables import run_log, runs

ATTEMPTS = 3
"""How often a run is tried when its workers die."""

LEASE = timedelta(seconds=30)

CANCELED = "the run was cancelled"


class LeaseLostError(Exception):
    """The run belongs to somebody else by now: stop, and write nothing more for it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt at one run by one worker: id, worker and attempt together prove that a write may happen."""

    id: UUID
    kind: str
    parameters: Mapping[str, Any]
    worker: str
    attempt: int
    exclusive_key: str | None = field(default=None, compare=False)
    canceled: asyncio.Event = field(default_factory=asyncio.Event, compare=False, repr=False)
    """Set by the first write that finds the run's cancellation asked for."""


async def enqueue(transaction: Transaction, run: NewRun, *, now: datetime, scheduled_for: datetime | None = None) -> UUID:
    """Add a run; a SKIPPED one when another with its exclusive key is waiting, since that one will do the work."""
    waiting = None
    if run.exclusive_key is not None:
        await _lock(transaction, run.exclusive_key)
        waiting = await transaction.scalar(_waiting(run.exclusive_key))
    key = uuid4()
    await transaction.insert(
        runs,
        id=key,
        kind=run.kind,
        parameters=dict(run.parameters),
        exclusive_key=run.exclusive_key,
        subject_id=run.subject_id,
        target_id=run.target_id,
        scheduled_for=scheduled_for,
        state=RunState.QUEUED if waiting is None else RunState.SKIPPED,
        message=None if waiting is None else _skipped_for(waiting),
        attempt=1,
        created_at=now,
        finished_at=None if waiting is None else now,
    )
    transaction.announce(runs, key, now, AuditAction.CREATE)
    return key


async def cancel(transaction: Transaction, run_id: UUID, *, now: datetime) -> None:
    """End a waiting run at once; have the worker of a running one end it. Raises `Conflict` for one that has ended."""
    row = await transaction.get(runs, run_id)
    if row is None:
        raise NotFound("Run not found")
    state: RunState = row["state"]
    if state is RunState.QUEUED:
        await _end(transaction, run_id, RunState.CANCELED, CANCELED, now)
    elif state is RunState.RUNNING:
        await _change(transaction, run_id, now, cancel_requested_at=row["cancel_requested_at"] or now)
    else:
        raise Conflict(f"the run has ended already: it is {state.name}")
    await _append(transaction, run_id, "warning", "Somebody asked to cancel the run", now)


class Queue:
    """The queue as workers and the scheduler see it."""

    def __init__(self, database: Database, *, clock: Clock = utc_now, lease: timedelta = LEASE) -> None:
        self.lease = lease
        self._database = database
        self._clock = clock

    async def claim(self, worker: str, kinds: Collection[str]) -> Claim | None:
        """The oldest waiting run of these kinds that may start now; it belongs to that worker while the lease is renewed."""
        missed: list[UUID] = []
        # Asking costs nothing; a write transaction holds up others.
        while (row := await self._database.first(_claimable(kinds, missed))) is not None:
            claim = await self._take(row["id"], worker, kinds)
            if claim is not None:
                return claim
            missed.append(row["id"])  # somebody was faster
        return None

    async def _take(self, run_id: UUID, worker: str, kinds: Collection[str]) -> Claim | None:
        now = self._clock()
        try:
            async with self._database.transaction() as transaction:
                row = await transaction.first(
                    _claimable(kinds).where(runs.c.id == run_id).with_for_update(skip_locked=True, of=runs)
                )
                if row is None:
                    return None
                await _change(
                    transaction,
                    run_id,
                    now,
                    state=RunState.RUNNING,
                    message=None,
                    worker=worker,
                    lease_expires_at=now + self.lease,
                    started_at=now,
                )
        except IntegrityError:  # one of its key runs already
            return None
        return Claim(run_id, row["kind"], row["parameters"], worker, row["attempt"], row["exclusive_key"])

    @asynccontextmanager
    async def transaction(self, claim: Claim) -> AsyncIterator[Transaction]:
        """A change that is stored only while the run is still claimed. Renews the lease. Raises `LeaseLostError`."""
        async with self._database.transaction() as transaction:
            held = await self._hold(transaction, claim)
            yield transaction
        if held["cancel_requested_at"] is not None:
            claim.canceled.set()

    async def _hold(self, transaction: Transaction, claim: Claim) -> RowMapping:
        # An update and not a select: where writers do not wait for each other, its row lock keeps the claim to the end.
        held = await transaction.first(
            update(runs).where(_held(claim)).values(lease_expires_at=self._clock() + self.lease).returning(runs)
        )
        if held is None:
            raise LeaseLostError(f"run {claim.id} is no longer claimed by {claim.worker}")
        return held

    async def renew(self, claim: Claim) -> None:
        """Keep the run for another lease."""
        async with self.transaction(claim):
            pass

    async def progress(self, claim: Claim, progress: Mapping[str, Any]) -> None:
        """Show how far the run is."""
        async with self.transaction(claim) as transaction:
            await _change(transaction, claim.id, self._clock(), progress=dict(progress))

    async def log(self, claim: Claim, level: str, message: str) -> None:
        """Add a line to the run's log."""
        async with self.transaction(claim) as transaction:
            await _append(transaction, claim.id, level, message, self._clock())

    async def finish(
        self, claim: Claim, state: RunState, message: str | None, progress: Mapping[str, Any] | None = None
    ) -> None:
        """Write how the run ended."""
        reached = {} if progress is None else {"progress": dict(progress)}
        async with self.transaction(claim) as transaction:
            await _end(transaction, claim.id, state, message, self._clock(), **reached)

    async def release(self, claim: Claim) -> None:
        """Give the run back unfinished; another worker goes on with the same attempt."""
        async with self._database.transaction() as transaction:
            await _lock(transaction, claim.exclusive_key)
            row = await self._hold(transaction, claim)
            if not await self._canceled(transaction, row):
                await _append(transaction, claim.id, "info", "The worker stops; the run goes on later", self._clock())
                await self._requeue(transaction, row, attempt=claim.attempt)

    async def recover(self) -> int:
        """Take back the runs of workers that died: queue them again, or fail them after the last attempt. How many."""
        expired = select(runs).where(runs.c.state == RunState.RUNNING, runs.c.lease_expires_at < self._clock())
        recovered = 0
        for found in await self._database.all(expired.order_by(runs.c.number)):
            async with self._database.transaction() as transaction:
                await _lock(transaction, found["exclusive_key"])
                row = await transaction.first(expired.where(runs.c.id == found["id"]).with_for_update(skip_locked=True))
                if row is not None:
                    await self._take_back(transaction, row)
                    recovered += 1
        return recovered

    async def _take_back(self, transaction: Transaction, row: RowMapping) -> None:
        now = self._clock()
        died = f"The worker {row['worker']} died"
        if await self._canceled(transaction, row):
            return
        if row["attempt"] < ATTEMPTS:
            again = f"{died}; the run is queued again (attempt {row['attempt'] + 1} of {ATTEMPTS})"
            await _append(transaction, row["id"], "warning", again, now)
            await self._requeue(transaction, row, attempt=row["attempt"] + 1)
            return
        await _append(transaction, row["id"], "error", f"{died} in the last of {ATTEMPTS} attempts", now)
        await _end(transaction, row["id"], RunState.FAILED, "the worker died", now)

    async def _canceled(self, transaction: Transaction, row: RowMapping) -> bool:
        """Ends a run that need not go on."""
        if row["cancel_requested_at"] is None:
            return False
        await _end(transaction, row["id"], RunState.CANCELED, CANCELED, self._clock())
        return True

    async def _requeue(self, transaction: Transaction, row: RowMapping, *, attempt: int) -> None:
        """Back into the queue. One that waits for the same key came later and is covered by this one."""
        now = self._clock()
        if row["exclusive_key"] is not None:
            skipped = await transaction.all(
                update(runs)
                .where(runs.c.state == RunState.QUEUED, runs.c.exclusive_key == row["exclusive_key"])
                .values(state=RunState.SKIPPED, message=_skipped_for(row["id"]), finished_at=now)
                .returning(runs.c.id)
            )
            for other in skipped:
                transaction.announce(runs, other["id"], now, AuditAction.UPDATE)
        again = {"state": RunState.QUEUED, "attempt": attempt, "worker": None, "lease_expires_at": None, "started_at": None}
        await _change(transaction, row["id"], now, **again)


async def _lock(transaction: Transaction, exclusive_key: str | None) -> None:
    """One at a time puts runs of that key into the queue."""
    if exclusive_key is not None:
        await transaction.lock(f"runs of {exclusive_key}")


async def _end(
    transaction: Transaction, run_id: UUID, state: RunState, message: str | None, now: datetime, **reached: Any
) -> None:
    await _change(transaction, run_id, now, state=state, message=message, lease_expires_at=None, finished_at=now, **reached)


async def _change(transaction: Transaction, run_id: UUID, now: datetime, **changes: Any) -> None:
    """Of what those see who follow the run."""
    await transaction.update(runs, run_id, **changes)
    transaction.announce(runs, run_id, now, AuditAction.UPDATE)


def _waiting(exclusive_key: str) -> Select[Any]:
    return (
        select(runs.c.id).where(runs.c.state == RunState.QUEUED, runs.c.exclusive_key == exclusive_key).order_by(runs.c.number)
    )


def _claimable(kinds: Collection[str], missed: Collection[UUID] = ()) -> Select[Any]:
    """Waiting runs, oldest first, whose key no running run has."""
    running = runs.alias("running")
    busy = exists().where(running.c.state == RunState.RUNNING, running.c.exclusive_key == runs.c.exclusive_key)
    return (
        select(runs)
        .where(
            runs.c.state == RunState.QUEUED,
            runs.c.kind.in_(kinds),
            runs.c.id.not_in(missed),
            or_(runs.c.exclusive_key.is_(None), ~busy),
        )
        .order_by(runs.c.number)
        .limit(1)
    )


def _held(claim: Claim) -> ColumnElement[bool]:
    return and_(
        runs.c.id == claim.id,
        runs.c.state == RunState.RUNNING,
        runs.c.worker == claim.worker,
        runs.c.attempt == claim.attempt,
    )


def _skipped_for(other: UUID) -> str:
    return f"run {other} is queued already and will do this work"


async def _append(transaction: Transaction, run_id: UUID, level: str, message: str, now: datetime) -> None:
    line = select(func.coalesce(func.max(run_log.c.line), 0) + 1).where(run_log.c.run_id == run_id).scalar_subquery()
    await transaction.insert(run_log, id=uuid4(), run_id=run_id, line=line, at=now, level=level, message=message)
    transaction.announce(runs, run_id, now)
