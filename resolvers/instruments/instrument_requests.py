"""Instrument requests: what people wish to be harvested, and what admins say to it. Contract streamweave §10."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from core.errors import NotFound
from core.identity import INSTRUMENTS
from core.policy import Verb
from core.vocabulary import NotificationType, RequestStatus
from resolvers.context import RequestContext
from resolvers.inputs import checked, given
from resolvers.instruments.notifications import active_admins, notify
from resolvers.instruments.rows import Kind, change
from storage.sql.tables import instrument_requests, users

REQUEST = Kind(instrument_requests, "instrument request")

_REVIEWED = {
    RequestStatus.APPROVED: NotificationType.INSTRUMENT_REQUEST_APPROVED,
    RequestStatus.REJECTED: NotificationType.INSTRUMENT_REQUEST_REJECTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInstrumentRequest:
    """A wish."""

    name: str
    location: str
    harvest_frequency: str
    justification: str
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What becomes of it; notes that are not given are gone."""

    status: RequestStatus
    admin_notes: str | None = None


async def request_instrument(ctx: RequestContext, new: NewInstrumentRequest) -> UUID:
    """Every active admin is told."""
    actor = ctx.require(INSTRUMENTS, Verb.CREATE, REQUEST.name)
    values = checked(instrument_requests, given(new))
    async with change(ctx, actor) as changing:
        key = await changing.create(REQUEST, requester_id=actor.subject, status=RequestStatus.PENDING, **values)
        message = f"{actor.email} requests the instrument {new.name}"
        await notify(changing, active_admins(), NotificationType.INSTRUMENT_REQUEST_SUBMITTED, message)
    return key


async def review_instrument_request(ctx: RequestContext, key: UUID, review: Review) -> UUID:
    """The requester is told, unless it is pending again."""
    actor = ctx.require(INSTRUMENTS, Verb.UPDATE, REQUEST.name)
    sent = checked(instrument_requests, given(review))
    async with change(ctx, actor) as changing:
        row = await changing.tx.get(instrument_requests, key)
        if row is None:
            raise NotFound("Request not found")
        await changing.update(REQUEST, row, sent)
        if review.status in _REVIEWED:
            message = f"Your request for the instrument {row['name']} was {review.status}"
            message = f"{message}: {review.admin_notes}" if review.admin_notes else message
            requester = select(users.c.id).where(users.c.id == row["requester_id"])
            await notify(changing, requester, _REVIEWED[review.status], message)
    return key
