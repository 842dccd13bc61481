"""A run as the job that does it sees it: what to do, where to report, when to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from core.clock import Clock, utc_now
from jobs.pausing import pause
from jobs.queue import Claim, LeaseLostError, Queue
from storage.sql.database import Database, Transaction

Level = Literal["info", "warning", "error"]

PROGRESS_EVERY = timedelta(seconds=1)


class RunFailedError(Exception):
    """The run cannot do its work; the message is for the person who started it."""


class InterruptedRunError(Exception):
    """The worker is to stop: the run goes back into the queue as it is."""


class ActiveRun:
    """One claimed run. Every write proves that it is still claimed and raises `LeaseLostError` if it is not."""

    def __init__(
        self, database: Database, queue: Queue, claim: Claim, *, stop: asyncio.Event | None = None, clock: Clock = utc_now
    ) -> None:
        self.id: UUID = claim.id
        self.parameters: Mapping[str, Any] = claim.parameters
        self.attempt = claim.attempt
        self.database = database
        self.clock = clock
        self.reached: dict[str, Any] = {}
        """The newest progress, which may not have been written yet."""
        self._queue = queue
        self._claim = claim
        self._stop = stop or asyncio.Event()
        self._held_until = clock() + queue.lease
        self._progress_written: datetime | None = None

    @property
    def stopping(self) -> bool:
        """Whether the worker is to stop: finish what must not be left half done, then `leave_if_stopping`."""
        return self._stop.is_set()

    def leave_if_stopping(self) -> None:
        """Raises `InterruptedRunError` when the worker is to stop."""
        if self.stopping:
            raise InterruptedRunError

    async def pause(self, seconds: float) -> None:
        """Wait; raises `InterruptedRunError` when the worker is to stop."""
        await pause(self._stop, seconds)
        self.leave_if_stopping()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A change that is stored only while this run is still claimed."""
        renewed = self.clock()
        async with self._queue.transaction(self._claim) as transaction:
            yield transaction
        self._held_until = renewed + self._queue.lease

    async def renew(self) -> None:
        """Keep the claim for another lease."""
        async with self.transaction():
            pass

    def must_be_held(self) -> None:
        """For threads, just before something becomes visible: raises `LeaseLostError` if the lease has run out by our clock."""
        if self.clock() >= self._held_until:
            raise LeaseLostError(f"the lease of run {self.id} was not renewed in time")

    async def log(self, level: Level, message: str) -> None:
        """Add a line to the run's log."""
        await self._queue.log(self._claim, level, message)

    async def progress(self, **reached: Any) -> None:
        """Show how far the run is; written at most once a second and when the run ends."""
        self.reached.update(reached)
        now = self.clock()
        if self._progress_written is None or now - self._progress_written >= PROGRESS_EVERY:
            self._progress_written = now
            await self._queue.progress(self._claim, self.reached)


Job = Callable[[ActiveRun], Awaitable[str | None]]
"""Does the work of one kind of run; what it returns is the message of the finished run."""
