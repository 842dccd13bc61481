"""Fires schedules at their cron times, takes back the runs of dead workers, removes old ones. Runs inside the server.

Any number of servers may do so: a unique key on kind, schedule and cron time decides which of them fires.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError

from core.clock import Clock, utc_now
from core.errors import InvalidInput
from jobs.cron import next_fire, validate_cron
from jobs.harvest import harvest_run
from jobs.pausing import pause
from jobs.queue import Queue, enqueue
from jobs.retention import forget_keys, remove_finished
from jobs.runner import NewRun
from storage.sql.database import Database
from storage.sql.events import forget_events
from storage.sql.tables import instruments, runs, schedules

__all__ = ["Scheduler", "next_fire", "validate_cron"]

log = logging.getLogger(__name__)

GRACE = timedelta(seconds=60)
"""How late a cron time may still fire: long enough for a restart. A machine that slept does not catch up."""

TIDY_EVERY = timedelta(hours=1)

EVENTS = timedelta(days=1)
"""How long a subscription of changes can be taken up again."""


class Scheduler:
    """Looks at the schedules every few seconds; what changed since counts at once."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock = utc_now,
        poll: float = 2.0,
        retention: timedelta | None = None,
        event_retention: timedelta = EVENTS,
    ) -> None:
        self._database = database
        self._clock = clock
        self._poll = poll
        self._queue = Queue(database, clock=clock)
        self._looked_at = clock() - GRACE
        self._retention, self._event_retention = retention, event_retention
        self._tidied_at = self._looked_at - TIDY_EVERY

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop. A failing look is logged and tried again."""
        while not await pause(stop, self._poll):
            try:
                await self.tick()
            except Exception:  # whatever it is, later schedules must fire
                log.exception("the scheduler could not look at its schedules")

    async def tick(self) -> None:
        """Fire what has become due since the last look, and recover runs whose worker died."""
        now = self._clock()
        since = max(self._looked_at, now - GRACE)
        for schedule in await self._database.all(_active()):
            due = _due(schedule, since, now)
            if due is not None:
                await self._fire(harvest_run(schedule), due, now)
        self._looked_at = now
        await self._queue.recover()
        if now - self._tidied_at >= TIDY_EVERY:
            await forget_keys(self._database, now)
            await forget_events(self._database, now - self._event_retention)
            if self._retention is not None:
                await remove_finished(self._database, now - self._retention)
            self._tidied_at = now

    async def _fire(self, run: NewRun, due: datetime, now: datetime) -> None:
        try:
            async with self._database.transaction() as transaction:
                await enqueue(transaction, run, now=now, scheduled_for=due)
        except IntegrityError:
            if not await self._was_fired(run, due):
                raise

    async def _was_fired(self, run: NewRun, due: datetime) -> bool:
        """Whether the conflict was that another server had been faster, and nothing else."""
        fired = select(runs.c.id).where(
            runs.c.kind == run.kind, runs.c.subject_id == run.subject_id, runs.c.scheduled_for == due
        )
        return await self._database.first(fired) is not None


def _active() -> Select[Any]:
    """Live, enabled schedules of live, enabled instruments."""
    return (
        select(schedules)
        .join(instruments, instruments.c.id == schedules.c.instrument_id)
        .where(
            schedules.c.deleted_at.is_(None),
            schedules.c.enabled,
            instruments.c.deleted_at.is_(None),
            instruments.c.enabled,
        )
    )


def _due(schedule: RowMapping, since: datetime, now: datetime) -> datetime | None:
    """The cron time in that span, if there is one. A schedule speaks from its last change on."""
    identity: UUID = schedule["id"]
    try:
        due = next_fire(schedule["cron_expression"], max(since, schedule["updated_at"]))
    except InvalidInput as error:
        log.warning("schedule %s cannot fire: %s", identity, error.detail)
        return None
    return due if due <= now else None
