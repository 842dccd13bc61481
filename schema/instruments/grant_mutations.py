"""Changing who may see files: one file (contract streamweave §9), or all of an instrument (§3 [EXT])."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Info

from core.policy import Verb
from core.vocabulary import GranteeType
from engine.declare import limited, one, resolver
from resolvers.context import RequestContext
from resolvers.instruments import grants, instrument_access
from schema.inputs import INPUT, use_case_input
from schema.instruments.access import may
from schema.instruments.file_record import FileRecord
from schema.instruments.grant import FileGrant
from schema.instruments.instrument import Instrument
from schema.instruments.user import User


@strawberry.input(description="Who is to see which file.")
class GrantFileAccessInput:
    """One object per mutation."""

    file_id: UUID = limited("The file.")
    grantee_type: GranteeType = limited("Whether it is a person, a group or a project.")
    grantee_id: UUID = limited("The person, group or project.")


@strawberry.input(description="Which grant is to end.")
class RevokeFileAccessInput:
    """One object per mutation."""

    file_id: UUID = limited("The file.")
    grant_id: UUID = limited("The grant.")


@strawberry.input(description="A person who sees all files of an instrument.")
class InstrumentAccessInput:
    """One object per mutation."""

    instrument_id: UUID = limited("The instrument.")
    user_id: UUID = limited("The person.")


@strawberry.type(description="The grant; of several the same, the first.")
class GrantFileAccessPayload:
    """Read back by its key."""

    key: strawberry.Private[UUID]
    grant: FileGrant | None = one("key", "The grant.")


@strawberry.type(description="The file, without the grant.")
class RevokeFileAccessPayload:
    """Read back by its key."""

    file_id: UUID = strawberry.field(description="`localId` of the file.")
    file: FileRecord | None = one("file_id", "The file.")


@strawberry.type(description="The instrument, and who sees its files from now on, or no longer.")
class InstrumentAccessPayload:
    """Read back by their keys."""

    instrument_id: UUID = strawberry.field(description="`localId` of the instrument.")
    user_id: UUID = strawberry.field(description="`localId` of the person.")
    email: str = strawberry.field(description="The person's address.")
    instrument: Instrument | None = one("instrument_id", "The instrument.")
    user: User | None = one("user_id", "The person.")


@strawberry.type
class GrantMutations:
    """For admins."""

    @resolver("Let a person, a group or a project see a file.", guard=may(Verb.CREATE, "grant"))
    async def grant_file_access(
        self, info: Info[RequestContext], given: Annotated[GrantFileAccessInput, INPUT]
    ) -> GrantFileAccessPayload | None:
        return GrantFileAccessPayload(key=await grants.grant_file_access(info.context, use_case_input(grants.NewGrant, given)))

    @resolver("End a grant.", guard=may(Verb.DELETE, "grant"))
    async def revoke_file_access(
        self, info: Info[RequestContext], given: Annotated[RevokeFileAccessInput, INPUT]
    ) -> RevokeFileAccessPayload | None:
        await grants.revoke_file_access(info.context, given.file_id, given.grant_id)
        return RevokeFileAccessPayload(file_id=given.file_id)

    @resolver("Let a person see all files of an instrument.", guard=may(Verb.CREATE, "instrument access"))
    async def give_instrument_access(
        self, info: Info[RequestContext], given: Annotated[InstrumentAccessInput, INPUT]
    ) -> InstrumentAccessPayload | None:
        access = use_case_input(instrument_access.InstrumentAccess, given)
        email = await instrument_access.give_instrument_access(info.context, access)
        return InstrumentAccessPayload(instrument_id=given.instrument_id, user_id=given.user_id, email=email)

    @resolver(
        "Let a person no longer see all files of an instrument; what they see for another reason stays.",
        guard=may(Verb.DELETE, "instrument access"),
    )
    async def take_instrument_access(
        self, info: Info[RequestContext], given: Annotated[InstrumentAccessInput, INPUT]
    ) -> InstrumentAccessPayload | None:
        access = use_case_input(instrument_access.InstrumentAccess, given)
        email = await instrument_access.take_instrument_access(info.context, access)
        return InstrumentAccessPayload(instrument_id=given.instrument_id, user_id=given.user_id, email=email)
