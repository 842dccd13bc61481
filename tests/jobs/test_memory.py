"""A worker's memory does not depend on the size of what it copies."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.vocabulary import RunState
from storage.sql.tables import file_transfers, runs, storage_locations
from tests import s3, smb
from tests.jobs.conftest import REPOSITORY, all_finished, until

pytestmark = pytest.mark.slow

GROWTH = 32 * 1024
"""In kilobytes, as the kernel counts."""


@pytest.fixture
def worker(database_url, tmp_path):
    """`switchyard worker`, as it is started in production."""
    environment = os.environ | {
        "SWITCHYARD_DATABASE_URL": database_url,
        "SWITCHYARD_ALLOWED_ROOTS": str(tmp_path),
        "SWITCHYARD_DATA_DIR": str(tmp_path / "data"),
        "SWITCHYARD_ENCRYPTION_KEY": base64.urlsafe_b64encode(bytes(32)).decode(),  # the one of `tests.smb`
        "PYTHONPATH": str(REPOSITORY),
    }
    argv = [sys.executable, "-m", "app.cli", "worker"]
    process = subprocess.Popen(argv, env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL)
    yield process
    process.kill()
    process.wait()


def _peak(pid: int) -> int:
    """The most memory that the process ever had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_two_gigabytes_are_harvested_in_little_memory(laboratory, rows, worker):
    laboratory.put("a-small", b"x" * 5_000_000)
    await laboratory.trigger()
    await until(all_finished(rows))
    before = _peak(worker.pid)

    large = laboratory.source / "b-large"
    with large.open("wb") as stream:
        stream.truncate(2 * 1024**3)
    await laboratory.trigger()
    await until(all_finished(rows), seconds=300)
    copy = laboratory.archive / "NMR 400/b-large"
    try:
        assert [row["state"] for row in await rows(runs, "number")] == [RunState.SUCCEEDED] * 2
        assert copy.stat().st_size == 2 * 1024**3
        assert _peak(worker.pid) - before <= GROWTH
    finally:
        copy.unlink()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("place", "size"), [(s3.shared, 512 * 1024**2), (smb.shared, 512 * 1024**2)], ids=["s3", "smb"])
async def test_large_files_go_to_buckets_and_shares_in_little_memory(laboratory, rows, worker, place, size):
    server = place()
    location = server.location()
    values = {name: location[name] for name in ("type", "base_path", "connection_config", "secrets_sealed")}
    await laboratory.change(storage_locations, laboratory.location_id, **values)
    laboratory.put("a-some", b"x" * 40_000_000)
    await laboratory.trigger()
    await until(all_finished(rows), seconds=60)
    before = _peak(worker.pid)

    with (laboratory.source / "b-large").open("wb") as stream:
        stream.truncate(size)
    await laboratory.trigger()
    try:
        await until(all_finished(rows), seconds=300)
        assert [row["state"] for row in await rows(runs, "number")] == [RunState.SUCCEEDED] * 2
        assert sorted(row["bytes_transferred"] for row in await rows(file_transfers)) == [40_000_000, size]
        assert _peak(worker.pid) - before <= GROWTH
    finally:
        server.clear()
