"""User: a person as a member of the instruments domain (contract §2). No field leads to a password or its hash."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from core.identity import INSTRUMENTS
from core.vocabulary import Role
from engine.declare import Node, column, stored
from schema.instruments.access import own_or_admin_users
from storage.sql.tables import memberships, users

_role = (
    select(memberships.c.role)
    .where(memberships.c.user_id == users.c.id, memberships.c.domain == INSTRUMENTS)
    .correlate(users)
    .scalar_subquery()
)


@stored(users, visible=own_or_admin_users)
class User(Node):
    """A person who uses the instruments domain."""

    local_id: UUID = column(users.c.id, "Identifier of the person; `id` in REST.")
    email: str = column(users.c.email, "Address to log in with.")
    is_active: bool = column(users.c.is_active, "Whether the person may log in.")
    is_superuser: bool = column(users.c.is_superuser, "Whether the person was made a superuser.")
    is_verified: bool = column(users.c.is_verified, "Whether the address was verified.")
    role: Role = column(_role, "Role in the instruments domain.")
    deleted_at: datetime | None = column(users.c.deleted_at, "Set while the account is deleted; it can be restored.")
