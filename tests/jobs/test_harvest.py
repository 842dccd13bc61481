"""Contract streamweave §8, from a local folder to a posix storage location."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import re
import shutil
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import xxhash
from sqlalchemy import event

from core.errors import Unavailable
from core.vocabulary import PersistentIdType, RunState, StorageType, TransferAdapter, TransferStatus
from jobs.acquisitions import Acquisitions
from jobs.active import ActiveRun, InterruptedRunError
from jobs.copying import CHUNK
from jobs.harvest import HarvestSettings, harvest_job, harvest_run
from jobs.known_files import WantedFile
from jobs.pace import Pace
from jobs.queue import LeaseLostError, cancel
from jobs.records import HarvestRecords
from jobs.runner import NewRun
from jobs.sources import LocalFolder
from storage.objects.posix import PosixWriter
from storage.sql.tables import (
    content_digests,
    file_records,
    file_transfers,
    instruments,
    links,
    runs,
    schedules,
    storage_locations,
)

DEMO = Path(__file__).parents[2] / "demo" / "instruments"
CAFFEINE = "d6a06c8f22ac88e4"


def progress(**changed: int) -> dict[str, Any]:
    names = ("found", "new", "done", "failed", "skipped", "waiting", "changed", "vanished")
    counts: dict[str, Any] = dict.fromkeys([*(f"files_{name}" for name in names), "bytes_done"], 0)
    counts |= {"bytes_new": changed.get("bytes_done", 0), "bytes_per_second": None, "seconds_left": None}
    return counts | changed


async def transfers(rows) -> list[tuple]:
    return [(row["status"], row["error_message"]) for row in await rows(file_transfers, "started_at")]


# What a harvest leaves behind


async def test_a_run_is_made_from_a_schedule(laboratory):
    assert harvest_run(await laboratory.schedule()) == NewRun(
        kind="harvest",
        parameters={"instrument_id": str(laboratory.instrument_id), "schedule_id": str(laboratory.schedule_id)},
        exclusive_key=f"harvest:{laboratory.instrument_id}",
        subject_id=laboratory.schedule_id,
        target_id=laboratory.instrument_id,
    )


async def test_a_new_file_is_copied_and_recorded(laboratory, rows):
    file = laboratory.put("20260115_sampleA/run_001.csv")
    os.utime(file, (1_700_000_000, 1_700_000_000))
    before = datetime.now(UTC)
    run = await laboratory.harvest()
    after = datetime.now(UTC)

    assert laboratory.archived() == {"NMR 400/20260115_sampleA/run_001.csv": b"hello caffeine"}
    (record,) = await rows(file_records)
    assert re.fullmatch(r"ark:/99999/fk4[a-z2-7]{26}", record["persistent_id"])
    assert before <= record["first_discovered_at"] <= after
    assert record == {
        "id": record["id"],
        "persistent_id": record["persistent_id"],
        "persistent_id_type": PersistentIdType.ARK,
        "instrument_id": laboratory.instrument_id,
        "source_path": "20260115_sampleA/run_001.csv",
        "filename": "run_001.csv",
        "size_bytes": 14,
        "source_mtime": datetime.fromtimestamp(1_700_000_000, UTC),
        "xxhash": CAFFEINE,
        "sha256": None,
        "first_discovered_at": record["first_discovered_at"],
        "metadata": {},
        "owner_id": None,
        "acquisition": None,
    }
    (transfer,) = await rows(file_transfers)
    assert before <= transfer["started_at"] <= transfer["completed_at"] <= after
    assert transfer == {
        "id": transfer["id"],
        "file_id": record["id"],
        "storage_location_id": laboratory.location_id,
        "destination_path": f"{laboratory.archive}/NMR 400/20260115_sampleA/run_001.csv",
        "transfer_adapter": TransferAdapter.RCLONE,
        "status": TransferStatus.COMPLETED,
        "bytes_transferred": 14,
        "source_checksum": CAFFEINE,
        "dest_checksum": CAFFEINE,
        "checksum_verified": True,
        "started_at": transfer["started_at"],
        "completed_at": transfer["completed_at"],
        "error_message": None,
        "run_id": run["id"],
    }
    (digest,) = await rows(content_digests, "digest")
    assert digest == {
        "algorithm": "xxh64",
        "digest": CAFFEINE,
        "asset_type": "FileRecord",
        "asset_id": str(record["id"]),
        "created_at": digest["created_at"],
    }
    (link,) = await rows(links)
    assert link == {
        "id": link["id"],
        "from_type": "FileRecord",
        "from_id": str(record["id"]),
        "to_type": "HarvestRun",
        "to_id": str(run["id"]),
        "kind": "produced_by",
        "evidence": {"transfer_id": str(transfer["id"]), "xxh64": CAFFEINE},
        "created_at": link["created_at"],
    }
    (instrument,) = await rows(instruments)
    assert before <= instrument["last_harvested_at"] <= after
    assert (run["state"], run["message"], run["progress"]) == (
        RunState.SUCCEEDED,
        "1 file copied (14 bytes)",
        progress(files_found=1, files_new=1, files_done=1, bytes_done=14),
    )


async def test_the_demo_instruments_are_harvested_completely(laboratory, rows):
    shutil.copytree(DEMO, laboratory.source, dirs_exist_ok=True)
    sources = {path.relative_to(DEMO).as_posix(): path.read_bytes() for path in DEMO.rglob("*") if path.is_file()}
    run = await laboratory.harvest()
    assert len(sources) == 29
    assert laboratory.archived() == {f"NMR 400/{path}": content for path, content in sources.items()}
    assert {row["source_path"]: (row["xxhash"], row["size_bytes"]) for row in await rows(file_records)} == {
        path: (xxhash.xxh64(content, seed=0).hexdigest(), len(content)) for path, content in sources.items()
    }
    assert run["progress"] == progress(files_found=29, files_new=29, files_done=29, bytes_done=sum(map(len, sources.values())))


async def test_files_are_copied_one_after_the_other_in_the_order_of_their_paths(laboratory, rows):
    for path in ("b", "a/z", "a.txt", "a/b/c"):
        laboratory.put(path)
    await laboratory.harvest()
    in_order = sorted(await rows(file_transfers, "started_at"), key=lambda row: row["started_at"])
    base = f"{laboratory.archive}/NMR 400/"
    assert [row["destination_path"].removeprefix(base) for row in in_order] == ["a.txt", "a/b/c", "a/z", "b"]
    assert all(one["completed_at"] <= two["started_at"] for one, two in pairwise(in_order))


async def test_a_second_harvest_creates_nothing(laboratory, rows):
    laboratory.put("a")
    laboratory.put("b")
    await laboratory.harvest()
    before = [await rows(table) for table in (file_records, file_transfers, links)]
    run = await laboratory.harvest()
    assert [await rows(table) for table in (file_records, file_transfers, links)] == before
    assert (run["state"], run["message"], run["progress"]) == (
        RunState.SUCCEEDED,
        "nothing new among 2 files",
        progress(files_found=2, files_skipped=2),
    )


async def test_changed_content_of_a_known_file_is_left_alone(laboratory, rows):
    file = laboratory.put("a")
    await laboratory.harvest()
    file.write_bytes(b"changed")
    await laboratory.harvest()
    assert laboratory.archived() == {"NMR 400/a": b"hello caffeine"}
    assert len(await rows(file_transfers)) == 1


async def test_only_new_files_are_copied(laboratory):
    laboratory.put("a")
    await laboratory.harvest()
    laboratory.put("b", b"")
    run = await laboratory.harvest()
    assert run["progress"] == progress(files_found=2, files_new=1, files_done=1, files_skipped=1)


async def test_more_files_than_one_statement_looks_up(laboratory, rows, monkeypatch):
    monkeypatch.setattr("jobs.copying_files._BATCH", 3)
    for number in range(8):
        laboratory.put(f"{number}", b"")
    await laboratory.harvest()
    laboratory.put("3a", b"")
    run = await laboratory.harvest()
    assert run["progress"] == progress(files_found=9, files_new=1, files_done=1, files_skipped=8)
    assert len(await rows(file_records)) == 9


async def test_an_empty_folder_is_a_harvest_too(laboratory, rows):
    run = await laboratory.harvest()
    assert (run["state"], run["message"]) == (RunState.SUCCEEDED, "nothing new among 0 files")
    assert (await rows(instruments))[0]["last_harvested_at"] is not None


async def test_an_empty_file_has_its_checksum(laboratory, rows):
    laboratory.put("empty", b"")
    await laboratory.harvest()
    assert [(row["xxhash"], row["size_bytes"]) for row in await rows(file_records)] == [("ef46db3751d8e999", 0)]


@pytest.mark.parametrize(
    "path", ["run 1/my data.csv", "プローブ/ä é.raw", "a\nb", "e\u0301", "100%/#1?.csv", "'; drop--", ".hidden"]
)
async def test_spaces_and_unicode_are_kept(laboratory, rows, path):
    laboratory.put(path)
    await laboratory.harvest()
    assert laboratory.archived() == {f"NMR 400/{path}": b"hello caffeine"}
    assert [(row["source_path"], row["filename"]) for row in await rows(file_records)] == [(path, path.rpartition("/")[2])]


async def test_the_log_tells_the_story(laboratory, log_of):
    laboratory.put("a")
    (laboratory.source / "away").symlink_to("/etc/passwd")
    run = await laboratory.harvest()
    assert await log_of(run["id"]) == [
        ("info", "The harvest of NMR 400 begins"),
        ("warning", "Left out away: the link leads out of the instrument's folder"),
        ("info", "Found 1 file, 1 to copy"),
        ("info", "The harvest has ended: 1 file copied (14 bytes)"),
    ]


async def test_a_long_harvest_says_how_far_it_is(laboratory, log_of):
    laboratory.settings = HarvestSettings(allowed_roots=laboratory.settings.allowed_roots, report_every=0)
    laboratory.put("a")
    laboratory.put("b")
    run = await laboratory.harvest()
    lines = [message for _, message in await log_of(run["id"])]
    assert [line for line in lines if "of 2 files" in line] == [
        "0 of 2 files copied",
        "1 of 2 files copied",
        "2 of 2 files copied",
    ]


async def test_the_ark_settings_are_used(laboratory, rows):
    laboratory.settings = HarvestSettings(allowed_roots=laboratory.settings.allowed_roots, ark_naan="12345", ark_shoulder="x9")
    laboratory.put("a")
    await laboratory.harvest()
    assert (await rows(file_records))[0]["persistent_id"].startswith("ark:/12345/x9")


async def test_the_base_path_is_where_paths_begin(laboratory, rows):
    laboratory.put("data/run/a")
    laboratory.put("other/b")
    await laboratory.change(instruments, laboratory.instrument_id, cifs_base_path="/data/")
    await laboratory.harvest()
    assert [row["source_path"] for row in await rows(file_records)] == ["run/a"]


# Single files that fail


async def test_a_file_that_cannot_be_copied_fails_alone(laboratory, rows, log_of):
    for path in ("a", "b", "c"):
        laboratory.put(path)
    (laboratory.archive / "NMR 400/b").mkdir(parents=True)
    run = await laboratory.harvest()
    reason = "the copy cannot be put in its place: Is a directory"
    assert sorted(laboratory.archived()) == ["NMR 400/a", "NMR 400/c"]
    assert await transfers(rows) == [
        (TransferStatus.COMPLETED, None),
        (TransferStatus.FAILED, reason),
        (TransferStatus.COMPLETED, None),
    ]
    assert (run["state"], run["message"], run["progress"]) == (
        RunState.SUCCEEDED,
        "2 files copied (28 bytes), 1 failed and will be tried again by the next harvest",
        progress(files_found=3, files_new=3, files_done=2, files_failed=1, bytes_new=42, bytes_done=28),
    )
    assert ("warning", f"b was not copied: {reason}") in await log_of(run["id"])
    assert (await rows(instruments))[0]["last_harvested_at"] is not None


async def test_a_failed_transfer_leaves_the_record_without_checksum(laboratory, rows):
    laboratory.put("a")
    (laboratory.archive / "NMR 400/a").mkdir(parents=True)
    run = await laboratory.harvest()
    (transfer,) = await rows(file_transfers)
    (record,) = await rows(file_records)
    assert transfer == {
        "id": transfer["id"],
        "file_id": record["id"],
        "storage_location_id": laboratory.location_id,
        "destination_path": f"{laboratory.archive}/NMR 400/a",
        "transfer_adapter": TransferAdapter.RCLONE,
        "status": TransferStatus.FAILED,
        "bytes_transferred": None,
        "source_checksum": None,
        "dest_checksum": None,
        "checksum_verified": None,
        "started_at": transfer["started_at"],
        "completed_at": transfer["completed_at"],
        "error_message": "the copy cannot be put in its place: Is a directory",
        "run_id": run["id"],
    }
    assert (record["xxhash"], record["size_bytes"]) == (None, 14)
    assert await rows(links) == []
    assert await rows(content_digests, "digest") == []


async def test_a_failed_file_is_retried_on_the_same_record(laboratory, rows):
    laboratory.put("a")
    (laboratory.archive / "NMR 400/a").mkdir(parents=True)
    await laboratory.harvest()
    (before,) = await rows(file_records)
    (laboratory.archive / "NMR 400/a").rmdir()
    run = await laboratory.harvest()
    (record,) = await rows(file_records)
    assert record == before | {"xxhash": CAFFEINE}
    both = await rows(file_transfers, "started_at")
    assert [(row["file_id"], row["status"]) for row in both] == [
        (record["id"], TransferStatus.FAILED),
        (record["id"], TransferStatus.COMPLETED),
    ]
    assert run["progress"] == progress(files_found=1, files_new=1, files_done=1, bytes_done=14)
    await laboratory.harvest()
    assert len(await rows(file_transfers)) == 2


async def test_a_retried_file_is_recorded_as_it_is_now(laboratory, rows):
    file = laboratory.put("a")
    (laboratory.archive / "NMR 400/a").mkdir(parents=True)
    await laboratory.harvest()
    (laboratory.archive / "NMR 400/a").rmdir()
    file.write_bytes(b"")
    await laboratory.harvest()
    assert [(row["size_bytes"], row["xxhash"]) for row in await rows(file_records)] == [(0, "ef46db3751d8e999")]


async def test_a_destination_that_cannot_be_written_fails_every_file(laboratory, rows):
    laboratory.put("a")
    laboratory.put("b")
    laboratory.archive.write_bytes(b"a file where the folder should be")
    run = await laboratory.harvest()
    assert [status for status, _ in await transfers(rows)] == [TransferStatus.FAILED] * 2
    assert (run["state"], run["progress"]["files_failed"]) == (RunState.SUCCEEDED, 2)


@pytest.mark.parametrize("kind", [StorageType.S3, StorageType.CIFS])
async def test_a_worker_without_keys_copies_nothing_to_places_that_need_them(laboratory, rows, kind):
    laboratory.put("a")
    await laboratory.change(storage_locations, laboratory.location_id, type=kind)
    run = await laboratory.harvest()
    reason = f"this process was started without the keys that storage locations of type {kind.value} need"
    assert (run["state"], run["message"]) == (RunState.FAILED, reason)
    assert await rows(file_transfers) == []
    assert not laboratory.archive.exists()


async def test_a_folder_that_should_be_mounted_is_never_made(laboratory, rows):
    laboratory.put("a")
    await laboratory.change(storage_locations, laboratory.location_id, type=StorageType.NFS)
    await laboratory.harvest()
    reason = f"the copy cannot be written: Path does not exist or is not a directory: {laboratory.archive}"
    assert await transfers(rows) == [(TransferStatus.FAILED, reason)]
    assert not laboratory.archive.exists()
    laboratory.archive.mkdir()
    await laboratory.harvest()
    assert laboratory.archived() == {"NMR 400/a": b"hello caffeine"}


async def test_files_that_changed_or_vanished_are_named_and_left_alone(laboratory, rows, log_of):
    for path in ("a/1", "a/2", "b", "c"):
        laboratory.put(path)
    await laboratory.harvest()
    before = await rows(file_records), await rows(file_transfers), laboratory.archived()
    laboratory.put("a/2", b"longer than it was")
    os.utime(laboratory.source / "b", ns=(0, 10**18))
    (laboratory.source / "c").unlink()
    (laboratory.source / "a/1").unlink()
    run = await laboratory.harvest()
    assert run["progress"] == progress(files_found=2, files_skipped=2, files_changed=2, files_vanished=2)
    fate = "changed at the source since it was copied; its copy and its record stay as they are"
    assert [message for level, message in await log_of(run["id"]) if level == "warning"] == [
        f"a/2 {fate}",
        f"b {fate}",
        "a/1 is no longer at the source; its record stays",
        "c is no longer at the source; its record stays",
    ]
    assert (await rows(file_records), await rows(file_transfers), laboratory.archived()) == before


async def test_a_file_in_a_folder_that_cannot_be_read_has_not_vanished(laboratory, monkeypatch):
    laboratory.put("closed/a")
    laboratory.put("open/a")
    await laboratory.harvest()
    (laboratory.source / "open/a").unlink()
    scandir = os.scandir

    def refuse(folder: Any) -> Any:
        if str(folder).rstrip("/").endswith("closed"):
            raise PermissionError
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    run = await laboratory.harvest()
    assert run["progress"] == progress(files_vanished=1)


async def test_a_harvest_under_way_says_how_fast_it_is_and_how_long_it_will_take(laboratory, active, monkeypatch):
    for name in "abc":
        laboratory.put(name, b"x" * 100)
    await laboratory.trigger()
    run = await active()
    reached = []

    async def watch(**progress: Any) -> None:
        reached.append(progress)

    monkeypatch.setattr(run, "progress", watch)
    await harvest_job(laboratory.settings)(run)
    first, *_, under_way, last = reached
    assert (first["bytes_per_second"], first["seconds_left"]) == (None, None)
    assert under_way["bytes_per_second"] > 0
    assert under_way["seconds_left"] >= 0
    assert last == progress(files_found=3, files_new=3, files_done=3, bytes_done=300)


class Liar(PosixWriter):
    def write(self, chunk: bytes) -> None:
        super().write(chunk[:-1] + b"?")


async def test_a_copy_that_differs_is_failed_and_removed(laboratory, rows, monkeypatch):
    laboratory.put("a")
    monkeypatch.setattr("storage.objects.posix.PosixWriter", Liar)
    await laboratory.harvest()
    (transfer,) = await rows(file_transfers)
    wrong = xxhash.xxh64(b"hello caffein?").hexdigest()
    names = ("status", "source_checksum", "dest_checksum", "checksum_verified", "error_message")
    assert {name: transfer[name] for name in names} == {
        "status": TransferStatus.FAILED,
        "source_checksum": CAFFEINE,
        "dest_checksum": wrong,
        "checksum_verified": False,
        "error_message": f"the copy differs from the source (checksum {wrong} instead of {CAFFEINE}) and was removed",
    }
    assert laboratory.archived() == {}


class Slow(LocalFolder):
    """Lets a test do something while a file is being copied."""

    def __init__(self, root: Path, meanwhile) -> None:
        super().__init__(root)
        self._meanwhile = meanwhile

    def open(self, path: str):
        stream = super().open(path)
        self._meanwhile(path)
        return stream


async def test_a_file_that_changes_while_being_copied_is_retried_next_time(laboratory, rows):
    file = laboratory.put("a")
    laboratory.job_options = {"source_of": lambda *_: Slow(laboratory.source, lambda path: file.write_bytes(b"longer" * 9))}
    await laboratory.harvest()
    assert await transfers(rows) == [(TransferStatus.FAILED, "the file changed while it was being copied")]
    assert laboratory.archived() == {}
    laboratory.job_options = {}
    await laboratory.harvest()
    assert laboratory.archived() == {"NMR 400/a": b"longer" * 9}


async def test_a_file_that_vanishes_is_failed(laboratory, rows):
    file = laboratory.put("a")
    laboratory.put("b")

    class Vanishing(LocalFolder):
        def discover(self, refuse):
            yield from list(super().discover(refuse))
            file.unlink(missing_ok=True)

    laboratory.job_options = {"source_of": lambda *_: Vanishing(laboratory.source)}
    await laboratory.harvest()
    assert await transfers(rows) == [
        (TransferStatus.FAILED, "the source cannot be read: No such file or directory"),
        (TransferStatus.COMPLETED, None),
    ]


async def test_a_name_that_is_a_path_elsewhere_is_recorded_and_not_copied(laboratory, rows):
    laboratory.put("..\\..\\evil")
    await laboratory.harvest()
    ((status, message),) = await transfers(rows)
    assert status is TransferStatus.FAILED
    assert "cannot be used as the name of a file or folder" in message
    assert laboratory.archived() == {}


async def test_a_folder_of_the_archive_that_links_away_is_not_written(laboratory, rows, tmp_path):
    laboratory.put("a")
    (tmp_path / "elsewhere").mkdir()
    laboratory.archive.mkdir()
    (laboratory.archive / "NMR 400").symlink_to(tmp_path / "elsewhere")
    await laboratory.harvest()
    ((status, message),) = await transfers(rows)
    assert status is TransferStatus.FAILED
    assert "is a link that leaves the storage location" in message
    assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_an_existing_destination_nobody_recorded_is_replaced(laboratory, rows):
    laboratory.put("a")
    (laboratory.archive / "NMR 400").mkdir(parents=True)
    (laboratory.archive / "NMR 400/a").write_bytes(b"left by a crash")
    await laboratory.harvest()
    assert laboratory.archived() == {"NMR 400/a": b"hello caffeine"}


async def test_the_copy_of_another_instrument_of_the_same_name_is_never_replaced(laboratory, rows, database):
    laboratory.put("a")
    await laboratory.harvest()
    (instrument,) = await rows(instruments)
    schedule = dict(await laboratory.schedule())
    other = laboratory.source.parent / "other"
    other.mkdir()
    (other / "a").write_bytes(b"something else")
    (other / "b").write_bytes(b"b")
    laboratory.instrument_id, laboratory.schedule_id = uuid4(), uuid4()
    async with database.transaction() as transaction:
        twin = {"id": laboratory.instrument_id, "cifs_share": str(other), "last_harvested_at": None}
        await transaction.insert(instruments, **(instrument | twin))
        changed = {"id": laboratory.schedule_id, "instrument_id": laboratory.instrument_id}
        await transaction.insert(schedules, **(schedule | changed))
    await laboratory.harvest()
    assert laboratory.archived() == {"NMR 400/a": b"hello caffeine", "NMR 400/b": b"b"}
    assert await transfers(rows) == [
        (TransferStatus.COMPLETED, None),
        (TransferStatus.FAILED, "the destination holds a file of another instrument of the same name"),
        (TransferStatus.COMPLETED, None),
    ]


async def test_the_log_does_not_grow_with_every_failed_file(laboratory, log_of, monkeypatch):
    monkeypatch.setattr("jobs.progress._LOGGED", 2)
    for number in range(5):
        laboratory.put(f"{number}")
    laboratory.archive.write_bytes(b"")
    run = await laboratory.harvest()
    warnings = [message for level, message in await log_of(run["id"]) if level == "warning"]
    assert warnings[2:] == ["More files have problems; the list of transfers names them all"]


# Errors nobody foresaw


async def test_an_unforeseen_error_is_tried_once_more(laboratory, rows, monkeypatch, caplog):
    laboratory.put("a")
    settle, failures = HarvestRecords.settle, iter([RuntimeError("surprise")])

    async def flaky(self, *arguments):
        for failure in failures:
            raise failure
        await settle(self, *arguments)

    monkeypatch.setattr(HarvestRecords, "settle", flaky)
    run = await laboratory.harvest()
    assert await transfers(rows) == [
        (TransferStatus.FAILED, "an unexpected error ended the copy"),
        (TransferStatus.COMPLETED, None),
    ]
    assert len(await rows(file_records)) == 1
    assert run["message"] == "1 file copied (14 bytes)"
    assert "surprise" in caplog.text


async def test_an_unforeseen_error_that_stays_is_this_files_alone(laboratory, rows, log_of, monkeypatch):
    laboratory.put("a")
    laboratory.put("b")
    settle = HarvestRecords.settle

    async def flaky(self, outcomes):
        if "a" in [outcome.attempt.found.path for outcome in outcomes]:
            raise RuntimeError("surprise")
        await settle(self, outcomes)

    monkeypatch.setattr(HarvestRecords, "settle", flaky)
    run = await laboratory.harvest()
    assert [status for status, _ in await transfers(rows)] == [
        TransferStatus.FAILED,
        TransferStatus.FAILED,
        TransferStatus.COMPLETED,
    ]
    assert (run["state"], run["progress"]["files_failed"]) == (RunState.SUCCEEDED, 1)
    assert ("error", "a was not copied: an unexpected error happened (RuntimeError)") in await log_of(run["id"])


async def test_progress_that_cannot_be_written_ends_nothing(laboratory, monkeypatch):
    async def unavailable(self, **reached):
        self.reached.update(reached)
        if reached["files_done"] == 0:
            raise Unavailable("busy")

    laboratory.put("a")
    monkeypatch.setattr(ActiveRun, "progress", unavailable)
    run = await laboratory.harvest()
    assert run["state"] is RunState.SUCCEEDED
    assert run["progress"]["files_done"] == 1


# Files that are recorded together


@pytest.fixture
def in_groups(monkeypatch):
    """Groups of that many from the beginning, however slow the machine is."""

    def of(count: int) -> None:
        monkeypatch.setattr("jobs.pace.MOST", count)
        monkeypatch.setattr("jobs.pace.QUICK", 60)
        monkeypatch.setattr("jobs.groups.LONG", 60)
        init = Pace.__init__

        def begin(self) -> None:
            init(self)
            self._count = count

        monkeypatch.setattr(Pace, "__init__", begin)

    return of


async def _writes(database, work) -> int:
    """How many transactions began meanwhile that are not reads."""
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    event.listen(database.engine.sync_engine, "commit", note)
    await work
    event.remove(database.engine.sync_engine, "commit", note)
    return count


async def test_a_group_takes_two_transactions(laboratory, database, in_groups):
    in_groups(20)
    one_group = await _writes(database, laboratory.harvest())
    for number in range(60):
        laboratory.put(f"{number:02}", b"x" * number)
    three_groups = await _writes(database, laboratory.harvest())
    assert three_groups - one_group <= 3 * 2 + 3  # and progress, once a second


async def test_files_of_a_group_are_copied_and_timed_one_after_the_other(laboratory, rows, in_groups):
    in_groups(5)
    for number in range(5):
        laboratory.put(f"{number}")
    await laboratory.harvest()
    in_order = await rows(file_transfers, "started_at")
    assert [row["destination_path"][-1] for row in in_order] == ["0", "1", "2", "3", "4"]
    assert all(one["completed_at"] <= two["started_at"] for one, two in pairwise(in_order))


async def test_one_of_a_group_that_fails_fails_alone(laboratory, rows, in_groups):
    in_groups(3)
    for path in ("a", "b", "c"):
        laboratory.put(path)
    (laboratory.archive / "NMR 400/b").mkdir(parents=True)
    run = await laboratory.harvest()
    assert await transfers(rows) == [
        (TransferStatus.COMPLETED, None),
        (TransferStatus.FAILED, "the copy cannot be put in its place: Is a directory"),
        (TransferStatus.COMPLETED, None),
    ]
    assert run["progress"] == progress(files_found=3, files_new=3, files_done=2, files_failed=1, bytes_new=42, bytes_done=28)


async def test_an_unforeseen_error_at_one_of_a_group_is_that_files_alone(laboratory, rows, in_groups, caplog):
    in_groups(3)
    for path in ("a", "b", "c"):
        laboratory.put(path)
    tries = []

    class Surprising(LocalFolder):
        def open(self, path: str):
            tries.append(path)
            if path == "b":
                raise RuntimeError("surprise")
            return super().open(path)

    laboratory.job_options = {"source_of": lambda *_: Surprising(laboratory.source)}
    run = await laboratory.harvest()
    assert tries == ["a", "b", "c", "b"]
    assert sorted(await transfers(rows), key=str) == [
        (TransferStatus.COMPLETED, None),
        (TransferStatus.COMPLETED, None),
        (TransferStatus.FAILED, "an unexpected error ended the copy"),
        (TransferStatus.FAILED, "an unexpected error ended the copy"),
    ]
    assert run["progress"] == progress(files_found=3, files_new=3, files_done=2, files_failed=1, bytes_new=42, bytes_done=28)


async def test_a_group_that_cannot_be_recorded_is_tried_again_file_by_file(laboratory, rows, in_groups, monkeypatch):
    in_groups(3)
    for path in ("a", "b", "c"):
        laboratory.put(path)
    settle, failures = HarvestRecords.settle, iter([Unavailable("away")])

    async def flaky(self, outcomes):
        for failure in failures:
            raise failure
        await settle(self, outcomes)

    monkeypatch.setattr(HarvestRecords, "settle", flaky)
    run = await laboratory.harvest()
    assert len(await rows(file_records)) == 3
    assert [status for status, _ in sorted(await transfers(rows), key=str)] == [TransferStatus.COMPLETED] * 3 + [
        TransferStatus.FAILED
    ] * 3
    assert run["message"] == "3 files copied (42 bytes)"
    assert laboratory.archived() == {f"NMR 400/{path}": b"hello caffeine" for path in ("a", "b", "c")}


async def test_copies_that_may_not_survive_a_power_cut_are_not_recorded(laboratory, rows, monkeypatch):
    laboratory.put("a")

    def fail(folder: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("storage.objects.posix._sync_folder", fail)
    await laboratory.harvest()
    reason = "the copy cannot be put in its place: Input/output error"
    assert await transfers(rows) == [(TransferStatus.FAILED, reason)]
    monkeypatch.undo()
    await laboratory.harvest()
    assert await transfers(rows) == [(TransferStatus.FAILED, reason), (TransferStatus.COMPLETED, None)]


async def test_a_worker_that_stops_within_a_group_leaves_none_open(laboratory, active, rows, in_groups):
    in_groups(3)
    for path in ("a", "b", "c"):
        laboratory.put(path)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def meanwhile(path: str) -> None:
        if path == "b":
            loop.call_soon_threadsafe(stop.set)
            time.sleep(0.1)

    run = await _claimed(laboratory, active, stop=stop)
    with pytest.raises(InterruptedRunError):
        await harvest_job(laboratory.settings, source_of=lambda *_: Slow(laboratory.source, meanwhile))(run)
    assert sorted(await transfers(rows), key=str) == [
        (TransferStatus.COMPLETED, None),
        (TransferStatus.COMPLETED, None),
        (TransferStatus.FAILED, "the worker stopped before the copy"),
    ]
    assert sorted(laboratory.archived()) == ["NMR 400/a", "NMR 400/b"]


# Two instruments that share a folder


async def _twin(laboratory, database, rows) -> None:
    """Another instrument of the same name, whose copies go to the same folder; it is the laboratory's from now on."""
    (instrument,) = await rows(instruments)
    schedule = dict(await laboratory.schedule())
    laboratory.source = laboratory.source.parent / "other"
    laboratory.source.mkdir()
    laboratory.instrument_id, laboratory.schedule_id = uuid4(), uuid4()
    async with database.transaction() as transaction:
        await transaction.insert(
            instruments, **(instrument | {"id": laboratory.instrument_id, "cifs_share": str(laboratory.source)})
        )
        await transaction.insert(
            schedules, **(schedule | {"id": laboratory.schedule_id, "instrument_id": laboratory.instrument_id})
        )


