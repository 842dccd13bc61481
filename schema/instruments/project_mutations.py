"""Changing projects (contract streamweave §10)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Info, Maybe

from core.policy import Verb
from engine.declare import limited, one, resolver
from resolvers.context import RequestContext
from resolvers.instruments.groupings import GroupingChanges, NewGrouping, create_grouping, update_grouping
from resolvers.instruments.rows import PROJECT, delete_row, restore_row
from schema.inputs import INPUT, required, use_case_input
from schema.instruments.access import may
from schema.instruments.project import Project

NAME, DESCRIPTION = "Display name; no other project may have it.", "What it is for, in words."


@strawberry.input(description="A project to be made.")
class CreateProjectInput:
    """One object per mutation."""

    name: str = limited(NAME, max_length=255)
    description: str | None = limited(DESCRIPTION, default=None)


@strawberry.input(description="What is to change; what is left out stays.")
class ProjectChangesInput:
    """Null is stored where it is allowed."""

    name: Maybe[str] = required(NAME, max_length=255)
    description: Maybe[str | None] = limited(DESCRIPTION)


@strawberry.input(description="Which project, and what is to change.")
class UpdateProjectInput:
    """One object per mutation."""

    local_id: UUID = limited("The project.")
    changes: ProjectChangesInput = limited("What is to change.")


@strawberry.input(description="Which project.")
class ProjectInput:
    """One object per mutation."""

    local_id: UUID = limited("The project.")


@strawberry.type(description="The project as it is now.")
class ProjectPayload:
    """Read back by its key."""

    key: strawberry.Private[UUID]
    project: Project | None = one("key", "The project, deleted ones included.")


@strawberry.type
class ProjectMutations:
    """For admins."""

    @resolver("Make a project.", guard=may(Verb.CREATE, "project"))
    async def create_project(
        self, info: Info[RequestContext], given: Annotated[CreateProjectInput, INPUT]
    ) -> ProjectPayload | None:
        new = use_case_input(NewGrouping, given)
        return ProjectPayload(key=await create_grouping(info.context, PROJECT, new))

    @resolver("Change a project.", guard=may(Verb.UPDATE, "project"))
    async def update_project(
        self, info: Info[RequestContext], given: Annotated[UpdateProjectInput, INPUT]
    ) -> ProjectPayload | None:
        changes = use_case_input(GroupingChanges, given.changes)
        return ProjectPayload(key=await update_grouping(info.context, PROJECT, given.local_id, changes))

    @resolver(
        "Delete a project; it can be restored. Until then its members do not see what was granted to it.",
        guard=may(Verb.DELETE, "project"),
    )
    async def delete_project(self, info: Info[RequestContext], given: Annotated[ProjectInput, INPUT]) -> ProjectPayload | None:
        return ProjectPayload(key=await delete_row(info.context, PROJECT, given.local_id))

    @resolver("Restore a deleted project, with the members and grants that it had.", guard=may(Verb.DELETE, "project"))
    async def restore_project(self, info: Info[RequestContext], given: Annotated[ProjectInput, INPUT]) -> ProjectPayload | None:
        return ProjectPayload(key=await restore_row(info.context, PROJECT, given.local_id))
