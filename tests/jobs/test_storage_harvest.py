"""Harvests into buckets and shares: real servers that refuse, stop, freeze and die, and what the run says of it."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import xxhash

from core.vocabulary import RunState, TransferStatus
from jobs.harvest import harvest_job, store_opener
from jobs.queue import cancel
from storage.objects.opening import StorageAccess
from storage.sql.tables import file_transfers, storage_locations
from tests import s3, smb

pytestmark = pytest.mark.slow

CAFFEINE = "d6a06c8f22ac88e4"
LARGE = b"0123456789abcdef" * (3 * 1024 * 1024)  # 48 MB: three parts of an upload


async def put_into(laboratory, server: s3.S3 | smb.Samba, *, seconds: float = 3, **changes: str) -> None:
    """From now on, the laboratory's copies go there."""
    location = server.location(**changes)
    values = {name: location[name] for name in ("type", "base_path", "connection_config", "secrets_sealed")}
    await laboratory.change(storage_locations, laboratory.location_id, **values)
    access = StorageAccess(smb.KEYRING, connecting=seconds, smb_answer=seconds, s3_answer=seconds)
    laboratory.job_options = {"store_of": store_opener(access)}


async def ended(rows) -> list[tuple]:
    names = ("status", "destination_path", "error_message")
    return [tuple(row[name] for name in names) for row in await rows(file_transfers, "started_at")]


def visible(server: s3.S3 | smb.Samba) -> dict[str, bytes]:
    if isinstance(server, s3.S3):
        return server.objects()
    files = (path for path in server.folder.rglob("*") if path.is_file())
    return {path.relative_to(server.folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def database_url(migrated: Path, tmp_path: Path) -> str:
    """One kind of database will do."""
    shutil.copy(migrated, tmp_path / "switchyard.db")
    return f"sqlite+aiosqlite:///{tmp_path}/switchyard.db"


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    before = {thread.ident for thread in threading.enumerate()}
    yield
    for _ in range(50):
        left = [
            each.name for each in threading.enumerate() if each.ident not in before and not each.name.startswith("asyncio_")
        ]
        if not left:
            return
        time.sleep(0.1)
    assert left == []


@pytest.fixture(params=["s3", "smb"])
def server(request: pytest.FixtureRequest) -> s3.S3 | smb.Samba:
    return s3.shared() if request.param == "s3" else smb.shared()


@pytest.fixture(params=["s3", "smb"])
def own(request: pytest.FixtureRequest) -> Iterator[s3.S3 | smb.Samba]:
    """A server that may be stopped."""
    with s3.own() if request.param == "s3" else smb.own() as server:
        yield server
        with suppress(Exception):
            server.do("thaw")


async def test_files_are_copied_verified_and_nothing_else_is_left(laboratory, rows, server):
    await put_into(laboratory, server)
    files = {"run 1/ä é.raw": b"hello caffeine", "run 1/empty": b"", "日本/データ": b"x" * 3_000_000}
    for path, content in files.items():
        laboratory.put(path, content)
    run = await laboratory.harvest()
    assert (run["state"], run["message"]) == (RunState.SUCCEEDED, "3 files copied (3.0 MB)")
    assert visible(server) == {f"archive/NMR 400/{path}": content for path, content in files.items()}
    transfers = {row["destination_path"].rpartition("/")[2]: row for row in await rows(file_transfers)}
    shown = transfers["ä é.raw"]
    assert (shown["source_checksum"], shown["dest_checksum"], shown["checksum_verified"]) == (CAFFEINE, CAFFEINE, True)
    assert shown["destination_path"].endswith("archive/NMR 400/run 1/ä é.raw")


async def test_a_large_file_goes_in_parts(laboratory, rows, server):
    await put_into(laboratory, server)
    laboratory.put("large.raw", LARGE)
    await laboratory.harvest()
    (transfer,) = await rows(file_transfers)
    assert (transfer["status"], transfer["dest_checksum"]) == (TransferStatus.COMPLETED, xxhash.xxh64(LARGE).hexdigest())
    assert visible(server) == {"archive/NMR 400/large.raw": LARGE}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"secret_access_key": "sesame-wrong"}, "the access key of the storage location was refused by"),
        ({"bucket": "no-such-bucket"}, "there is no bucket called no-such-bucket on"),
        ({"endpoint_url": "http://127.0.0.1:1"}, "the S3 server 127.0.0.1:1 cannot be reached"),
    ],
)
async def test_a_bucket_that_cannot_be_used_ends_the_run_in_words(laboratory, rows, log_of, caplog, changes, words):
    server = s3.shared()
    laboratory.put("a")
    await put_into(laboratory, server, **changes)
    with caplog.at_level("DEBUG"):
        run = await laboratory.harvest()
    assert run["state"] is RunState.FAILED
    assert run["message"].startswith(words)
    assert await rows(file_transfers) == []
    told = caplog.text + str(await log_of(run["id"]))
    assert [secret for secret in (server.password, "sesame-wrong") if secret in told] == []
    await put_into(laboratory, server)
    assert (await laboratory.harvest())["message"] == "1 file copied (14 bytes)"


