"""The harvest of one instrument: find its files, copy the new ones to a storage location, record everything.

Contract streamweave §8. Whatever is wrong with one file is written to its transfer; the harvest goes on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.engine import RowMapping

from core.errors import DomainError, Unavailable
from jobs.active import ActiveRun, InterruptedRunError, Job, Level, RunCanceledError, RunFailedError
from jobs.arks import mint_ark
from jobs.comparing import Comparison, Mentioned
from jobs.copying import Copied, CopyFailedError, copy_file
from jobs.hooks.access import WebhookAccess
from jobs.hooks.chain import AS_USUAL, NOTHING, Decision, Findings
from jobs.hooks.harvesting import FileHooks
from jobs.listing import Listing
from jobs.pace import LONG, Pace
from jobs.places import Place, Places
from jobs.queue import LeaseLostError
from jobs.records import Attempt, HarvestRecords, Outcome, WantedFile
from jobs.runner import NewRun
from jobs.sources import FoundFile, Source, open_source
from storage.objects.opening import StorageAccess, open_store
from storage.objects.paths import safe_name
from storage.objects.protocol import ObjectStore
from storage.sql.tables import instruments, schedules, service_accounts, storage_locations

log = logging.getLogger(__name__)

T = TypeVar("T")

KIND = "harvest"

_BATCH = 500
"""Paths looked up in one statement."""

_COMPARED = 2500
"""Files that are listed before they are compared with the records."""

_LOOK_UP = 0.02
"""Seconds for which a thread lists files without asking whether it should."""

_LOGGED = 100
"""How many files may have a line in the log before it only counts them; their transfers say the same."""

_ENDINGS = (LeaseLostError, InterruptedRunError, RunCanceledError, RunFailedError)
"""What ends a harvest; anything else is the affair of one file."""

_WORDS: dict[type[BaseException], str] = {
    InterruptedRunError: "the worker stopped before the copy",
    RunFailedError: "the harvest ended before the copy",
}
"""What is written to transfers that were begun and not made; other ends say it themselves."""

OpenSource = Callable[[RowMapping, Sequence[Path], RowMapping | None], Source]
"""Of an instrument, the allowed roots, and the instrument's service account."""

OpenStore = Callable[[Mapping[Any, Any], Sequence[Path], str], ObjectStore]
"""Of a storage location, the allowed roots, and the name of whose remains it may remove: the instrument's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HarvestSettings:
    """What an operator decides about harvests. Times are in seconds."""

    allowed_roots: Sequence[Path]
    ark_naan: str = "99999"
    ark_shoulder: str = "fk4"
    discovery_attempts: int = 3
    discovery_pause: float = 30.0
    step_pause: float = 10.0
    report_every: float = 60.0
    webhooks: WebhookAccess = field(default_factory=WebhookAccess)


def harvest_run(schedule: Mapping[Any, Any]) -> NewRun:
    """The run that does what a schedule's row asks for; for the trigger as for the scheduler."""
    instrument_id: UUID = schedule["instrument_id"]
    schedule_id: UUID = schedule["id"]
    return NewRun(
        kind=KIND,
        parameters={"instrument_id": str(instrument_id), "schedule_id": str(schedule_id)},
        exclusive_key=f"harvest:{instrument_id}",
        subject_id=schedule_id,
        target_id=instrument_id,
    )


def store_opener(access: StorageAccess | None = None) -> OpenStore:
    """Opens storage locations; without the keys, only those that are folders."""
    return lambda location, roots, owner: open_store(location, roots, access, owner)


_OPEN_FOLDERS = store_opener()


def harvest_job(settings: HarvestSettings, *, source_of: OpenSource = open_source, store_of: OpenStore = _OPEN_FOLDERS) -> Job:
    """The job for runs of kind `harvest`."""

    async def harvest(run: ActiveRun) -> str:
        instrument, account, location = await _rows(run)
        try:
            folder = safe_name(instrument["name"])
            source = await asyncio.to_thread(source_of, instrument, settings.allowed_roots, account)
            open_at = partial(_open_at, store_of, location, settings.allowed_roots, instrument["id"].hex)
            store = await asyncio.to_thread(open_at)
        except DomainError as error:
            raise RunFailedError(error.detail) from error
        mint = partial(mint_ark, settings.ark_naan, settings.ark_shoulder)
        records = HarvestRecords(run, instrument, location["id"], mint)
        places = Places(store, folder, open_at)
        hooks = await FileHooks.load(run, instrument, settings.webhooks)
        try:
            return await Harvest(run, settings, records, source, store, places, hooks, folder).execute()
        finally:
            await asyncio.to_thread(source.close)
            await asyncio.to_thread(places.close)
            await asyncio.to_thread(hooks.close)

    return harvest


