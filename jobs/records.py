"""What a harvest writes down: file records, transfers, digests, links. Two short transactions around each copy.

Every change proves that the run is still claimed, so a worker that lost its run cannot write into another's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Select, exists, select, update
from sqlalchemy.engine import RowMapping

from core.vocabulary import PersistentIdType, TransferStatus
from jobs.active import ActiveRun
from jobs.copying import Copied, CopyFailedError
from jobs.sources import FoundFile
from storage.sql.database import Transaction
from storage.sql.tables import content_digests, file_records, file_transfers, instruments, links


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A file to be copied, with the record it has if earlier attempts failed."""

    found: FoundFile
    record_id: UUID | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A transfer that is in progress."""

    transfer_id: UUID
    record_id: UUID
    found: FoundFile


class HarvestRecords:
    """The records of one harvest."""

    def __init__(self, run: ActiveRun, instrument: RowMapping, storage_location_id: UUID, mint: Callable[[], str]) -> None:
        self._run = run
        self._instrument_id: UUID = instrument["id"]
        self._adapter = instrument["transfer_adapter"]
        self._storage_location_id = storage_location_id
        self._mint = mint

    async def wanted(self, files: Sequence[FoundFile]) -> list[WantedFile]:
        """Those of the files that have no record, or one with nothing but failed transfers."""
        rows = await self._run.database.all(_known(self._instrument_id, [file.path for file in files]))
        known: dict[str, RowMapping] = {row["source_path"]: row for row in rows}
        return [
            WantedFile(file, known[file.path]["id"] if file.path in known else None)
            for file in files
            if file.path not in known or not known[file.path]["settled"]
        ]

    async def begin(self, wanted: WantedFile, destination: str | None) -> Attempt:
        """The first transaction: a record with a new ARK, unless there is one, and a transfer in progress."""
        attempt = Attempt(uuid4(), wanted.record_id or uuid4(), wanted.found)
        async with self._run.transaction() as transaction:
            if wanted.record_id is None:
                await self._record(transaction, attempt)
            await transaction.insert(
                file_transfers,
                id=attempt.transfer_id,
                file_id=attempt.record_id,
                storage_location_id=self._storage_location_id,
                destination_path=destination,
                transfer_adapter=self._adapter,
                status=TransferStatus.IN_PROGRESS,
                started_at=self._run.clock(),
                run_id=self._run.id,
            )
        return attempt

    async def complete(self, attempt: Attempt, copied: Copied) -> None:
        """The second transaction after a copy: the transfer, what the record knows by now, the digest, the link to the run."""
        async with self._run.transaction() as transaction:
            now = self._run.clock()
            await transaction.update(
                file_transfers,
                attempt.transfer_id,
                status=TransferStatus.COMPLETED,
                bytes_transferred=copied.state.size,
                source_checksum=copied.source_checksum,
                dest_checksum=copied.dest_checksum,
                checksum_verified=True,
                completed_at=now,
            )
            await transaction.update(
                file_records,
                attempt.record_id,
                size_bytes=copied.state.size,
                source_mtime=copied.state.modified,
                xxhash=copied.dest_checksum,
            )
            await transaction.insert(
                content_digests,
                algorithm="xxh64",
                digest=copied.dest_checksum,
                asset_type="FileRecord",
                asset_id=str(attempt.record_id),
                created_at=now,
            )
            await transaction.insert(
                links,
                id=uuid4(),
                from_type="FileRecord",
                from_id=str(attempt.record_id),
                to_type="HarvestRun",
                to_id=str(self._run.id),
                kind="produced_by",
                evidence={"transfer_id": str(attempt.transfer_id), "xxh64": copied.dest_checksum},
                created_at=now,
            )

    async def fail(self, attempt: Attempt, failure: CopyFailedError) -> None:
        """The second transaction when there is no copy. The record stays."""
        async with self._run.transaction() as transaction:
            await transaction.update(
                file_transfers,
                attempt.transfer_id,
                status=TransferStatus.FAILED,
                source_checksum=failure.source_checksum,
                dest_checksum=failure.dest_checksum,
                checksum_verified=failure.verified,
                completed_at=self._run.clock(),
                error_message=failure.message,
            )

    async def open_transfers(self) -> Sequence[RowMapping]:
        """Transfers of the instrument that are in progress: whoever made them has ended, since we hold its only harvest."""
        return await self._run.database.all(
            select(file_transfers.c.id, file_transfers.c.destination_path)
            .join(file_records, file_records.c.id == file_transfers.c.file_id)
            .where(file_transfers.c.status == TransferStatus.IN_PROGRESS, file_records.c.instrument_id == self._instrument_id)
            .order_by(file_transfers.c.started_at)
        )

    async def fail_open(self, transfers: Collection[RowMapping], reason: str) -> None:
        """Mark transfers as failed that nobody will end."""
        async with self._run.transaction() as transaction:
            for transfer in transfers:
                await transaction.execute(
                    update(file_transfers)
                    .where(file_transfers.c.id == transfer["id"], file_transfers.c.status == TransferStatus.IN_PROGRESS)
                    .values(status=TransferStatus.FAILED, error_message=reason, completed_at=self._run.clock())
                )

    async def taken(self, path: str, destination: str) -> bool:
        """Whether the destination is the finished copy of another instrument's file: two of one name share a folder."""
        others = await self._run.database.all(_records_of_others(self._instrument_id, path))
        if not others:
            return False
        copies = await self._run.database.all(  # compared here: any further condition tempts SQLite into a worse index
            select(file_transfers.c.status, file_transfers.c.destination_path).where(
                file_transfers.c.file_id.in_([record["id"] for record in others])
            )
        )
        return any(copy["status"] is TransferStatus.COMPLETED and copy["destination_path"] == destination for copy in copies)

    async def close(self) -> None:
        """The harvest has ended, whatever became of single files."""
        async with self._run.transaction() as transaction:
            await transaction.update(instruments, self._instrument_id, last_harvested_at=self._run.clock())

    async def _record(self, transaction: Transaction, attempt: Attempt) -> None:
        found = attempt.found
        await transaction.insert(
            file_records,
            id=attempt.record_id,
            persistent_id=self._mint(),
            persistent_id_type=PersistentIdType.ARK,
            instrument_id=self._instrument_id,
            source_path=found.path,
            filename=PurePosixPath(found.path).name,
            size_bytes=found.state.size,
            source_mtime=found.state.modified,
            first_discovered_at=self._run.clock(),
            metadata_={},
        )


def _known(instrument_id: UUID, paths: Collection[str]) -> Select[Any]:
    """Records by path; `settled` ones have a transfer that did not fail."""
    settled = exists().where(file_transfers.c.file_id == file_records.c.id, file_transfers.c.status != TransferStatus.FAILED)
    return select(file_records.c.id, file_records.c.source_path, settled.label("settled")).where(
        file_records.c.instrument_id == instrument_id, file_records.c.source_path.in_(paths)
    )


def _records_of_others(instrument_id: UUID, path: str) -> Select[Any]:
    """By way of the instruments, so that the unique index over instrument and path serves."""
    others = select(instruments.c.id).where(instruments.c.id != instrument_id)
    return select(file_records.c.id).where(file_records.c.instrument_id.in_(others), file_records.c.source_path == path)
