"""The durable queue: runs in SQL, claimed by workers under a lease, taken back when the lease runs out.

Knows nothing of what a run does. Whoever writes for a run proves, in the same transaction, that the run is still theirs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, update
from sqlalchemy.engine import RowMapping

from core.clock import Clock, utc_now
from core.vocabulary import RunState
from jobs.runner import NewRun
from storage.sql.database import Database, Transaction
from storage.sql.tables import run_log, runs

ATTEMPTS = 3
"""How often a run is tried when its workers die."""

LEASE = timedelta(seconds=30)


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


async def enqueue(transaction: Transaction, run: NewRun, *, now: datetime, scheduled_for: datetime | None = None) -> UUID:
    """Add a run; a SKIPPED one when another with its exclusive key is waiting, since that one will do the work."""
    waiting = await transaction.scalar(_waiting(run.exclusive_key)) if run.exclusive_key is not None else None
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
    return key


class Queue:
    """The queue as workers and the scheduler see it."""

    def __init__(self, database: Database, *, clock: Clock = utc_now, lease: timedelta = LEASE) -> None:
        self.lease = lease
        self._database = database
        self._clock = clock

    async def claim(self, worker: str, kinds: Collection[str]) -> Claim | None:
        """The oldest waiting run of these kinds that may start now; it belongs to that worker while the lease is renewed."""
        if await self._database.first(_claimable(kinds)) is None:  # asking costs nothing; a write transaction holds up others
            return None
        async with self._database.transaction() as transaction:
            row = await transaction.first(_claimable(kinds).with_for_update(skip_locked=True))
            if row is None:
                return None
            now = self._clock()
            await transaction.update(
                runs,
                row["id"],
                state=RunState.RUNNING,
                message=None,
                worker=worker,
                lease_expires_at=now + self.lease,
                started_at=now,
            )
        return Claim(row["id"], row["kind"], row["parameters"], worker, row["attempt"])

    @asynccontextmanager
    async def transaction(self, claim: Claim) -> AsyncIterator[Transaction]:
        """A change that is stored only while the run is still claimed. Renews the lease. Raises `LeaseLostError`."""
        async with self._database.transaction() as transaction:
            # An update and not a select: where writers do not wait for each other, its row lock keeps the claim to the end.
            held = await transaction.execute(
                update(runs).where(_held(claim)).values(lease_expires_at=self._clock() + self.lease)
            )
            if held != 1:
                raise LeaseLostError(f"run {claim.id} is no longer claimed by {claim.worker}")
            yield transaction

    async def renew(self, claim: Claim) -> None:
        """Keep the run for another lease."""
        async with self.transaction(claim):
            pass

    async def progress(self, claim: Claim, progress: Mapping[str, Any]) -> None:
        """Show how far the run is."""
        async with self.transaction(claim) as transaction:
            await transaction.update(runs, claim.id, progress=dict(progress))

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
            await transaction.update(
                runs,
                claim.id,
                state=state,
                message=message,
                lease_expires_at=None,
                finished_at=self._clock(),
                **reached,
            )

    async def release(self, claim: Claim) -> None:
        """Give the run back unfinished; another worker goes on with the same attempt."""
        async with self.transaction(claim) as transaction:
            row = await transaction.get(runs, claim.id)
            assert row is not None
            await _append(transaction, claim.id, "info", "The worker stops; the run goes on later", self._clock())
            await self._requeue(transaction, row, attempt=claim.attempt)

    async def recover(self) -> int:
        """Take back the runs of workers that died: queue them again, or fail them after the last attempt. How many."""
        expired = select(runs).where(runs.c.state == RunState.RUNNING, runs.c.lease_expires_at < self._clock())
        if await self._database.first(expired.limit(1)) is None:
            return 0
        async with self._database.transaction() as transaction:
            rows = await transaction.all(expired.order_by(runs.c.number).with_for_update(skip_locked=True))
            for row in rows:
                await self._take_back(transaction, row)
        return len(rows)

    async def _take_back(self, transaction: Transaction, row: RowMapping) -> None:
        now = self._clock()
        if row["attempt"] < ATTEMPTS:
            await _append(
                transaction,
                row["id"],
                "warning",
                f"The worker {row['worker']} died; the run is queued again (attempt {row['attempt'] + 1} of {ATTEMPTS})",
                now,
            )
            await self._requeue(transaction, row, attempt=row["attempt"] + 1)
            return
        await _append(
            transaction, row["id"], "error", f"The worker {row['worker']} died in the last of {ATTEMPTS} attempts", now
        )
        await transaction.update(
            runs, row["id"], state=RunState.FAILED, message="the worker died", lease_expires_at=None, finished_at=now
        )

    async def _requeue(self, transaction: Transaction, row: RowMapping, *, attempt: int) -> None:
        """Back into the queue. One that waits for the same key came later and is covered by this one."""
        if row["exclusive_key"] is not None:
            await transaction.execute(
                update(runs)
                .where(runs.c.state == RunState.QUEUED, runs.c.exclusive_key == row["exclusive_key"])
                .values(state=RunState.SKIPPED, message=_skipped_for(row["id"]), finished_at=self._clock())
            )
        await transaction.update(
            runs, row["id"], state=RunState.QUEUED, attempt=attempt, worker=None, lease_expires_at=None, started_at=None
        )


def _waiting(exclusive_key: str) -> Select[Any]:
    return (
        select(runs.c.id).where(runs.c.state == RunState.QUEUED, runs.c.exclusive_key == exclusive_key).order_by(runs.c.number)
    )


def _claimable(kinds: Collection[str]) -> Select[Any]:
    """Waiting runs, oldest first, whose key no running run has.

    SQLite has one writer at a time, so what this finds inside a write transaction cannot be taken by another worker. For
    a database with several, `claim` skips locked rows, and unique partial indexes over `exclusive_key` (one queued, one
    running) have to decide between two different runs of one key.
    """
    running = runs.alias("running")
    busy = exists().where(running.c.state == RunState.RUNNING, running.c.exclusive_key == runs.c.exclusive_key)
    return (
        select(runs)
        .where(runs.c.state == RunState.QUEUED, runs.c.kind.in_(kinds), or_(runs.c.exclusive_key.is_(None), ~busy))
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
