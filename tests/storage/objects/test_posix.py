"""What is particular to files in a folder: temporary names, links, times."""

from __future__ import annotations

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
