"""Rows to measure on: instruments, files and transfers of a middling laboratory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import insert

from core.vocabulary import PersistentIdType, StorageType, TransferAdapter, TransferStatus
from storage.sql.database import Database
from storage.sql.tables import file_records, file_transfers, instruments, storage_locations

START = datetime(2026, 1, 1, tzinfo=UTC)


async def fill(database: Database, *, files: int, transfers_per_file: int = 3) -> UUID:
    """Fill the tables; the id of one of the instruments."""
    machines = [uuid4() for _ in range(20)]
    location = uuid4()
    async with database.transaction() as tx:
        await tx.insert(
            storage_locations,
            id=location,
            name="Archive",
            type=StorageType.POSIX,
            base_path="/archive",
            enabled=True,
            created_at=START,
            updated_at=START,
        )
        await tx.execute(
            insert(instruments),
            [
                {
                    "id": key,
                    "name": f"Instrument {index}",
                    "cifs_host": "host",
                    "cifs_share": "share",
                    "enabled": True,
                    "transfer_adapter": TransferAdapter.RCLONE,
                    "transfer_config": {"n": index},
                    "created_at": START + timedelta(seconds=index),
                    "updated_at": START,
                }
                for index, key in enumerate(machines)
            ],
        )
        for first in range(0, files, 1000):
            rows = [_file(index, machines[index % len(machines)]) for index in range(first, min(first + 1000, files))]
            await tx.execute(insert(file_records), rows)
            await tx.execute(
                insert(file_transfers),
                [_transfer(row["id"], location, attempt) for row in rows for attempt in range(transfers_per_file)],
            )
    return machines[0]


def _file(index: int, instrument: UUID) -> dict[str, object]:
    return {
        "id": uuid4(),
        "persistent_id": f"ark:/99999/fk4{index:026}",
        "persistent_id_type": PersistentIdType.ARK,
        "instrument_id": instrument,
        "source_path": f"2026/run_{index:06}/data.raw",
        "filename": "data.raw",
        "size_bytes": index * 1000,
        "source_mtime": START + timedelta(seconds=index),
        "xxhash": f"{index:016x}",
        "first_discovered_at": START + timedelta(seconds=index, microseconds=index),
        "metadata_": {"run": index, "sample": "A"},
    }


def _transfer(file: object, location: UUID, attempt: int) -> dict[str, object]:
    at = START + timedelta(minutes=attempt)
    return {
        "id": uuid4(),
        "file_id": file,
        "storage_location_id": location,
        "destination_path": "/archive/data.raw",
        "transfer_adapter": TransferAdapter.RCLONE,
        "status": TransferStatus.COMPLETED,
        "bytes_transferred": 1000,
        "source_checksum": "0" * 16,
        "dest_checksum": "0" * 16,
        "checksum_verified": True,
        "started_at": at,
        "completed_at": at,
    }
