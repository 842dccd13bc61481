"""Groups and projects: who is given access together. Contract streamweave §10; their members are in `members`."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from core.identity import INSTRUMENTS
from core.policy import Verb
from resolvers.context import RequestContext
from resolvers.inputs import ABSENT, Absent, checked, given
from resolvers.instruments.rows import Kind, change
from resolvers.instruments.unique_names import require_free


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGrouping:
    """A group or a project to be created."""

    name: str
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingChanges:
    """What is to change; absent fields stay."""

    name: str | Absent = ABSENT
    description: str | Absent | None = ABSENT


async def create_grouping(ctx: RequestContext, kind: Kind, new: NewGrouping) -> UUID:
    """Raises `Conflict` for a name that another of its kind has."""
    actor = ctx.require(INSTRUMENTS, Verb.CREATE, kind.name)
    values = checked(kind.table, given(new))
    async with change(ctx, actor) as changing:
        await require_free(changing, kind, new.name)
        return await changing.create(kind, **values)


async def update_grouping(ctx: RequestContext, kind: Kind, key: UUID, changes: GroupingChanges) -> UUID:
    """Only what is given changes. Raises `Conflict` for a name that another of its kind has."""
    actor = ctx.require(INSTRUMENTS, Verb.UPDATE, kind.name)
    sent = checked(kind.table, given(changes))
    async with change(ctx, actor) as changing:
        row = await changing.live(kind, key)
        if "name" in sent and sent["name"] != row["name"]:
            await require_free(changing, kind, sent["name"])
        await changing.update(kind, row, sent)
    return key
