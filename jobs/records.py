"""What a harvest writes down: file records, transfers, digests, links. Two short transactions around a few copies.

Every change proves that the run is still claimed, so a worker that lost its run cannot write into another's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.engine import RowMapping

from core.vocabulary import AuditAction, PersistentIdType, TransferStatus
from jobs.acquisitions import Acquisitions
from jobs.active import ActiveRun
from jobs.copying import Copied, CopyFailedError
from jobs.hooks.chain import NOTHING, Findings
from jobs.known_files import WantedFile
from jobs.sources import FoundFile
from storage.sql.database import Transaction
from storage.sql.tables import content_digests, file_access_grants, file_records, file_transfers, instruments, links


@dataclass(frozen=True, slots=True)
class Attempt:
    """A transfer that is in progress."""

    transfer_id: UUID
    record_id: UUID
    found: FoundFile


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended, and when it was really made: of several that are recorded together, one is made after the other."""

    attempt: Attempt
    result: Copied | Exception
    began_at: datetime
    ended_at: datetime
    findings: Findings = NOTHING


class HarvestRecords:
    """The records of one harvest."""

    def __init__(
        self,
        run: ActiveRun,
        instrument: RowMapping,
        storage_location_id: UUID,
        mint: Callable[[], str],
        acquisitions: Acquisitions,
    ) -> None:
        self._run = run
        self._instrument_id: UUID = instrument["id"]
        self._adapter = instrument["transfer_adapter"]
        self._storage_location_id = storage_location_id
        self._mint = mint
        self._acquisitions = acquisitions

    async def begin(
        self, batch: Sequence[tuple[WantedFile, str | None]], skipped: Sequence[tuple[WantedFile, str]] = ()
    ) -> list[Attempt]:
        """The first transaction: records with new ARKs, unless there are, and transfers.

        Open ones for files with destinations, ended ones for those that are skipped for a reason.
        """
        attempts = [_attempt(wanted) for wanted, _ in batch]
        ended = [_attempt(wanted) for wanted, _ in skipped]
        wanted = [wanted for wanted, _ in (*batch, *skipped)]
        new = [
            self._record(attempt) for attempt, file in zip([*attempts, *ended], wanted, strict=True) if file.record_id is None
        ]
        opened = [self._transfer(attempt, place) for attempt, (_, place) in zip(attempts, batch, strict=True)]
        left_out = [self._skipped(attempt, reason) for attempt, (_, reason) in zip(ended, skipped, strict=True)]
        async with self._run.transaction() as transaction:
            for table, rows in ((file_records, new), (file_transfers, opened), (file_transfers, left_out)):
                if rows:
                    await transaction.execute(insert(table), rows)
        return attempts

    async def settle(self, outcomes: Sequence[Outcome]) -> None:
        """The second transaction, after the copies: transfers, what the records know by now, digests, links to the run.

        With a copy come its metadata and grants.
        One that ended otherwise than by a copy or its failure stays open.
        """
        done = [(outcome, outcome.result) for outcome in outcomes if isinstance(outcome.result, Copied)]
        failed = [(outcome, outcome.result) for outcome in outcomes if isinstance(outcome.result, CopyFailedError)]
        async with self._run.transaction() as transaction:
            if failed:
                await transaction.execute(_FAIL, [_failed(outcome, failure) for outcome, failure in failed])
            if done:
                await transaction.execute(_COMPLETE, [_completed(outcome, copied) for outcome, copied in done])
                await transaction.execute(_LEARN, [_learned(outcome, copied) for outcome, copied in done])
                await transaction.execute(insert(content_digests), [_digest(outcome, copied) for outcome, copied in done])
                await transaction.execute(insert(links), [self._link(outcome, copied) for outcome, copied in done])
            if enriched := [_enriched(outcome) for outcome, _ in done if outcome.findings.metadata]:
                await transaction.execute(_ENRICH, enriched)
            await _grant(transaction, [grant for outcome, _ in done for grant in _granted(outcome)])
            for outcome, _ in (*done, *failed):
                transaction.announce(file_transfers, outcome.attempt.transfer_id, outcome.ended_at, AuditAction.UPDATE)
            for outcome, _ in done:
                transaction.announce(file_records, outcome.attempt.record_id, outcome.ended_at, AuditAction.UPDATE)

    async def fail_open(self, transfers: Collection[RowMapping], reason: str) -> None:
        """Mark transfers as failed that nobody will end."""
        now = self._run.clock()
        async with self._run.transaction() as transaction:
            await transaction.execute(
                update(file_transfers)
                .where(
                    file_transfers.c.id.in_([transfer["id"] for transfer in transfers]),
                    file_transfers.c.status == TransferStatus.IN_PROGRESS,
                )
                .values(status=TransferStatus.FAILED, error_message=reason, completed_at=now)
            )
            for transfer in transfers:
                transaction.announce(file_transfers, transfer["id"], now, AuditAction.UPDATE)

    async def close(self) -> None:
        """The harvest has ended, whatever became of single files."""
        async with self._run.transaction() as transaction:
            now = self._run.clock()
            await transaction.update(instruments, self._instrument_id, last_harvested_at=now)
            transaction.announce(instruments, self._instrument_id, now, AuditAction.UPDATE)

    def _record(self, attempt: Attempt) -> dict[str, Any]:
        found = attempt.found
        return {
            "id": attempt.record_id,
            "persistent_id": self._mint(),
            "persistent_id_type": PersistentIdType.ARK,
            "instrument_id": self._instrument_id,
            "source_path": found.path,
            "filename": PurePosixPath(found.path).name,
            "size_bytes": found.state.size,
            "source_mtime": found.state.modified,
            "first_discovered_at": self._run.clock(),
            "metadata_": {},
            "acquisition": self._acquisitions.of_file(found.path),
        }

    def _transfer(self, attempt: Attempt, destination: str | None) -> dict[str, Any]:
        return {
            "id": attempt.transfer_id,
            "file_id": attempt.record_id,
            "storage_location_id": self._storage_location_id,
            "destination_path": destination,
            "transfer_adapter": self._adapter,
            "status": TransferStatus.IN_PROGRESS,
            "started_at": self._run.clock(),
            "run_id": self._run.id,
        }

    def _skipped(self, attempt: Attempt, reason: str) -> dict[str, Any]:
        return {
            "id": attempt.transfer_id,
            "file_id": attempt.record_id,
            "storage_location_id": self._storage_location_id,
            "transfer_adapter": self._adapter,
            "status": TransferStatus.SKIPPED,
            "error_message": reason,
            "run_id": self._run.id,
        }

    def _link(self, outcome: Outcome, copied: Copied) -> dict[str, Any]:
        return {
            "id": uuid4(),
            "from_type": "FileRecord",
            "from_id": str(outcome.attempt.record_id),
            "to_type": "HarvestRun",
            "to_id": str(self._run.id),
            "kind": "produced_by",
            "evidence": {"transfer_id": str(outcome.attempt.transfer_id), "xxh64": copied.dest_checksum},
            "created_at": outcome.ended_at,
        }


