"""Removes what is old: runs that ended long ago, and their logs; keys of changes that nobody asks for again.

What a run copied keeps its transfers, digests and links.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, exists, or_, select

from core.clock import utc_now
from core.vocabulary import AuditAction, RunState
from storage.sql.database import Database
from storage.sql.tables import idempotency_keys, runs

BATCH = 100
"""Runs in one transaction: others want to write, too."""


async def remove_finished(database: Database, before: datetime) -> int:
    """How many were removed. Any number of processes may do so at once."""
    removed = 0
    while await database.first(_outdated(before).limit(1)) is not None:
        async with database.transaction() as transaction:
            found = _outdated(before).order_by(runs.c.number).limit(BATCH).with_for_update(skip_locked=True, of=runs)
            keys = [row["id"] for row in await transaction.all(found)]
            if not keys:  # another process removes them
                return removed
            removed += await transaction.execute(delete(runs).where(runs.c.id.in_(keys)))
            for key in keys:
                transaction.announce(runs, key, utc_now(), AuditAction.DELETE)
    return removed


async def forget_keys(database: Database, now: datetime) -> int:
    """How many were removed of the `Idempotency-Key`s whose time is over."""
    over = select(idempotency_keys.c.name).where(idempotency_keys.c.expires_at <= now).limit(BATCH)
    removed = 0
    while True:
        async with database.transaction() as transaction:
            found = [row["name"] for row in await transaction.all(over.with_for_update(skip_locked=True))]
            removed += await transaction.execute(delete(idempotency_keys).where(idempotency_keys.c.name.in_(found)))
        if len(found) < BATCH:
            return removed


def _outdated(before: datetime) -> Select[Any]:
    """Of what was started for something, the newest run that did its work stays, however old it is."""
    newer = runs.alias("newer")
    replaced = exists().where(
        newer.c.subject_id == runs.c.subject_id,
        newer.c.number > runs.c.number,
        newer.c.finished_at.is_not(None),
        newer.c.state != RunState.SKIPPED,
    )
    return select(runs.c.id).where(runs.c.finished_at < before, or_(runs.c.subject_id.is_(None), replaced))