async def test_what_appears_at_the_destination_during_the_copy_is_never_replaced(laboratory, rows):
    laboratory.put("a")

    def meanwhile(path: str) -> None:
        (laboratory.archive / "NMR 400").mkdir(parents=True)
        (laboratory.archive / "NMR 400/a").write_bytes(b"another's")

    laboratory.job_options = {"source_of": lambda *_: Slow(laboratory.source, meanwhile)}
    await laboratory.harvest()
    assert laboratory.archived() == {"NMR 400/a": b"another's"}
    assert await transfers(rows) == [(TransferStatus.FAILED, "the copy cannot be put in its place: File exists")]


async def test_the_copy_that_another_harvest_has_not_recorded_yet_is_never_replaced(laboratory, database, rows, active):
    laboratory.put("a")
    first = await _claimed(laboratory, active)
    (instrument,) = await rows(instruments)
    records = HarvestRecords(first, instrument, laboratory.location_id, lambda: "ark:/99999/fk4x", Acquisitions())
    (found,) = LocalFolder(laboratory.source).discover(lambda *_: None)
    await records.begin([(WantedFile(found, None), f"{laboratory.archive}/NMR 400/a")])
    (laboratory.archive / "NMR 400").mkdir(parents=True)
    (laboratory.archive / "NMR 400/a").write_bytes(b"the first one's")
    await _twin(laboratory, database, rows)
    laboratory.put("a", b"the second one's")
    second = await _claimed(laboratory, active)
    await harvest_job(laboratory.settings)(second)
    assert laboratory.archived() == {"NMR 400/a": b"the first one's"}
    assert sorted(await transfers(rows), key=str) == [
        (TransferStatus.FAILED, "the destination holds a file of another instrument of the same name"),
        (TransferStatus.IN_PROGRESS, None),
    ]


