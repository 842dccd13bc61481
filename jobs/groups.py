"""A few files that are recorded together: hooks decide, transfers are begun, copies are made, and how that went is written."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from jobs.active import ENDINGS, ActiveRun, RunFailedError
from jobs.copying import Copied, CopyFailedError, copy_file
from jobs.hooks.chain import AS_USUAL, NOTHING, Decision, Findings
from jobs.hooks.harvesting import FileHooks
from jobs.known_files import KnownFiles, WantedFile
from jobs.pace import LONG
from jobs.places import Place, Places
from jobs.progress import Progress
from jobs.records import Attempt, HarvestRecords, Outcome
from jobs.sources import Source
from jobs.threads import Threads


@dataclass(frozen=True, slots=True)
class Decided:
    """A file, what becomes of it, and where its copy goes."""

    wanted: WantedFile
    decision: Decision
    place: Place


class Groups:
    """The groups of one harvest, one after the other."""

    def __init__(
        self,
        run: ActiveRun,
        known: KnownFiles,
        records: HarvestRecords,
        source: Source,
        places: Places,
        hooks: FileHooks,
        threads: Threads,
        progress: Progress,
    ) -> None:
        self._run = run
        self._known = known
        self._records = records
        self._source = source
        self._places = places
        self._hooks = hooks
        self._threads = threads
        self._progress = progress

    def leave_if_lost(self) -> None:
        """Rather than to let each of many files wait for a server that is not there."""
        reason = self._lost()
        if reason is not None:
            raise RunFailedError(f"{reason}; {self._progress.copied()}, the next harvest tries the others")

    async def decide(self, group: Sequence[WantedFile]) -> list[Decided]:
        """What hooks have decided, of the first files if that takes long."""
        if not self._hooks.decides:
            return [Decided(wanted, AS_USUAL, self._places.of(wanted.found.path)) for wanted in group]
        decided = await self._threads.run(partial(self._decide_some, group))
        await self._hooks.tell()
        return decided

    async def copy(self, decided: Sequence[Decided], left: dict[str, WantedFile]) -> Exception | None:
        """Begin them, copy one after the other, write how that went; what happened to one that nobody foresaw.

        Takes out of `left` what was written.
        """
        skipped = [(each.wanted, each.decision.skipped) for each in decided if each.decision.skipped is not None]
        copied = [(each.wanted, each.place) for each in decided if each.decision.skipped is None]
        attempts = await self._records.begin([(wanted, place.locate()) for wanted, place in copied], skipped)
        self._progress.leave_out([wanted.found for wanted, _ in skipped])
        for wanted, _ in skipped:
            left.pop(wanted.found.path, None)
        places = {attempt.transfer_id: place for attempt, (_, place) in zip(attempts, copied, strict=True)}
        occupied = await self._occupied(attempts, places) if attempts else []
        taken = {attempt.transfer_id: await self._taken(attempt, places) for attempt in occupied}
        unforeseen: Exception | None = None
        while attempts:
            outcomes = await self._threads.run(partial(self._copy_some, attempts, places, taken))
            unforeseen = await self._settle(outcomes, left) or unforeseen
            attempts = attempts[len(outcomes) :]
            await self._progress.report()
            if attempts:
                self._run.leave_if_stopping()
                self.leave_if_lost()
        return unforeseen

    def _lost(self) -> str | None:
        return self._source.lost() or self._places.lost()

    def _decide_some(self, group: Sequence[WantedFile]) -> list[Decided]:
        """Runs in a thread."""
        self._places.trim()
        began = time.monotonic()
        decided: list[Decided] = []
        for wanted in group:
            self._watch(0)
            decision = self._hooks.decide(wanted.found)
            decided.append(Decided(wanted, decision, self._places.of(wanted.found.path, decision.destination)))
            if time.monotonic() - began > LONG:
                break
        return decided

    async def _occupied(self, attempts: Sequence[Attempt], places: Mapping[UUID, Place]) -> list[Attempt]:
        """Those with something at their destination."""
        return await self._threads.run(lambda: [attempt for attempt in attempts if places[attempt.transfer_id].exists()])

    async def _taken(self, attempt: Attempt, places: Mapping[UUID, Place]) -> bool:
        """Names of instruments need not be unique, so two may share a folder: never replace the copy of another's file."""
        destination = places[attempt.transfer_id].locate()
        return destination is not None and await self._known.taken(attempt.found.path, destination)

    def _copy_some(
        self, attempts: Sequence[Attempt], places: Mapping[UUID, Place], taken: Mapping[UUID, bool]
    ) -> list[Outcome]:
        """Runs in a thread. One after the other; fewer than all when it takes long or the harvest is to end."""
        clock, began = self._run.clock, time.monotonic()
        outcomes: list[Outcome] = []
        for attempt in attempts:
            began_at = clock()
            place = places[attempt.transfer_id]
            result: Copied | Exception
            try:
                result = self._copy(attempt, place, taken.get(attempt.transfer_id))
            except ENDINGS:
                if outcomes:  # write what is done first; the next one to look will be told the same
                    break
                raise
            except Exception as error:  # noqa: BLE001  # it is told beside the others
                result = error
            ended_at = clock()
            findings = self._found(attempt, place, result) if isinstance(result, Copied) and self._hooks.finds else NOTHING
            outcomes.append(Outcome(attempt, result, began_at, ended_at, findings))
            if self._run.stopping or self._lost() is not None or time.monotonic() - began > LONG:
                break
        return _made_durable(outcomes, places)

    def _copy(self, attempt: Attempt, place: Place, taken: bool | None) -> Copied:
        """Runs in a thread. What lies at the destination is another's, or nobody's, or there is nothing (None)."""
        if taken:
            raise CopyFailedError("the destination holds a file of another instrument of the same name")
        store, key = place.reach()
        return copy_file(
            self._source,
            attempt.found.path,
            store,
            key,
            token=str(attempt.transfer_id),
            replace=taken is not None,
            watch=self._watch,
            before_commit=self._run.must_be_held,
        )

    def _watch(self, size: int) -> None:
        """Called by threads, often: counts, and ends what nobody waits for any more."""
        self._threads.leave_if_abandoned()
        self._run.go_on()
        self._progress.bytes_under_way += size

    def _found(self, attempt: Attempt, place: Place, copied: Copied) -> Findings:
        """Runs in a thread. What hooks say of a copy, which is there in any case."""
        return self._hooks.find(
            attempt.found,
            record_id=attempt.record_id,
            transfer_id=attempt.transfer_id,
            destination=place.locate() or "",
            copied=copied,
        )

    async def _settle(self, outcomes: Sequence[Outcome], left: dict[str, WantedFile]) -> Exception | None:
        """Write how copies ended; what happened to one that nobody foresaw."""
        await self._records.settle(await self._hooks.resolved(outcomes))
        await self._hooks.tell()
        self._progress.bytes_under_way = 0
        tally = self._progress.tally
        unforeseen: Exception | None = None
        for outcome in outcomes:
            path = outcome.attempt.found.path
            if isinstance(outcome.result, Copied):
                tally.files_done += 1
                tally.bytes_done += outcome.result.state.size
            elif isinstance(outcome.result, CopyFailedError):
                tally.files_failed += 1
                await self._progress.log_file("warning", f"{path} was not copied: {outcome.result.message}")
            else:
                unforeseen = outcome.result
                continue
            left.pop(path, None)
        return unforeseen


def _made_durable(outcomes: list[Outcome], places: Mapping[UUID, Place]) -> list[Outcome]:
    """Blocks. A copy is recorded when it would survive a power cut."""
    for store in {places[each.attempt.transfer_id].store: None for each in outcomes}:
        try:
            store.flush()
        except OSError as error:
            failure = CopyFailedError(f"the copy cannot be put in its place: {error.strerror or error}")
            outcomes = [
                replace(each, result=failure)
                if isinstance(each.result, Copied) and places[each.attempt.transfer_id].store is store
                else each
                for each in outcomes
            ]
    return outcomes
