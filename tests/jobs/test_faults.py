"""Real worker processes that are killed: nothing half-written is visible, nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.vocabulary import RunState, TransferStatus
from jobs.queue import Queue
from storage.sql.tables import file_records, file_transfers, runs

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
LARGE = bytes(range(256)) * 4096 * 12  # twelve chunks


@pytest.fixture
def start_worker(database_url, tmp_path):
    """Start a worker; it is killed at the end, if it is still there."""
    started = []

    def start(parent: int | None = None) -> subprocess.Popen[bytes]:
        script = REPOSITORY / "tests/jobs/slow_worker.py"
        argv = [sys.executable, str(script), database_url, str(tmp_path), str(parent or os.getpid())]
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        started.append(subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


async def _until(condition) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110  # other processes set no events
            await asyncio.sleep(0.02)


def _partial(laboratory):
    async def condition() -> bool:
        return any(path.stat().st_size > 1_000_000 for path in laboratory.archive.rglob(".switchyard-*.part"))

    return condition


def _all_finished(rows):
    async def condition() -> bool:
        return all(row["finished_at"] is not None for row in await rows(runs))

    return condition


def _visible(laboratory) -> dict[str, bytes]:
    return {path: content for path, content in laboratory.archived().items() if "/.switchyard-" not in path}


async def test_a_worker_killed_in_mid_copy_loses_nothing(laboratory, database, rows, start_worker):
    laboratory.put("a-small")
    laboratory.put("b-large", LARGE)
    run_id = await laboratory.trigger()
    worker = start_worker()
    await _until(_partial(laboratory))
    worker.send_signal(signal.SIGKILL)
    worker.wait()

    assert _visible(laboratory) == {"NMR 400/a-small": b"hello caffeine"}
    assert [row["status"] for row in await rows(file_transfers, "started_at")] == [
        TransferStatus.COMPLETED,
        TransferStatus.IN_PROGRESS,
    ]
    assert [(row["id"], row["state"]) for row in await rows(runs)] == [(run_id, RunState.RUNNING)]
    assert await Queue(database).recover() == 0
    assert await Queue(database, clock=lambda: datetime.now(UTC) + timedelta(seconds=31)).recover() == 1

    start_worker()
    await _until(_all_finished(rows))
    assert laboratory.archived() == {"NMR 400/a-small": b"hello caffeine", "NMR 400/b-large": LARGE}
    assert [(row["status"], row["error_message"]) for row in await rows(file_transfers, "started_at")] == [
        (TransferStatus.COMPLETED, None),
        (TransferStatus.FAILED, "the worker died during the copy"),
        (TransferStatus.COMPLETED, None),
    ]
    assert len(await rows(file_records)) == 2
    assert [(row["id"], row["state"], row["attempt"]) for row in await rows(runs)] == [(run_id, RunState.SUCCEEDED, 2)]


async def test_a_worker_told_to_stop_finishes_its_file_and_gives_the_run_back(laboratory, rows, start_worker):
    laboratory.put("a", LARGE)
    laboratory.put("b")
    await laboratory.trigger()
    worker = start_worker()
    await _until(_partial(laboratory))
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 20) == 0
    assert laboratory.archived() == {"NMR 400/a": LARGE}
    assert [(row["state"], row["attempt"]) for row in await rows(runs)] == [(RunState.QUEUED, 1)]


async def test_a_worker_does_not_outlive_the_process_that_started_it(laboratory, start_worker):
    worker = start_worker(parent=os.getpid() + 1)
    assert await asyncio.to_thread(worker.wait, 20) == 0


async def test_two_workers_share_the_queue(laboratory, rows, start_worker):
    for number in range(5):
        laboratory.put(f"{number}")
    start_worker()
    start_worker()
    for _ in range(4):
        await laboratory.trigger()
        await asyncio.sleep(0.2)
    await _until(_all_finished(rows))
    assert {row["state"] for row in await rows(runs)} <= {RunState.SUCCEEDED, RunState.SKIPPED}
    assert [row["status"] for row in await rows(file_transfers)] == [TransferStatus.COMPLETED] * 5
