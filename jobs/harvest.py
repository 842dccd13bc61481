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
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.engine import RowMapping

from core.errors import DomainError, Unavailable
from core.vocabulary import StorageType
from jobs.active import ActiveRun, InterruptedRunError, Job, Level, RunCanceledError, RunFailedError
from jobs.arks import mint_ark
from jobs.copying import Copied, CopyFailedError, copy_file
from jobs.listing import Listing
from jobs.pace import LONG, Pace
from jobs.queue import LeaseLostError
from jobs.records import Attempt, HarvestRecords, Outcome, WantedFile
from jobs.runner import NewRun
from jobs.sources import FoundFile, Source, open_source
from storage.objects.paths import allowed_folder, safe_name
from storage.objects.posix import PosixStore
from storage.objects.protocol import ObjectStore
from storage.objects.unsupported import UnsupportedStore
from storage.sql.tables import instruments, schedules, service_accounts, storage_locations

log = logging.getLogger(__name__)

T = TypeVar("T")

KIND = "harvest"

_BATCH = 500
"""Paths looked up in one statement."""

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

OpenStore = Callable[[RowMapping, Sequence[Path]], ObjectStore]


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


def open_store(location: RowMapping, roots: Sequence[Path]) -> ObjectStore:
    """The place that a storage location's row describes. Raises a `DomainError` that says what is wrong with it."""
    kind: StorageType = location["type"]
    if kind is not StorageType.POSIX:
        return UnsupportedStore(kind.value)
    base_path = location["base_path"]
    return PosixStore(allowed_folder(base_path, roots, noun="the storage location's base path"), shown_as=base_path)


