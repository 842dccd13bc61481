"""Groups: who is given access together. Contract streamweave §10; their members are in `members`."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from core.identity import INSTRUMENTS
from core.policy import Verb
from resolvers.context import RequestContext
from resolvers.inputs import ABSENT, Absent, checked, given
from resolvers.instruments.rows import GROUP, change
from resolvers.instruments.unique_names import require_free
from storage.sql.tables import groups


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGroup:
    """A group to be created."""

    name: str
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupChanges:
    """What is to change; absent fields stay."""

    name: str | Absent = ABSENT
    description: str | Absent | None = ABSENT


async def create_group(ctx: RequestContext, new: NewGroup) -> UUID:
    """Raises `Conflict` for a name that another group has."""
    actor = ctx.require(INSTRUMENTS, Verb.CREATE, "group")
    values = checked(groups, given(new))
    async with change(ctx, actor) as changing:
        await require_free(changing, GROUP, new.name)
        return await changing.create(GROUP, **values)


async def update_group(ctx: RequestContext, key: UUID, changes: GroupChanges) -> UUID:
    """Only what is given changes. Raises `Conflict` for a name that another group has."""
    actor = ctx.require(INSTRUMENTS, Verb.UPDATE, "group")
    sent = checked(groups, given(changes))
    async with change(ctx, actor) as changing:
        row = await changing.live(GROUP, key)
        if "name" in sent and sent["name"] != row["name"]:
            await require_free(changing, GROUP, sent["name"])
        await changing.update(GROUP, row, sent)
    return key


async def delete_group(ctx: RequestContext, key: UUID) -> UUID:
    """What was granted to it is closed to its members until it is restored."""
    actor = ctx.require(INSTRUMENTS, Verb.DELETE, "group")
    async with change(ctx, actor) as changing:
        await changing.delete(GROUP, await changing.live(GROUP, key))
    return key


async def restore_group(ctx: RequestContext, key: UUID) -> UUID:
    """With the members and grants that it had."""
    actor = ctx.require(INSTRUMENTS, Verb.DELETE, "group")
    async with change(ctx, actor) as changing:
        await changing.restore(GROUP, key)
    return key
