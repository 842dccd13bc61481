"""The feed of changes: a row per change, the last thing that its transaction writes, numbered in the order of commits.

Whoever knows a number can read everything that came after it, for as long as the feed is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, insert, select
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from core.sql import Row, Statement
from storage.sql.tables import events

if TYPE_CHECKING:
    from storage.sql.database import Database

CHANNEL = "switchyard_events"
"""On which PostgreSQL tells every server of new rows."""

BATCH = 1000


async def publish(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """Write what happened and tell those who listen. The caller holds the feed's lock and commits right after.

    So nobody gets a lower number later than somebody else a higher one, and a reader who has seen a number has missed none.
    """
    await connection.execute(insert(events), rows)
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_notify(CHANNEL, "")))


async def newest(database: Database) -> int:
    """The last number of the feed; 0 if nothing ever happened."""
    row = await database.first(select(func.coalesce(func.max(events.c.number), 0).label("number")))
    assert row is not None
    return int(row["number"])


async def oldest(database: Database) -> int:
    """The first number that is kept; 0 if nothing ever happened."""
    row = await database.first(select(func.coalesce(func.min(events.c.number), 0).label("number")))
    assert row is not None
    return int(row["number"])


async def happened_after(database: Database, number: int) -> Sequence[Row]:
    """`number`, `entity` and `entity_id` of what happened next, at most a batch."""
    return await _next(database.dialect).fetch(database, after=number)


@lru_cache(maxsize=8)
def _next(dialect: Dialect) -> Statement:
    found = select(events.c.number, events.c.entity, events.c.entity_id).where(events.c.number > bindparam("after"))
    return Statement(found.order_by(events.c.number).limit(BATCH), dialect, "feed of changes")


async def forget_events(database: Database, before: datetime) -> int:
    """Remove what happened before; how many. The newest stays whatever its age: it says where the feed has got to."""
    removed = 0
    while True:
        async with database.transaction() as transaction:
            last = await transaction.scalar(select(func.max(events.c.number)))
            first = select(events.c.number, events.c.at).order_by(events.c.number).limit(BATCH)
            old = [row["number"] for row in await transaction.all(first) if row["at"] < before and row["number"] != last]
            if old:
                removed += await transaction.execute(delete(events).where(events.c.number <= old[-1], events.c.number != last))
        if len(old) < BATCH:
            return removed
