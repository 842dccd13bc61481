"""FileRecord: one path discovered on one instrument (contract §9)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core.vocabulary import PersistentIdType
from engine.connection import Connection
from engine.declare import Node, column, many, one, stored
from engine.scalars import JSON, Long
from schema.instruments.access import granted_files
from schema.instruments.orders import NEWEST_TRANSFERS, TRANSFERS_WITH_STATUS
from schema.instruments.refs import InstrumentRef, TransferRef, UserRef
from storage.sql.tables import file_records, file_transfers


@stored(file_records, visible=granted_files, noun="File")
class FileRecord(Node):
    """A file found on an instrument, with its persistent identifier and every attempt to copy it."""

    local_id: UUID = column(file_records.c.id, "Identifier within the instruments service; `id` in REST.")
    persistent_id: str = column(file_records.c.persistent_id, "Its ARK, minted when it was discovered; never changes.")
    persistent_id_type: PersistentIdType = column(file_records.c.persistent_id_type, "Scheme of the persistent identifier.")
    instrument_id: UUID = column(file_records.c.instrument_id, "`localId` of the instrument.")
    instrument: InstrumentRef | None = one(file_records.c.instrument_id, "The instrument it was found on.")
    source_path: str = column(file_records.c.source_path, "Path on the instrument, relative to the harvested folder.")
    filename: str = column(file_records.c.filename, "Last part of the path.")
    size: Long | None = column(file_records.c.size_bytes, "Size in bytes.")
    source_modified_at: datetime | None = column(file_records.c.source_mtime, "When it was last changed on the instrument.")
    checksum: str | None = column(file_records.c.xxhash, "XXH64 (seed 0) of the content, 16 hex digits; null until copied.")
    sha256: str | None = column(file_records.c.sha256, "SHA-256 of the content, if it was computed.")
    first_discovered_at: datetime = column(file_records.c.first_discovered_at, "When a harvest first saw it.")
    metadata: JSON | None = column(file_records.c.metadata_, "What hooks extracted from its name and content.")
    owner_id: UUID | None = column(file_records.c.owner_id, "`localId` of the user who owns it.")
    owner: UserRef | None = one(file_records.c.owner_id, "The user who owns it; for admins and the owner.")
    transfers: Connection[TransferRef] = many(
        NEWEST_TRANSFERS,
        "Attempts to copy it, newest first.",
        parent=file_transfers.c.file_id,
        arguments=TRANSFERS_WITH_STATUS,
    )
