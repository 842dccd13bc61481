"""Harvests: of many small files beside a plain loop that copies, syncs, renames and re-hashes them; of known ones beside a walk.

`python -m bench.harvest` measures them alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import uvloop
import xxhash
from sqlalchemy import insert

from app.collecting import settle_garbage_collector
from bench.databases import fresh
from bench.targets import Verdict
from core.clock import utc_now
from core.vocabulary import PersistentIdType, RunState, StorageType, TransferAdapter, TransferStatus
from jobs.active import ActiveRun
from jobs.harvest import HarvestSettings, harvest_job, harvest_run
from jobs.queue import enqueue
from jobs.sources import FoundFile, LocalFolder
from jobs.worker import work
from storage.sql.database import Database
from storage.sql.migrate import migrate
from storage.sql.opening import open_database
from storage.sql.tables import file_records, file_transfers, instruments, runs, schedules, storage_locations

FILES = 2000
KNOWN = 50_000
SIZES = (10_000, 50_000)


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds, by the clock on the wall and of the processor."""

    wall: float
    cpu: float


def make_files(folder: Path, count: int = FILES, sizes: tuple[int, int] = SIZES) -> None:
    """Files of random content, twenty to a folder, of which nothing is in the disk's queue any more."""
    source = random.Random(1)
    for number in range(count):
        file = folder / f"run {number // 20:04}" / f"{number:05}.raw"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(source.randbytes(source.randint(*sizes)))
    os.sync()


def plain_loop(source: Path, target: Path) -> None:
    """What a careful script does: copy and hash, sync, rename, hash again."""
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        partial = copy.with_name(copy.name + ".part")
        read, written = xxhash.xxh64(), xxhash.xxh64()
        with file.open("rb") as incoming, partial.open("wb") as outgoing:
            while chunk := incoming.read(1 << 20):
                read.update(chunk)
                outgoing.write(chunk)
            outgoing.flush()
            os.fsync(outgoing.fileno())
        partial.rename(copy)
        with copy.open("rb") as again:
            while chunk := again.read(1 << 20):
                written.update(chunk)
        assert read.digest() == written.digest()


def bare_walk(source: Path) -> int:
    """The least that it takes to see whether anything is new: every folder listed, every file's size and time asked for."""
    seen = 0
    for folder, _, files in os.walk(source):
        for file in files:
            state = os.stat(f"{folder}/{file}")  # noqa: PTH116  # as quick as it can be
            seen += state.st_size >= 0 and state.st_mtime_ns != 0
    return seen


async def know(database: Database, schedule: dict[str, Any], source: Path) -> None:
    """The records of files that were harvested, without the harvest."""
    files = list(LocalFolder(source).discover(lambda *_: None))
    for start in range(0, len(files), 1000):
        some = [(uuid4(), file) for file in files[start : start + 1000]]
        async with database.transaction() as change:
            await change.execute(insert(file_records), [_record(schedule, key, file) for key, file in some])
            await change.execute(insert(file_transfers), [_transfer(schedule, key) for key, _ in some])


def _record(schedule: dict[str, Any], key: UUID, file: FoundFile) -> dict[str, Any]:
    return {
        "id": key,
        "persistent_id": f"ark:/99999/{key.hex}",
        "persistent_id_type": PersistentIdType.ARK,
        "instrument_id": schedule["instrument_id"],
        "source_path": file.path,
        "filename": file.path,
        "size_bytes": file.state.size,
        "source_mtime": file.state.modified,
        "xxhash": "0" * 16,
        "first_discovered_at": utc_now(),
    }


def _transfer(schedule: dict[str, Any], key: UUID) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "file_id": key,
        "storage_location_id": schedule["default_storage_location_id"],
        "transfer_adapter": TransferAdapter.RCLONE,
        "status": TransferStatus.COMPLETED,
        "started_at": utc_now(),
    }


async def set_up(database: Database, source: Path, target: Path) -> dict[str, Any]:
    """An instrument that was never harvested; its schedule."""
    instrument, location, schedule, now = uuid4(), uuid4(), uuid4(), utc_now()
    times = {"created_at": now, "updated_at": now, "enabled": True}
    async with database.transaction() as change:
        share = {"cifs_host": "file:", "cifs_share": str(source), "transfer_adapter": TransferAdapter.RCLONE}
        await change.insert(instruments, id=instrument, name="Bench", **share, **times)
        base = {"type": StorageType.POSIX, "base_path": str(target)}
        await change.insert(storage_locations, id=location, name="Bench", **base, **times)
        joined = {"instrument_id": instrument, "default_storage_location_id": location}
        await change.insert(schedules, id=schedule, cron_expression="0 0 1 1 *", **joined, **times)
    return joined | {"id": schedule}


