"""Background work on this machine: runs go into the queue in SQL, worker processes take them from there."""

from __future__ import annotations

from uuid import UUID, uuid4

from core.clock import Clock, utc_now
from jobs.queue import cancel, enqueue
from jobs.runner import NewRun
from storage.sql.database import Transaction


class LocalRunner:
    """The built-in `jobs.runner.Runner`. The scheduler reads the table of schedules itself, so registering is only an id."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock

    async def start(self, transaction: Transaction, run: NewRun) -> UUID:
        return await enqueue(transaction, run, now=self._clock())

    async def cancel(self, transaction: Transaction, run_id: UUID) -> None:
        await cancel(transaction, run_id, now=self._clock())

    async def register(self, transaction: Transaction, schedule_id: UUID) -> UUID:
        return uuid4()

    async def unregister(self, transaction: Transaction, deployment_id: UUID) -> None:
        """Nothing is kept outside the schedule's own row."""