class Meanwhile:
    """Does something once a source has given so many bytes."""

    def __init__(self, source: Any, at: int, action: Callable[[], object]) -> None:
        self._source, self._at, self._action = source, at, action

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def open(self, path: str) -> Any:
        stream, meanwhile = self._source.open(path), self

        class Watched:
            given = 0

            def read(self, size: int) -> bytes:
                content = stream.read(size)
                self.given += len(content)
                if self.given >= meanwhile._at and meanwhile._action:
                    action, meanwhile._action = meanwhile._action, None
                    action()
                return content

            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                stream.close()

        return Watched()


@pytest.mark.parametrize("verb", ["kill9", "stop", "freeze"])
@pytest.mark.parametrize("at", [20_000_000, len(LARGE)], ids=["while copying", "before reading back"])
async def test_a_server_that_goes_away_ends_the_run_and_the_next_one_makes_the_copy(laboratory, rows, own, verb, at):
    from jobs.sources import LocalFolder

    await put_into(laboratory, own, seconds=2)
    laboratory.put("large.raw", LARGE)
    source = Meanwhile(LocalFolder(laboratory.source), at, lambda: own.do(verb))
    laboratory.job_options["source_of"] = lambda *_: source
    began = time.monotonic()
    run = await laboratory.harvest()
    assert time.monotonic() - began < 40
    assert run["state"] in {RunState.FAILED, RunState.SUCCEEDED}
    ((status, _, reason),) = await ended(rows)
    assert status is TransferStatus.FAILED
    assert "server" in reason
    own.do("thaw" if verb == "freeze" else "start")
    laboratory.job_options.pop("source_of")
    assert (await laboratory.harvest())["message"] == "1 file copied (50.3 MB)"
    assert visible(own) == {"archive/NMR 400/large.raw": LARGE}
    if isinstance(own, s3.S3):
        assert own.uploads() == []


async def test_a_cancelled_harvest_does_not_wait_for_a_frozen_server(laboratory, rows, own, active, database, clock):
    from jobs.sources import LocalFolder

    await put_into(laboratory, own, seconds=60)
    laboratory.put("large.raw", LARGE)
    frozen = threading.Event()

    def freeze() -> None:
        own.do("freeze")
        frozen.set()

    source = Meanwhile(LocalFolder(laboratory.source), 20_000_000, freeze)
    await laboratory.trigger()
    run = await active()
    options = laboratory.job_options | {"source_of": lambda *_: source}
    harvest = asyncio.ensure_future(harvest_job(laboratory.settings, **options)(run))
    await asyncio.to_thread(frozen.wait, 30)
    began = time.monotonic()
    async with database.transaction() as transaction:
        await cancel(transaction, run.id, now=clock())
    harvest.cancel()
    with suppress(asyncio.CancelledError):
        await harvest
    assert time.monotonic() - began < 30
    own.do("thaw")