# Runs that are cancelled, or take too long


@pytest.mark.slow
@pytest.mark.parametrize("why", ["cancelled", "too long"])
async def test_a_harvest_that_is_to_end_leaves_no_half_copy(laboratory, database, rows, finish_all, in_groups, why):
    in_groups(3)
    laboratory.put("a")
    laboratory.put("b", b"x" * 5 * CHUNK)
    laboratory.put("c")
    run_id = await laboratory.trigger()
    loop = asyncio.get_running_loop()

    async def ask() -> None:
        async with database.transaction() as transaction:
            await cancel(transaction, run_id, now=datetime.now(UTC))

    class Dripping(io.RawIOBase):
        def __init__(self, stream) -> None:
            self._stream = stream

        def read(self, size: int = -1) -> bytes:
            if why == "cancelled":
                asyncio.run_coroutine_threadsafe(ask(), loop).result(10)
            time.sleep(0.5)
            return self._stream.read(size)

        def close(self) -> None:
            self._stream.close()
            super().close()

    class Dripper(LocalFolder):
        def open(self, path: str):
            stream = super().open(path)
            return Dripping(stream) if path == "b" else stream

    job = harvest_job(laboratory.settings, source_of=lambda *_: Dripper(laboratory.source))
    await finish_all({"harvest": job}, longest=timedelta(seconds=1) if why == "too long" else None)
    words = "the run was cancelled" if why == "cancelled" else "the run took longer than 1 s"
    state = RunState.CANCELED if why == "cancelled" else RunState.FAILED
    (run,) = await rows(runs)
    assert (run["state"], run["message"], run["progress"]["files_done"]) == (state, words, 1)
    assert laboratory.archived() == {"NMR 400/a": b"hello caffeine"}
    assert sorted(await transfers(rows), key=str) == sorted(
        [(TransferStatus.COMPLETED, None), (TransferStatus.FAILED, words), (TransferStatus.FAILED, words)], key=str
    )
    assert (await rows(instruments))[0]["last_harvested_at"] is None

    again = await laboratory.harvest()
    assert again["progress"] == progress(files_found=3, files_new=2, files_done=2, files_skipped=1, bytes_done=14 + 5 * CHUNK)


