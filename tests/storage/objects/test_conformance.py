"""What every object store must do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.errors import InvalidInput
from storage.objects.posix import PosixStore
from storage.objects.protocol import ObjectStore
from tests import s3, smb


@contextmanager
def posix(folder: Path) -> Iterator[ObjectStore]:
    yield PosixStore(folder / "store")


@contextmanager
def bucket(_: Path) -> Iterator[ObjectStore]:
    yield s3.shared().store("lab/archive")


@contextmanager
def share(_: Path) -> Iterator[ObjectStore]:
    samba = smb.shared()
    yield samba.store("lab/archive")
    shutil.rmtree(samba.folder)


STORES = [posix, pytest.param(bucket, marks=pytest.mark.slow), pytest.param(share, marks=pytest.mark.slow)]
"""Every adapter; it is added here and has to pass unchanged."""

UNSAFE = ["", "/", "/etc/passwd", "..", "a/../b", "a/./b", "a//b", "a/", "../x", "a\0b", "a\\b", "bad\udcff"]


@pytest.fixture(params=STORES)
def store(request, tmp_path) -> Iterator[ObjectStore]:
    with request.param(tmp_path) as store:
        yield store
        store.close()


def write(store: ObjectStore, key: str, *chunks: bytes, token: str = "t", modified_ns: int = 10**18) -> None:
    writer = store.begin(key, token)
    for chunk in chunks:
        writer.write(chunk)
    writer.commit(modified_ns)


def read(store: ObjectStore, key: str) -> bytes:
    with store.open(key) as stream:
        return stream.read()


@pytest.mark.parametrize("key", ["a", "run 1/ä é.raw", "日本/データ", ".hidden", "a/b/c/d", "x" * 200])
def test_what_was_written_is_read(store, key):
    write(store, key, b"hello ", b"caffeine")
    assert read(store, key) == b"hello caffeine"


def test_an_empty_file_is_a_file(store):
    write(store, "empty")
    assert read(store, "empty") == b""
    assert store.exists("empty")


def test_nothing_is_visible_before_the_commit(store):
    writer = store.begin("run/data", "t")
    writer.write(b"half")
    assert not store.exists("run/data")
    writer.commit(0)
    assert read(store, "run/data") == b"half"


def test_what_is_stored_can_be_read_back_before_the_commit(store):
    writer = store.begin("data", "t")
    writer.write(b"hello")
    with writer.read_back() as stream:
        assert stream.read() == b"hello"
    assert not store.exists("data")
    writer.commit(0)
    assert read(store, "data") == b"hello"


def test_a_commit_replaces_what_was_there(store):
    write(store, "data", b"old")
    writer = store.begin("data", "t")
    writer.write(b"new")
    assert read(store, "data") == b"old"
    writer.commit(0)
    assert read(store, "data") == b"new"


def test_an_aborted_write_leaves_what_was_there(store):
    write(store, "data", b"old")
    writer = store.begin("data", "t")
    writer.write(b"new")
    writer.abort()
    assert read(store, "data") == b"old"


def test_a_write_can_be_aborted_after_reading_back(store):
    writer = store.begin("data", "t")
    writer.read_back().close()
    writer.abort()
    assert not store.exists("data")


def test_remains_of_a_write_that_never_ended_are_discarded(store):
    writer = store.begin("run/data", "dead")
    writer.write(b"half")
    store.discard(store.locate("run/data"), "dead")
    write(store, "run/data", b"whole", token="dead")
    assert read(store, "run/data") == b"whole"
    writer.abort()


def test_discarding_nothing_is_no_error(store):
    store.discard(store.locate("never/written"), "t")


def test_what_is_missing_cannot_be_opened(store):
    assert not store.exists("missing")
    with pytest.raises(FileNotFoundError):
        store.open("missing")


def test_deleting_removes_and_may_be_repeated(store):
    write(store, "run/data", b"x")
    store.delete("run/data")
    assert not store.exists("run/data")
    store.delete("run/data")


@pytest.mark.parametrize("key", UNSAFE)
def test_keys_that_could_leave_the_store_are_refused(store, key):
    for call in (store.locate, store.exists, store.open, store.delete, lambda key: store.begin(key, "t")):
        with pytest.raises(InvalidInput):
            call(key)


def test_a_commit_that_may_not_replace_leaves_what_was_there(store):
    write(store, "run/data", b"old")
    writer = store.begin("run/data", "t")
    writer.write(b"new")
    with pytest.raises(FileExistsError):
        writer.commit(0, replace=False)
    writer.abort()
    assert read(store, "run/data") == b"old"


def test_a_commit_that_may_not_replace_takes_a_free_name(store):
    writer = store.begin("run/data", "t")
    writer.write(b"new")
    writer.commit(0, replace=False)
    store.flush()
    assert read(store, "run/data") == b"new"


def test_remains_are_removed_with_the_attempt_or_by_the_owners_next_harvest(store):
    writers = [store.begin("run/data", token) for token in ("discarded", "swept")]
    store.discard(store.locate("run/data"), "discarded")
    store.sweep()
    store.sweep()
    assert not store.exists("run/data")
    for writer in writers:
        writer.abort()


def test_a_place_that_can_be_used_passes_the_check(store):
    write(store, "run/data", b"x")
    store.check()
    assert store.lost() is None


def test_many_files_are_committed_before_a_flush(store):
    for number in range(5):
        write(store, f"run/{number}", b"x" * number, token=f"t{number}")
    store.flush()
    assert [read(store, f"run/{number}") for number in range(5)] == [b"x" * number for number in range(5)]
