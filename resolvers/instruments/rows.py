"""What all rows of the instruments domain share: audited creation and change, soft deletion, restoration.

The rules are contract streamweave §1 and §3 ("Soft delete"); what is special about one kind of row is in its own module.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
from sqlalchemy import ColumnElement, Table, exists, select, true
from sqlalchemy.engine import RowMapping

from core.errors import NotFound
from core.identity import INSTRUMENTS, Principal
from core.policy import Verb
from core.vocabulary import AuditAction
from resolvers import audit
from resolvers.context import RequestContext
from storage.sql.database import Transaction
from storage.sql.tables import (
    file_records,
    groups,
    hooks,
    instruments,
    memberships,
    projects,
    schedules,
    service_accounts,
    storage_locations,
    users,
)

Row = RowMapping | Mapping[str, Any]
"""As it is stored, or with what is stored beside it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of row: its table, its name in policy and messages, and which rows of the table belong to this domain."""

    table: Table
    name: str
    scope: ColumnElement[bool] | None = None

    @property
    def noun(self) -> str:
        """As a sentence begins: `Storage location`."""
        return self.name.capitalize()

    @property
    def entity(self) -> str:
        """As the audit log says it: `storage_location`."""
        return self.name.replace(" ", "_")


INSTRUMENT = Kind(instruments, "instrument")
SERVICE_ACCOUNT = Kind(service_accounts, "service account")
STORAGE_LOCATION = Kind(storage_locations, "storage location")
SCHEDULE = Kind(schedules, "schedule")
FILE = Kind(file_records, "file")
HOOK = Kind(hooks, "hook")
GROUP = Kind(groups, "group")
PROJECT = Kind(projects, "project")
USER = Kind(
    users,
    "user",
    scope=exists().where(memberships.c.user_id == users.c.id, memberships.c.domain == INSTRUMENTS),
)


@dataclass(frozen=True, slots=True)
class Change:
    """One change under way: its transaction, who makes it, and when."""

    tx: Transaction
    actor: Principal | None
    at: datetime

    def by(self, actor: Principal) -> Change:
        """The same, made by somebody who is known only now."""
        return replace(self, actor=actor)

    async def live(self, kind: Kind, key: UUID) -> RowMapping:
        """The row; `NotFound` if it is deleted or never was."""
        return await self._row(kind, key, kind.table.c.deleted_at.is_(None), f"{kind.noun} not found")

    async def any(self, kind: Kind, key: UUID) -> RowMapping:
        """The row, whether or not it is deleted; `NotFound` if it never was."""
        return await self._row(kind, key, true(), f"{kind.noun} not found")

    async def create(self, kind: Kind, **values: Any) -> UUID:
        """Add a row; its new key."""
        key = uuid4()
        await self.tx.insert(kind.table, id=key, created_at=self.at, updated_at=self.at, **values)
        await self._changed(AuditAction.CREATE, kind, key)
        return key

    async def update(
        self, kind: Kind, row: Row, sent: Mapping[str, object], columns: Mapping[str, object] | None = None
    ) -> None:
        """Store what differs and log what was sent; `{}` does neither. `columns` when fields are stored in another form."""
        if not sent:
            return
        stored = sent if columns is None else columns
        different = {name: value for name, value in stored.items() if not _same(row[name], value)}
        if different:
            await self.tx.update(kind.table, row["id"], **different, updated_at=self.at)
            self.tx.announce(kind.table, row["id"], self.at, AuditAction.UPDATE)
        await self.audit(AuditAction.UPDATE, kind, row["id"], audit.changes_between(row, sent))

    async def delete(self, kind: Kind, row: RowMapping, **also: Any) -> None:
        """Hide a row until it is restored. Rows that refer to it keep doing so."""
        disabled = {"enabled": False} if "enabled" in kind.table.c else {}
        await self.tx.update(kind.table, row["id"], deleted_at=self.at, updated_at=self.at, **disabled, **also)
        await self._changed(AuditAction.DELETE, kind, row["id"])

    async def restore(self, kind: Kind, key: UUID, **also: Any) -> None:
        """Bring a deleted row back. It stays disabled: whoever wants it to run again says so."""
        row = await self._row(kind, key, kind.table.c.deleted_at.is_not(None), f"Deleted {kind.name} not found")
        await self.tx.update(kind.table, row["id"], deleted_at=None, updated_at=self.at, **also)
        await self._changed(AuditAction.RESTORE, kind, row["id"])

    async def refers_to(self, kind: Kind, field: str, sent: Mapping[str, Any], row: RowMapping | None = None) -> None:
        """`InvalidInput` unless the field names a live row. A reference that stays as it was may be to a deleted one (§3)."""
        if field in sent and (row is None or sent[field] != row[field]):
            await self.tx.must_exist(kind.table, sent[field], field=field, noun=kind.noun)

    async def audit(self, action: AuditAction, kind: Kind, key: UUID, changes: audit.Changes | None = None) -> None:
        """Log what this change did."""
        await audit.record(
            self.tx, self.actor, action, domain=INSTRUMENTS, entity=kind.entity, key=key, at=self.at, changes=changes
        )

    async def happened(self, kind: Kind, key: UUID, what: str, *, before: object = None, after: object = None) -> None:
        """Tell and log, as an update, what changed no column of the row: who joined or left, who may see it."""
        self.tx.announce(kind.table, key, self.at, AuditAction.UPDATE)
        await self.audit(AuditAction.UPDATE, kind, key, audit.noted(what, after, before=before))

    async def _changed(self, action: AuditAction, kind: Kind, key: UUID) -> None:
        self.tx.announce(kind.table, key, self.at, action)
        await self.audit(action, kind, key)

    async def _row(self, kind: Kind, key: UUID, state: ColumnElement[bool], otherwise: str) -> RowMapping:
        scope = true() if kind.scope is None else kind.scope
        row = await self.tx.first(select(kind.table).where(kind.table.c.id == key, state, scope).with_for_update())
        if row is None:
            raise NotFound(otherwise)
        return row


@asynccontextmanager
async def change(ctx: RequestContext, actor: Principal | None) -> AsyncIterator[Change]:
    """A transaction in which rows are changed, all at one moment: the one when it was this writer's turn."""
    async with ctx.sql.transaction() as transaction:
        yield Change(transaction, actor, ctx.clock())


async def delete_row(ctx: RequestContext, kind: Kind, key: UUID) -> UUID:
    """Hide it until it is restored: what its kind loses meanwhile is said where that is declared."""
    actor = ctx.require(INSTRUMENTS, Verb.DELETE, kind.name)
    async with change(ctx, actor) as changing:
        await changing.delete(kind, await changing.live(kind, key))
    return key


async def restore_row(ctx: RequestContext, kind: Kind, key: UUID) -> UUID:
    """Bring it back with what refers to it; disabled, if it can be."""
    actor = ctx.require(INSTRUMENTS, Verb.DELETE, kind.name)
    async with change(ctx, actor) as changing:
        await changing.restore(kind, key)
    return key


def _same(stored: object, value: object) -> bool:
    """Equal, and for JSON also spelled the same: to Python, `{"a": 1}` equals `{"a": true}`."""
    if isinstance(stored, dict) and isinstance(value, dict):
        return orjson.dumps(stored) == orjson.dumps(value)
    return stored == value
