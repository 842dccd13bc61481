"""Rows to measure on: instruments, files and transfers of a middling laboratory, an admin and a user who sees half of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import insert, text

from core.identity import INSTRUMENTS
from core.vocabulary import PersistentIdType, StorageType, TransferAdapter, TransferStatus
from storage.sql.database import Database, Transaction
from storage.sql.tables import (
    file_records,
    file_transfers,
    instruments,
    memberships,
    storage_locations,
    user_instrument_access,
    users,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Filled:
    """The rows that requests name."""

    admin: UUID
    user: UUID
    instrument: UUID


async def fill(database: Database, *, files: int, transfers_per_file: int = 3) -> Filled:
    """Fill the tables."""
    machines, location = [uuid4() for _ in range(20)], uuid4()
    async with database.transaction() as tx:
        admin, user = await _person(tx, "admin"), await _person(tx, "user")
        at = {"created_at": START, "updated_at": START}
        posix = {"type": StorageType.POSIX, "base_path": "/archive", "enabled": True}
        await tx.insert(storage_locations, id=location, name="Archive", **posix, **at)
        await tx.execute(insert(instruments), [_instrument(index, machine) for index, machine in enumerate(machines)])
        access = [{"user_id": user, "instrument_id": machine, "created_at": START} for machine in machines[::2]]
        await tx.execute(insert(user_instrument_access), access)
        for first in range(0, files, 1000):
            rows = [_file(index, machines[index % len(machines)]) for index in range(first, min(first + 1000, files))]
            await tx.execute(insert(file_records), rows)
            transfers = [_transfer(row["id"], location, attempt) for row in rows for attempt in range(transfers_per_file)]
            if transfers:
                await tx.execute(insert(file_transfers), transfers)
        await tx.execute(text("ANALYZE"))
    return Filled(admin, user, machines[0])


async def _person(tx: Transaction, role: str) -> UUID:
    key, email = uuid4(), f"{role}@example.org"
    await tx.insert(
        users,
        id=key,
        email=email,
        email_folded=email,
        password_hash="none",
        credentials_version=1,
        is_active=True,
        is_superuser=False,
        is_verified=True,
        created_at=START,
        updated_at=START,
    )
    await tx.insert(memberships, user_id=key, domain=INSTRUMENTS, role=role, created_at=START)
    return key


def _instrument(index: int, key: UUID) -> dict[str, object]:
    return {
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
