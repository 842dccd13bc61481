"""The local folder, beyond what all sources do alike: links, what is never read, and which folders may be opened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import InvalidInput, NotSupported
from core.vocabulary import TransferAdapter
from jobs.sources import FileState, FoundFile, LocalFolder, open_source


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "share"
    folder.mkdir()
    return folder


def put(folder: Path, path: str, content: bytes = b"x") -> Path:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def found(folder: Path) -> list[str]:
    return [file.path for file in LocalFolder(folder).discover(lambda path, reason: pytest.fail(f"{path}: {reason}"))]


def refused(folder: Path) -> tuple[list[str], dict[str, str]]:
    reasons: dict[str, str] = {}
    return [file.path for file in LocalFolder(folder).discover(reasons.__setitem__)], reasons


def test_files_come_with_size_and_time(folder):
    file = put(folder, "a.csv", b"hello caffeine")
    os.utime(file, ns=(1, 1_700_000_000_123_456_789))
    state = FileState(14, 1_700_000_000_123_456_789)
    assert list(LocalFolder(folder).discover(pytest.fail)) == [FoundFile("a.csv", state)]
    assert state.modified.isoformat() == "2023-11-14T22:13:20.123456+00:00"


def test_a_time_beyond_the_calendar_is_none():
    assert FileState(1, 2**63 - 1).modified is not None
    assert FileState(1, 10**21).modified is None


def test_deep_folders_need_no_recursion(folder):
    deep = "/".join(["d"] * 600)
    put(folder, f"{deep}/file")
    assert found(folder) == [f"{deep}/file"]


def test_pipes_and_sockets_are_not_files(folder):
    os.mkfifo(folder / "pipe")
    assert found(folder) == []


def test_a_link_that_leaves_the_source_is_refused(folder, tmp_path):
    put(tmp_path, "secret")
    (folder / "file").symlink_to(tmp_path / "secret")
    (folder / "folder").symlink_to(tmp_path)
    (folder / "up").symlink_to("../secret")
    reason = "the link leads out of the instrument's folder"
    assert refused(folder) == ([], {"file": reason, "folder": reason, "up": reason})


def test_links_to_folders_inside_are_not_followed(folder):
    put(folder, "run/data")
    (folder / "again").symlink_to("run")
    (folder / "run" / "circle").symlink_to("..")
    assert found(folder) == ["run/data"]


def test_links_in_a_circle_and_to_nowhere_are_left_out(folder):
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    (folder / "nowhere").symlink_to("missing")
    files, reasons = refused(folder)
    assert files == []
    assert set(reasons) <= {"a", "b"}


def test_names_that_are_not_utf8_are_refused(folder):
    put(folder, "good")
    Path(os.fsdecode(os.fsencode(folder) + b"/bad\xff")).write_bytes(b"x")
    files, reasons = refused(folder)
    assert files == ["good"]
    assert list(reasons.values()) == ["the name is not valid UTF-8"]


def test_a_file_outside_cannot_be_opened(folder, tmp_path):
    put(tmp_path, "secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    for path in ("link", "../secret"):
        with pytest.raises(InvalidInput):
            LocalFolder(folder).open(path)
        with pytest.raises(InvalidInput):
            LocalFolder(folder).state(path)


def test_a_link_put_in_place_at_the_last_moment_is_not_followed(folder, tmp_path, monkeypatch):
    put(tmp_path, "elsewhere/data", b"secret")
    put(folder, "run/data")
    source = LocalFolder(folder)
    inside = source._inside("run/data")
    (folder / "run").rename(folder / "old")
    (folder / "run").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr(source, "_inside", lambda path: inside)
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        source.open("run/data")


def test_a_pipe_is_not_opened(folder):
    os.mkfifo(folder / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        LocalFolder(folder).open("pipe")


def instrument(share: Path | str, **changes) -> dict:
    row = {"transfer_adapter": TransferAdapter.RCLONE, "cifs_host": "file:", "cifs_share": str(share), "cifs_base_path": None}
    return row | changes


@pytest.mark.parametrize("host", ["file:", "file://", "FILE:"])
@pytest.mark.parametrize("base_path", [None, "/", "", "run", "/run/", "run/inner/.."])
def test_a_share_and_its_base_path_are_opened(folder, host, base_path):
    put(folder, "run/inner/data")
    row = instrument(folder, cifs_host=host, cifs_base_path=base_path)
    if base_path and ".." in base_path:
        with pytest.raises(InvalidInput, match="leaves the share"):
            open_source(row, [folder])
        return
    files = [file.path for file in open_source(row, [folder]).discover(pytest.fail)]
    assert files == ["inner/data" if base_path and "run" in base_path else "run/inner/data"]


def test_a_share_may_be_a_link_inside_the_roots(folder):
    put(folder, "real/data")
    (folder / "alias").symlink_to("real")
    assert [file.path for file in open_source(instrument(folder / "alias"), [folder]).discover(pytest.fail)] == ["data"]


@pytest.mark.parametrize(
    ("share", "message"),
    [
        ("/etc", "lies outside the folders that this server may use"),
        ("{root}/../other", "must not contain '..'"),
        ("{root}/escape", "lies outside"),
        ("{root}x", "lies outside"),
        ("relative/share", "is not an absolute path"),
        ("", "is not an absolute path"),
        ("{root}/\0", "is not an absolute path"),
    ],
)
def test_a_share_outside_the_allowed_roots_is_refused(folder, tmp_path, share, message):
    (folder / "escape").symlink_to(tmp_path)
    with pytest.raises(InvalidInput, match=message):
        open_source(instrument(share.format(root=folder)), [folder])


def test_a_base_path_that_links_out_of_the_share_is_refused(folder, tmp_path):
    (folder / "escape").symlink_to(tmp_path)
    with pytest.raises(InvalidInput, match="lies outside"):
        open_source(instrument(folder, cifs_base_path="escape"), [tmp_path])


def test_without_allowed_roots_nothing_is_opened(folder):
    with pytest.raises(InvalidInput):
        open_source(instrument(folder), [])


@pytest.mark.parametrize("adapter", [TransferAdapter.GLOBUS, TransferAdapter.RSYNC])
def test_other_adapters_are_not_available(folder, adapter):
    with pytest.raises(NotSupported, match=f"the transfer adapter {adapter.value} is not available in this version"):
        open_source(instrument(folder, transfer_adapter=adapter), [folder])