# Runs that fail


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cifs_share": "/etc"}, "the share '/etc' lies outside the folders that this server may use"),
        ({"cifs_host": "nas.example"}, "this worker was started without the keys that SMB sources need"),
        ({"transfer_adapter": TransferAdapter.GLOBUS}, "the transfer adapter globus is not available in this version"),
        ({"cifs_base_path": "../.."}, "the base path '../..' leaves the share"),
        ({"name": "../../x"}, "'../../x' cannot be used as the name of a file or folder"),
        ({"name": ".."}, "'..' cannot be used as the name of a file or folder"),
        ({"name": ""}, "cannot be used as the name of a file or folder"),
        ({"deleted_at": datetime(2026, 1, 1, tzinfo=UTC)}, "the instrument has been deleted"),
    ],
)
async def test_an_instrument_that_cannot_be_harvested_fails_the_run(laboratory, database, rows, changes, message):
    laboratory.put("a")
    await laboratory.change(instruments, laboratory.instrument_id, **changes)
    run = await laboratory.harvest()
    assert run["state"] is RunState.FAILED
    assert message in run["message"]
    assert await rows(file_records) == []
    assert (await rows(instruments))[0]["last_harvested_at"] is None
    assert not laboratory.archive.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base_path": "/srv/elsewhere"}, "the storage location's base path '/srv/elsewhere' lies outside"),
        ({"base_path": "archive"}, "the storage location's base path 'archive' is not an absolute path"),
        ({"enabled": False}, "the storage location 'Archive' is disabled"),
        ({"deleted_at": datetime(2026, 1, 1, tzinfo=UTC)}, "the storage location has been deleted"),
    ],
)
async def test_a_storage_location_that_cannot_be_used_fails_the_run(laboratory, rows, changes, message):
    laboratory.put("a")
    await laboratory.change(storage_locations, laboratory.location_id, **changes)
    run = await laboratory.harvest()
    assert run["state"] is RunState.FAILED
    assert message in run["message"]
    assert await rows(file_records) == []


