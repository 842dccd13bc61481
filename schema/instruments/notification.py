"""Notification: what somebody is told of (contract streamweave §10)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core.vocabulary import NotificationType
from engine.declare import Node, column, one, stored
from schema.instruments.access import own_notifications
from schema.instruments.refs import UserRef
from storage.sql.tables import notifications


@stored(notifications, visible=own_notifications)
class Notification(Node):
    """What somebody is told of; only for that person."""

    local_id: UUID = column(notifications.c.id, "Identifier within the instruments service; `id` in REST.")
    recipient_id: UUID = column(notifications.c.recipient_id, "`localId` of who is told.")
    recipient: UserRef | None = one(notifications.c.recipient_id, "Who is told.")
    type: NotificationType = column(notifications.c.type, "What it is about.")
    title: str = column(notifications.c.title, "In few words.")
    message: str = column(notifications.c.message, "In a sentence.")
    link: str | None = column(notifications.c.link, "Page of the web client that has more.")
    read: bool = column(notifications.c.read, "Whether it was marked as read.")
    dismissed_at: datetime | None = column(notifications.c.dismissed_at, "When it was put aside.")
    created_at: datetime = column(notifications.c.created_at, "When it was told.")
