"""Reading notifications, and putting them aside (contract streamweave §10)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Info

from core.policy import Verb
from engine.declare import limited, one, resolver
from resolvers.context import RequestContext
from resolvers.instruments import notifications as use_cases
from schema.inputs import INPUT
from schema.instruments.access import may
from schema.instruments.notification import Notification


@strawberry.input(description="Which notification.")
class NotificationInput:
    """One object per mutation."""

    local_id: UUID = limited("The notification.")


@strawberry.input(description="Which notifications.")
class NotificationsInput:
    """One object per mutation."""

    until: datetime | None = limited("Only those that were told by then; all if it is not given.", default=None)


@strawberry.type(description="The notification as it is now.")
class NotificationPayload:
    """Read back by its key."""

    key: strawberry.Private[UUID]
    notification: Notification | None = one("key", "The notification.")


@strawberry.type(description="What became of all notifications.")
class NotificationsPayload:
    """A count: there may be many."""

    ok: bool = strawberry.field(description="True.")
    count: int = strawberry.field(description="How many were unread.")


@strawberry.type
class NotificationMutations:
    """Each for one's own."""

    @resolver("Mark a notification as read.", guard=may(Verb.UPDATE, "notification"))
    async def mark_notification_read(
        self, info: Info[RequestContext], given: Annotated[NotificationInput, INPUT]
    ) -> NotificationPayload | None:
        return NotificationPayload(key=await use_cases.mark_read(info.context, given.local_id))

    @resolver("Put a notification aside.", guard=may(Verb.UPDATE, "notification"))
    async def dismiss_notification(
        self, info: Info[RequestContext], given: Annotated[NotificationInput, INPUT]
    ) -> NotificationPayload | None:
        return NotificationPayload(key=await use_cases.dismiss(info.context, given.local_id))

    @resolver("Mark all notifications as read.", guard=may(Verb.UPDATE, "notification"))
    async def mark_all_notifications_read(
        self, info: Info[RequestContext], given: Annotated[NotificationsInput, INPUT]
    ) -> NotificationsPayload | None:
        return NotificationsPayload(ok=True, count=await use_cases.mark_all_read(info.context, given.until))
