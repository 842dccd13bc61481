"""ProjectMember: a person or a group in a project (contract streamweave §10)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from sqlalchemy import and_, select

from core.vocabulary import MemberType
from engine.choices import choice, choices
from engine.declare import Node, column, one, stored
from schema.instruments.access import for_admins
from schema.instruments.group import Group
from schema.instruments.refs import ProjectRef
from schema.instruments.typed_keys import typed_key
from schema.instruments.user import User
from storage.sql.tables import project_members, users

Member = Annotated[User | Group, strawberry.union("ProjectMemberTarget", description="Who may be a member of a project.")]

_email = (
    select(users.c.email)
    .where(and_(project_members.c.member_type == MemberType.USER, users.c.id == project_members.c.member_id))
    .correlate(project_members)
    .scalar_subquery()
)
_member = typed_key(
    project_members.c.member_type, project_members.c.member_id, {MemberType.USER: "User", MemberType.GROUP: "Group"}
)


PROJECT_MEMBER_CHOICES = choices(
    "ProjectMember",
    {
        "member_type": choice(project_members.c.member_type, MemberType, "Whether it is a person or a group.", sortable=False),
        "member_id": choice(project_members.c.member_id, UUID, "The person or group.", sortable=False),
        "email": choice(_email, str, "The person's address; null for a group."),
        "created_at": choice(project_members.c.created_at, datetime, "Since when."),
    },
)


@stored(project_members, visible=for_admins)
class ProjectMember(Node):
    """A person or a group in a project; for admins."""

    local_id: UUID = column(project_members.c.id, "Identifier within the instruments service; `id` in REST.")
    project_id: UUID = column(project_members.c.project_id, "`localId` of the project.")
    project: ProjectRef | None = one(project_members.c.project_id, "The project.")
    member_type: MemberType = column(project_members.c.member_type, "Whether it is a person or a group.")
    member_id: UUID = column(project_members.c.member_id, "`localId` of the person or group.")
    member: Member | None = one(_member, "The person or group.")
    email: str | None = column(_email, "The person's address; null for a group.")
    created_at: datetime = column(project_members.c.created_at, "Since when.")