async def harvest(database: Database, source: Path, target: Path) -> None:
    """One harvest of an instrument that was never harvested."""
    progress = await run_once(database, await set_up(database, source, target), source, target)
    if progress["files_done"] != progress["files_found"]:
        raise SystemExit(f"the harvest copied {progress}")


async def run_once(database: Database, schedule: dict[str, Any], source: Path, target: Path) -> dict[str, Any]:
    """One harvest as a worker does it; how far it came."""
    async with database.transaction() as change:
        run = await enqueue(change, harvest_run(schedule), now=utc_now())
    stop = asyncio.Event()
    job = harvest_job(HarvestSettings(allowed_roots=[source, target]))

    async def once(run: ActiveRun) -> str | None:
        try:
            return await job(run)
        finally:
            stop.set()

    await work(database, {"harvest": once}, name="bench", stop=stop, poll=0.01)
    row = await database.first(runs.select().where(runs.c.id == run))
    assert row is not None
    if row["state"] is not RunState.SUCCEEDED:
        raise SystemExit(f"the harvest ended with {row['message']!r}")
    progress: dict[str, Any] = row["progress"]
    return progress


async def compare_again(url: str, *, rounds: int = 5, count: int = KNOWN) -> tuple[Spent, Spent, Spent, int]:
    """Medians of a bare walk and of a harvest that finds nothing new, which take turns, of their ratios, and of the memory."""
    walks: list[Spent] = []
    harvests: list[Spent] = []
    database = await open_database(url)
    try:
        await migrate(database)
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "source", Path(folder) / "target"
            make_files(source, count, (10, 100))
            schedule = await set_up(database, source, target)
            await know(database, schedule, source)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for _ in range(rounds):
                walks.append(await _spent(lambda: asyncio.to_thread(bare_walk, source)))
                harvests.append(await _spent(lambda: run_once(database, schedule, source, target)))
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    finally:
        await database.close()
    ratios = [Spent(mine.wall / bare.wall, mine.cpu / bare.cpu) for mine, bare in zip(harvests, walks, strict=True)]
    return _median(walks), _median(harvests), _median(ratios), grown


async def compare(url: str, *, rounds: int = 5, count: int = FILES) -> tuple[Spent, Spent, Spent]:
    """Medians of the loop and of the harvest, which take turns, and of the ratios of each round."""
    loops: list[Spent] = []
    harvests: list[Spent] = []
    database = await open_database(url)
    try:
        await migrate(database)
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "source"
            make_files(source, count)
            for number in range(rounds):
                loop, copies = Path(folder) / f"loop {number}", Path(folder) / f"harvest {number}"
                loops.append(await _spent(partial(asyncio.to_thread, plain_loop, source, loop)))
                harvests.append(await _spent(partial(harvest, database, source, copies)))
    finally:
        await database.close()
    ratios = [Spent(mine.wall / plain.wall, mine.cpu / plain.cpu) for mine, plain in zip(harvests, loops, strict=True)]
    return _median(loops), _median(harvests), _median(ratios)


async def _spent(work: Callable[[], Awaitable[object]]) -> Spent:
    os.sync()
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def _median(each: list[Spent]) -> Spent:
    return Spent(statistics.median(one.wall for one in each), statistics.median(one.cpu for one in each))


async def measure(files: int, known: int, rounds: int, verdict: Verdict) -> None:
    """Each on a fresh SQLite file, in a process like that of a worker."""
    settle_garbage_collector()
    async with fresh("sqlite") as settings:
        verdict.harvest(f"harvest of {files:,} small local files", *await compare(settings.url, rounds=rounds, count=files))
    async with fresh("sqlite") as settings:
        *found, grown = await compare_again(settings.url, rounds=2 * rounds - 1, count=known)
        verdict.harvest_again(f"harvest of {known:,} files, of which all are known", *found, grown / 1024)


if __name__ == "__main__":
    logging.disable(logging.INFO)
    verdict = Verdict()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure(FILES, KNOWN, int(os.environ.get("BENCH_ROUNDS", "3")), verdict))
    raise SystemExit(verdict.conclude())
