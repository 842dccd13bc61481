"""A run as the job that does it sees it: what to do, where to report, when to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from core.clock import Clock, utc_now
from jobs.pausing import first_of
from jobs.queue import CANCELED, Claim, LeaseLostError, Queue
from storage.sql.database import Database, Transaction

Level = Literal["info", "warning", "error"]

PROGRESS_EVERY = timedelta(seconds=1)


class RunFailedError(Exception):
    """The run cannot do its work; the message is for the person who started it."""


class RunTimedOutError(RunFailedError):
    """The run has taken too long and is to end now."""


class RunCanceledError(Exception):
    """Somebody asked for it: the run is to end now."""


class InterruptedRunError(Exception):
    """The worker is to stop: the run goes back into the queue as it is."""


ENDINGS = (LeaseLostError, InterruptedRunError, RunCanceledError, RunFailedError)
"""What ends the work of a run; anything else is the affair of a part of it."""


class ActiveRun:
    """One claimed run. Every write proves that it is still claimed and raises `LeaseLostError` if it is not."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        claim: Claim,
        *,
        stop: asyncio.Event | None = None,
        longest: timedelta | None = None,
        clock: Clock = utc_now,
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
        self._lost = asyncio.Event()
        self._timed_out = asyncio.Event()
        self._longest = longest
        self._held_until = clock() + queue.lease
        self._progress_written: datetime | None = None

    @property
    def stopping(self) -> bool:
        """Whether the worker is to stop: finish what must not be left half done, then `leave_if_stopping`."""
        return self._stop.is_set()

    @property
    def ending(self) -> Exception | None:
        """Why the run is to end before its work is done, if it is."""
        if self._lost.is_set():
            return LeaseLostError(f"run {self.id} was taken by somebody else")
        if self._claim.canceled.is_set():
            return RunCanceledError(CANCELED)
        if self._timed_out.is_set():
            return RunTimedOutError(f"the run took longer than {_span(self._longest)}")
        return None

    def go_on(self) -> None:
        """For threads, too, and often: raises what `ending` says."""
        if (reason := self.ending) is not None:
            raise reason

    def leave_if_stopping(self) -> None:
        """Between two things to do: raises as `go_on`, and `InterruptedRunError` when the worker is to stop."""
        self.go_on()
        if self.stopping:
            raise InterruptedRunError

    async def pause(self, seconds: float) -> None:
        """Wait; raises as `leave_if_stopping`."""
        await first_of(self._stop, self._claim.canceled, self._timed_out, seconds=seconds)
        self.leave_if_stopping()

    async def told_to_end(self) -> None:
        """Wait for a reason to end that is not the worker's own."""
        await first_of(self._lost, self._claim.canceled, self._timed_out)

    @asynccontextmanager
    async def timed(self) -> AsyncIterator[None]:
        """The run times out when this takes longer than it may."""
        if self._longest is None:
            yield
            return
        alarm = asyncio.get_running_loop().call_later(self._longest.total_seconds(), self._timed_out.set)
        try:
            yield
        finally:
            alarm.cancel()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A change that is stored only while this run is still claimed."""
        renewed = self.clock()
        async with self._queue.transaction(self._claim) as transaction:
            yield transaction
        self._held_until = renewed + self._queue.lease

    async def renew(self) -> None:
        """Keep the claim for another lease."""
        try:
            async with self.transaction():
                pass
        except LeaseLostError:
            self._lost.set()
            raise

    def must_be_held(self) -> None:
        """For threads, just before something becomes visible: raises unless the run goes on and its lease holds by our clock."""
        self.go_on()
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


def _span(time: timedelta | None) -> str:
    seconds = 0 if time is None else time.total_seconds()
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


Job = Callable[[ActiveRun], Awaitable[str | None]]
"""Does the work of one kind of run; what it returns is the message of the finished run."""
