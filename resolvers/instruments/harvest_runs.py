"""Harvests under way or waiting: ending one before its time."""

from __future__ import annotations

from uuid import UUID

from core.errors import NotFound
from core.identity import INSTRUMENTS
from core.policy import Verb
from core.vocabulary import AuditAction
from jobs.harvest import KIND
from resolvers.audit import noted
from resolvers.context import RequestContext
from resolvers.instruments.rows import SCHEDULE, change
from storage.sql.tables import runs


async def cancel_run(ctx: RequestContext, key: UUID) -> UUID:
    """A waiting harvest ends at once, a running one as soon as its worker notices. Raises `Conflict` for one that has ended."""
    actor = ctx.require(INSTRUMENTS, Verb.EXECUTE, "schedule")
    async with change(ctx, actor) as changing:
        run = await changing.tx.get(runs, key)
        if run is None or run["kind"] != KIND:
            raise NotFound("Run not found")
        await ctx.services.runner.cancel(changing.tx, key)
        await changing.audit(AuditAction.UPDATE, SCHEDULE, run["subject_id"], noted("canceled_run", key))
    return key
