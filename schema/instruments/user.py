"""User: a person as a member of the instruments domain (contract §2). No field leads to a password or its hash."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, or_, select

from core.identity import INSTRUMENTS
from core.vocabulary import GranteeType, Role
from engine.choices import choice, choices
from engine.connection import Connection
from engine.declare import column, many, stored
from schema.instruments.access import groups_of, own_or_admin_users
from schema.instruments.choices import GROUP_CHOICES, PROJECT_CHOICES
from schema.instruments.orders import GROUPS_BY_AGE, PROJECTS_BY_AGE
from schema.instruments.refs import GroupRef, ProjectRef
from schema.union.interfaces import Actor
from storage.sql.tables import group_members, groups, memberships, project_members, projects, users

WHOSE = "Whose."
MOST = 2_000
"""Groups or projects of one person that a page holds: REST shows them all at once."""

_role = (
    select(memberships.c.role)
    .where(memberships.c.user_id == users.c.id, memberships.c.domain == INSTRUMENTS)
    .correlate(users)
    .scalar_subquery()
)


USER_CHOICES = choices(
    "User",
    {
        "email": choice(users.c.email, str, "Address to log in with."),
        "role": choice(_role, Role, "Role in the instruments domain.", sortable=False),
        "is_active": choice(users.c.is_active, bool, "Whether the person may log in.", sortable=False),
        "is_verified": choice(users.c.is_verified, bool, "Whether the address was verified.", sortable=False),
    },
)


def in_group(user: ColumnElement[Any]) -> ColumnElement[bool]:
    """Groups of that person."""
    return groups.c.id.in_(select(group_members.c.group_id).where(group_members.c.user_id == user))


def directly_in_project(user: ColumnElement[Any]) -> ColumnElement[bool]:
    """Projects that name that person as a member."""
    return projects.c.id.in_(_projects(GranteeType.USER).where(project_members.c.member_id == user))


def in_project(user: ColumnElement[Any]) -> ColumnElement[bool]:
    """Projects that name that person, or a live group of theirs."""
    through = _projects(GranteeType.GROUP).where(project_members.c.member_id.in_(groups_of(user)))
    return or_(directly_in_project(user), projects.c.id.in_(through))


def _projects(kind: GranteeType) -> Select[tuple[UUID]]:
    return select(project_members.c.project_id).where(project_members.c.member_type == kind)


@stored(users, visible=own_or_admin_users)
class User(Actor):
    """A person who uses the instruments domain."""

    local_id: UUID = column(users.c.id, "Identifier of the person; `id` in REST.")
    email: str = column(users.c.email, "Address to log in with.")
    is_active: bool = column(users.c.is_active, "Whether the person may log in.")
    is_superuser: bool = column(users.c.is_superuser, "Whether the person was made a superuser.")
    is_verified: bool = column(users.c.is_verified, "Whether the address was verified.")
    role: Role = column(_role, "Role in the instruments domain.")
    deleted_at: datetime | None = column(users.c.deleted_at, "Set while the account is deleted; it can be restored.")
    groups: Connection[GroupRef] = many(
        GROUPS_BY_AGE,
        "Groups of the person.",
        parent=users.c.id,
        related=in_group,
        largest_page=MOST,
        choices=GROUP_CHOICES,
    )
    projects: Connection[ProjectRef] = many(
        PROJECTS_BY_AGE,
        "Projects of the person: as a member, or through a group.",
        parent=users.c.id,
        related=in_project,
        largest_page=MOST,
        choices=PROJECT_CHOICES,
    )
