"""Rows to measure on: instruments, files and transfers of a middling laboratory, an admin and a user who sees half of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import Table, insert, select, text

from core.identity import INSTRUMENTS
from core.vocabulary import (
    AuditAction,
    GranteeType,
    HookImplementation,
    HookTrigger,
    NotificationType,
    PersistentIdType,
    RequestStatus,
    StorageType,
    TransferAdapter,
    TransferStatus,
)
from storage.sql.database import Database, Transaction
from storage.sql.tables import (
    audit_log,
    file_access_grants,
    file_records,
    file_transfers,
    groups,
    hooks,
    instrument_requests,
    instruments,
    memberships,
    notifications,
    projects,
    schedules,
    service_accounts,
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
        admin, user = await _person(tx, "admin", "admin@example.org"), await _person(tx, "user", "user@example.org")
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
    await _settle(database)
    return Filled(admin, user, machines[0])


async def _person(tx: Transaction, role: str, email: str) -> UUID:
    key = uuid4()
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


async def fill_lists(database: Database, filled: Filled, rows: int) -> None:
    """So many rows of everything that the instruments domain lists, besides what is there."""
    async with database.transaction() as tx:
        instrument = {"instrument_id": filled.instrument}
        location = await tx.scalar(select(storage_locations.c.id))
        file = await tx.scalar(select(file_records.c.id))
        kinds: Mapping[Table, Mapping[str, object]] = {
            instruments: _instrument(0, filled.instrument),
            storage_locations: {
                "type": StorageType.S3,
                "base_path": "/",
                "enabled": True,
                "connection_config": {"bucket": "raw"},
            },
            service_accounts: {"username": "reader", "password_sealed": "none"},
            schedules: instrument | {"default_storage_location_id": location, "cron_expression": "0 3 * * *", "enabled": True},
            hooks: instrument
            | {"trigger": HookTrigger.PRE_TRANSFER, "implementation": HookImplementation.BUILTIN, "builtin_name": "file_filter"}
            | {"config": {"exclude_patterns": ["*.tmp"]}, "priority": 0, "enabled": True},
            groups: {"description": "Some people"},
            projects: {"description": "Some work"},
            instrument_requests: {"requester_id": filled.user, "location": "B 12", "harvest_frequency": "daily"}
            | {"justification": "Copied by hand so far", "status": RequestStatus.PENDING},
            audit_log: {"domain": INSTRUMENTS, "entity_type": "file", "entity_id": file, "action": AuditAction.UPDATE}
            | {
                "actor_id": filled.admin,
                "actor_email": "admin@example.org",
                "changes": {"name": {"before": "a", "after": "b"}},
            },
            notifications: {"recipient_id": filled.admin, "type": NotificationType.INSTRUMENT_REQUEST_SUBMITTED}
            | {"title": "New request", "message": "Somebody wishes for an instrument", "read": False},
        }
        for table, values in kinds.items():
            for index in range(rows):
                await tx.insert(table, **_of(table, values, index))
        for index in range(rows):
            await _person(tx, "user", f"user-{index}@example.org")
        await tx.execute(insert(file_transfers), [_transfer(file, location, attempt) for attempt in range(rows)])
    await _settle(database)


async def _settle(database: Database) -> None:
    """As a database is that has had a minute to itself."""
    if database.dialect.name == "postgresql":
        async with database.engine.connect() as connection:
            alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await alone.execute(text("VACUUM ANALYZE"))
    else:
        async with database.transaction() as tx:
            await tx.execute(text("ANALYZE"))


def _of(table: Table, values: Mapping[str, object], index: int) -> dict[str, object]:
    at = START + timedelta(seconds=index)
    common = {"id": uuid4(), "name": f"Some {index}", "created_at": at, "updated_at": at}
    return {**values, **{name: value for name, value in common.items() if name in table.c}}


async def grant(database: Database) -> UUID:
    """A new user, who was granted one file in five by itself; another one has the others."""
    async with database.transaction() as tx:
        user, other = await _person(tx, "user", "granted@example.org"), await _person(tx, "user", "other@example.org")
        files = await tx.all(select(file_records.c.id).order_by(file_records.c.source_path))
        for first in range(0, len(files), 1000):
            some = enumerate(files[first : first + 1000], first)
            await tx.execute(insert(file_access_grants), [_grant(row["id"], other if n % 5 else user) for n, row in some])
    await _settle(database)
    return user


def _grant(file: UUID, user: UUID) -> dict[str, object]:
    return {"id": uuid4(), "file_id": file, "grantee_type": GranteeType.USER, "grantee_id": user, "granted_at": START}


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
