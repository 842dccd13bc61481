"""Changing and triggering harvest schedules (contract streamweave §6)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Info, Maybe

from core.policy import Verb
from engine.declare import limited, one, resolver
from resolvers.context import RequestContext
from resolvers.instruments import schedules as use_cases
from schema.inputs import INPUT, required, use_case_input
from schema.instruments.access import may
from schema.instruments.harvest_run import HarvestRun
from schema.instruments.schedule import HarvestSchedule

CRON = "Five fields (minute hour day month weekday), in UTC: `*/15 * * * *`."


@strawberry.input(description="A harvest schedule to be made.")
class CreateScheduleInput:
    """Fires from now on, unless it is disabled."""

    instrument_id: UUID = limited("The instrument to harvest.")
    default_storage_location_id: UUID = limited("Where copies go unless a hook redirects them.")
    cron_expression: str = limited(CRON, max_length=100)
    enabled: bool = limited("Whether it fires by itself.", default=True)


@strawberry.input(description="What is to change; what is left out stays.")
class ScheduleChangesInput:
    """Changes count at once."""

    instrument_id: Maybe[UUID] = required("The instrument to harvest.")
    default_storage_location_id: Maybe[UUID] = required("Where copies go unless a hook redirects them.")
    cron_expression: Maybe[str] = required(CRON, max_length=100)
    enabled: Maybe[bool] = required("Whether it fires by itself.")


@strawberry.input(description="Which schedule, and what is to change.")
class UpdateScheduleInput:
    """One object per mutation."""

    local_id: UUID = limited("The schedule.")
    changes: ScheduleChangesInput = limited("What is to change.")


@strawberry.input(description="Which schedule.")
class ScheduleInput:
    """One object per mutation."""

    local_id: UUID = limited("The schedule.")


@strawberry.type(description="The schedule as it is now.")
class SchedulePayload:
    """Read back by its key."""

    key: strawberry.Private[UUID]
    schedule: HarvestSchedule | None = one("key", "The schedule, deleted ones included.")


@strawberry.type(description="A harvest that was queued.")
class TriggeredHarvest:
    """Read back by its keys."""

    schedule_id: UUID = strawberry.field(description="`localId` of the schedule.")
    run_id: UUID = strawberry.field(description="`localId` of the run; a new one for each call.")
    schedule: HarvestSchedule | None = one("schedule_id", "The schedule.")
    run: HarvestRun | None = one("run_id", "The run, to watch its progress.")


@strawberry.type(description="A schedule whose harvest could not be queued.")
class UntriggeredHarvest:
    """The others were queued all the same."""

    schedule_id: UUID = strawberry.field(description="`localId` of the schedule.")
    error: str = strawberry.field(description="Why, in words.")


@strawberry.type
class ScheduleMutations:
    """For admins."""

    @resolver("Make a harvest schedule.", guard=may(Verb.CREATE, "schedule"))
    async def create_schedule(
        self, info: Info[RequestContext], given: Annotated[CreateScheduleInput, INPUT]
    ) -> SchedulePayload | None:
        new = use_case_input(use_cases.NewSchedule, given)
        return SchedulePayload(key=await use_cases.create_schedule(info.context, new))

    @resolver("Change a harvest schedule.", guard=may(Verb.UPDATE, "schedule"))
    async def update_schedule(
        self, info: Info[RequestContext], given: Annotated[UpdateScheduleInput, INPUT]
    ) -> SchedulePayload | None:
        changes = use_case_input(use_cases.ScheduleChanges, given.changes)
        return SchedulePayload(key=await use_cases.update_schedule(info.context, given.local_id, changes))

    @resolver("Delete a harvest schedule; it can be restored.", guard=may(Verb.DELETE, "schedule"))
    async def delete_schedule(
        self, info: Info[RequestContext], given: Annotated[ScheduleInput, INPUT]
    ) -> SchedulePayload | None:
        return SchedulePayload(key=await use_cases.delete_schedule(info.context, given.local_id))

    @resolver("Restore a deleted harvest schedule; it stays disabled.", guard=may(Verb.DELETE, "schedule"))
    async def restore_schedule(
        self, info: Info[RequestContext], given: Annotated[ScheduleInput, INPUT]
    ) -> SchedulePayload | None:
        return SchedulePayload(key=await use_cases.restore_schedule(info.context, given.local_id))

    @resolver("Start a schedule's harvest now, enabled or not.", guard=may(Verb.EXECUTE, "schedule"))
    async def trigger_schedule(
        self, info: Info[RequestContext], given: Annotated[ScheduleInput, INPUT]
    ) -> TriggeredHarvest | None:
        started = await use_cases.trigger_schedule(info.context, given.local_id)
        return TriggeredHarvest(schedule_id=started.schedule_id, run_id=started.run_id)
