"""Real worker processes that are killed: nothing half-written is visible, nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import xxhash

from core.vocabulary import RunState, TransferStatus
from jobs.queue import Queue
from storage.sql.tables import content_digests, file_records, file_transfers, instruments, links, runs, schedules
from tests.jobs.conftest import REPOSITORY, all_finished, until

pytestmark = pytest.mark.slow

LARGE = bytes(range(256)) * 4096 * 12  # twelve chunks


def _partial(laboratory):
    async def condition() -> bool:
        return any(path.stat().st_size > 1_000_000 for path in laboratory.archive.rglob(".switchyard-*.part"))

    return condition


def _visible(laboratory) -> dict[str, bytes]:
    return {path: content for path, content in laboratory.archived().items() if "/.switchyard-" not in path}


async def test_a_worker_killed_in_mid_copy_loses_nothing(laboratory, database, rows, start_worker):
    laboratory.put("a-small")
    laboratory.put("b-large", LARGE)
    run_id = await laboratory.trigger()
    worker = start_worker()
    await until(_partial(laboratory))
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
    await until(all_finished(rows))
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
    await until(_partial(laboratory))
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 20) == 0
    assert laboratory.archived() == {"NMR 400/a": LARGE}
    assert [(row["state"], row["attempt"]) for row in await rows(runs)] == [(RunState.QUEUED, 1)]


async def test_a_worker_does_not_outlive_the_process_that_started_it(laboratory, start_worker):
    worker = start_worker(parent=os.getpid() + 1)
    assert await asyncio.to_thread(worker.wait, 20) == 0


async def _recover(database) -> None:
    """As the scheduler does, half a minute later."""
    await Queue(database, clock=lambda: datetime.now(UTC) + timedelta(seconds=31)).recover()


async def test_workers_killed_at_random_points_lose_and_double_nothing(laboratory, database, rows, start_worker, faults):
    """kill -9; a file in ten takes long, the others go in groups."""
    dice = faults.dice
    expected: dict[str, bytes] = {}

    async def running() -> bool:
        return any(row["state"] is RunState.RUNNING for row in await rows(runs))

    for number in range(faults.rounds):
        for extra in range(20):
            content = dice.randbytes(2_500_000 if extra % 10 == 9 else dice.randrange(5_000))
            laboratory.put(f"round {number:02}/{extra:02}", content)
            expected[f"NMR 400/round {number:02}/{extra:02}"] = content
        await laboratory.trigger()
        worker = start_worker(pause=0.01)
        await until(running)
        await asyncio.sleep(dice.uniform(0, 0.5))
        worker.kill()
        worker.wait()
        visible = _visible(laboratory)
        assert {path: content for path, content in visible.items() if expected[path] != content} == {}
        recorded = [row["destination_path"] for row in await rows(file_transfers) if row["status"] is TransferStatus.COMPLETED]
        assert {path.removeprefix(f"{laboratory.archive}/") for path in recorded} <= set(visible)
        await _recover(database)

    await laboratory.trigger()
    start_worker(pause=0)
    await until(all_finished(rows))
    assert laboratory.archived() == expected
    records, transfers = await rows(file_records), await rows(file_transfers)
    assert sorted(row["source_path"] for row in records) == sorted(path.removeprefix("NMR 400/") for path in expected)
    completed = [row for row in transfers if row["status"] is TransferStatus.COMPLETED]
    assert sorted(row["file_id"] for row in completed) == sorted(row["id"] for row in records)
    assert {row["checksum_verified"] for row in completed} == {True}
    assert len(transfers) > len(completed)  # or no worker was interrupted
    reasons = {row["error_message"] for row in transfers if row["status"] is not TransferStatus.COMPLETED}
    assert reasons <= {"the worker died during the copy"}
    assert {row["xxhash"] for row in records} == {xxhash.xxh64(content).hexdigest() for content in expected.values()}
    for table, column in ((links, "from_id"), (content_digests, "asset_id")):
        assert sorted(row[column] for row in await rows(table, column)) == sorted(str(row["id"]) for row in records)


async def test_two_instruments_that_share_a_folder_are_harvested_at_once(laboratory, database, rows, start_worker):
    """Two of one name: whoever is first has the destination, and the other says so. A third goes beside them."""
    (first,), schedule = await rows(instruments), dict(await laboratory.schedule())
    sources = {first["id"]: b"the first", uuid4(): b"the second", uuid4(): b"the third"}
    triggered = [await laboratory.trigger()]
    for number in range(40):
        laboratory.put(f"{number:02}", b"the first")
    for number, (key, content) in enumerate(list(sources.items())[1:]):
        folder = laboratory.source.with_name(f"share {number}")
        folder.mkdir()
        for each in range(40):
            (folder / f"{each:02}").write_bytes(content)
        name = "Balance" if content == b"the third" else first["name"]
        laboratory.schedule_id = uuid4()
        async with database.transaction() as transaction:
            await transaction.insert(instruments, **(first | {"id": key, "name": name, "cifs_share": str(folder)}))
            await transaction.insert(schedules, **(schedule | {"id": laboratory.schedule_id, "instrument_id": key}))
        triggered.append(await laboratory.trigger())
    for _ in range(3):
        start_worker(pause=0.005)
    await until(all_finished(rows))

    assert [row["state"] for row in await rows(runs)] == [RunState.SUCCEEDED] * 3
    owner = {row["id"]: row["instrument_id"] for row in await rows(file_records)}
    completed: dict[str, bytes] = {}
    for row in await rows(file_transfers):
        if row["status"] is TransferStatus.COMPLETED:
            path = row["destination_path"].removeprefix(f"{laboratory.archive}/")
            assert path not in completed
            completed[path] = sources[owner[row["file_id"]]]
        else:
            assert row["error_message"] in {
                "the destination holds a file of another instrument of the same name",
                "the copy cannot be put in its place: File exists",
            }
    assert laboratory.archived() == completed
    assert len(completed) == 80


HANGING = """
import asyncio, sys, time
from datetime import timedelta
from pathlib import Path
from jobs.harvest import HarvestSettings, harvest_job
from jobs.sources import LocalFolder
from jobs.worker import run_worker
from storage.sql.opening import open_database

