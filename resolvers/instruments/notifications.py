"""Notifications: what people are told of. Contract streamweave §10.

They are not in the audit log: they tell of changes that are, and whether somebody has read one is that person's own matter.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, insert, literal, select, update
from sqlalchemy.engine import RowMapping

from core.errors import Forbidden, NotFound
from core.identity import INSTRUMENTS
from core.policy import Verb
from core.vocabulary import NotificationType, Role
from resolvers.context import RequestContext
from resolvers.instruments.rows import Change
from storage.sql.database import Transaction
from storage.sql.functions import random_uuid
from storage.sql.tables import memberships, notifications, users

_TITLES = {
    NotificationType.INSTRUMENT_REQUEST_SUBMITTED: ("New Instrument Request", "/admin/instrument-requests"),
    NotificationType.INSTRUMENT_REQUEST_APPROVED: ("Request Approved", "/request"),
    NotificationType.INSTRUMENT_REQUEST_REJECTED: ("Request Rejected", "/request"),
}


def active_admins() -> Select[tuple[UUID]]:
    """Their ids."""
    admins = select(users.c.id).join(memberships, memberships.c.user_id == users.c.id)
    admins = admins.where(memberships.c.domain == INSTRUMENTS, memberships.c.role == Role.ADMIN.value)
    return admins.where(users.c.is_active, users.c.deleted_at.is_(None))


async def notify(changing: Change, recipients: Select[tuple[UUID]], kind: NotificationType, message: str) -> None:
    """Tell all of them in one statement, as part of the change it is about."""
    title, link = _TITLES[kind]
    (recipient,) = recipients.selected_columns
    row = {
        "id": random_uuid(),
        "recipient_id": recipient,
        "type": literal(kind, notifications.c.type.type),
        "title": literal(title),
        "message": literal(message),
        "link": literal(link),
        "read": literal(False),
        "created_at": literal(changing.at, notifications.c.created_at.type),
    }
    told = insert(notifications).from_select(list(row), recipients.with_only_columns(*row.values()))
    for made in await changing.tx.all(told.returning(notifications.c.recipient_id)):
        changing.tx.announce(notifications, made["recipient_id"], changing.at)


async def mark_read(ctx: RequestContext, key: UUID) -> UUID:
    """Reading it twice is no error. Raises `NotFound`, or `Forbidden` for another's."""
    return await _mark(ctx, key, read=True)


async def dismiss(ctx: RequestContext, key: UUID) -> UUID:
    """It is in no list from now on. Raises `NotFound`, or `Forbidden` for another's."""
    return await _mark(ctx, key, dismissed_at=ctx.clock())


async def mark_all_read(ctx: RequestContext, until: datetime | None = None) -> int:
    """How many were unread. With `until` only what was told by then: somebody may be told more while they read."""
    actor = ctx.require(INSTRUMENTS, Verb.UPDATE, "notification")
    unread = [notifications.c.recipient_id == actor.subject, notifications.c.read.is_(False)]
    if until is not None:
        unread.append(notifications.c.created_at <= until)
    async with ctx.sql.transaction() as transaction:
        transaction.announce(notifications, actor.subject, ctx.clock())
        return await transaction.execute(update(notifications).where(*unread).values(read=True))


async def _mark(ctx: RequestContext, key: UUID, **columns: object) -> UUID:
    actor = ctx.require(INSTRUMENTS, Verb.UPDATE, "notification")
    async with ctx.sql.transaction() as transaction:
        row = await _own(transaction, key, actor.subject)
        different = {name: value for name, value in columns.items() if not row[name]}
        if different:
            await transaction.update(notifications, key, **different)
            transaction.announce(notifications, actor.subject, ctx.clock())
    return key


async def _own(transaction: Transaction, key: UUID, person: UUID) -> RowMapping:
    row = await transaction.get(notifications, key)
    if row is None:
        raise NotFound("Notification not found")
    if row["recipient_id"] != person:
        raise Forbidden("Access denied")
    return row