async def test_a_disabled_instrument_is_harvested_when_asked(laboratory):
    laboratory.put("a")
    await laboratory.change(instruments, laboratory.instrument_id, enabled=False)
    assert (await laboratory.harvest())["state"] is RunState.SUCCEEDED


async def test_a_folder_that_cannot_be_listed_fails_after_three_tries(laboratory, rows, log_of):
    laboratory.source.rmdir()
    run = await laboratory.harvest()
    reason = "the instrument's folder could not be listed in 3 tries: No such file or directory"
    assert (run["state"], run["message"]) == (RunState.FAILED, reason)
    assert [message for _, message in await log_of(run["id"])] == [
        "The harvest of NMR 400 begins",
        *(f"The folder could not be listed (try {number} of 3): No such file or directory" for number in (1, 2, 3)),
        reason,
    ]
    assert (await rows(instruments))[0]["last_harvested_at"] is None


async def test_a_folder_that_comes_back_is_harvested(laboratory):
    laboratory.put("a")
    tries = []

    class Flaky(LocalFolder):
        def discover(self, refuse):
            tries.append(1)
            yield from super().discover(refuse)
            if len(tries) < 3:
                raise OSError("the network is gone")

    laboratory.job_options = {"source_of": lambda *_: Flaky(laboratory.source)}
    run = await laboratory.harvest()
    assert (run["state"], len(tries)) == (RunState.SUCCEEDED, 3)


