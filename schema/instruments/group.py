"""Group: people who are given access together (contract streamweave §10)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select

from core.vocabulary import GranteeType
from engine.connection import Connection
from engine.declare import Node, column, many, stored
from schema.instruments.access import granted_to, own_groups_or_admin
from schema.instruments.choices import GRANT_CHOICES, PROJECT_CHOICES
from schema.instruments.group_member import GROUP_MEMBER_CHOICES
from schema.instruments.orders import GRANTS_BY_AGE, GROUP_MEMBERS_BY_AGE, PROJECTS_BY_AGE
from schema.instruments.refs import FileGrantRef, GroupMemberRef, ProjectRef
from storage.sql.tables import group_members, groups, project_members, projects


def _projects_of_group(group: ColumnElement[Any]) -> ColumnElement[bool]:
    members = project_members.c
    of_group = members.member_type == GranteeType.GROUP, members.member_id == group
    return projects.c.id.in_(select(members.project_id).where(*of_group))


@stored(groups, visible=own_groups_or_admin)
class Group(Node):
    """People who are given access together; for admins and its members."""

    local_id: UUID = column(groups.c.id, "Identifier within the instruments service; `id` in REST.")
    name: str = column(groups.c.name, "Display name; no other group has it, not even a deleted one.")
    description: str | None = column(groups.c.description, "What it is for, in words.")
    created_at: datetime = column(groups.c.created_at, "When it was made.")
    updated_at: datetime = column(groups.c.updated_at, "When it was last changed.")
    deleted_at: datetime | None = column(groups.c.deleted_at, "Set while it is deleted; it can be restored.")
    members: Connection[GroupMemberRef] = many(
        GROUP_MEMBERS_BY_AGE,
        "Who is in it; for admins.",
        parent=group_members.c.group_id,
        choices=GROUP_MEMBER_CHOICES,
    )
    projects: Connection[ProjectRef] = many(
        PROJECTS_BY_AGE,
        "Projects that it is a member of.",
        parent=groups.c.id,
        related=_projects_of_group,
        choices=PROJECT_CHOICES,
    )
    grants: Connection[FileGrantRef] = many(
        GRANTS_BY_AGE,
        "What it may see; for admins.",
        parent=groups.c.id,
        related=granted_to(GranteeType.GROUP),
        choices=GRANT_CHOICES,
    )
