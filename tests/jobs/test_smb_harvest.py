"""Harvests of a share of a real Samba: the same job, records and copies as for a local folder, also when the server fails."""

from __future__ import annotations

import asyncio
import io
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from core.vocabulary import RunState, TransferStatus
from jobs.harvest import harvest_job
from jobs.sources import SmbAccess, open_source
from storage.sql.tables import file_records, file_transfers, instruments, service_accounts
from tests import smb

LARGE = b"0123456789abcdef" * 4 * 65_536  # four chunks
CAFFEINE = "d6a06c8f22ac88e4"

pytestmark = pytest.mark.slow


@pytest.fixture
def samba() -> Iterator[smb.Samba]:
    samba = smb.shared()
    yield samba
    shutil.rmtree(samba.folder)


@pytest.fixture
def own_samba() -> Iterator[smb.Samba]:
    with smb.own() as samba:
        yield samba


@pytest.fixture
def connect(laboratory, clock) -> Callable[..., Any]:
    """Make the laboratory's instrument a folder of a server."""

    async def connect(samba: smb.Samba, **account: Any) -> None:
        key, now = uuid4(), clock()
        async with laboratory.database.transaction() as transaction:
            row = samba.account(**account)
            await transaction.insert(service_accounts, id=key, created_at=now, updated_at=now, **row)
        await laboratory.change(instruments, laboratory.instrument_id, service_account_id=key, **samba.instrument())
        leave_alone(laboratory)

    return connect


def access(seconds: float) -> SmbAccess:
    return SmbAccess(keyring=smb.KEYRING, connecting=seconds, answer=seconds)


class Meddling:
    """A source that calls `meanwhile` after the first chunk of a file."""

    def __init__(self, source: Any, path: str, meanwhile: Callable[[], None]) -> None:
        self._source = source
        self._path = path
        self._meanwhile = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def open(self, path: str) -> Any:
        stream = self._source.open(path)
        return Interrupted(stream, self._meanwhile) if path == self._path else stream


class Interrupted(io.RawIOBase):
    def __init__(self, stream: Any, meanwhile: Callable[[], None]) -> None:
        self._stream = stream
        self._meanwhile = [meanwhile]

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        while self._meanwhile:
            self._meanwhile.pop()()
        return content

    def close(self) -> None:
        self._stream.close()
        super().close()


def meddle(laboratory, path: str, meanwhile: Callable[[], None], seconds: float = 2) -> None:
    def source_of(*arguments: Any) -> Any:
        return Meddling(open_source(*arguments, access(seconds)), path, meanwhile)

    laboratory.job_options = {"source_of": source_of}


def leave_alone(laboratory, seconds: float = 10) -> None:
    laboratory.job_options = {"source_of": partial(open_source, smb=access(seconds))}


async def transfers(rows) -> list[tuple]:
    """Of each file, in the order of paths, its attempts."""
    records = {row["id"]: row["source_path"] for row in await rows(file_records)}
    found = [(records[row["file_id"]], row["status"], row["error_message"]) for row in await rows(file_transfers, "started_at")]
    return sorted(found, key=lambda each: each[0])


async def test_a_share_is_harvested_like_a_folder(laboratory, connect, samba, rows):
    contents = {"a.txt": b"hello caffeine", "run 1/empty": b"", "run 1/プローブ/ä.raw": LARGE, "run 1.csv": b"x"}
    for path, content in contents.items():
        samba.put(path, content)
    await connect(samba)
    run = await laboratory.harvest()
    assert (run["state"], run["message"]) == (RunState.SUCCEEDED, "4 files copied (4.2 MB)")
    assert laboratory.archived() == {f"NMR 400/{path}": content for path, content in contents.items()}
    records = {row["source_path"]: row for row in await rows(file_records)}
    assert {path: row["size_bytes"] for path, row in records.items()} == {path: len(each) for path, each in contents.items()}
    assert (records["a.txt"]["xxhash"], records["run 1/empty"]["xxhash"]) == (CAFFEINE, "ef46db3751d8e999")
    assert {(row["status"], row["checksum_verified"]) for row in await rows(file_transfers)} == {
        (TransferStatus.COMPLETED, True)
    }
    assert smb.threads() == []
    samba.put("new")
    assert (await laboratory.harvest())["message"] == "1 file copied (14 bytes)"
    assert (await laboratory.harvest())["message"] == "nothing new among 5 files"


async def test_a_file_that_changes_while_it_is_copied(laboratory, connect, samba, rows):
    file = samba.put("a", LARGE)
    await connect(samba)
    meddle(laboratory, "a", lambda: file.write_bytes(b"1" * len(LARGE)))
    await laboratory.harvest()
    assert await transfers(rows) == [("a", TransferStatus.FAILED, "the file changed while it was being copied")]
    assert laboratory.archived() == {}
    leave_alone(laboratory)
    assert (await laboratory.harvest())["message"] == "1 file copied (4.2 MB)"


async def test_a_file_that_may_not_be_read_fails_alone(laboratory, connect, samba, rows):
    for path in ("a", "b", "c"):
        samba.put(path)
    (samba.folder / "b").chmod(0o600)
    await connect(samba)
    run = await laboratory.harvest()
    assert run["message"] == "2 files copied (28 bytes), 1 failed and will be tried again by the next harvest"
    assert (await transfers(rows))[1] == ("b", TransferStatus.FAILED, "the source cannot be read: access denied: b")


async def test_without_a_service_account_the_run_fails(laboratory, connect, samba):
    await connect(samba)
    await laboratory.change(instruments, laboratory.instrument_id, service_account_id=None)
    run = await laboratory.harvest()
    assert (run["state"], run["message"]) == (
        RunState.FAILED,
        "the instrument has no service account, which an SMB source needs",
    )


