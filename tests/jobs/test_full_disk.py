"""A disk that is full: the reason is said, nothing half-written stays, and once there is room everything goes on."""

from __future__ import annotations

import os
import resource
import subprocess
from contextlib import suppress
from uuid import uuid4

import pytest

from core.errors import Unavailable
from core.vocabulary import TransferStatus
from storage.sql.migrate import migrate
from storage.sql.opening import open_database
from storage.sql.tables import file_transfers, groups
from tests.jobs.conftest import NOON, all_finished, until

pytestmark = pytest.mark.slow

MEGABYTE = 1024 * 1024


@pytest.fixture
def small_disk(tmp_path):
    """A file system of four megabytes. Needs root."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(folder)]
    with suppress(FileNotFoundError):
        made = subprocess.run(mounting, capture_output=True, check=False)
        if made.returncode == 0:
            yield folder
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
            return
    tell = pytest.fail if os.environ.get("CI") else pytest.skip
    tell("no tmpfs can be mounted here: run this test as root")


async def _transfers(rows) -> list[tuple]:
    return [(row["status"], row["error_message"]) for row in await rows(file_transfers, "started_at")]


async def test_a_copy_that_does_not_fit_is_failed_removed_and_made_when_there_is_room(laboratory, rows, small_disk):
    await laboratory.move_archive(small_disk / "archive")
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (2 * MEGABYTE))
    laboratory.put("a", b"a" * MEGABYTE)
    laboratory.put("b", b"b" * (2 * MEGABYTE))
    laboratory.put("c", b"c")
    run = await laboratory.harvest()
    full = (TransferStatus.FAILED, "the copy cannot be written: No space left on device")
    done = (TransferStatus.COMPLETED, None)
    assert await _transfers(rows) == [done, full, done]
    assert run["message"] == "2 files copied (1.0 MB), 1 failed and will be tried again by the next harvest"
    assert sorted(laboratory.archived()) == ["NMR 400/a", "NMR 400/c"]

    filler.unlink()
    await laboratory.harvest()
    assert await _transfers(rows) == [done, full, done, done]
    assert laboratory.archived()["NMR 400/b"] == b"b" * (2 * MEGABYTE)


async def test_a_file_that_may_not_become_so_large_fails_alone(laboratory, rows, start_worker):
    """The same without root: a worker whose files are bounded."""
    laboratory.put("a", b"a" * (9 * MEGABYTE))
    laboratory.put("b")
    worker = start_worker(pause=0)
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (8 * MEGABYTE, 8 * MEGABYTE))
    await laboratory.trigger()
    await until(all_finished(rows))
    failed = (TransferStatus.FAILED, "the copy cannot be written: File too large")
    assert await _transfers(rows) == [failed, (TransferStatus.COMPLETED, None)]
    assert laboratory.archived() == {"NMR 400/b": b"hello caffeine"}


async def test_a_database_on_a_full_disk_says_so_and_keeps_what_it_acknowledged(small_disk):
    url = f"sqlite+aiosqlite:///{small_disk}/switchyard.db"
    database = await open_database(url)
    await migrate(database)
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * MEGABYTE)
    written = []

    async def write() -> None:
        key = uuid4()
        async with database.transaction() as transaction:
            text = {"name": str(key), "description": "x" * 50_000}
            await transaction.insert(groups, id=key, created_at=NOON, updated_at=NOON, **text)
        written.append(key)

    async def write_until_it_fails() -> None:
        for _ in range(200):
            await write()

    try:
        with pytest.raises(Unavailable, match=r"^the database cannot be written$"):
            await write_until_it_fails()
        assert written
        assert sorted(row["id"] for row in await database.all(groups.select())) == sorted(written)
        filler.unlink()
        await write()
    finally:
        await database.close()
    again = await open_database(url)
    try:
        assert sorted(row["id"] for row in await again.all(groups.select())) == sorted(written)
        assert await again.fetch("PRAGMA integrity_check", []) == [("ok",)]
    finally:
        await again.close()
