"""Harvests of an instrument that writes one measurement as a folder of files."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from core.vocabulary import RunState
from jobs.comparing import NAMED
from jobs.sources import LocalFolder
from storage.sql.tables import file_records, instruments
from tests.jobs.conftest import Laboratory
from tests.jobs.test_harvest import DEMO, progress

OLD = 1_700_000_000
GLUCOSE, ALANINE, ETHANOL = "20260115_glucose_1H", "20260201_alanine_13C", "20260210_ethanol_COSY"


@pytest.fixture
async def bruker(laboratory: Laboratory) -> Laboratory:
    """Three finished measurements of an NMR, and a file that belongs to none."""
    shutil.copytree(DEMO / "nmr-bruker", laboratory.source, dirs_exist_ok=True)
    laboratory.put("notes.txt")
    for file in laboratory.source.rglob("*"):
        os.utime(file, (OLD, OLD))
    await configure(laboratory, folders=["*"])
    return laboratory


async def configure(laboratory: Laboratory, **acquisition: Any) -> None:
    await laboratory.change(instruments, laboratory.instrument_id, transfer_config={"acquisition": acquisition})


async def acquisitions(rows) -> dict[str, str | None]:
    return {row["source_path"]: row["acquisition"] for row in await rows(file_records)}


def sources(laboratory: Laboratory, *folders: str) -> dict[str, bytes]:
    """What the archive holds when these were copied."""
    files = (file for folder in folders for file in (laboratory.source / folder).rglob("*") if file.is_file())
    return {f"NMR 400/{file.relative_to(laboratory.source).as_posix()}": file.read_bytes() for file in files}


async def test_each_file_has_its_acquisition_and_its_own_copy(bruker, rows):
    run = await bruker.harvest()
    assert await acquisitions(rows) == {
        f"{GLUCOSE}/acqus": GLUCOSE,
        f"{GLUCOSE}/fid": GLUCOSE,
        f"{GLUCOSE}/pdata/1/1r": GLUCOSE,
        f"{GLUCOSE}/pdata/1/procs": GLUCOSE,
        f"{ALANINE}/acqus": ALANINE,
        f"{ALANINE}/fid": ALANINE,
        f"{ALANINE}/pdata/1/1r": ALANINE,
        f"{ETHANOL}/acqus": ETHANOL,
        f"{ETHANOL}/fid": ETHANOL,
        f"{ETHANOL}/pdata/1/1r": ETHANOL,
        "notes.txt": None,
    }
    archived = bruker.archived()
    assert archived == sources(bruker, GLUCOSE, ALANINE, ETHANOL) | {"NMR 400/notes.txt": b"hello caffeine"}
    assert len({archived[f"NMR 400/{folder}/fid"] for folder in (GLUCOSE, ALANINE, ETHANOL)}) == 3
    size = sum(map(len, archived.values()))
    assert run["progress"] == progress(files_found=11, files_new=11, files_done=11, bytes_done=size)


async def test_one_that_is_being_written_is_left_whole_and_taken_whole(bruker, rows, log_of):
    fid = bruker.source / ALANINE / "fid"
    fid.touch()
    run = await bruker.harvest()
    copied = sources(bruker, GLUCOSE, ETHANOL) | {"NMR 400/notes.txt": b"hello caffeine"}
    assert bruker.archived() == copied
    assert set((await acquisitions(rows)).values()) == {GLUCOSE, ETHANOL, None}
    size = sum(map(len, copied.values()))
    assert run["progress"] == progress(files_found=11, files_new=8, files_done=8, files_waiting=3, bytes_done=size)
    left = "3 files left for later, in acquisitions that are still being written"
    assert run["message"] == f"8 files copied ({size / 1000:.1f} KB); {left}"
    assert (await log_of(run["id"]))[1:3] == [
        ("info", "Found 11 files, 8 to copy, 3 left for later in 1 acquisition"),
        ("info", f"{ALANINE} is still being written: its new files are left for later"),
    ]

    run = await bruker.harvest()
    assert bruker.archived() == copied
    assert run["progress"] == progress(files_found=11, files_skipped=8, files_waiting=3)
    assert run["message"] == f"nothing to copy among 11 files; {left}"

    os.utime(fid, (OLD, OLD))
    run = await bruker.harvest()
    assert bruker.archived() == copied | sources(bruker, ALANINE)
    size = sum(map(len, sources(bruker, ALANINE).values()))
    assert run["progress"] == progress(files_found=11, files_new=3, files_done=3, files_skipped=8, bytes_done=size)
    assert run["message"] == f"3 files copied ({size / 1000:.1f} KB)"


async def test_a_file_outside_is_copied_while_it_is_new(bruker):
    (bruker.source / "notes.txt").touch()
    (bruker.source / GLUCOSE / "acqus").touch()
    await bruker.harvest()
    assert bruker.archived() == sources(bruker, ALANINE, ETHANOL) | {"NMR 400/notes.txt": b"hello caffeine"}


async def test_what_came_too_late_is_copied_when_the_folder_is_quiet_again(bruker):
    await bruker.harvest()
    late = bruker.put(f"{GLUCOSE}/pdata/2/1r", b"processed again")
    await bruker.harvest()
    assert f"NMR 400/{GLUCOSE}/pdata/2/1r" not in bruker.archived()
    os.utime(late, (OLD, OLD))
    await bruker.harvest()
    assert bruker.archived()[f"NMR 400/{GLUCOSE}/pdata/2/1r"] == b"processed again"


@pytest.mark.parametrize(("ahead", "copied"), [(3600, False), (86_400 * 365, True)])
async def test_a_clock_that_is_ahead(laboratory, ahead: int, copied: bool):
    await configure(laboratory, folders=["*.d"])
    moment = time.time() + ahead
    os.utime(laboratory.put("a.d/x"), (moment, moment))
    await laboratory.harvest()
    assert laboratory.archived() == ({"NMR 400/a.d/x": b"hello caffeine"} if copied else {})


async def test_without_a_time_to_settle_all_are_copied(laboratory, rows):
    laboratory.put("a.d/x")
    await configure(laboratory, folders=["*.d"], settle_seconds=0)
    await laboratory.harvest()
    assert await acquisitions(rows) == {"a.d/x": "a.d"}


async def test_a_copy_that_failed_waits_with_the_others(laboratory, rows):
    file = laboratory.put("a.d/x")
    os.utime(file, (OLD, OLD))
    await configure(laboratory, folders=["*.d"])
    laboratory.archive.write_bytes(b"")
    await laboratory.harvest()
    laboratory.archive.unlink()
    file.touch()
    run = await laboratory.harvest()
    assert run["progress"] == progress(files_found=1, files_waiting=1)
    os.utime(file, (OLD, OLD))
    await laboratory.harvest()
    assert laboratory.archived() == {"NMR 400/a.d/x": b"hello caffeine"}


async def test_records_of_earlier_harvests_stay_as_they_are(laboratory, rows):
    os.utime(laboratory.put("a.d/1"), (OLD, OLD))
    await laboratory.harvest()
    os.utime(laboratory.put("a.d/2"), (OLD, OLD))
    await configure(laboratory, folders=["*.d"])
    await laboratory.harvest()
    assert await acquisitions(rows) == {"a.d/1": None, "a.d/2": "a.d"}


async def test_a_config_that_makes_no_sense_fails_the_run_before_anything_is_copied(laboratory, rows):
    laboratory.put("a.d/x")
    await configure(laboratory, folders="*.d")
    run = await laboratory.harvest()
    message = "the instrument's transfer_config cannot be used: acquisition.folders: Input should be a valid array"
    assert (run["state"], run["message"]) == (RunState.FAILED, message)
    assert (laboratory.archived(), await rows(file_records)) == ({}, [])


async def test_of_many_that_wait_some_are_named(laboratory, log_of):
    await configure(laboratory, folders=["*"])
    for number in range(NAMED + 2):
        laboratory.put(f"{number:03}/fid")
    run = await laboratory.harvest()
    fate = "is still being written: its new files are left for later"
    named = [("info", f"{number:03} {fate}") for number in range(NAMED)]
    assert (await log_of(run["id"]))[1:-1] == [
        ("info", f"Found {NAMED + 2} files, 0 to copy, {NAMED + 2} left for later in {NAMED + 2} acquisitions"),
        *named,
        ("info", f"2 acquisitions more: {fate}"),
    ]


async def test_a_folder_that_is_listed_again_is_judged_again(bruker):
    """The first try ends in the middle of an acquisition that is being written."""
    (bruker.source / ALANINE / "acqus").touch()
    tries = []

    class Flaky(LocalFolder):
        def discover(self, refuse):
            for file in super().discover(refuse):
                if file.path == f"{ALANINE}/fid" and not tries:
                    tries.append(file)
                    os.utime(Path(bruker.source / ALANINE / "acqus"), (OLD, OLD))
                    raise OSError("gone")
                yield file

    bruker.job_options = {"source_of": lambda *_: Flaky(bruker.source)}
    run = await bruker.harvest()
    assert (len(tries), run["progress"]["files_done"], run["progress"]["files_waiting"]) == (1, 11, 0)
