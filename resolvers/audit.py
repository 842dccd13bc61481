"""The audit log: who did what to which entity. Contract streamweave §10.

What a change looked like is told for updates only, and secrets never: they appear as `***` on both sides.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.engine import RowMapping

from core.clock import wire_time
from core.identity import Principal
from core.vocabulary import AuditAction
from storage.sql.database import Transaction
from storage.sql.tables import audit_log

HIDDEN = "***"
_SECRET_FIELDS = frozenset({"password", "connection_config", "webhook_url"})

Changes = dict[str, dict[str, Any]]


async def record(
    transaction: Transaction,
    actor: Principal | None,
    action: AuditAction,
    *,
    domain: str,
    entity: str,
    key: UUID,
    at: datetime,
    changes: Changes | None = None,
) -> None:
    """Write one row as part of the change it tells of. Nobody acts when the server does something by itself."""
    await transaction.insert(
        audit_log,
        id=uuid4(),
        domain=domain,
        entity_type=entity,
        entity_id=key,
        action=action,
        actor_id=actor.subject if actor else None,
        actor_email=actor.email if actor else None,
        changes=changes,
        created_at=at,
    )


def changes_between(before: RowMapping | Mapping[str, Any], sent: Mapping[str, object]) -> Changes:
    """`{field: {before, after}}` for each key that was sent, even if equal."""
    return {name: _side_by_side(name, before, value) for name, value in sent.items()}


def noted(name: str, value: object, *, before: object = None) -> Changes:
    """Something that happened to an entity and changed no field of it: `{name: {before: null, after: value}}`.

    The log's actions are a closed set, so a revealed password or a triggered harvest is an update that says so.
    """
    return {name: {"before": _plain(before), "after": _plain(value)}}


def _side_by_side(name: str, before: RowMapping | Mapping[str, Any], value: object) -> dict[str, Any]:
    if name in _SECRET_FIELDS:
        return {"before": HIDDEN, "after": HIDDEN}
    return {"before": _plain(before[name]), "after": _plain(value)}


def _plain(value: object) -> object:
    """As JSON on any database: one of them serialises by itself and knows no UUIDs."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return wire_time(value)
    return value.value if isinstance(value, enum.Enum) else value
