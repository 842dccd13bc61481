"""Transfer: one attempt to copy one file (contract §9)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core.vocabulary import TransferAdapter, TransferStatus
from engine.declare import Node, column, one, stored
from engine.scalars import Long
from schema.instruments.access import transfers_of_granted_files
from schema.instruments.refs import FileRecordRef, HarvestRunRef, StorageLocationRef
from storage.sql.tables import file_transfers


@stored(file_transfers, visible=transfers_of_granted_files)
class Transfer(Node):
    """One attempt to copy a file to a storage location."""

    local_id: UUID = column(file_transfers.c.id, "Identifier within the instruments service; `id` in REST.")
    file_id: UUID = column(file_transfers.c.file_id, "`localId` of the file.")
    file: FileRecordRef | None = one(file_transfers.c.file_id, "The file.")
    storage_location_id: UUID = column(file_transfers.c.storage_location_id, "`localId` of the storage location.")
    storage_location: StorageLocationRef | None = one(file_transfers.c.storage_location_id, "Where the copy went.")
    destination_path: str | None = column(file_transfers.c.destination_path, "Path of the copy.")
    transfer_adapter: TransferAdapter = column(file_transfers.c.transfer_adapter, "How it was fetched.")
    status: TransferStatus = column(file_transfers.c.status, "How the attempt stands.")
    bytes_transferred: Long | None = column(file_transfers.c.bytes_transferred, "Size of the copy in bytes.")
    source_checksum: str | None = column(file_transfers.c.source_checksum, "XXH64 of what was read.")
    destination_checksum: str | None = column(file_transfers.c.dest_checksum, "XXH64 of the copy, read back.")
    checksum_verified: bool | None = column(file_transfers.c.checksum_verified, "Whether both are equal.")
    started_at: datetime | None = column(file_transfers.c.started_at, "When the copy began.")
    completed_at: datetime | None = column(file_transfers.c.completed_at, "When it ended, well or not.")
    error_message: str | None = column(file_transfers.c.error_message, "Why it failed or was skipped.")
    run_id: UUID | None = column(file_transfers.c.run_id, "`localId` of the harvest that made the attempt.")
    run: HarvestRunRef | None = one(file_transfers.c.run_id, "The harvest that made the attempt; for admins.")
