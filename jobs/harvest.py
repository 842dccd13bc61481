"""The harvest of one instrument: find its files, copy the new ones to a storage location, record everything.

Contract streamweave §8. Whatever is wrong with one file is written to its transfer; the harvest goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.engine import RowMapping

from core.errors import DomainError
from jobs.acquisitions import Acquisitions
from jobs.active import ActiveRun, InterruptedRunError, Job, RunCanceledError, RunFailedError
from jobs.apart import require_apart
from jobs.arks import mint_ark
from jobs.copying_files import FileCopying
from jobs.finding import Finding
from jobs.groups import Groups
from jobs.hooks.access import WebhookAccess
from jobs.hooks.harvesting import FileHooks
from jobs.known_files import KnownFiles
from jobs.places import Places
from jobs.progress import Progress
from jobs.records import HarvestRecords
from jobs.remains import Remains
from jobs.runner import NewRun
from jobs.sources import Source, open_source
from jobs.threads import Threads
from storage.objects.opening import StorageAccess, open_store
from storage.objects.paths import safe_name
from storage.objects.protocol import ObjectStore
from storage.sql.tables import instruments, schedules, service_accounts, storage_locations

KIND = "harvest"

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
            acquisitions = Acquisitions.of(instrument["transfer_config"])
            source = await asyncio.to_thread(source_of, instrument, settings.allowed_roots, account)
            open_at = partial(_open_at, store_of, instrument, location, settings.allowed_roots)
            store = await asyncio.to_thread(open_at)
        except DomainError as error:
            raise RunFailedError(error.detail) from error
        mint = partial(mint_ark, settings.ark_naan, settings.ark_shoulder)
        known = KnownFiles(run.database, instrument["id"])
        records = HarvestRecords(run, instrument, location["id"], mint, acquisitions)
        places = Places(store, folder, open_at)
        hooks = await FileHooks.load(run, instrument, settings.webhooks)
        try:
            return await Harvest(run, settings, known, records, source, acquisitions, store, places, hooks, folder).execute()
        finally:
            await asyncio.to_thread(source.close)
            await asyncio.to_thread(places.close)
            await asyncio.to_thread(hooks.close)

    return harvest


def _open_at(
    store_of: OpenStore, instrument: RowMapping, location: RowMapping, roots: Sequence[Path], base_path: str | None = None
) -> ObjectStore:
    place: Mapping[Any, Any] = location if base_path is None else {**location, "base_path": base_path}
    store = store_of(place, roots, instrument["id"].hex)
    require_apart(instrument, place, instrument["name"])
    return store


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


class Harvest:
    """One harvest, from the first look into the folder to the closing message."""

    def __init__(
        self,
        run: ActiveRun,
        settings: HarvestSettings,
        known: KnownFiles,
        records: HarvestRecords,
        source: Source,
        acquisitions: Acquisitions,
        store: ObjectStore,
        places: Places,
        hooks: FileHooks,
        folder: str,
    ) -> None:
        self._run = run
        self._settings = settings
        self._records = records
        self._hooks = hooks
        self._folder = folder
        self._progress = progress = Progress(run, timedelta(seconds=settings.report_every))
        threads = Threads(progress.report, (source.interrupt, places.interrupt))
        self._remains = Remains(run, known, records, store, threads)
        self._finding = Finding(run, known, source, acquisitions, threads, progress)
        groups = Groups(run, known, records, source, places, hooks, threads, progress)
        self._copying = FileCopying(run, known, groups, self._remains, progress, settings.step_pause)

    async def execute(self) -> str:
        """Do it; the message of the finished run."""
        try:
            return await self._execute()
        except (InterruptedRunError, RunCanceledError, RunFailedError, asyncio.CancelledError) as end:
            await self._remains.leave_none_open(end)
            raise

    async def _execute(self) -> str:
        again = f" again (attempt {self._run.attempt})" if self._run.attempt > 1 else ""
        await self._run.log("info", f"The harvest of {self._folder} begins{again}")
        await self._hooks.tell()
        await self._remains.fail_open_transfers("the worker died during the copy")
        await self._remains.sweep()
        wanted = await self._finding.find(self._settings.discovery_attempts, self._settings.discovery_pause)
        try:
            await self._copying.copy(wanted)
        finally:
            wanted.close()
        await self._records.close()
        await self._progress.finish()
        message = self._progress.summary()
        await self._hooks.tell_totals()
        await self._run.log("info", f"The harvest has ended: {message}")
        return message
