"""A copy is proved before it is visible; whatever goes wrong is said in words and leaves nothing behind."""

from __future__ import annotations

import errno
import os
import tracemalloc

import pytest
import xxhash

from core.errors import NotSupported
from jobs.copying import CHUNK, Copied, CopyFailedError, copy_file
from jobs.sources import FileState, LocalFolder
from storage.objects.posix import PosixStore, PosixWriter


@pytest.fixture
def share(tmp_path):
    (tmp_path / "share").mkdir()
    return tmp_path / "share"


@pytest.fixture
def store(tmp_path):
    return PosixStore(tmp_path / "archive")


def copy(share, store, path="data", *, watch=lambda size: None, before_commit=lambda: None) -> Copied:
    return copy_file(LocalFolder(share), path, store, f"NMR/{path}", token="t", watch=watch, before_commit=before_commit)


def left(tmp_path) -> list[str]:
    return [path.name for path in (tmp_path / "archive").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("content", "checksum"),
    [(b"hello caffeine", "d6a06c8f22ac88e4"), (b"", "ef46db3751d8e999"), (b"x" * (2 * CHUNK + 1), None)],
    ids=["small", "empty", "several chunks"],
)
def test_a_copy_is_equal_and_hashed_on_both_sides(share, store, tmp_path, content, checksum):
    (share / "data").write_bytes(content)
    expected = checksum or xxhash.xxh64(content, seed=0).hexdigest()
    modified = (share / "data").stat().st_mtime_ns
    assert copy(share, store) == Copied(FileState(len(content), modified), expected, expected)
    assert (tmp_path / "archive/NMR/data").read_bytes() == content
    assert left(tmp_path) == ["data"]


def test_nothing_is_visible_until_the_end(share, store, tmp_path):
    (share / "data").write_bytes(b"x" * (3 * CHUNK))
    seen = []

    def look(*_):
        seen.append((tmp_path / "archive/NMR/data").exists())

    copy(share, store, watch=look, before_commit=look)
    assert seen == [False] * len(seen)
    assert len(seen) > 3


def test_the_watch_hears_every_byte_once(share, store):
    (share / "data").write_bytes(b"x" * (2 * CHUNK + 5))
    sizes = []
    copy(share, store, watch=sizes.append)
    assert sum(sizes) == 2 * CHUNK + 5


@pytest.mark.parametrize("change", ["grow", "shrink", "touch", "replace"])
def test_a_file_that_changes_meanwhile_is_not_kept(share, store, tmp_path, change):
    file = share / "data"
    file.write_bytes(b"x" * (2 * CHUNK))

    def meddle(size: int) -> None:
        if change == "grow":
            with file.open("ab") as stream:
                stream.write(b"y")
        elif change == "shrink":
            os.truncate(file, CHUNK)
        elif change == "touch":
            os.utime(file, ns=(1, 1))
        else:
            (share / "new").write_bytes(b"z" * (2 * CHUNK))
            os.replace(share / "new", file)  # noqa: PTH105

    with pytest.raises(CopyFailedError) as caught:
        copy(share, store, watch=meddle)
    assert caught.value.message == "the file changed while it was being copied"
    assert caught.value.verified is None
    assert left(tmp_path) == []


class Liar(PosixWriter):
    """Stores something else than it is given."""

    def write(self, chunk: bytes) -> None:
        super().write(chunk[:-1] + b"?")


def test_a_copy_that_differs_is_removed_and_both_checksums_are_known(share, store, tmp_path, monkeypatch):
    (share / "data").write_bytes(b"hello caffeine")
    monkeypatch.setattr("storage.objects.posix.PosixWriter", Liar)
    with pytest.raises(CopyFailedError, match="the copy differs from the source") as caught:
        copy(share, store)
    assert (caught.value.verified, caught.value.source_checksum, caught.value.dest_checksum) == (
        False,
        "d6a06c8f22ac88e4",
        xxhash.xxh64(b"hello caffein?").hexdigest(),
    )
    assert left(tmp_path) == []


def test_a_missing_source_is_said(share, store, tmp_path):
    with pytest.raises(CopyFailedError, match="the source cannot be read: No such file or directory"):
        copy(share, store)
    assert left(tmp_path) == []


def test_a_full_disk_is_said_and_leaves_nothing(share, store, tmp_path, monkeypatch):
    (share / "data").write_bytes(b"x" * (2 * CHUNK))

    def full(self, chunk: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(PosixWriter, "write", full)
    with pytest.raises(CopyFailedError, match="the copy cannot be written: No space left on device"):
        copy(share, store)
    assert left(tmp_path) == []


def test_a_destination_that_cannot_be_written_is_said(share, store, tmp_path):
    (share / "data").write_bytes(b"x")
    (tmp_path / "archive").write_bytes(b"a file where a folder should be")
    with pytest.raises(CopyFailedError, match="the copy cannot be written: "):
        copy(share, store)


def test_a_folder_in_the_place_of_the_copy_is_said(share, store, tmp_path):
    (share / "data").write_bytes(b"x")
    (tmp_path / "archive/NMR/data").mkdir(parents=True)
    with pytest.raises(CopyFailedError, match="the copy cannot be put in its place: Is a directory"):
        copy(share, store)
    assert left(tmp_path) == []


def test_a_refusal_of_the_store_is_passed_on(share, store, monkeypatch):
    (share / "data").write_bytes(b"x")

    def refuse(key: str, token: str, size: int):
        raise NotSupported("not in this version")

    monkeypatch.setattr(store, "begin", refuse)
    with pytest.raises(CopyFailedError, match="the copy cannot be written: not in this version"):
        copy(share, store)


@pytest.mark.parametrize("hook", ["watch", "before_commit"])
def test_a_copy_nobody_wants_any_more_leaves_nothing(share, store, tmp_path, hook):
    (share / "data").write_bytes(b"x")

    def end(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(share, store, **{hook: end})
    assert left(tmp_path) == []


def test_a_large_file_takes_little_memory(share, store):
    with (share / "data").open("wb") as stream:
        stream.truncate(64 * CHUNK)
    tracemalloc.start()
    copy(share, store)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * CHUNK
