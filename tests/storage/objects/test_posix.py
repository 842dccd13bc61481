"""What is particular to files in a folder: temporary names, links, times."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from core.errors import InvalidInput
from storage.objects.posix import PosixStore


@pytest.fixture
def store(tmp_path) -> PosixStore:
    return PosixStore(tmp_path / "store")


def test_a_file_is_located_by_its_absolute_path(store, tmp_path):
    assert store.locate("run 1/data") == f"{tmp_path}/store/run 1/data"
    assert PosixStore(tmp_path, shown_as="/archive/").locate("data") == "/archive/data"


def test_a_write_is_a_hidden_file_beside_its_target(store, tmp_path):
    writer = store.begin("run/data", "token")
    assert [path.name for path in (tmp_path / "store/run").iterdir()] == [".switchyard-token.part"]
    writer.commit(0)
    assert [path.name for path in (tmp_path / "store/run").iterdir()] == ["data"]


def test_an_aborted_write_leaves_no_file(store, tmp_path):
    writer = store.begin("run/data", "token")
    writer.write(b"x" * 100_000)
    writer.abort()
    assert list((tmp_path / "store/run").iterdir()) == []


def test_the_copy_keeps_the_time_of_its_source(store, tmp_path):
    store.begin("data", "t").commit(1_700_000_000_000_000_000)
    assert (tmp_path / "store/data").stat().st_mtime_ns == 1_700_000_000_000_000_000


def test_a_folder_that_is_a_link_out_of_the_store_is_refused(store, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store/run").symlink_to(tmp_path)
    for call in (store.exists, store.open, store.delete, lambda key: store.begin(key, "t")):
        with pytest.raises(InvalidInput, match="is a link that leaves the storage location"):
            call("run/data")
    with pytest.raises(InvalidInput):
        store.begin("run/made/here", "t")
    assert not (tmp_path / "made").exists()


def test_a_link_at_the_target_is_replaced_and_not_followed(store, tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    (tmp_path / "store").mkdir()
    (tmp_path / "store/data").symlink_to(outside)
    writer = store.begin("data", "t")
    writer.write(b"new")
    writer.commit(0)
    assert (outside.read_bytes(), (tmp_path / "store/data").read_bytes()) == (b"precious", b"new")
    assert not (tmp_path / "store/data").is_symlink()


def test_a_file_in_place_of_a_folder_is_an_error(store, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store/run").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        store.begin("run/data", "t")


def test_folders_are_synced_once_for_all_that_came_into_them(store, tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr("storage.objects.posix._sync_folder", synced.append)
    for number in range(3):
        store.begin(f"run/{number}", f"t{number}").commit(0)
    assert synced == []
    store.flush()
    store.flush()
    assert sorted(synced) == [tmp_path / "store", tmp_path / "store/run"]


def test_a_folder_that_could_not_be_synced_is_tried_again(store, tmp_path, monkeypatch):
    def fail(folder: Path) -> None:
        raise OSError(errno.EIO, "broken")

    (tmp_path / "store").mkdir()
    store.begin("data", "t").commit(0)
    monkeypatch.setattr("storage.objects.posix._sync_folder", fail)
    with pytest.raises(OSError, match="broken"):
        store.flush()
    synced = []
    monkeypatch.setattr("storage.objects.posix._sync_folder", synced.append)
    store.flush()
    assert synced == [tmp_path / "store"]


@pytest.mark.parametrize("existing", [False, True])
def test_a_file_system_without_links_is_asked_whether_the_name_is_free(store, tmp_path, monkeypatch, existing):
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    writer = store.begin("data", "t")
    if existing:
        (tmp_path / "store/data").write_bytes(b"old")
        with pytest.raises(FileExistsError):
            writer.commit(0, replace=False)
        writer.abort()
    else:
        writer.commit(0, replace=False)
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["data"]
    assert (tmp_path / "store/data").read_bytes() == (b"old" if existing else b"")


def test_links_within_the_store_may_be_folders(store, tmp_path):
    (tmp_path / "store/real").mkdir(parents=True)
    (tmp_path / "store/link").symlink_to("real")
    store.begin("link/inner/data", "t").commit(0)
    assert (tmp_path / "store/real/inner/data").is_file()
    assert store.exists("link/inner/data")
