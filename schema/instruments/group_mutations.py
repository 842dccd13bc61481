"""Changing groups (contract streamweave §10)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Info, Maybe

from core.policy import Verb
from engine.declare import limited, one, resolver
from resolvers.context import RequestContext
from resolvers.instruments.groupings import GroupingChanges, NewGrouping, create_grouping, update_grouping
from resolvers.instruments.rows import GROUP, delete_row, restore_row
from schema.inputs import INPUT, required, use_case_input
from schema.instruments.access import may
from schema.instruments.group import Group

NAME, DESCRIPTION = "Display name; no other group may have it.", "What it is for, in words."


@strawberry.input(description="A group to be made.")
class CreateGroupInput:
    """One object per mutation."""

    name: str = limited(NAME, max_length=255)
    description: str | None = limited(DESCRIPTION, default=None)


@strawberry.input(description="What is to change; what is left out stays.")
class GroupChangesInput:
    """Null is stored where it is allowed."""

    name: Maybe[str] = required(NAME, max_length=255)
    description: Maybe[str | None] = limited(DESCRIPTION)


@strawberry.input(description="Which group, and what is to change.")
class UpdateGroupInput:
    """One object per mutation."""

    local_id: UUID = limited("The group.")
    changes: GroupChangesInput = limited("What is to change.")


@strawberry.input(description="Which group.")
class GroupInput:
    """One object per mutation."""

    local_id: UUID = limited("The group.")


@strawberry.type(description="The group as it is now.")
class GroupPayload:
    """Read back by its key."""

    key: strawberry.Private[UUID]
    group: Group | None = one("key", "The group, deleted ones included.")


@strawberry.type
class GroupMutations:
    """For admins."""

    @resolver("Make a group.", guard=may(Verb.CREATE, "group"))
    async def create_group(self, info: Info[RequestContext], given: Annotated[CreateGroupInput, INPUT]) -> GroupPayload | None:
        new = use_case_input(NewGrouping, given)
        return GroupPayload(key=await create_grouping(info.context, GROUP, new))

    @resolver("Change a group.", guard=may(Verb.UPDATE, "group"))
    async def update_group(self, info: Info[RequestContext], given: Annotated[UpdateGroupInput, INPUT]) -> GroupPayload | None:
        changes = use_case_input(GroupingChanges, given.changes)
        return GroupPayload(key=await update_grouping(info.context, GROUP, given.local_id, changes))

    @resolver(
        "Delete a group; it can be restored. Until then its members do not see what was granted to it.",
        guard=may(Verb.DELETE, "group"),
    )
    async def delete_group(self, info: Info[RequestContext], given: Annotated[GroupInput, INPUT]) -> GroupPayload | None:
        return GroupPayload(key=await delete_row(info.context, GROUP, given.local_id))

    @resolver("Restore a deleted group, with the members and grants that it had.", guard=may(Verb.DELETE, "group"))
    async def restore_group(self, info: Info[RequestContext], given: Annotated[GroupInput, INPUT]) -> GroupPayload | None:
        return GroupPayload(key=await restore_row(info.context, GROUP, given.local_id))
