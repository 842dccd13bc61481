"""Changing who is a member of groups and projects (contract streamweave §10)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Info

from core.policy import Verb
from core.vocabulary import MemberType
from engine.declare import limited, one, resolver
from resolvers.context import RequestContext
from resolvers.instruments import members as use_cases
from schema.inputs import INPUT, use_case_input
from schema.instruments.access import may
from schema.instruments.group import Group
from schema.instruments.project import Project
from schema.instruments.project_member import ProjectMember
from schema.instruments.user import User


@strawberry.input(description="A person in a group.")
class GroupMemberInput:
    """One object per mutation."""

    group_id: UUID = limited("The group.")
    user_id: UUID = limited("The person.")


@strawberry.input(description="A person or a group that is to be in a project.")
class AddProjectMemberInput:
    """One object per mutation."""

    project_id: UUID = limited("The project.")
    member_type: MemberType = limited("Whether it is a person or a group.")
    member_id: UUID = limited("The person or group.")


@strawberry.input(description="A person or a group that is to leave a project.")
class RemoveProjectMemberInput:
    """One object per mutation."""

    project_id: UUID = limited("The project.")
    member_id: UUID = limited("The person or group; not the membership.")


@strawberry.type(description="The group as it is now, and who joined or left.")
class GroupMemberPayload:
    """Read back by their keys."""

    group_id: UUID = strawberry.field(description="`localId` of the group.")
    user_id: UUID = strawberry.field(description="`localId` of the person.")
    email: str = strawberry.field(description="The person's address.")
    group: Group | None = one("group_id", "The group.")
    user: User | None = one("user_id", "The person.")


@strawberry.type(description="The project as it is now, and who joined.")
class AddProjectMemberPayload:
    """Read back by their keys."""

    key: strawberry.Private[UUID]
    project_id: UUID = strawberry.field(description="`localId` of the project.")
    project: Project | None = one("project_id", "The project.")
    membership: ProjectMember | None = one("key", "The new membership.")


@strawberry.type(description="The project as it is now.")
class RemoveProjectMemberPayload:
    """Read back by its key."""

    project_id: UUID = strawberry.field(description="`localId` of the project.")
    project: Project | None = one("project_id", "The project.")


@strawberry.type
class MemberMutations:
    """For admins."""

    @resolver("Make a person a member of a group.", guard=may(Verb.UPDATE, "group"))
    async def add_group_member(
        self, info: Info[RequestContext], given: Annotated[GroupMemberInput, INPUT]
    ) -> GroupMemberPayload | None:
        email = await use_cases.add_group_member(info.context, use_case_input(use_cases.GroupMembership, given))
        return GroupMemberPayload(group_id=given.group_id, user_id=given.user_id, email=email)

    @resolver("Take a person out of a group.", guard=may(Verb.UPDATE, "group"))
    async def remove_group_member(
        self, info: Info[RequestContext], given: Annotated[GroupMemberInput, INPUT]
    ) -> GroupMemberPayload | None:
        email = await use_cases.remove_group_member(info.context, use_case_input(use_cases.GroupMembership, given))
        return GroupMemberPayload(group_id=given.group_id, user_id=given.user_id, email=email)

    @resolver("Make a person or a group a member of a project.", guard=may(Verb.UPDATE, "project"))
    async def add_project_member(
        self, info: Info[RequestContext], given: Annotated[AddProjectMemberInput, INPUT]
    ) -> AddProjectMemberPayload | None:
        key = await use_cases.add_project_member(info.context, use_case_input(use_cases.ProjectMembership, given))
        return AddProjectMemberPayload(key=key, project_id=given.project_id)

    @resolver("Take a person or a group out of a project.", guard=may(Verb.UPDATE, "project"))
    async def remove_project_member(
        self, info: Info[RequestContext], given: Annotated[RemoveProjectMemberInput, INPUT]
    ) -> RemoveProjectMemberPayload | None:
        await use_cases.remove_project_member(info.context, given.project_id, given.member_id)
        return RemoveProjectMemberPayload(project_id=given.project_id)
