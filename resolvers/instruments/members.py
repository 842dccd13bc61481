"""Members: of groups (people) and of projects (people and groups). Contract streamweave §10.

Who joins or leaves is an update of the group or project in the audit log.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import delete, exists, select

from core.errors import Conflict, NotFound
from core.identity import INSTRUMENTS
from core.policy import Verb
from core.vocabulary import MemberType
from resolvers.context import RequestContext
from resolvers.instruments.rows import GROUP, PROJECT, USER, change
from storage.sql.tables import group_members, project_members, users

KINDS = {MemberType.USER: USER, MemberType.GROUP: GROUP}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMembership:
    """A person in a group."""

    group_id: UUID
    user_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectMembership:
    """A person or a group in a project."""

    project_id: UUID
    member_type: MemberType
    member_id: UUID


async def add_group_member(ctx: RequestContext, membership: GroupMembership) -> str:
    """The person's address. Raises `NotFound` for an unknown group or user, `Conflict` for a member."""
    actor = ctx.require(INSTRUMENTS, Verb.UPDATE, "group")
    group, user = membership.group_id, membership.user_id
    is_member = exists().where(group_members.c.group_id == group, group_members.c.user_id == user)
    async with change(ctx, actor) as changing:
        await changing.live(GROUP, group)
        person = await changing.live(USER, user)
        if await changing.tx.scalar(select(is_member)):
            raise Conflict("User already in group", field="user_id")
        await changing.tx.insert(group_members, group_id=group, user_id=user, created_at=changing.at)
        await changing.happened(GROUP, group, "member", after=user)
    return str(person["email"])


async def remove_group_member(ctx: RequestContext, membership: GroupMembership) -> str:
    """The person's address. Raises `NotFound` for who is no member."""
    actor = ctx.require(INSTRUMENTS, Verb.UPDATE, "group")
    group, user = membership.group_id, membership.user_id
    member = delete(group_members).where(group_members.c.group_id == group, group_members.c.user_id == user)
    async with change(ctx, actor) as changing:
        await changing.live(GROUP, group)
        if not await changing.tx.execute(member):
            raise NotFound("Membership not found")
        await changing.happened(GROUP, group, "member", before=user)
        return str(await changing.tx.scalar(select(users.c.email).where(users.c.id == user)))


async def add_project_member(ctx: RequestContext, membership: ProjectMembership) -> UUID:
    """The membership's key. Raises `NotFound` for an unknown project, user or group, `Conflict` for a member."""
    actor = ctx.require(INSTRUMENTS, Verb.UPDATE, "project")
    project, member, key = membership.project_id, membership.member_id, uuid4()
    is_member = exists().where(
        project_members.c.project_id == project,
        project_members.c.member_type == membership.member_type,
        project_members.c.member_id == member,
    )
    async with change(ctx, actor) as changing:
        await changing.live(PROJECT, project)
        await changing.live(KINDS[membership.member_type], member)
        if await changing.tx.scalar(select(is_member)):
            raise Conflict("Member already in project", field="member_id")
        await changing.tx.insert(
            project_members,
            id=key,
            project_id=project,
            member_type=membership.member_type,
            member_id=member,
            created_at=changing.at,
        )
        await changing.happened(PROJECT, project, membership.member_type.value, after=member)
    return key


async def remove_project_member(ctx: RequestContext, project: UUID, member: UUID) -> None:
    """By the member's own id, whether a person's or a group's. Raises `NotFound` for who is no member."""
    actor = ctx.require(INSTRUMENTS, Verb.UPDATE, "project")
    of_member = project_members.c.project_id == project, project_members.c.member_id == member
    async with change(ctx, actor) as changing:
        await changing.live(PROJECT, project)
        row = await changing.tx.first(select(project_members).where(*of_member))
        if row is None:
            raise NotFound("Membership not found")
        await changing.tx.execute(delete(project_members).where(*of_member))
        await changing.happened(PROJECT, project, row["member_type"].value, before=member)