def _open_at(
    store_of: OpenStore, location: Mapping[Any, Any], roots: Sequence[Path], owner: str, base_path: str | None = None
) -> ObjectStore:
    return store_of(location if base_path is None else {**location, "base_path": base_path}, roots, owner)


async def _rows(run: ActiveRun) -> tuple[RowMapping, RowMapping | None, RowMapping]:
    """What to harvest, as whom, and where to put it. Disabled instruments are harvested when somebody asks, not by cron."""
    instrument_id, schedule_id = (UUID(run.parameters[name]) for name in ("instrument_id", "schedule_id"))
    instrument = await run.database.first(select(instruments).where(instruments.c.id == instrument_id))
    account = await run.database.first(
        select(service_accounts)
        .join(instruments, instruments.c.service_account_id == service_accounts.c.id)
        .where(instruments.c.id == instrument_id)
    )
    location = await run.database.first(
        select(storage_locations)
        .join(schedules, schedules.c.default_storage_location_id == storage_locations.c.id)
        .where(schedules.c.id == schedule_id)
    )
    if instrument is None or instrument["deleted_at"] is not None:
        raise RunFailedError("the instrument has been deleted")
    if location is None or location["deleted_at"] is not None:
        raise RunFailedError("the storage location has been deleted")
    if not location["enabled"]:
        raise RunFailedError(f"the storage location {location['name']!r} is disabled")
    return instrument, account, location


@dataclass(slots=True)
class Tally:
    """How far a harvest is. New files are those to be copied, first attempt or not; the skipped ones are known already."""

    files_found: int = 0
    files_new: int = 0
    files_done: int = 0
    files_failed: int = 0
    files_skipped: int = 0
    files_changed: int = 0
    files_vanished: int = 0
    bytes_new: int = 0
    bytes_done: int = 0


