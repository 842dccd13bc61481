"""Seals every stored secret with the newest key; older keys are not needed any more when all of it is done.

Batch by batch, each in a transaction of its own: what is interrupted goes on when it is started again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Column, bindparam, select, update
from sqlalchemy.engine import RowMapping

from core.secrets import Keyring, UndecipherableSecretError
from storage.sql.database import Database
from storage.sql.tables import service_accounts, storage_locations

SEALED: tuple[Column[Any], ...] = (service_accounts.c.password_sealed, storage_locations.c.secrets_sealed)
"""Every column that holds what a `Keyring` sealed."""

BATCH = 100


@dataclass(slots=True)
class Rotation:
    """What was done, and what could not be."""

    sealed: int = 0
    unreadable: list[str] = field(default_factory=list)
    """Table, id and reason."""


async def rotate_secrets(database: Database, keyring: Keyring) -> Rotation:
    """What somebody changes meanwhile stays as they have it: it is sealed with their key."""
    rotation = Rotation()
    for column in SEALED:
        async for rows in _stale(database, column, keyring.current):
            await _seal(database, column, keyring, rows, rotation)
    return rotation


async def _stale(database: Database, column: Column[Any], current: str) -> AsyncIterator[Sequence[RowMapping]]:
    """The rows that another key sealed, deleted ones included; each is looked at once."""
    table, last = column.table, UUID(int=0)
    stale = select(table.c.id, column.label("sealed")).where(column.is_not(None), ~column.startswith(current, autoescape=True))
    while rows := await database.all(stale.where(table.c.id > last).order_by(table.c.id).limit(BATCH)):
        yield rows
        last = rows[-1]["id"]


async def _seal(
    database: Database, column: Column[Any], keyring: Keyring, rows: Sequence[RowMapping], rotation: Rotation
) -> None:
    table, again = column.table, []
    for row in rows:
        try:
            again.append({"row": row["id"], "before": row["sealed"], "after": keyring.seal(keyring.unseal(row["sealed"]))})
        except UndecipherableSecretError as error:
            rotation.unreadable.append(f"{table.name} {row['id']}: {error}")
    if again:
        unchanged = (table.c.id == bindparam("row"), column == bindparam("before"))
        async with database.transaction() as transaction:
            await transaction.execute(update(table).where(*unchanged).values({column: bindparam("after")}), again)
        rotation.sealed += len(again)
