"""InstrumentRequest: somebody's wish that an instrument be harvested (contract streamweave §10)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from core.vocabulary import RequestStatus
from engine.choices import choice, choices
from engine.declare import Node, column, one, stored
from schema.instruments.access import own_requests_or_admin
from schema.instruments.refs import UserRef
from storage.sql.tables import instrument_requests, users

_email = (
    select(users.c.email)
    .where(users.c.id == instrument_requests.c.requester_id)
    .correlate(instrument_requests)
    .scalar_subquery()
)


REQUEST_CHOICES = choices(
    "InstrumentRequest",
    {
        "requester_id": choice(instrument_requests.c.requester_id, UUID, "Who wishes it.", sortable=False),
        "requester_email": choice(_email, str, "Address of who wishes it."),
        "name": choice(instrument_requests.c.name, str, "What the instrument is called."),
        "location": choice(instrument_requests.c.location, str, "Where it stands."),
        "status": choice(instrument_requests.c.status, RequestStatus, "What became of it.", sortable=False),
        "created_at": choice(instrument_requests.c.created_at, datetime, "When it was made."),
        "updated_at": choice(instrument_requests.c.updated_at, datetime, "When it was last changed."),
    },
)


@stored(instrument_requests, visible=own_requests_or_admin, noun="Request")
class InstrumentRequest(Node):
    """A wish that an instrument be harvested; for whoever has it, and admins."""

    local_id: UUID = column(instrument_requests.c.id, "Identifier within the instruments service; `id` in REST.")
    requester_id: UUID = column(instrument_requests.c.requester_id, "`localId` of who wishes it.")
    requester: UserRef | None = one(instrument_requests.c.requester_id, "Who wishes it.")
    requester_email: str = column(_email, "Address of who wishes it.")
    name: str = column(instrument_requests.c.name, "What the instrument is called.")
    location: str = column(instrument_requests.c.location, "Where it stands.")
    harvest_frequency: str = column(instrument_requests.c.harvest_frequency, "How often it should be harvested, in words.")
    justification: str = column(instrument_requests.c.justification, "Why.")
    description: str | None = column(instrument_requests.c.description, "What else there is to say.")
    status: RequestStatus = column(instrument_requests.c.status, "What became of it.")
    admin_notes: str | None = column(instrument_requests.c.admin_notes, "What an admin said to it.")
    created_at: datetime = column(instrument_requests.c.created_at, "When it was made.")
    updated_at: datetime = column(instrument_requests.c.updated_at, "When it was last changed.")