# Workers that stop or die


async def _claimed(laboratory, active, **options):
    await laboratory.trigger()
    return await active(**options)


async def test_a_stopping_worker_finishes_the_file_and_leaves_the_rest(laboratory, active, rows):
    stop = asyncio.Event()
    laboratory.put("a")
    laboratory.put("b")
    loop = asyncio.get_running_loop()
    source = Slow(laboratory.source, lambda path: loop.call_soon_threadsafe(stop.set))
    run = await _claimed(laboratory, active, stop=stop)
    with pytest.raises(InterruptedRunError):
        await harvest_job(laboratory.settings, source_of=lambda *_: source)(run)
    assert await transfers(rows) == [(TransferStatus.COMPLETED, None)]
    assert laboratory.archived() == {"NMR 400/a": b"hello caffeine"}


async def test_a_transfer_of_a_dead_worker_is_failed_and_retried(laboratory, rows, database):
    laboratory.put("a")
    dead, record = uuid4(), uuid4()
    (laboratory.archive / "NMR 400").mkdir(parents=True)
    remains = laboratory.archive / f"NMR 400/.switchyard-{dead}.part"
    remains.write_bytes(b"hello caf")
    started = datetime(2026, 1, 1, tzinfo=UTC)
    async with database.transaction() as transaction:
        await transaction.insert(
            file_records,
            id=record,
            persistent_id="ark:/99999/fk4x",
            persistent_id_type=PersistentIdType.ARK,
            instrument_id=laboratory.instrument_id,
            source_path="a",
            filename="a",
            first_discovered_at=started,
            metadata_={},
        )
        await transaction.insert(
            file_transfers,
            id=dead,
            file_id=record,
            storage_location_id=laboratory.location_id,
            destination_path=f"{laboratory.archive}/NMR 400/a",
            transfer_adapter=TransferAdapter.RCLONE,
            status=TransferStatus.IN_PROGRESS,
            started_at=started,
        )
    await laboratory.harvest()
    assert await transfers(rows) == [
        (TransferStatus.FAILED, "the worker died during the copy"),
        (TransferStatus.COMPLETED, None),
    ]
    assert (await rows(file_transfers, "started_at"))[0]["completed_at"] is not None
    assert laboratory.archived() == {"NMR 400/a": b"hello caffeine"}
    assert [(row["id"], row["xxhash"]) for row in await rows(file_records)] == [(record, CAFFEINE)]


