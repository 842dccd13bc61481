"""What every object store must do. An adapter is added to `STORES` and has to pass unchanged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import InvalidInput
from storage.objects.posix import PosixStore
from storage.objects.protocol import ObjectStore

STORES: dict[str, Callable[[Path], ObjectStore]] = {"posix": lambda folder: PosixStore(folder / "store")}

UNSAFE = ["", "/", "/etc/passwd", "..", "a/../b", "a/./b", "a//b", "a/", "../x", "a\0b", "a\\b", "bad\udcff"]


@pytest.fixture(params=STORES)
def store(request, tmp_path) -> ObjectStore:
    return STORES[request.param](tmp_path)


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
