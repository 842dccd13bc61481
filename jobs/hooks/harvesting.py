"""The hooks of one harvest as the harvest sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Self
from uuid import UUID

from sqlalchemy.engine import RowMapping

from jobs.active import ActiveRun
from jobs.copying import Copied
from jobs.hooks.access import WebhookAccess
from jobs.hooks.asking import CopiedFile, Subject, Wish
from jobs.hooks.calling import Caller
from jobs.hooks.chain import Chain, Decision, Findings
from jobs.hooks.grantees import Grantees
from jobs.hooks.loading import chain_of, hooks_of
from jobs.hooks.notes import Notes
from jobs.records import Outcome
from jobs.sources import FoundFile


class FileHooks:
    """Asked about each file before and after its copy."""

    def __init__(self, run: ActiveRun, instrument: RowMapping, chain: Chain, caller: Caller, notes: Notes) -> None:
        self._run = run
        self._instrument = instrument
        self._chain = chain
        self._caller = caller
        self._notes = notes
        self._grantees = Grantees(run.database, notes)

    @classmethod
    async def load(cls, run: ActiveRun, instrument: RowMapping, access: WebhookAccess) -> Self:
        """As they are stored now; what is changed later counts for the next harvest."""
        rows = await run.database.all(hooks_of(instrument["id"]))
        caller, notes = Caller(access), Notes()
        chain = await asyncio.to_thread(chain_of, rows, caller, notes)  # expressions are compiled, which may take a while
        return cls(run, instrument, chain, caller, notes)

    @property
    def decides(self) -> bool:
        """Whether there is any hook before the copy."""
        return bool(self._chain.before)

    @property
    def finds(self) -> bool:
        """Whether there is any hook after the copy."""
        return bool(self._chain.after)

    def decide(self, found: FoundFile) -> Decision:
        """Blocks. What becomes of a file that is to be copied."""
        return self._chain.decide(self._subject(found))

    def find(self, found: FoundFile, *, record_id: UUID, transfer_id: UUID, destination: str, copied: Copied) -> Findings:
        """Blocks. What is known of a file that was copied."""
        known = CopiedFile(
            file_id=record_id,
            transfer_id=transfer_id,
            destination_path=destination,
            bytes_transferred=copied.state.size,
            xxhash=copied.dest_checksum,
        )
        return self._chain.find(self._subject(found, known))

    async def resolved(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """With those who are to be granted the copied files, as far as there are such: each of them once."""
        wishes = {wish for each in outcomes if isinstance(each.result, Copied) for wish in each.findings.wishes}
        if not wishes:
            return outcomes
        meant = await self._grantees.meant_by(wishes)
        return [replace(each, findings=_resolved(each.findings, meant)) for each in outcomes]

    async def tell(self) -> None:
        """Write what there is to say into the run's log."""
        for line in self._notes.taken():
            await self._run.log("warning", line)

    async def tell_totals(self) -> None:
        """At the end: how often it happened."""
        for line in self._notes.totals():
            await self._run.log("warning", line)

    def close(self) -> None:
        """Blocks. Let go of connections."""
        self._caller.close()

    def _subject(self, found: FoundFile, copied: CopiedFile | None = None) -> Subject:
        return Subject(
            run_id=self._run.id,
            instrument_id=self._instrument["id"],
            instrument_name=self._instrument["name"],
            source_path=found.path,
            size_bytes=found.state.size,
            source_mtime=found.state.modified,
            copied=copied,
        )


def _resolved(findings: Findings, meant: Mapping[Wish, UUID]) -> Findings:
    grantees = {(wish.grantee_type, meant[wish]): None for wish in findings.wishes if wish in meant}
    return replace(findings, grantees=tuple(grantees))
