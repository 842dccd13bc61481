"""Access to instruments: who sees all files of an instrument. Contract streamweave §3 [EXT].

Giving and taking it are updates of the instrument in the audit log.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, exists, select

from core.errors import Conflict, NotFound
from core.identity import INSTRUMENTS
from core.policy import Verb
from resolvers.context import RequestContext
from resolvers.instruments.rows import INSTRUMENT, USER, change
from storage.sql.tables import user_instrument_access, users

ACCESS = "instrument access"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentAccess:
    """A person who sees the files of an instrument."""

    instrument_id: UUID
    user_id: UUID


async def give_instrument_access(ctx: RequestContext, access: InstrumentAccess) -> str:
    """The person's address. Raises `NotFound` for an unknown instrument or user, `Conflict` for who has it."""
    actor = ctx.require(INSTRUMENTS, Verb.CREATE, ACCESS)
    instrument, user = access.instrument_id, access.user_id
    given = user_instrument_access.c.instrument_id == instrument, user_instrument_access.c.user_id == user
    async with change(ctx, actor) as changing:
        await changing.live(INSTRUMENT, instrument)
        person = await changing.live(USER, user)
        if await changing.tx.scalar(select(exists().where(*given))):
            raise Conflict("User already has access", field="user_id")
        await changing.tx.insert(user_instrument_access, instrument_id=instrument, user_id=user, created_at=changing.at)
        await changing.happened(INSTRUMENT, instrument, "access", after=user)
    return str(person["email"])


async def take_instrument_access(ctx: RequestContext, access: InstrumentAccess) -> str:
    """The person's address. Files stay visible that they see for another reason. Raises `NotFound` for who has no access."""
    actor = ctx.require(INSTRUMENTS, Verb.DELETE, ACCESS)
    instrument, user = access.instrument_id, access.user_id
    given = user_instrument_access.c.instrument_id == instrument, user_instrument_access.c.user_id == user
    async with change(ctx, actor) as changing:
        await changing.live(INSTRUMENT, instrument)
        if not await changing.tx.execute(delete(user_instrument_access).where(*given)):
            raise NotFound("Access not found")
        await changing.happened(INSTRUMENT, instrument, "access", before=user)
        return str(await changing.tx.scalar(select(users.c.email).where(users.c.id == user)))
