"""Schedules: when an instrument is harvested into which storage location, and harvests that are started by hand.

Contract streamweave §6, and §3 for "harvest now". Each schedule has a deployment of its own: two never share one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.engine import RowMapping

from core.errors import Refused, Unavailable, UpstreamFailed
from core.identity import INSTRUMENTS
from core.policy import Verb
from core.vocabulary import AuditAction
from jobs.cron import validate_cron
from jobs.harvest import harvest_run
from jobs.runner import Runner
from resolvers.audit import noted
from resolvers.context import RequestContext
from resolvers.inputs import ABSENT, Absent, checked, given
from resolvers.instruments.rows import INSTRUMENT, SCHEDULE, STORAGE_LOCATION, Change, change
from storage.sql.tables import schedules


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSchedule:
    """A schedule to be created."""

    instrument_id: UUID
    default_storage_location_id: UUID
    cron_expression: str
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleChanges:
    """What is to change; absent fields stay."""

    instrument_id: UUID | Absent = ABSENT
    default_storage_location_id: UUID | Absent = ABSENT
    cron_expression: str | Absent = ABSENT
    enabled: bool | Absent = ABSENT


@dataclass(frozen=True, slots=True)
class Triggered:
    """A harvest that was started."""

    schedule_id: UUID
    run_id: UUID


@dataclass(frozen=True, slots=True)
class NotTriggered:
    """A harvest that could not be started, and why."""

    schedule_id: UUID
    error: str


@dataclass(frozen=True, slots=True)
class Harvest:
    """What "harvest now" did, schedule by schedule."""

    instrument_id: UUID
    triggered: tuple[Triggered, ...]
    errors: tuple[NotTriggered, ...]


async def create_schedule(ctx: RequestContext, new: NewSchedule) -> UUID:
    """Registers a deployment. Raises `InvalidInput` for nonsense cron, an unknown instrument or storage location."""
    actor = ctx.require(INSTRUMENTS, Verb.CREATE, "schedule")
    values = _valid(given(new))
    async with change(ctx, actor) as changing:
        await _refers_to_live_rows(changing, values)
        key = await changing.create(SCHEDULE, **values, deployment_id=None)
        await changing.tx.update(schedules, key, deployment_id=await ctx.services.runner.register(changing.tx, key))
    return key


async def update_schedule(ctx: RequestContext, key: UUID, changes: ScheduleChanges) -> UUID:
    """Only what is given changes. The scheduler reads the row, so the deployment stays the same."""
    actor = ctx.require(INSTRUMENTS, Verb.UPDATE, "schedule")
    sent = _valid(given(changes))
    async with change(ctx, actor) as changing:
        row = await changing.live(SCHEDULE, key)
        await _refers_to_live_rows(changing, sent, row)
        await changing.update(SCHEDULE, row, sent)
    return key


async def delete_schedule(ctx: RequestContext, key: UUID) -> UUID:
    """Removes the deployment."""
    actor = ctx.require(INSTRUMENTS, Verb.DELETE, "schedule")
    async with change(ctx, actor) as changing:
        row = await changing.live(SCHEDULE, key)
        if row["deployment_id"] is not None:
            await ctx.services.runner.unregister(changing.tx, row["deployment_id"])
        await changing.delete(SCHEDULE, row, deployment_id=None)
    return key


async def restore_schedule(ctx: RequestContext, key: UUID) -> UUID:
    """Disabled, until it is enabled again; registered anew, so that it can be triggered."""
    actor = ctx.require(INSTRUMENTS, Verb.DELETE, "schedule")
    async with change(ctx, actor) as changing:
        await changing.restore(SCHEDULE, key)
        await changing.tx.update(schedules, key, deployment_id=await ctx.services.runner.register(changing.tx, key))
    return key


async def trigger_schedule(ctx: RequestContext, key: UUID) -> Triggered:
    """Start a harvest now, enabled or not. A new run for each call."""
    actor = ctx.require(INSTRUMENTS, Verb.EXECUTE, "schedule")
    async with change(ctx, actor) as changing:
        row = await changing.live(SCHEDULE, key)
        await changing.live(INSTRUMENT, row["instrument_id"])
        if row["deployment_id"] is None:
            raise Refused("Schedule has no Prefect deployment — cannot trigger harvest")
        try:
            return await _start(changing, ctx.services.runner, row)
        except Unavailable as error:
            raise UpstreamFailed("Failed to trigger harvest — Prefect server may be unavailable") from error


async def harvest_instrument(ctx: RequestContext, key: UUID) -> Harvest:
    """Start every enabled schedule of an instrument; what cannot be started is told beside what was."""
    actor = ctx.require(INSTRUMENTS, Verb.EXECUTE, "instrument")
    async with change(ctx, actor) as changing:
        await changing.live(INSTRUMENT, key)
        rows = await changing.tx.all(_enabled_schedules_of(key))
        if not rows:
            raise Refused("No active schedules configured for this instrument")
        outcomes = [await _try_to_start(changing, ctx.services.runner, row) for row in rows]
        triggered = tuple(outcome for outcome in outcomes if isinstance(outcome, Triggered))
        errors = tuple(outcome for outcome in outcomes if isinstance(outcome, NotTriggered))
        if not triggered:
            raise UpstreamFailed(errors[0].error)
    return Harvest(key, triggered, errors)


def _valid(values: dict[str, object]) -> dict[str, Any]:
    valid = checked(schedules, values)
    if "cron_expression" in valid:
        validate_cron(valid["cron_expression"])
    return valid


async def _refers_to_live_rows(changing: Change, sent: Mapping[str, Any], row: RowMapping | None = None) -> None:
    await changing.refers_to(INSTRUMENT, "instrument_id", sent, row)
    await changing.refers_to(STORAGE_LOCATION, "default_storage_location_id", sent, row)


def _enabled_schedules_of(instrument: UUID) -> Select[Any]:
    live = (schedules.c.deleted_at.is_(None), schedules.c.enabled)
    return (
        select(schedules).where(schedules.c.instrument_id == instrument, *live).order_by(schedules.c.created_at, schedules.c.id)
    )


async def _start(changing: Change, runner: Runner, row: RowMapping) -> Triggered:
    run = await runner.start(changing.tx, harvest_run(row))
    await changing.audit(AuditAction.UPDATE, SCHEDULE, row["id"], noted("triggered_run", run))
    return Triggered(row["id"], run)


async def _try_to_start(changing: Change, runner: Runner, row: RowMapping) -> Triggered | NotTriggered:
    if row["deployment_id"] is None:
        return NotTriggered(row["id"], "No Prefect deployment configured")
    try:
        return await _start(changing, runner, row)
    except Unavailable:
        return NotTriggered(row["id"], "Prefect server unavailable")