def harvest_job(settings: HarvestSettings, *, source_of: OpenSource = open_source, store_of: OpenStore = open_store) -> Job:
    """The job for runs of kind `harvest`."""

    async def harvest(run: ActiveRun) -> str:
        instrument, account, location = await _rows(run)
        try:
            folder = safe_name(instrument["name"])
            source = await asyncio.to_thread(source_of, instrument, settings.allowed_roots, account)
            store = await asyncio.to_thread(store_of, location, settings.allowed_roots)
        except DomainError as error:
            raise RunFailedError(error.detail) from error
        mint = partial(mint_ark, settings.ark_naan, settings.ark_shoulder)
        records = HarvestRecords(run, instrument, location["id"], mint)
        try:
            return await Harvest(run, settings, records, source, store, folder).execute()
        finally:
            await asyncio.to_thread(source.close)

    return harvest


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
        folder: str,
    ) -> None:
        self._run = run
        self._settings = settings
        self._records = records
        self._source = source
        self._store = store
        self._folder = folder
        self._tally = Tally()
        self._bytes_under_way = 0
        self._pace = Pace()
        self._lines = 0
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
        await self._fail_open_transfers("the worker died during the copy")
        listing = await self._discover()
        try:
            await self._count(listing)
            await self._copy_new(listing)
        finally:
            listing.close()
        await self._records.close()
        await self._run.progress(**asdict(self._tally))
        message = self._summary()
        await self._run.log("info", f"The harvest has ended: {message}")
        return message

    async def _discover(self) -> Listing:
        reason = ""
        attempts = self._settings.discovery_attempts
        for attempt in range(1, attempts + 1):
            if attempt > 1:
                await self._run.pause(self._settings.discovery_pause)
            refused: list[tuple[str, str]] = []
            try:
                listing = await self._in_thread(partial(self._list, refused))
            except OSError as error:
                reason = error.strerror or str(error)
                await self._run.log("warning", f"The folder could not be listed (try {attempt} of {attempts}): {reason}")
                continue
            for path, why in refused:
                await self._log_file("warning", f"Left out {path}: {why}")
            return listing
        raise RunFailedError(f"the instrument's folder could not be listed in {attempts} tries: {reason}")

    def _list(self, refused: list[tuple[str, str]]) -> Listing:
        """Runs in a thread."""

        def refuse(path: str, reason: str) -> None:
            refused.append((path.encode(errors="backslashreplace").decode(), reason))

        def files() -> Iterator[FoundFile]:
            for file in self._source.discover(refuse):
                self._run.leave_if_stopping()
                self._watch(0)
                yield file

        return Listing(files())

    async def _count(self, listing: Listing) -> None:
        tally = self._tally
        tally.files_found = listing.length
        async for batch in _batches(listing):
            self._run.leave_if_stopping()
            tally.files_new += len(await self._records.wanted(batch))
        tally.files_skipped = tally.files_found - tally.files_new
        await self._run.log("info", f"Found {_files(tally.files_found)}, {tally.files_new} to copy")
        await self._report()

    async def _copy_new(self, listing: Listing) -> None:
        async for found in _batches(listing):
            wanted = deque(await self._records.wanted(found))
            while wanted:
                self._run.leave_if_stopping()
                await self._step(self._pace.next_of(wanted))
                self._leave_if_lost()

    def _leave_if_lost(self) -> None:
        """Rather than to let each of many files wait for a server that is not there."""
        reason = self._source.lost()
        if reason is not None:
            tally = self._tally
            raise RunFailedError(
                f"{reason}; {tally.files_done} of {_files(tally.files_new)} copied, the next harvest tries the others"
            )

    async def _step(self, group: Sequence[WantedFile]) -> None:
        """A few files. An error that nobody foresaw is tried once more, file by file; then it is the file's, not the harvest's."""
        left = {wanted.found.path: wanted for wanted in group}
        try:
            await self._transfer(group, left)
        except _ENDINGS:
            raise
        except Exception:
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
        except Exception as error:
            log.exception("run %s: unexpected error at %r, again", self._run.id, wanted.found.path)
            await self._give_up(wanted, error)

    async def _transfer(self, group: Sequence[WantedFile], left: dict[str, WantedFile]) -> None:
        """Begin them, copy one after the other, write how that went. Takes out of `left` what was written."""
        began = time.monotonic()
        attempts = await self._records.begin([(wanted, self._locate(wanted.found)) for wanted in group])
        taken = {attempt.transfer_id: await self._taken(attempt) for attempt in await self._occupied(attempts)}
        unforeseen: Exception | None = None
        while attempts:
            outcomes = await self._in_thread(partial(self._copy_some, attempts, taken))
            unforeseen = await self._settle(outcomes, left) or unforeseen
            attempts = attempts[len(outcomes) :]
            await self._report()
            if attempts:
                self._run.leave_if_stopping()
                self._leave_if_lost()
        self._pace.took(time.monotonic() - began)
        if unforeseen is not None:
            raise unforeseen

    async def _settle(self, outcomes: Sequence[Outcome], left: dict[str, WantedFile]) -> Exception | None:
        """Write how copies ended; what happened to one that nobody foresaw."""
        await self._records.settle(outcomes)
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

    def _copy_some(self, attempts: Sequence[Attempt], taken: Mapping[UUID, bool]) -> list[Outcome]:
        """Runs in a thread. One after the other; fewer than all when it takes long or the harvest is to end."""
        clock, began = self._run.clock, time.monotonic()
        outcomes: list[Outcome] = []
        for attempt in attempts:
            began_at = clock()
            result: Copied | Exception
            try:
                result = self._copy(attempt, taken.get(attempt.transfer_id))
            except _ENDINGS:
                if outcomes:  # write what is done first; the next one to look will be told the same
                    break
                raise
            except Exception as error:  # noqa: BLE001  # it is told beside the others
                result = error
            outcomes.append(Outcome(attempt, result, began_at, clock()))
            if self._run.stopping or self._source.lost() is not None or time.monotonic() - began > LONG:
                break
        return self._made_durable(outcomes)

    def _made_durable(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Runs in a thread. A copy is recorded when it would survive a power cut."""
        try:
            self._store.flush()
        except OSError as error:
            failure = CopyFailedError(f"the copy cannot be put in its place: {error.strerror or error}")
            return [replace(each, result=failure) if isinstance(each.result, Copied) else each for each in outcomes]
        return outcomes

    def _copy(self, attempt: Attempt, taken: bool | None) -> Copied:
        """Runs in a thread. What lies at the destination is another's, or nobody's, or there is nothing (None)."""
        if taken:
            raise CopyFailedError("the destination holds a file of another instrument of the same name")
        return copy_file(
            self._source,
            attempt.found.path,
            self._store,
            self._key(attempt.found),
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

    def _key(self, file: FoundFile) -> str:
        return f"{self._folder}/{file.path}"

    def _locate(self, file: FoundFile) -> str | None:
        """None when the storage location has no place for it; the copy will then say why."""
        try:
            return self._store.locate(self._key(file))
        except DomainError:
            return None

    async def _occupied(self, attempts: Sequence[Attempt]) -> list[Attempt]:
        """Those with something at their destination."""
        return await self._in_thread(lambda: [attempt for attempt in attempts if self._exists(attempt)])

    def _exists(self, attempt: Attempt) -> bool:
        try:
            return self._store.exists(self._key(attempt.found))
        except (OSError, DomainError):
            return False  # the copy will meet the same obstacle and say so

    async def _taken(self, attempt: Attempt) -> bool:
        """Names of instruments need not be unique, so two may share a folder: never replace the copy of another's file."""
        destination = self._locate(attempt.found)
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
        except OSError:
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
                await asyncio.wait({task})
                task.exception()  # of no interest, but asked for
        return task.result()

    async def _report(self) -> None:
        """Progress on the run, and now and then in its log. Not worth failing for."""
        tally = self._tally
        now = self._run.clock()
        with suppress(Unavailable):
            await self._run.progress(**asdict(tally) | {"bytes_done": tally.bytes_done + self._bytes_under_way})
            if now - self._reported >= timedelta(seconds=self._settings.report_every):
                self._reported = now
                failed = f", {tally.files_failed} failed" if tally.files_failed else ""
                await self._run.log("info", f"{tally.files_done} of {_files(tally.files_new)} copied{failed}")

    async def _log_file(self, level: Level, message: str) -> None:
        self._lines += 1
        if self._lines <= _LOGGED:
            await self._run.log(level, message)
        elif self._lines == _LOGGED + 1:
            await self._run.log("warning", "More files have problems; the list of transfers names them all")

    def _summary(self) -> str:
        tally = self._tally
        if not tally.files_new:
            return f"nothing new among {_files(tally.files_found)}"
        copied = f"{_files(tally.files_done)} copied ({_size(tally.bytes_done)})"
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
