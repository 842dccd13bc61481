"""Files and transfers as harvests leave them: contract §9 has no route that makes them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from core.vocabulary import PersistentIdType, StorageType, TransferAdapter, TransferStatus
from storage.sql.tables import (
    file_access_grants,
    file_records,
    file_transfers,
    group_members,
    groups,
    instruments,
    project_members,
    projects,
    storage_locations,
    user_instrument_access,
)
from tests.contract.support import START, World

Row = dict[str, Any]


def created(**columns: Any) -> Row:
    return {"id": uuid4(), "created_at": START, "updated_at": START, **columns}


async def add_instrument(world: World, **columns: Any) -> UUID:
    row = created(name="x", cifs_host="x", cifs_share="x", transfer_adapter=TransferAdapter.RCLONE, enabled=True)
    await world.insert(instruments, row | columns)
    key: UUID = (row | columns)["id"]
    return key


async def add_location(world: World, **columns: Any) -> UUID:
    row = created(name="x", type=StorageType.POSIX, base_path="/x", enabled=True)
    await world.insert(storage_locations, row | columns)
    key: UUID = (row | columns)["id"]
    return key


def file_row(instrument: UUID, **columns: Any) -> Row:
    key = uuid4()
    return {
        "id": key,
        "persistent_id": f"ark:/99999/fk4{key.hex}",
        "persistent_id_type": PersistentIdType.ARK,
        "instrument_id": instrument,
        "source_path": f"{key}.csv",
        "filename": f"{key}.csv",
        "size_bytes": 14,
        "source_mtime": START,
        "xxhash": "d6a06c8f22ac88e4",
        "sha256": None,
        "first_discovered_at": START,
        "metadata_": {},
        "owner_id": None,
        **columns,
    }


def transfer_row(file: UUID, location: UUID, **columns: Any) -> Row:
    return {
        "id": uuid4(),
        "file_id": file,
        "storage_location_id": location,
        "destination_path": None,
        "transfer_adapter": TransferAdapter.RCLONE,
        "status": TransferStatus.COMPLETED,
        "bytes_transferred": None,
        "source_checksum": None,
        "dest_checksum": None,
        "checksum_verified": None,
        "started_at": START,
        "completed_at": None,
        "error_message": None,
        "run_id": None,
        **columns,
    }


async def add_files(world: World, instrument: UUID, count: int = 1, **columns: Any) -> list[Row]:
    rows = [file_row(instrument, **columns) for _ in range(count)]
    await world.insert(file_records, *rows)
    return rows


async def add_file(world: World, instrument: UUID | None = None, **columns: Any) -> UUID:
    (row,) = await add_files(world, instrument or await add_instrument(world), **columns)
    key: UUID = row["id"]
    return key


async def add_transfers(world: World, rows: Iterable[Row]) -> None:
    await world.insert(file_transfers, *rows)


async def add_transfer(world: World, file: UUID, location: UUID | None = None, **columns: Any) -> UUID:
    row = transfer_row(file, location or await add_location(world), **columns)
    await add_transfers(world, [row])
    key: UUID = row["id"]
    return key


def moments(count: int) -> list[datetime]:
    """Different ones, from old to new."""
    return [START + timedelta(seconds=number) for number in range(count)]


async def give_access(world: World, user: UUID, instrument: UUID) -> None:
    await world.insert(user_instrument_access, {"user_id": user, "instrument_id": instrument, "created_at": START})


async def grant(world: World, file: UUID, kind: str, grantee: UUID) -> None:
    row = {"id": uuid4(), "file_id": file, "grantee_type": kind, "grantee_id": grantee, "granted_at": START}
    await world.insert(file_access_grants, row)


async def add_group(world: World, *members: UUID, **columns: Any) -> UUID:
    row = created(**({"name": f"group {uuid4()}"} | columns))
    await world.insert(groups, row)
    for member in members:
        await world.insert(group_members, {"user_id": member, "group_id": row["id"], "created_at": START})
    key: UUID = row["id"]
    return key


async def add_project(world: World, *members: tuple[str, UUID], **columns: Any) -> UUID:
    row = created(**({"name": f"project {uuid4()}"} | columns))
    await world.insert(projects, row)
    for kind, member in members:
        member_row = {"id": uuid4(), "project_id": row["id"], "member_type": kind, "member_id": member, "created_at": START}
        await world.insert(project_members, member_row)
    key: UUID = row["id"]
    return key