class Frozen(LocalFolder):
    def open(self, path):
        time.sleep(600)

async def main():
    database = await open_database(sys.argv[1])
    job = harvest_job(HarvestSettings(allowed_roots=[Path(sys.argv[2])]), source_of=lambda *_: Frozen(Path(sys.argv[3])))
    await run_worker(database, {"harvest": job}, poll=0.01, longest=timedelta(seconds=0.5), patience=0.1)

asyncio.run(main())
"""


async def test_a_worker_whose_job_hangs_writes_the_outcome_and_ends(laboratory, database_url, rows, tmp_path):
    """No thread can be ended from outside; with its process it can."""
    laboratory.put("a")
    await laboratory.trigger()
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HANGING, database_url, str(tmp_path), str(laboratory.source)),
        cwd=REPOSITORY,
        stderr=asyncio.subprocess.PIPE,
    )
    _, log = await asyncio.wait_for(worker.communicate(), 20)
    assert worker.returncode == 70
    assert b"its job hangs" in log
    assert [(row["state"], row["message"]) for row in await rows(runs)] == [(RunState.FAILED, "the run took longer than 0.5 s")]


async def test_two_workers_share_the_queue(laboratory, rows, start_worker):
    for number in range(5):
        laboratory.put(f"{number}")
    start_worker()
    start_worker()
    for _ in range(4):
        await laboratory.trigger()
        await asyncio.sleep(0.2)
    await until(all_finished(rows))
    assert {row["state"] for row in await rows(runs)} <= {RunState.SUCCEEDED, RunState.SKIPPED}
    assert [row["status"] for row in await rows(file_transfers)] == [TransferStatus.COMPLETED] * 5