async def test_who_lost_the_run_in_mid_copy_makes_nothing_visible(laboratory, active, clock, queue, rows):
    laboratory.put("a")
    run = await _claimed(laboratory, active)
    source = Slow(laboratory.source, lambda path: clock.advance(seconds=31))
    with pytest.raises(LeaseLostError):
        await harvest_job(laboratory.settings, source_of=lambda *_: source)(run)
    assert laboratory.archived() == {}
    assert await transfers(rows) == [(TransferStatus.IN_PROGRESS, None)]
    assert await queue.recover() == 1
    await laboratory.let_work()
    assert await transfers(rows) == [
        (TransferStatus.FAILED, "the worker died during the copy"),
        (TransferStatus.COMPLETED, None),
    ]


async def test_a_cancelled_harvest_ends_its_copy_first(laboratory, active, rows):
    laboratory.put("a", b"x" * 3_000_000)
    copying, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def meanwhile(path: str) -> None:
        loop.call_soon_threadsafe(copying.set)
        go_on.wait(10)

    run = await _claimed(laboratory, active)
    source = Slow(laboratory.source, meanwhile)
    harvest = asyncio.ensure_future(harvest_job(laboratory.settings, source_of=lambda *_: source)(run))
    await copying.wait()
    harvest.cancel()
    await asyncio.sleep(0.05)
    assert not harvest.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await harvest
    assert laboratory.archived() == {}