_ENDED = (
    update(file_transfers)
    .where(file_transfers.c.id == bindparam("transfer"))
    .values(started_at=bindparam("began"), completed_at=bindparam("ended"))
)
_COMPLETE = _ENDED.values(
    status=TransferStatus.COMPLETED,
    bytes_transferred=bindparam("size"),
    source_checksum=bindparam("source"),
    dest_checksum=bindparam("copy"),
    checksum_verified=True,
)
_FAIL = _ENDED.values(
    status=TransferStatus.FAILED,
    source_checksum=bindparam("source"),
    dest_checksum=bindparam("copy"),
    checksum_verified=bindparam("verified"),
    error_message=bindparam("reason"),
)
_LEARN = (
    update(file_records)
    .where(file_records.c.id == bindparam("record"))
    .values(size_bytes=bindparam("size"), source_mtime=bindparam("modified"), xxhash=bindparam("copy"))
)


_ENRICH = update(file_records).where(file_records.c.id == bindparam("record")).values(metadata_=bindparam("known"))


def _attempt(wanted: WantedFile) -> Attempt:
    return Attempt(uuid4(), wanted.record_id or uuid4(), wanted.found)


def _enriched(outcome: Outcome) -> dict[str, Any]:
    return {"record": outcome.attempt.record_id, "known": dict(outcome.findings.metadata)}


def _granted(outcome: Outcome) -> list[dict[str, Any]]:
    known = {"file_id": outcome.attempt.record_id, "granted_at": outcome.ended_at}
    return [{"id": uuid4(), "grantee_type": kind, "grantee_id": key, **known} for kind, key in outcome.findings.grantees]


async def _grant(transaction: Transaction, grants: Sequence[dict[str, Any]]) -> None:
    """Those that there are not yet: a file that failed before may have been granted by hand."""
    if not grants:
        return
    columns = file_access_grants.c
    files = {grant["file_id"] for grant in grants}
    rows = await transaction.all(
        select(columns.file_id, columns.grantee_type, columns.grantee_id).where(columns.file_id.in_(files))
    )
    there = {(row["file_id"], row["grantee_type"], row["grantee_id"]) for row in rows}
    new = [grant for grant in grants if (grant["file_id"], grant["grantee_type"], grant["grantee_id"]) not in there]
    if new:
        await transaction.execute(insert(file_access_grants), new)


def _ended(outcome: Outcome) -> dict[str, Any]:
    return {"transfer": outcome.attempt.transfer_id, "began": outcome.began_at, "ended": outcome.ended_at}


def _completed(outcome: Outcome, copied: Copied) -> dict[str, Any]:
    known = {"size": copied.state.size, "source": copied.source_checksum, "copy": copied.dest_checksum}
    return _ended(outcome) | known


def _failed(outcome: Outcome, failure: CopyFailedError) -> dict[str, Any]:
    known = {"source": failure.source_checksum, "copy": failure.dest_checksum, "verified": failure.verified}
    return _ended(outcome) | known | {"reason": failure.message}


def _learned(outcome: Outcome, copied: Copied) -> dict[str, Any]:
    state = copied.state
    known = {"size": state.size, "modified": state.modified, "copy": copied.dest_checksum}
    return {"record": outcome.attempt.record_id} | known


def _digest(outcome: Outcome, copied: Copied) -> dict[str, Any]:
    return {
        "algorithm": "xxh64",
        "digest": copied.dest_checksum,
        "asset_type": "FileRecord",
        "asset_id": str(outcome.attempt.record_id),
        "created_at": outcome.ended_at,
    }
