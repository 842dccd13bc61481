"""GroupMember: a person in a group (contract streamweave §10)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from engine.choices import choice, choices
from engine.declare import column, one, stored
from schema.instruments.access import for_admins
from schema.instruments.refs import GroupRef, UserRef
from storage.sql.tables import group_members, users

_email = select(users.c.email).where(users.c.id == group_members.c.user_id).correlate(group_members).scalar_subquery()


GROUP_MEMBER_CHOICES = choices(
    "GroupMember",
    {
        "user_id": choice(group_members.c.user_id, UUID, "The person.", sortable=False),
        "email": choice(_email, str, "The person's address."),
        "created_at": choice(group_members.c.created_at, datetime, "Since when."),
    },
)


@stored(group_members, visible=for_admins)
class GroupMember:
    """A person in a group; for admins."""

    group_id: UUID = column(group_members.c.group_id, "`localId` of the group.")
    group: GroupRef | None = one(group_members.c.group_id, "The group.")
    user_id: UUID = column(group_members.c.user_id, "`localId` of the person.")
    user: UserRef | None = one(group_members.c.user_id, "The person.")
    email: str = column(_email, "The person's address.")
    created_at: datetime = column(group_members.c.created_at, "Since when.")
