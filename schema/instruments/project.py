"""Project: people and groups who are given access together (contract streamweave §10)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core.vocabulary import GranteeType
from engine.connection import Connection
from engine.declare import Node, column, many, stored
from schema.instruments.access import granted_to, own_projects_or_admin
from schema.instruments.choices import GRANT_CHOICES
from schema.instruments.orders import GRANTS_BY_AGE, PROJECT_MEMBERS_BY_AGE
from schema.instruments.project_member import PROJECT_MEMBER_CHOICES
from schema.instruments.refs import FileGrantRef, ProjectMemberRef
from storage.sql.tables import project_members, projects


@stored(projects, visible=own_projects_or_admin)
class Project(Node):
    """People and groups who are given access together; for admins and its members."""

    local_id: UUID = column(projects.c.id, "Identifier within the instruments service; `id` in REST.")
    name: str = column(projects.c.name, "Display name; no other project has it, not even a deleted one.")
    description: str | None = column(projects.c.description, "What it is for, in words.")
    created_at: datetime = column(projects.c.created_at, "When it was made.")
    updated_at: datetime = column(projects.c.updated_at, "When it was last changed.")
    deleted_at: datetime | None = column(projects.c.deleted_at, "Set while it is deleted; it can be restored.")
    members: Connection[ProjectMemberRef] = many(
        PROJECT_MEMBERS_BY_AGE,
        "Who is in it; for admins.",
        parent=project_members.c.project_id,
        choices=PROJECT_MEMBER_CHOICES,
    )
    grants: Connection[FileGrantRef] = many(
        GRANTS_BY_AGE,
        "What it may see; for admins.",
        parent=projects.c.id,
        related=granted_to(GranteeType.PROJECT),
        choices=GRANT_CHOICES,
    )