# The event loop


@pytest.mark.slow
async def test_a_large_copy_lets_the_event_loop_run(laboratory):
    with (laboratory.source / "large.raw").open("wb") as stream:
        stream.truncate(200 * 1024 * 1024)
    pauses, done = [], False

    async def tick() -> None:
        last = time.perf_counter()
        while not done:
            await asyncio.sleep(0.002)
            now = time.perf_counter()
            pauses.append(now - last)
            last = now

    ticker = asyncio.create_task(tick())
    run = await laboratory.harvest()
    done = True
    await ticker
    assert run["state"] is RunState.SUCCEEDED
    assert len(pauses) > 20
    assert max(pauses) < 0.5


async def test_no_transaction_is_held_while_a_file_is_copied(laboratory, database, active):
    laboratory.put("a")
    loop = asyncio.get_running_loop()
    written = []

    async def write() -> None:
        async with database.transaction() as transaction:
            await transaction.update(storage_locations, laboratory.location_id, name="renamed meanwhile")
        written.append(True)

    def meanwhile(path: str) -> None:
        asyncio.run_coroutine_threadsafe(write(), loop).result(5)

    run = await _claimed(laboratory, active)
    await harvest_job(laboratory.settings, source_of=lambda *_: Slow(laboratory.source, meanwhile))(run)
    assert written == [True]


def test_the_defaults_are_those_of_the_contract(tmp_path):
    assert HarvestSettings(allowed_roots=[tmp_path]) == HarvestSettings(
        allowed_roots=[tmp_path],
        ark_naan="99999",
        ark_shoulder="fk4",
        discovery_attempts=3,
        discovery_pause=30.0,
        step_pause=10.0,
        report_every=60.0,
    )
