"""Changing instruments (contract streamweave §3)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Info, Maybe

from core.policy import Verb
from core.vocabulary import TransferAdapter
from engine.declare import limited, one, resolver
from engine.scalars import JSON
from resolvers.context import RequestContext
from resolvers.instruments import instruments as use_cases
from resolvers.instruments import schedules as schedule_use_cases
from resolvers.instruments.rows import INSTRUMENT, delete_row, restore_row
from schema.inputs import INPUT, required, use_case_input
from schema.instruments.access import may
from schema.instruments.instrument import Instrument
from schema.instruments.schedule_mutations import TriggeredHarvest, UntriggeredHarvest

NAME, HOST, SHARE = (
    "Display name; need not be unique.",
    "Host that shares its files, `host` or `host:port`.",
    "Name of the share.",
)


@strawberry.input(description="An instrument to be registered.")
class CreateInstrumentInput:
    """Only what has to be known is required."""

    name: str = limited(NAME, max_length=255)
    cifs_host: str = limited(f"{HOST} `file:` for a local or mounted folder.", max_length=255)
    cifs_share: str = limited(f"{SHARE} With `file:` the folder's path.", max_length=255)
    description: str | None = limited("What it is, in words.", default=None)
    location: str | None = limited("Where it stands.", default=None, max_length=255)
    pid: str | None = limited("Persistent identifier of the instrument itself.", default=None, max_length=255)
    cifs_base_path: str | None = limited("Folder within the share; null is its root.", default=None, max_length=1024)
    service_account_id: UUID | None = limited("`localId` of the credentials for the share.", default=None)
    transfer_adapter: TransferAdapter = limited("How files are fetched.", default=TransferAdapter.RCLONE)
    transfer_config: JSON | None = limited("Settings of the adapter: an object, kept as given.", default=None)
    enabled: bool = limited("Whether schedules fire for it.", default=True)


@strawberry.input(description="What is to change; what is left out stays.")
class InstrumentChangesInput:
    """Absent, null and empty are three things."""

    name: Maybe[str] = required(NAME, max_length=255)
    cifs_host: Maybe[str] = required(HOST, max_length=255)
    cifs_share: Maybe[str] = required(SHARE, max_length=255)
    description: Maybe[str | None] = limited("What it is, in words.")
    location: Maybe[str | None] = limited("Where it stands.", max_length=255)
    pid: Maybe[str | None] = limited("Persistent identifier of the instrument itself.", max_length=255)
    cifs_base_path: Maybe[str | None] = limited("Folder within the share; null is its root.", max_length=1024)
    service_account_id: Maybe[UUID | None] = limited("`localId` of the credentials for the share.")
    transfer_adapter: Maybe[TransferAdapter] = required("How files are fetched.")
    transfer_config: Maybe[JSON | None] = limited("Settings of the adapter: an object, kept as given.")
    enabled: Maybe[bool] = required("Whether schedules fire for it.")


@strawberry.input(description="Which instrument, and what is to change.")
class UpdateInstrumentInput:
    """One object per mutation."""

    local_id: UUID = limited("The instrument.")
    changes: InstrumentChangesInput = limited("What is to change.")


@strawberry.input(description="Which instrument.")
class InstrumentInput:
    """One object per mutation."""

    local_id: UUID = limited("The instrument.")


@strawberry.type(description="The instrument as it is now.")
class InstrumentPayload:
    """Read back by its key."""

    key: strawberry.Private[UUID]
    instrument: Instrument | None = one("key", "The instrument, deleted ones included.")


@strawberry.type(description="What was started, schedule by schedule.")
class HarvestInstrumentPayload:
    """Read back by its key."""

    key: strawberry.Private[UUID]
    instrument: Instrument | None = one("key", "The instrument.")
    triggered: list[TriggeredHarvest] = strawberry.field(description="Harvests that were queued.")
    errors: list[UntriggeredHarvest] = strawberry.field(description="Schedules whose harvest could not be queued.")


@strawberry.type
class InstrumentMutations:
    """For admins."""

    @resolver("Register an instrument.", guard=may(Verb.CREATE, "instrument"))
    async def create_instrument(
        self,
        info: Info[RequestContext],
        given: Annotated[CreateInstrumentInput, INPUT],
    ) -> InstrumentPayload | None:
        new = use_case_input(use_cases.NewInstrument, given)
        return InstrumentPayload(key=await use_cases.create_instrument(info.context, new))

    @resolver("Change an instrument.", guard=may(Verb.UPDATE, "instrument"))
    async def update_instrument(
        self,
        info: Info[RequestContext],
        given: Annotated[UpdateInstrumentInput, INPUT],
    ) -> InstrumentPayload | None:
        changes = use_case_input(use_cases.InstrumentChanges, given.changes)
        return InstrumentPayload(key=await use_cases.update_instrument(info.context, given.local_id, changes))

    @resolver("Delete an instrument; it can be restored.", guard=may(Verb.DELETE, "instrument"))
    async def delete_instrument(
        self, info: Info[RequestContext], given: Annotated[InstrumentInput, INPUT]
    ) -> InstrumentPayload | None:
        return InstrumentPayload(key=await delete_row(info.context, INSTRUMENT, given.local_id))

    @resolver("Restore a deleted instrument; it stays disabled.", guard=may(Verb.DELETE, "instrument"))
    async def restore_instrument(
        self, info: Info[RequestContext], given: Annotated[InstrumentInput, INPUT]
    ) -> InstrumentPayload | None:
        return InstrumentPayload(key=await restore_row(info.context, INSTRUMENT, given.local_id))

    @resolver("Harvest an instrument now, with every enabled schedule.", guard=may(Verb.EXECUTE, "instrument"))
    async def harvest_instrument(
        self,
        info: Info[RequestContext],
        given: Annotated[InstrumentInput, INPUT],
    ) -> HarvestInstrumentPayload | None:
        harvest = await schedule_use_cases.harvest_instrument(info.context, given.local_id)
        return HarvestInstrumentPayload(
            key=harvest.instrument_id,
            triggered=[TriggeredHarvest(schedule_id=each.schedule_id, run_id=each.run_id) for each in harvest.triggered],
            errors=[UntriggeredHarvest(schedule_id=each.schedule_id, error=each.error) for each in harvest.errors],
        )
