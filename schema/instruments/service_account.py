"""ServiceAccount: credentials for an instrument's share; the password is never among its fields (contract §4)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from engine.declare import Node, column, stored
from schema.instruments.access import for_admins
from storage.sql.tables import service_accounts


@stored(service_accounts, visible=for_admins)
class ServiceAccount(Node):
    """Credentials with which an instrument's share is read. The password cannot be read back here."""

    local_id: UUID = column(service_accounts.c.id, "Identifier within the instruments service; `id` in REST.")
    name: str = column(service_accounts.c.name, "Display name; need not be unique.")
    domain: str | None = column(service_accounts.c.domain, "Windows domain or workgroup.")
    username: str = column(service_accounts.c.username, "Name to log in with.")
    created_at: datetime = column(service_accounts.c.created_at, "When it was registered.")
    updated_at: datetime = column(service_accounts.c.updated_at, "When it was last changed.")
    deleted_at: datetime | None = column(service_accounts.c.deleted_at, "Set while it is deleted; it can be restored.")
