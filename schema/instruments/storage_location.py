"""StorageLocation: where copies of files go (contract §5). What is secret in its configuration reads as `****`."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core.vocabulary import StorageType
from engine.declare import Node, column, stored
from engine.scalars import JSON
from schema.instruments.access import for_members, is_admin
from storage.sql.tables import storage_locations


@stored(storage_locations, visible=for_members)
class StorageLocation(Node):
    """A place that harvested files are copied to."""

    local_id: UUID = column(storage_locations.c.id, "Identifier within the instruments service; `id` in REST.")
    name: str = column(storage_locations.c.name, "Display name; need not be unique.")
    type: StorageType = column(storage_locations.c.type, "What kind of place it is.")
    base_path: str = column(storage_locations.c.base_path, "Folder or key prefix below which copies are put.")
    connection_config: JSON | None = column(
        storage_locations.c.connection_config,
        "How to reach it, secrets as `****`; for admins.",
        allowed=is_admin,
    )
    enabled: bool = column(storage_locations.c.enabled, "Whether it may be used.")
    created_at: datetime = column(storage_locations.c.created_at, "When it was registered.")
    updated_at: datetime = column(storage_locations.c.updated_at, "When it was last changed.")
    deleted_at: datetime | None = column(storage_locations.c.deleted_at, "Set while it is deleted; it can be restored.")
