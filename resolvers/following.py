"""What subscriptions read when something they follow has changed: of runs their logs, of rows the feed of their changes."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.engine import RowMapping

from core.errors import PreconditionFailed
from resolvers.context import RequestContext
from storage.sql.events import newest, oldest
from storage.sql.tables import events, run_log

LINES, CHANGES = 500, 100
"""At a time."""


async def lines_after(ctx: RequestContext, run_id: UUID, line: int) -> Sequence[RowMapping]:
    """`id` and `line` of what was written next into a run's log."""
    found = select(run_log.c.id, run_log.c.line).where(run_log.c.run_id == run_id, run_log.c.line > line)
    return await ctx.sql.all(found.order_by(run_log.c.line).limit(LINES))


async def changes_after(ctx: RequestContext, entity: str, key: str, number: int) -> Sequence[RowMapping]:
    """`number`, `action` and `at` of what happened next to a row."""
    found = select(events.c.number, events.c.action, events.c.at).where(
        events.c.entity == entity, events.c.entity_id == key, events.c.number > number, events.c.action.is_not(None)
    )
    return await ctx.sql.all(found.order_by(events.c.number).limit(CHANGES))


async def from_now(ctx: RequestContext) -> int:
    """The place in the feed of changes after which everything is still to come."""
    return await newest(ctx.sql)


async def require_kept(ctx: RequestContext, number: int) -> None:
    """`PreconditionFailed` unless everything that followed that place can still be read."""
    first, last = await oldest(ctx.sql), await newest(ctx.sql)
    if not first <= number + 1 or number > last:
        detail = "what changed after this cursor is no longer kept: read the node anew, and subscribe without `after`"
        raise PreconditionFailed(detail, field="after")