class Harvest:
    """One harvest, from the first look into the folder to the closing message."""

    def __init__(
        self,
        run: ActiveRun,
        settings: HarvestSettings,
        records: HarvestRecords,
        source: Source,
        store: ObjectStore,
        places: Places,
        hooks: FileHooks,
        folder: str,
    ) -> None:
        self._run = run
        self._settings = settings
        self._records = records
        self._source = source
        self._store = store
        self._places = places
        self._hooks = hooks
        self._folder = folder
        self._tally = Tally()
        self._bytes_under_way = 0
        self._copying_since: float | None = None
        self._pace = Pace()
        self._lines = 0
        self._left_out = 0
        self._reported = run.clock()
        self._abandoned = False

    async def execute(self) -> str:
        """Do it; the message of the finished run."""
        try:
            return await self._execute()
        except (InterruptedRunError, RunCanceledError, RunFailedError, asyncio.CancelledError) as end:
            await self._leave_none_open(end)
            raise

    async def _execute(self) -> str:
        again = f" again (attempt {self._run.attempt})" if self._run.attempt > 1 else ""
        await self._run.log("info", f"The harvest of {self._folder} begins{again}")
        await self._hooks.tell()
        await self._fail_open_transfers("the worker died during the copy")
        await self._sweep()
        wanted = await self._find()
        try:
            await self._copy_new(wanted)
        finally:
            wanted.close()
        await self._records.close()
        await self._run.progress(**asdict(self._tally), bytes_per_second=None, seconds_left=None)
        message = self._summary()
        await self._hooks.tell_totals()
        await self._run.log("info", f"The harvest has ended: {message}")
        return message

    async def _sweep(self) -> None:
        """Remove what earlier harvests of the instrument left at the storage location; a place that is not there ends this one."""
        await self._run.renew()  # never remove what another worker is writing
        try:
            await self._in_thread(self._store.sweep)
        except (OSError, DomainError) as error:
            if (reason := self._store.lost()) is not None:
                raise RunFailedError(reason) from error
            log.warning("run %s: the remains of earlier harvests could not be removed", self._run.id, exc_info=True)

    async def _find(self) -> Listing:
        """What is to be copied: the source is walked to its end, beside its records, before anything is done."""
        reason = ""
        attempts = self._settings.discovery_attempts
        for attempt in range(1, attempts + 1):
            if attempt > 1:
                await self._run.pause(self._settings.discovery_pause)
            refused: list[tuple[str, str]] = []
            wanted, compared = Listing(), Comparison(self._records.known())
            try:
                await self._compare(wanted, compared, refused)
                await self._tell(wanted, compared, refused)
            except OSError as error:
                wanted.close()
                reason = error.strerror or str(error)
                await self._run.log("warning", f"The folder could not be listed (try {attempt} of {attempts}): {reason}")
            except BaseException:
                wanted.close()
                raise
            else:
                return wanted
        raise RunFailedError(f"the instrument's folder could not be listed in {attempts} tries: {reason}")

    async def _compare(self, wanted: Listing, compared: Comparison, refused: list[tuple[str, str]]) -> None:
        def refuse(path: str, reason: str) -> None:
            path = path.encode(errors="backslashreplace").decode()
            compared.hide(path)
            refused.append((path, reason))

        following = partial(self._in_thread, partial(self._next, self._source.discover(refuse)))
        listing = asyncio.ensure_future(following())
        try:
            while batch := await listing:
                listing = asyncio.ensure_future(following())  # the next ones are listed while these are compared
                wanted.extend(await compared.wanted(batch))
                self._tally.files_found = compared.found
            await compared.finish()
        finally:
            listing.cancel()
            await asyncio.wait({listing})

    def _next(self, files: Iterator[FoundFile]) -> list[FoundFile]:
        """Runs in a thread. Looks up from time to time, for most sources name thousands of files in a second."""
        batch: list[FoundFile] = []
        looked = 0.0
        for file in files:
            batch.append(file)
            now = time.monotonic()
            if now - looked > _LOOK_UP:
                looked = now
                if self._abandoned:
                    raise InterruptedRunError
                self._run.leave_if_stopping()
            if len(batch) == _COMPARED:
                break
        return batch

    async def _tell(self, wanted: Listing, compared: Comparison, refused: Sequence[tuple[str, str]]) -> None:
        tally = self._tally
        for path, why in refused:
            await self._log_file("warning", f"Left out {path}: {why}")
        tally.files_found, tally.files_new, tally.bytes_new = compared.found, wanted.length, wanted.bytes
        tally.files_skipped = tally.files_found - tally.files_new
        tally.files_changed, tally.files_vanished = compared.changed.count, compared.vanished.count
        await self._run.log("info", f"Found {_files(tally.files_found)}, {tally.files_new} to copy")
        await self._name(
            compared.changed, "changed at the source since it was copied; its copy and its record stay as they are"
        )
        await self._name(compared.vanished, "is no longer at the source; its record stays")
        self._copying_since = time.monotonic()
        await self._report()

    async def _name(self, mentioned: Mentioned, fate: str) -> None:
        for path in mentioned.first:
            await self._run.log("warning", f"{path} {fate}")
        if (more := mentioned.count - len(mentioned.first)) > 0:
            await self._run.log("warning", f"{_files(more)} more: {fate}")

    async def _copy_new(self, listing: Listing) -> None:
        async for found in _batches(listing):
            wanted = deque(await self._records.wanted(found))
            while wanted:
                self._run.leave_if_stopping()
                await self._step(self._pace.next_of(wanted))
                self._leave_if_lost()

    def _leave_if_lost(self) -> None:
        """Rather than to let each of many files wait for a server that is not there."""
        reason = self._lost()
        if reason is not None:
            tally = self._tally
            raise RunFailedError(
                f"{reason}; {tally.files_done} of {_files(tally.files_new)} copied, the next harvest tries the others"
            )

    def _lost(self) -> str | None:
        return self._source.lost() or self._places.lost()

    async def _step(self, group: Sequence[WantedFile]) -> None:
        """A few files. An error that nobody foresaw is tried once more, file by file; then it is the file's, not the harvest's."""
        left = {wanted.found.path: wanted for wanted in group}
        try:
            await self._transfer(group, left)
        except _ENDINGS:
            raise
        except Exception:  # whatever it is, file by file it is known whose
            log.exception("run %s: unexpected error at %r", self._run.id, next(iter(left), None))
            self._pace.one_by_one()
        for wanted in left.values():
            await self._run.pause(self._settings.step_pause)
            await self._step_again(wanted)

    async def _step_again(self, wanted: WantedFile) -> None:
        try:
            await self._fail_open_transfers("an unexpected error ended the copy")
            for again in await self._records.wanted([wanted.found]):
                await self._transfer([again], {})
        except _ENDINGS:
            raise
        except Exception as error:  # whatever it is, it is this file's alone
            log.exception("run %s: unexpected error at %r, again", self._run.id, wanted.found.path)
            await self._give_up(wanted, error)

    async def _transfer(self, group: Sequence[WantedFile], left: dict[str, WantedFile]) -> None:
        """Ask hooks, and do what they say. Takes out of `left` what was written."""
        began = time.monotonic()
        unforeseen: Exception | None = None
        while group:
            decided = await self._decided(group)
            unforeseen = await self._copy_together(decided, left) or unforeseen
            group = group[len(decided) :]
            if group:
                self._run.leave_if_stopping()
                self._leave_if_lost()
        self._pace.took(time.monotonic() - began)
        if unforeseen is not None:
            raise unforeseen

    async def _decided(self, group: Sequence[WantedFile]) -> list[tuple[WantedFile, Decision, Place]]:
        """What hooks have decided, of the first files if that takes long."""
        if not self._hooks.decides:
            return [(wanted, AS_USUAL, self._places.of(wanted.found.path)) for wanted in group]
        decided = await self._in_thread(partial(self._decide_some, group))
        await self._hooks.tell()
        return decided

    def _decide_some(self, group: Sequence[WantedFile]) -> list[tuple[WantedFile, Decision, Place]]:
        """Runs in a thread."""
        self._places.trim()
        began = time.monotonic()
        decided: list[tuple[WantedFile, Decision, Place]] = []
        for wanted in group:
            self._watch(0)
            decision = self._hooks.decide(wanted.found)
            decided.append((wanted, decision, self._places.of(wanted.found.path, decision.destination)))
            if time.monotonic() - began > LONG:
                break
        return decided

    async def _copy_together(
        self, decided: Sequence[tuple[WantedFile, Decision, Place]], left: dict[str, WantedFile]
    ) -> Exception | None:
        """Begin them, copy one after the other, write how that went; what happened to one that nobody foresaw."""
        skipped = [(wanted, decision.skipped) for wanted, decision, _ in decided if decision.skipped is not None]
        copied = [(wanted, place) for wanted, decision, place in decided if decision.skipped is None]
        attempts = await self._records.begin([(wanted, place.locate()) for wanted, place in copied], skipped)
        self._leave_out([wanted for wanted, _ in skipped], left)
        places = {attempt.transfer_id: place for attempt, (_, place) in zip(attempts, copied, strict=True)}
        occupied = await self._occupied(attempts, places) if attempts else []
        taken = {attempt.transfer_id: await self._taken(attempt, places) for attempt in occupied}
        unforeseen: Exception | None = None
        while attempts:
            outcomes = await self._in_thread(partial(self._copy_some, attempts, places, taken))
            unforeseen = await self._settle(outcomes, left) or unforeseen
            attempts = attempts[len(outcomes) :]
            await self._report()
            if attempts:
                self._run.leave_if_stopping()
                self._leave_if_lost()
        return unforeseen

    def _leave_out(self, skipped: Sequence[WantedFile], left: dict[str, WantedFile]) -> None:
        """They are known from now on, as those that were known before."""
        self._left_out += len(skipped)
        self._tally.files_new -= len(skipped)
        self._tally.files_skipped += len(skipped)
        self._tally.bytes_new -= sum(wanted.found.state.size for wanted in skipped)
        for wanted in skipped:
            left.pop(wanted.found.path, None)

    async def _settle(self, outcomes: Sequence[Outcome], left: dict[str, WantedFile]) -> Exception | None:
        """Write how copies ended; what happened to one that nobody foresaw."""
        await self._records.settle(await self._hooks.resolved(outcomes))
        await self._hooks.tell()
        self._bytes_under_way = 0
        unforeseen: Exception | None = None
        for outcome in outcomes:
            path = outcome.attempt.found.path
            if isinstance(outcome.result, Copied):
                self._tally.files_done += 1
                self._tally.bytes_done += outcome.result.state.size
            elif isinstance(outcome.result, CopyFailedError):
                self._tally.files_failed += 1
                await self._log_file("warning", f"{path} was not copied: {outcome.result.message}")
            else:
                unforeseen = outcome.result
                continue
            left.pop(path, None)
        return unforeseen

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
            except _ENDINGS:
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
        return self._made_durable(outcomes, places)

    def _made_durable(self, outcomes: list[Outcome], places: Mapping[UUID, Place]) -> list[Outcome]:
        """Runs in a thread. A copy is recorded when it would survive a power cut."""
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

    def _found(self, attempt: Attempt, place: Place, copied: Copied) -> Findings:
        """Runs in a thread. What hooks say of a copy, which is there in any case."""
        return self._hooks.find(
            attempt.found,
            record_id=attempt.record_id,
            transfer_id=attempt.transfer_id,
            destination=place.locate() or "",
            copied=copied,
        )

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
        if self._abandoned:
            raise InterruptedRunError
        self._run.go_on()
        self._bytes_under_way += size

    async def _occupied(self, attempts: Sequence[Attempt], places: Mapping[UUID, Place]) -> list[Attempt]:
        """Those with something at their destination."""
        return await self._in_thread(lambda: [attempt for attempt in attempts if places[attempt.transfer_id].exists()])

    async def _taken(self, attempt: Attempt, places: Mapping[UUID, Place]) -> bool:
        """Names of instruments need not be unique, so two may share a folder: never replace the copy of another's file."""
        destination = places[attempt.transfer_id].locate()
        return destination is not None and await self._records.taken(attempt.found.path, destination)

    async def _leave_none_open(self, end: BaseException) -> None:
        """Say of the transfers that were begun together what became of them, unless the run is somebody else's by now."""
        reason = self._run.ending or end
        if isinstance(reason, (LeaseLostError, asyncio.CancelledError)):
            return
        with suppress(Unavailable, LeaseLostError):  # then the next harvest does it
            await self._fail_open_transfers(_WORDS.get(type(reason)) or str(reason))

    async def _fail_open_transfers(self, reason: str) -> None:
        transfers = await self._records.open_transfers()
        if not transfers:
            return
        await self._run.renew()  # never remove what another worker is writing
        for transfer in transfers:
            if transfer["destination_path"] is not None:
                await asyncio.to_thread(self._discard, transfer["destination_path"], str(transfer["id"]))
        await self._records.fail_open(transfers, reason)

    def _discard(self, location: str, token: str) -> None:
        try:
            self._store.discard(location, token)
        except (OSError, DomainError):
            log.warning("the remains of transfer %s could not be removed", token, exc_info=True)

    async def _give_up(self, wanted: WantedFile, error: Exception) -> None:
        self._tally.files_failed += 1
        self._bytes_under_way = 0
        with suppress(Unavailable):  # then the next harvest ends the transfer
            await self._fail_open_transfers("an unexpected error ended the copy")
            name = type(error).__name__
            await self._log_file("error", f"{wanted.found.path} was not copied: an unexpected error happened ({name})")

    async def _in_thread(self, function: Callable[[], T]) -> T:
        """Run what blocks, and report while it takes its time. It has ended when this ends, however that is."""
        self._abandoned = False
        task = asyncio.create_task(asyncio.to_thread(function))
        try:
            while not (await asyncio.wait({task}, timeout=1))[0]:
                await self._report()
        finally:
            if not task.done():
                self._abandoned = True
                self._source.interrupt()
                self._places.interrupt()
                await asyncio.wait({task})
                task.exception()  # of no interest, but asked for
        return task.result()

    async def _report(self) -> None:
        """Progress on the run, and now and then in its log. Not worth failing for."""
        tally = self._tally
        now = self._run.clock()
        with suppress(Unavailable):
            await self._run.progress(**asdict(tally) | self._speed())
            if now - self._reported >= timedelta(seconds=self._settings.report_every):
                self._reported = now
                failed = f", {tally.files_failed} failed" if tally.files_failed else ""
                await self._run.log("info", f"{tally.files_done} of {_files(tally.files_new)} copied{failed}")

    def _speed(self) -> dict[str, int | None]:
        """Bytes so far, how fast they come, and how long the rest may take: as bytes or as files, whichever is slower."""
        tally = self._tally
        copied, seconds = tally.bytes_done + self._bytes_under_way, 0.0
        if self._copying_since is not None:
            seconds = time.monotonic() - self._copying_since
        ended = tally.files_done + tally.files_failed
        left = None
        if ended and seconds:
            share = min(ended / tally.files_new, copied / tally.bytes_new if tally.bytes_new else 1)
            left = round(seconds / share - seconds) if share else None
        return {
            "bytes_done": copied,
            "bytes_per_second": round(copied / seconds) if copied and seconds else None,
            "seconds_left": left,
        }

    async def _log_file(self, level: Level, message: str) -> None:
        self._lines += 1
        if self._lines <= _LOGGED:
            await self._run.log(level, message)
        elif self._lines == _LOGGED + 1:
            await self._run.log("warning", "More files have problems; the list of transfers names them all")

    def _summary(self) -> str:
        tally = self._tally
        if not tally.files_new and not self._left_out:
            return f"nothing new among {_files(tally.files_found)}"
        copied = f"{_files(tally.files_done)} copied ({_size(tally.bytes_done)})"
        if self._left_out:
            copied = f"{copied}, {self._left_out} skipped by hooks"
        if not tally.files_failed:
            return copied
        return f"{copied}, {tally.files_failed} failed and will be tried again by the next harvest"


async def _batches(listing: Listing) -> AsyncIterator[list[FoundFile]]:
    batches = listing.batches(_BATCH)
    while batch := await asyncio.to_thread(next, batches, None):
        yield batch


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _size(count: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
