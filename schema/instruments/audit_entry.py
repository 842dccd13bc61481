"""AuditEntry: who did what to which entity (contract streamweave §10)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core.vocabulary import AuditAction
from engine.declare import Node, column, one, stored
from engine.scalars import JSON
from schema.instruments.access import audited
from schema.instruments.refs import UserRef
from storage.sql.tables import audit_log


@stored(audit_log, visible=audited)
class AuditEntry(Node):
    """Who did what to which entity; for admins."""

    local_id: UUID = column(audit_log.c.id, "Identifier within the instruments service; `id` in REST.")
    entity_type: str = column(audit_log.c.entity_type, "What kind of thing was changed: `instrument`, `file`, `user`.")
    entity_id: UUID = column(audit_log.c.entity_id, "`localId` of what was changed.")
    action: AuditAction = column(audit_log.c.action, "What was done.")
    actor_id: UUID | None = column(audit_log.c.actor_id, "`localId` of who did it; null for the server itself.")
    actor: UserRef | None = one(audit_log.c.actor_id, "Who did it.")
    actor_email: str | None = column(audit_log.c.actor_email, "Their address at that time.")
    changes: JSON | None = column(
        audit_log.c.changes, "Of an update, what each field was before and is after; secrets as `***`."
    )
    created_at: datetime = column(audit_log.c.created_at, "When.")
