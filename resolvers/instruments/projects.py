"""Projects: who is given access together. Contract streamweave §10; their members are in `members`."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from core.identity import INSTRUMENTS
from core.policy import Verb
from resolvers.context import RequestContext
from resolvers.inputs import ABSENT, Absent, checked, given
from resolvers.instruments.rows import PROJECT, change
from resolvers.instruments.unique_names import require_free
from storage.sql.tables import projects


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProject:
    """A project to be created."""

    name: str
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectChanges:
    """What is to change; absent fields stay."""

    name: str | Absent = ABSENT
    description: str | Absent | None = ABSENT


async def create_project(ctx: RequestContext, new: NewProject) -> UUID:
    """Raises `Conflict` for a name that another project has."""
    actor = ctx.require(INSTRUMENTS, Verb.CREATE, "project")
    values = checked(projects, given(new))
    async with change(ctx, actor) as changing:
        await require_free(changing, PROJECT, new.name)
        return await changing.create(PROJECT, **values)


async def update_project(ctx: RequestContext, key: UUID, changes: ProjectChanges) -> UUID:
    """Only what is given changes. Raises `Conflict` for a name that another project has."""
    actor = ctx.require(INSTRUMENTS, Verb.UPDATE, "project")
    sent = checked(projects, given(changes))
    async with change(ctx, actor) as changing:
        row = await changing.live(PROJECT, key)
        if "name" in sent and sent["name"] != row["name"]:
            await require_free(changing, PROJECT, sent["name"])
        await changing.update(PROJECT, row, sent)
    return key


async def delete_project(ctx: RequestContext, key: UUID) -> UUID:
    """What was granted to it is closed to its members until it is restored."""
    actor = ctx.require(INSTRUMENTS, Verb.DELETE, "project")
    async with change(ctx, actor) as changing:
        await changing.delete(PROJECT, await changing.live(PROJECT, key))
    return key


async def restore_project(ctx: RequestContext, key: UUID) -> UUID:
    """With the members and grants that it had."""
    actor = ctx.require(INSTRUMENTS, Verb.DELETE, "project")
    async with change(ctx, actor) as changing:
        await changing.restore(PROJECT, key)
    return key