async def test_a_refused_password_is_tried_once(laboratory, connect, samba, log_of, caplog):
    """Each further try could lock the account."""
    await connect(samba, password="not the password")
    run = await laboratory.harvest()
    message = f"the user name or password of the service account was refused by {samba.address}"
    assert (run["state"], run["message"]) == (RunState.FAILED, message)
    log = await log_of(run["id"])
    assert [text for _, text in log] == ["The harvest of NMR 400 begins", message]
    assert "not the password" not in caplog.text + str(log) + str(dict(run))


async def test_an_unknown_share_fails_after_three_tries(laboratory, connect, samba):
    await connect(samba)
    await laboratory.change(instruments, laboratory.instrument_id, cifs_share="nope")
    run = await laboratory.harvest()
    reason = f"there is no share called nope on {samba.address}"
    assert run["message"] == f"the instrument's folder could not be listed in 3 tries: {reason}"


# Servers that fail


async def test_a_server_killed_in_mid_copy(laboratory, connect, own_samba, rows):
    samba = own_samba
    for path in ("a", "c", "d", "e"):
        samba.put(path)
    samba.put("b", LARGE)
    await connect(samba)
    meddle(laboratory, "b", lambda: samba.do("kill9"))
    run = await laboratory.harvest()
    reason = f"the SMB server {samba.address} does not answer: Connection refused"
    assert (run["state"], run["message"]) == (
        RunState.FAILED,
        f"{reason}; 1 of 5 files copied, the next harvest tries the others",
    )
    assert laboratory.archived() == {"NMR 400/a": b"hello caffeine"}
    attempts = await transfers(rows)
    assert attempts[:3] == [
        ("a", TransferStatus.COMPLETED, None),
        ("b", TransferStatus.FAILED, f"the source cannot be read: the connection to the SMB server {samba.address} broke"),
        ("c", TransferStatus.FAILED, f"the source cannot be read: {reason}"),
    ]
    assert {status for _, status, _ in attempts[3:]} <= {TransferStatus.FAILED}
    assert (await rows(instruments))[0]["last_harvested_at"] is None
    assert smb.threads() == []

    samba.do("start")
    leave_alone(laboratory)
    run = await laboratory.harvest()
    assert (run["state"], run["message"]) == (RunState.SUCCEEDED, "4 files copied (4.2 MB)")
    assert sorted(laboratory.archived()) == [f"NMR 400/{name}" for name in "abcde"]
    assert len(await rows(file_records)) == 5


async def test_a_server_frozen_in_mid_copy_of_many_files(laboratory, connect, own_samba, rows):
    samba = own_samba
    samba.put("0", LARGE)
    for number in range(1, 300):
        samba.put(f"{number:03}", b"")
    await connect(samba)
    meddle(laboratory, "0", lambda: samba.do("freeze"))
    began = time.monotonic()
    run = await laboratory.harvest()
    took = time.monotonic() - began
    samba.do("thaw")
    reason = f"the SMB server {samba.address} does not answer within 2 s"
    assert run["message"] == f"{reason}; 0 of 300 files copied, the next harvest tries the others"
    assert took < 30
    assert laboratory.archived() == {}
    assert (await transfers(rows))[0] == ("0", TransferStatus.FAILED, f"the source cannot be read: {reason}")
    assert TransferStatus.IN_PROGRESS not in {row["status"] for row in await rows(file_transfers)}
    assert smb.threads() == []
    leave_alone(laboratory)
    run = await laboratory.harvest()
    assert (run["state"], run["message"]) == (RunState.SUCCEEDED, "300 files copied (4.2 MB)")


async def test_a_server_frozen_while_it_is_listed(laboratory, connect, own_samba, rows):
    samba = own_samba
    samba.put("a")
    await connect(samba)
    leave_alone(laboratory, seconds=2)
    samba.do("freeze")
    run = await laboratory.harvest()
    samba.do("thaw")
    reason = f"the SMB server {samba.address} does not answer within 2 s"
    assert (run["state"], run["message"]) == (
        RunState.FAILED,
        f"the instrument's folder could not be listed in 3 tries: {reason}",
    )
    assert await rows(file_records) == []
    assert smb.threads() == []


async def test_a_server_restarted_between_two_files_is_no_news(laboratory, connect, own_samba, rows):
    samba = own_samba
    samba.put("a")
    samba.put("b")
    await connect(samba)
    meddle(laboratory, "a", lambda: (samba.do("kill9"), samba.do("start")), seconds=10)
    run = await laboratory.harvest()
    assert run["state"] is RunState.SUCCEEDED
    assert "NMR 400/b" in laboratory.archived()
    assert smb.threads() == []


async def test_a_cancelled_harvest_does_not_wait_for_a_frozen_server(laboratory, connect, own_samba, active):
    samba = own_samba
    samba.put("a", LARGE)
    await connect(samba)
    frozen = asyncio.Event()
    loop = asyncio.get_running_loop()

    def freeze() -> None:
        samba.do("freeze")
        loop.call_soon_threadsafe(frozen.set)

    def source_of(*arguments: Any) -> Any:
        return Meddling(open_source(*arguments, access(60)), "a", freeze)

    await laboratory.trigger()
    harvest = asyncio.ensure_future(harvest_job(laboratory.settings, source_of=source_of)(await active()))
    await frozen.wait()
    harvest.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await harvest
    assert time.monotonic() - began < 5
    assert smb.threads() == []
    assert laboratory.archived() == {}
