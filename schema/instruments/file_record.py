"""FileRecord: one path discovered on one instrument (contract §9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, select

from core.context import Context
from core.exact_json import read_json, write_json
from core.identity import INSTRUMENTS
from core.vocabulary import PersistentIdType, TransferStatus
from engine.connection import Connection
from engine.declare import batch, column, many, one, some, stored
from engine.scalars import JSON, Bytes, Long
from schema.instruments.access import count_granted_files, granted_files
from schema.instruments.choices import FILE_CHOICES, GRANT_CHOICES, TRANSFER_CHOICES
from schema.instruments.orders import FILES_BY_DISCOVERY, GRANTS_BY_AGE, NEWEST_TRANSFERS, TRANSFERS_WITH_STATUS
from schema.instruments.refs import FileGrantRef, FileRecordRef, InstrumentRef, TransferRef, UserRef
from schema.lookups.enrichment import enrichment
from schema.lookups.lookup_item import LookupItem
from schema.union.interfaces import DataAsset, DataAssetRef, Run, RunRef
from schema.union.links import LinkKind, all_linked, linked
from storage.sql.tables import file_access_grants, file_records, file_transfers

_is_copied = (
    exists()
    .where(
        file_transfers.c.file_id == file_records.c.id,
        file_transfers.c.status == TransferStatus.COMPLETED,
        file_transfers.c.destination_path.is_not(None),
    )
    .correlate(file_records)
)

_shown = file_records.alias("shown")


def _of_same_acquisition(file: ColumnElement[Any]) -> ColumnElement[bool]:
    """Of the file with that key. By equality with single values, so that the index over both columns serves."""
    same = (
        file_records.c[name] == select(_shown.c[name]).where(_shown.c.id == file).scalar_subquery()
        for name in ("instrument_id", "acquisition")
    )
    return and_(*same)


async def content_links(ctx: Context, rows: Sequence[Sequence[Any]]) -> list[str | None]:
    """A link for each file that has a copy."""
    asking = ctx.principals.of(INSTRUMENTS)
    if asking is None:
        return [None] * len(rows)
    return [ctx.services.downloads.url(UUID(key), asking.subject) if is_copied else None for key, is_copied in rows]


def metadata_value(stored: str | None, arguments: Mapping[str, Any]) -> str | None:
    """One value of the metadata, to be looked up: text as it is, numbers, booleans and arrays as JSON has them."""
    metadata = None if stored is None else read_json(stored.encode())
    value = metadata.get(arguments["metadata_key"]) if isinstance(metadata, dict) else None
    return value if value is None or isinstance(value, str) else write_json(value).decode()


@stored(file_records, visible=granted_files, total=count_granted_files, noun="File")
class FileRecord(DataAsset):
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
    content: Bytes | None = batch(
        content_links,
        "Its content, from the newest copy; null until there is one. The link is for whoever asks.",
        needs=(file_records.c.id, _is_copied),
    )
    metadata: JSON | None = column(file_records.c.metadata_, "What hooks extracted from its name and content.")
    lookup_item: LookupItem | None = enrichment(
        file_records.c.metadata_,
        metadata_value,
        "The item of a lookup that a value of its metadata leads to.",
        arguments={"metadata_key": (str, "Which value; one that is no text is looked up as JSON has it.")},
    )
    owner_id: UUID | None = column(file_records.c.owner_id, "`localId` of the user who owns it.")
    owner: UserRef | None = one(file_records.c.owner_id, "The user who owns it; for admins and the owner.")
    produced_by: Run | None = one(
        linked("FileRecord", file_records.c.id, LinkKind.PRODUCED_BY), "The run that copied it last; for admins."
    )
    consumed_by: list[RunRef] = some(
        all_linked("FileRecord", file_records.c.id, LinkKind.CONSUMED_BY), "Runs that read it, newest first."
    )
    upstream: list[DataAssetRef] = some(
        all_linked("FileRecord", file_records.c.id, LinkKind.DERIVED_FROM), "What it was made from, newest first."
    )
    downstream: list[DataAssetRef] = some(
        all_linked("FileRecord", file_records.c.id, LinkKind.DERIVED_FROM, reverse=True),
        "What was made from it, newest first.",
    )
    grants: Connection[FileGrantRef] = many(
        GRANTS_BY_AGE, "Who was granted it; for admins.", parent=file_access_grants.c.file_id, choices=GRANT_CHOICES
    )
    acquisition: str | None = column(
        file_records.c.acquisition,
        "Path of the folder that was written as one measurement, relative to the harvested folder; null when it is in none.",
    )
    acquisition_files: Connection[FileRecordRef] = many(
        FILES_BY_DISCOVERY,
        "Files of the same acquisition that you may see, this one among them, in the order of their discovery.",
        parent=file_records.c.id,
        related=_of_same_acquisition,
        choices=FILE_CHOICES,
    )
    transfers: Connection[TransferRef] = many(
        NEWEST_TRANSFERS,
        "Attempts to copy it, newest first.",
        parent=file_transfers.c.file_id,
        arguments=TRANSFERS_WITH_STATUS,
        choices=TRANSFER_CHOICES,
    )
