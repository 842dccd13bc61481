"""Names that only one row of a kind has: those of groups and of projects. Contract streamweave §1 [FIX], §10."""

from __future__ import annotations

from sqlalchemy import select

from core.errors import Conflict
from resolvers.instruments.rows import Change, Kind


async def require_free(changing: Change, kind: Kind, name: str) -> None:
    """`Conflict` if a row has that name, even a deleted one, which can be restored. Nobody else takes it meanwhile."""
    await changing.tx.lock(f"{kind.name} {name}")
    row = await changing.tx.first(select(kind.table.c.deleted_at).where(kind.table.c.name == name))
    if row is not None:
        raise Conflict(
            f"A {'' if row['deleted_at'] is None else 'deleted '}{kind.name} with this name already exists", field="name"
        )
