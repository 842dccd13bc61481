"""A clock that moves by hand; the rows a harvest needs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random, SystemRandom
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Table, select
from sqlalchemy.engine import RowMapping

from core.vocabulary import StorageType, TransferAdapter
from jobs.active import ActiveRun
from jobs.harvest import HarvestSettings, harvest_job, harvest_run
from jobs.queue import Queue, enqueue
from jobs.worker import work
from storage.sql.database import Database
from storage.sql.tables import instruments, run_log, runs, schedules, storage_locations

REPOSITORY = Path(__file__).parents[2]
NOON = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def queue(database: Database, clock: ManualClock) -> Queue:
    return Queue(database, clock=clock)


@pytest.fixture
def rows(database: Database) -> Callable[..., Any]:
    """Every row of a table, in an order, as dictionaries."""

    async def read(table: Table, order: str = "id") -> list[dict[str, Any]]:
        return [dict(row) for row in await database.all(select(table).order_by(table.c[order]))]

    return read


@pytest.fixture
def log_of(database: Database) -> Callable[..., Any]:
    """A run's log as (level, message)."""

    async def read(run_id: UUID) -> list[tuple[str, str]]:
        lines = await database.all(select(run_log).where(run_log.c.run_id == run_id).order_by(run_log.c.line))
        return [(line["level"], line["message"]) for line in lines]

    return read


class Laboratory:
    """One instrument whose folder is `source`, one storage location at `archive`, one schedule; and a way to harvest."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.source = folder / "share"
        self.archive = folder / "archive"
        self.source.mkdir()
        self.settings = HarvestSettings(allowed_roots=[folder], discovery_pause=0, step_pause=0)
        self.instrument_id = uuid4()
        self.location_id = uuid4()
        self.schedule_id = uuid4()
        self.job_options: dict[str, Any] = {}

    async def set_up(self, clock: Callable[[], datetime]) -> None:
        now = clock()
        times = {"created_at": now, "updated_at": now}
        async with self.database.transaction() as transaction:
            await transaction.insert(
                instruments,
                id=self.instrument_id,
                name="NMR 400",
                cifs_host="file:",
                cifs_share=str(self.source),
                transfer_adapter=TransferAdapter.RCLONE,
                enabled=True,
                **times,
            )
            await transaction.insert(
                storage_locations,
                id=self.location_id,
                name="Archive",
                type=StorageType.POSIX,
                base_path=str(self.archive),
                enabled=True,
                **times,
            )
            await transaction.insert(
                schedules,
                id=self.schedule_id,
                instrument_id=self.instrument_id,
                default_storage_location_id=self.location_id,
                cron_expression="* * * * *",
                enabled=True,
                **times,
            )

    def put(self, path: str, content: bytes = b"hello caffeine") -> Path:
        file = self.source / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    async def change(self, table: Table, key: UUID, **values: Any) -> None:
        async with self.database.transaction() as transaction:
            await transaction.update(table, key, **values)

    async def schedule(self) -> RowMapping:
        row = await self.database.first(select(schedules).where(schedules.c.id == self.schedule_id))
        assert row is not None
        return row

    async def move_archive(self, folder: Path) -> None:
        self.archive = folder
        await self.change(storage_locations, self.location_id, base_path=str(folder))

    async def trigger(self) -> UUID:
        async with self.database.transaction() as transaction:
            return await enqueue(transaction, harvest_run(await transaction.get(schedules, self.schedule_id)), now=NOON)

    async def harvest(self) -> Mapping[str, Any]:
        """Trigger a harvest and let a worker do it; the run's row."""
        run_id = await self.trigger()
        await self.let_work()
        run = await self.database.first(select(runs).where(runs.c.id == run_id))
        assert run is not None
        return run

    async def let_work(self) -> None:
        await do_all(self.database, {"harvest": harvest_job(self.settings, **self.job_options)})

    def archived(self) -> dict[str, bytes]:
        """Everything in the archive, hidden files too."""
        files = (path for path in self.archive.rglob("*") if path.is_file())
        return {path.relative_to(self.archive).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
async def laboratory(database: Database, tmp_path: Path, clock: ManualClock) -> Laboratory:
    laboratory = Laboratory(database, tmp_path)
    await laboratory.set_up(clock)
    return laboratory


@pytest.fixture
def start_worker(database_url, tmp_path):
    """Start a worker; it is killed at the end, if it is still there."""
    started = []

    def start(parent: int | None = None, pause: float = 0.1) -> subprocess.Popen[bytes]:
        script = REPOSITORY / "tests/jobs/slow_worker.py"
        argv = [sys.executable, str(script), database_url, str(tmp_path), str(parent or os.getpid()), str(pause)]
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        started.append(subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


async def until(condition, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110  # other processes set no events
            await asyncio.sleep(0.02)


def all_finished(rows):
    async def condition() -> bool:
        return all(row["finished_at"] is not None for row in await rows(runs))

    return condition


@dataclass(frozen=True)
class Faults:
    """How often something is killed, and when."""

    rounds: int
    dice: Random


@pytest.fixture
def faults() -> Faults:
    """Ten rounds on each database, at random points that can be had again: `FAULT_SEED` is printed when a test fails."""
    seed = int(os.environ.get("FAULT_SEED") or SystemRandom().randrange(2**32))
    print(f"FAULT_SEED={seed}")  # noqa: T201
    return Faults(int(os.environ.get("FAULT_ROUNDS", "10")), Random(seed))


async def do_all(database: Database, jobs: Mapping[str, Any], **options: Any) -> None:
    """Work until the queue is empty."""
    stop = asyncio.Event()

    async def watch() -> None:
        unfinished = select(runs.c.id).where(runs.c.finished_at.is_(None))
        while await database.first(unfinished) is not None:  # noqa: ASYNC110  # the database sends no events
            await asyncio.sleep(0.01)
        stop.set()

    watcher = asyncio.create_task(watch())
    await work(database, jobs, name="worker", stop=stop, poll=0.01, **options)
    await watcher


@pytest.fixture
def finish_all(database: Database) -> Callable[..., Any]:
    async def finish(jobs: Mapping[str, Any], **options: Any) -> None:
        await do_all(database, jobs, **options)

    return finish


@pytest.fixture
def active(database: Database, queue: Queue, clock: ManualClock) -> Callable[..., Any]:
    """Claim the next run by hand."""

    async def claim(**options: Any) -> ActiveRun:
        claimed = await queue.claim("worker", ["harvest"])
        assert claimed is not None
        return ActiveRun(database, queue, claimed, clock=clock, **options)

    return claim
