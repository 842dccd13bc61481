"""InstrumentAccess: a person sees all files of an instrument (contract streamweave §3 [EXT])."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from engine.choices import choice, choices
from engine.declare import column, one, stored
from schema.instruments.access import for_admins
from schema.instruments.refs import InstrumentRef, UserRef
from storage.sql.tables import user_instrument_access, users

_email = (
    select(users.c.email)
    .where(users.c.id == user_instrument_access.c.user_id)
    .correlate(user_instrument_access)
    .scalar_subquery()
)


ACCESS_CHOICES = choices(
    "InstrumentAccess",
    {
        "user_id": choice(user_instrument_access.c.user_id, UUID, "The person.", sortable=False),
        "email": choice(_email, str, "The person's address."),
        "created_at": choice(user_instrument_access.c.created_at, datetime, "Since when."),
    },
)


@stored(user_instrument_access, visible=for_admins)
class InstrumentAccess:
    """That a person sees all files of an instrument; for admins."""

    instrument_id: UUID = column(user_instrument_access.c.instrument_id, "`localId` of the instrument.")
    instrument: InstrumentRef | None = one(user_instrument_access.c.instrument_id, "The instrument.")
    user_id: UUID = column(user_instrument_access.c.user_id, "`localId` of the person.")
    user: UserRef | None = one(user_instrument_access.c.user_id, "The person.")
    email: str = column(_email, "The person's address.")
    created_at: datetime = column(user_instrument_access.c.created_at, "Since when.")
