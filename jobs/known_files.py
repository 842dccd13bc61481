"""What is known of an instrument's files, of this harvest and of earlier ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Select, bindparam, case, exists, func, select, true
from sqlalchemy.engine import RowMapping

from core.sql import Row, Statement
from core.vocabulary import TransferStatus
from jobs.sources import FoundFile
from storage.sql.database import Database
from storage.sql.tables import file_records, file_transfers, instruments

_PAGE = 2500

_TAKES = frozenset({TransferStatus.IN_PROGRESS, TransferStatus.COMPLETED})


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A file to be copied, with the record it has if earlier attempts failed."""

    found: FoundFile
    record_id: UUID | None


class KnownFiles:
    """The records of one instrument's files, and their transfers."""

    def __init__(self, database: Database, instrument_id: UUID) -> None:
        self._database = database
        self._instrument_id = instrument_id

    async def wanted(self, files: Sequence[FoundFile]) -> list[WantedFile]:
        """Those of the files that have no record, or one with nothing but failed transfers."""
        rows = await self._database.all(_known(self._instrument_id, [file.path for file in files]))
        known: dict[str, RowMapping] = {row["source_path"]: row for row in rows}
        return [
            WantedFile(file, known[file.path]["id"] if file.path in known else None)
            for file in files
            if file.path not in known or not known[file.path]["settled"]
        ]

    async def pages(self) -> AsyncIterator[Sequence[Row]]:
        """All records of the instrument by path, a page at a time: path, size, time, whether a transfer has not failed."""
        database, after = self._database, ""
        native = database.dialect.name == "postgresql"
        statement = Statement(_page_of_known() if native else _in_one_row(_page_of_known()), database.dialect)
        while True:
            page = await statement.fetch(database, instrument=self._instrument_id, after=after)
            if not native:
                page = orjson.loads(page[0][0])
            if not page:
                return
            yield page
            after = page[-1][0]

    async def taken(self, path: str, destination: str) -> bool:
        """Whether the destination is, or is about to be, the copy of another instrument's file: two may share a folder."""
        others = await self._database.all(_records_of_others(self._instrument_id, path))
        if not others:
            return False
        copies = await self._database.all(  # compared here: any further condition tempts SQLite into a worse index
            select(file_transfers.c.status, file_transfers.c.destination_path).where(
                file_transfers.c.file_id.in_([record["id"] for record in others])
            )
        )
        return any(copy["status"] in _TAKES and copy["destination_path"] == destination for copy in copies)

    async def open_transfers(self) -> Sequence[RowMapping]:
        """Transfers of the instrument that are in progress: whoever made them has ended, since we hold its only harvest."""
        return await self._database.all(
            select(file_transfers.c.id, file_transfers.c.destination_path)
            .join(file_records, file_records.c.id == file_transfers.c.file_id)
            .where(file_transfers.c.status == TransferStatus.IN_PROGRESS, file_records.c.instrument_id == self._instrument_id)
            .order_by(file_transfers.c.started_at)
        )


def _known(instrument_id: UUID, paths: Collection[str]) -> Select[Any]:
    """Records by path; `settled` ones have a transfer that did not fail."""
    settled = exists().where(file_transfers.c.file_id == file_records.c.id, file_transfers.c.status != TransferStatus.FAILED)
    return select(file_records.c.id, file_records.c.source_path, settled.label("settled")).where(
        file_records.c.instrument_id == instrument_id, file_records.c.source_path.in_(paths)
    )


def _page_of_known() -> Select[Any]:
    """What has a checksum was copied; the transfers are asked of the others only."""
    asked = exists().where(file_transfers.c.file_id == file_records.c.id, file_transfers.c.status != TransferStatus.FAILED)
    settled = case((file_records.c.xxhash.is_not(None), true()), else_=asked)  # a condition with `or` would ask for all
    path = file_records.c.source_path
    return (
        select(path, file_records.c.size_bytes, file_records.c.source_mtime, settled.label("settled"))
        .where(file_records.c.instrument_id == bindparam("instrument"), path > bindparam("after"))
        .order_by(path)
        .limit(_PAGE)
    )


def _in_one_row(page: Select[Any]) -> Select[Any]:
    """As a JSON array of arrays. SQLite's driver gives Python's lock away for each row, and here another thread always takes it."""
    rows = page.subquery()
    return select(func.json_group_array(func.json_array(*rows.c)))


def _records_of_others(instrument_id: UUID, path: str) -> Select[Any]:
    """By way of the instruments, so that the unique index over instrument and path serves."""
    others = select(instruments.c.id).where(instruments.c.id != instrument_id)
    return select(file_records.c.id).where(file_records.c.instrument_id.in_(others), file_records.c.source_path == path)
