"""Instrument requests and notifications: contract streamweave §10."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import event, select

from core.errors import Forbidden, NotFound, Unauthenticated
from core.vocabulary import NotificationType, RequestStatus
from resolvers.instruments.instrument_requests import (
    NewInstrumentRequest,
    Review,
    request_instrument,
    review_instrument_request,
)
from resolvers.instruments.notifications import dismiss, mark_all_read, mark_read
from storage.sql.tables import events, instrument_requests, notifications

WISH = NewInstrumentRequest(name="Cryo-EM", location="B 12", harvest_frequency="daily", justification="why not")


async def told(database):
    return await database.all(select(notifications).order_by(notifications.c.created_at))


def who(ctx):
    return next(iter(ctx.principals)).subject


async def test_however_many_admins_there_are_they_are_told_in_one_statement(admin, user, person, database):
    admins = {who(admin), *[(await person(f"{number}@example.org", "admin")).subject for number in range(20)]}
    seen: list[str] = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda _c, _cursor, text, *_: seen.append(text))

    await request_instrument(user, WISH)

    assert {row["recipient_id"] for row in await told(database)} == admins
    assert len([text for text in seen if text.startswith("INSERT INTO notifications")]) == 1


async def test_whoever_is_told_can_be_told_so(admin, user, database):
    """By the feed of changes, under the recipient's key."""
    await request_instrument(user, WISH)

    rows = await database.all(select(events.c.entity_id).where(events.c.entity == "notifications"))
    assert [row["entity_id"] for row in rows] == [str(who(admin))]


async def test_a_review_tells_the_requester_alone(admin, user, person, database):
    await person("grace@example.org", "admin")
    key = await request_instrument(user, WISH)

    await review_instrument_request(admin, key, Review(status=RequestStatus.REJECTED))

    (row,) = [row for row in await told(database) if row["recipient_id"] == who(user)]
    assert (row["type"], row["title"], row["message"], row["read"]) == (
        NotificationType.INSTRUMENT_REQUEST_REJECTED,
        "Request Rejected",
        "Your request for the instrument Cryo-EM was rejected",
        False,
    )


async def test_a_request_that_fails_tells_nobody(admin, user, database):
    with pytest.raises(NotFound, match="Request not found"):
        await review_instrument_request(admin, uuid4(), Review(status=RequestStatus.APPROVED))

    assert await told(database) == []


async def test_only_the_recipient_marks_a_notification(admin, user, database, row):
    await request_instrument(user, WISH)
    ((key,),) = [(each["id"],) for each in await told(database)]

    for mark in (mark_read, dismiss):
        with pytest.raises(Forbidden, match="Access denied"):
            await mark(user, key)
        assert await mark(admin, key) == key
    stored = await row(notifications, key)
    assert (stored["read"], stored["dismissed_at"]) == (True, admin.clock())


async def test_all_that_were_told_by_then_are_read(admin, user, clock):
    await request_instrument(user, WISH)
    seen = clock.now
    clock.advance(seconds=1)
    await request_instrument(user, WISH)

    assert await mark_all_read(admin, seen) == 1
    assert await mark_all_read(admin) == 1
    assert await mark_all_read(admin, datetime(2030, 1, 1, tzinfo=UTC)) == 0


async def test_nobody_in_particular_wishes_nothing(anonymous, user, row):
    with pytest.raises(Unauthenticated):
        await request_instrument(anonymous, WISH)
    with pytest.raises(Forbidden):
        await review_instrument_request(user, uuid4(), Review(status=RequestStatus.APPROVED))


async def test_a_wish_is_stored_as_it_was_said(user, row, clock):
    key = await request_instrument(user, WISH)

    assert await row(instrument_requests, key) == {
        "id": key,
        "requester_id": who(user),
        "name": "Cryo-EM",
        "location": "B 12",
        "harvest_frequency": "daily",
        "justification": "why not",
        "description": None,
        "status": RequestStatus.PENDING,
        "admin_notes": None,
        "created_at": clock.now,
        "updated_at": clock.now,
    }
