"""What is particular to shares: names, times, capital letters, links, what is left over."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from core.errors import InvalidInput
from tests import smb

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> smb.Samba:
    return smb.shared()


@pytest.fixture
def store(server: smb.Samba) -> Iterator:
    store = server.store()
    yield store
    store.close()


def names(server: smb.Samba, folder: str) -> list[str]:
    return [path.name for path in (server.folder / "archive" / folder).iterdir()]


def test_a_file_is_located_by_its_path_on_the_share(server, store):
    assert store.locate("NMR/a b") == f"{server.folder.name}/archive/NMR/a b"


@pytest.mark.parametrize("name", ["a:b", "a*", "what?", "a|b", "<a>", '"a"', "a\nb", "a.", "a ", ".Switchyard"])
def test_a_name_that_means_something_else_on_a_share_is_refused(store, name):
    with pytest.raises(InvalidInput, match=r"cannot be used as the name|keeps for itself"):
        store.begin(f"{name}/x", "t")


def test_the_copy_keeps_the_time_of_its_source(server, store):
    store.begin("run/a", "t").commit(1_700_000_000_123_456_700)
    assert (server.folder / "archive/run/a").stat().st_mtime_ns == 1_700_000_000_123_456_700


def test_a_name_in_other_capitals_is_another_file(server, store):
    store.begin("run/Data", "1").commit(0)
    writer = store.begin("run/data", "2")
    with pytest.raises(FileExistsError, match="differs in capital letters only"):
        writer.commit(0)
    writer.abort()
    assert names(server, "run") == ["Data"]
    assert names(server, ".switchyard/owner") == []


def test_a_folder_that_is_a_link_out_of_the_share_is_not_followed(server, store):
    server.location()
    (server.folder / "archive").symlink_to("/tmp")
    with pytest.raises(OSError, match=r"access denied|not found|link"):
        store.begin("run/data", "t")


def test_the_remains_of_others_are_left_to_them(server):
    mine, others = server.store(owner="mine"), server.store(owner="others")
    for place in (mine, others):
        place.begin("a", "t").write(b"half")
        place.close()  # as when the worker dies
    again = server.store(owner="mine")
    again.sweep()
    assert names(server, ".switchyard/mine") == []
    assert len(names(server, ".switchyard/others")) == 1
    again.close()


def test_a_share_that_can_only_be_read_says_so(server):
    location = server.store(share=f"ro/{server.folder.name}")
    with pytest.raises(PermissionError) as caught:
        location.begin("a", "t")
    assert (caught.value.errno, "access denied" in str(caught.value)) == (errno.EACCES, True)
    location.close()


def test_nothing_tells_the_password(server, store):
    store.check()
    assert server.password not in f"{store!r}{store.share!r}{vars(store.share)!r}"
