"""What every source does alike: the local folder, and a share of a real Samba."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.errors import InvalidInput
from jobs.copying import CopyFailedError, copy_file
from jobs.sources import FileState, FoundFile, LocalFolder, Source
from storage.objects.posix import PosixStore
from tests import smb

MOMENT = 1_700_000_000_123_456_000


@dataclass
class Place:
    """A folder, and the source that reads it."""

    folder: Path
    source: Source

    def put(self, path: str, content: bytes = b"x") -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def found(self) -> list[str]:
        return [file.path for file in self.source.discover(lambda path, reason: pytest.fail(f"{path}: {reason}"))]

    def refused(self) -> tuple[list[str], dict[str, str]]:
        reasons: dict[str, str] = {}
        return [file.path for file in self.source.discover(reasons.__setitem__)], reasons


@pytest.fixture(params=["local", pytest.param("smb", marks=pytest.mark.slow)])
def place(request, tmp_path) -> Iterator[Place]:
    if request.param == "local":
        (tmp_path / "share").mkdir()
        yield Place(tmp_path / "share", LocalFolder(tmp_path / "share"))
        return
    samba = smb.shared()
    source = samba.source()
    yield Place(samba.folder, source)
    source.close()
    assert smb.threads() == []
    shutil.rmtree(samba.folder)


def test_files_come_with_size_and_time(place):
    file = place.put("a.csv", b"hello caffeine")
    os.utime(file, ns=(MOMENT, MOMENT))
    state = FileState(14, MOMENT)
    assert list(place.source.discover(pytest.fail)) == [FoundFile("a.csv", state)]
    assert place.source.state("a.csv") == state


def test_files_are_ordered_by_their_whole_path(place):
    paths = ["b/2", "a.txt", "a/b", "a b", "a/b.d/c", "Z", "é", "b/10", "a-/x"]
    for path in paths:
        place.put(path)
    assert place.found() == sorted(paths)


def test_a_folder_that_needs_several_answers_is_listed_whole(place):
    names = [f"a file with a name of some length {number:04}.raw" for number in range(1500)]
    for name in names:
        (place.folder / name).touch()
    assert place.found() == names


def test_an_empty_folder_has_no_files(place):
    (place.folder / "empty").mkdir()
    assert place.found() == []


@pytest.mark.parametrize(
    "path", ["run 1/my data.csv", "プローブ/ä é.raw", "e\u0301", "100%#1.csv", "'; drop--", ".hidden", "🧪.raw"]
)
def test_names_are_kept(place, path):
    place.put(path, b"content")
    assert place.found() == [path]
    with place.source.open(path) as stream:
        assert stream.read() == b"content"


def test_a_missing_folder_is_an_error(place):
    place.folder.rmdir()
    with pytest.raises(FileNotFoundError):
        place.found()
    place.folder.mkdir()


def test_deep_folders_need_no_recursion(place):
    deep = "/".join(["d"] * 400)
    place.put(f"{deep}/file")
    assert place.found() == [f"{deep}/file"]


def test_paths_too_long_to_be_recorded_are_refused(place):
    place.put("good")
    os.makedirs(place.folder / "/".join(["d" * 250] * 9))  # noqa: PTH103
    files, reasons = place.refused()
    assert files == ["good"]
    assert list(reasons.values()) == ["the path is longer than 2048 characters"]


def test_a_folder_that_comes_and_goes_is_no_news(place):
    place.put("a/1")
    place.put("b/2")
    files = place.source.discover(pytest.fail)
    assert next(files).path == "a/1"
    shutil.rmtree(place.folder / "b")
    assert list(files) == []


def test_a_link_to_a_file_of_the_source_is_a_file(place):
    place.put("run/data", b"1234")
    (place.folder / "latest").symlink_to("run/data")
    assert [(file.path, file.state.size) for file in place.source.discover(pytest.fail)] == [("latest", 4), ("run/data", 4)]
    with place.source.open("latest") as stream:
        assert stream.read() == b"1234"


def test_a_link_that_leaves_the_source_shows_nothing(place, tmp_path):
    (tmp_path / "secret").write_bytes(b"x")
    (place.folder / "file").symlink_to(tmp_path / "secret")
    (place.folder / "folder").symlink_to(tmp_path)
    assert place.refused()[0] == []
    for path in ("file", "folder/secret", "../secret"):
        for ask in (place.source.state, place.source.open):
            with pytest.raises((InvalidInput, OSError)):
                ask(path)


def test_links_in_a_circle_end(place):
    place.put("run/data")
    (place.folder / "run" / "circle").symlink_to("..")
    assert set(place.refused()[0]) == {"run/data"}


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3_000_001])
def test_content_is_read_to_its_end(place, size):
    content = (b"0123456789abcde" * (size // 15 + 1))[:size]
    place.put("a", content)
    with place.source.open("a") as stream:
        chunks = list(iter(lambda: stream.read(1024 * 1024), b""))
        assert stream.read(1) == b""
    assert b"".join(chunks) == content
    assert max(map(len, chunks), default=0) <= 1024 * 1024


def test_a_file_is_read_as_it_grows(place):
    file = place.put("a", b"one")
    with place.source.open("a") as stream:
        assert stream.read(10) == b"one"
        with file.open("ab") as writer:
            writer.write(b"two")
        assert stream.read(10) == b"two"


@pytest.mark.parametrize("method", ["state", "open"])
def test_a_file_that_is_not_there(place, method):
    with pytest.raises(FileNotFoundError):
        getattr(place.source, method)("nowhere/a")


def test_a_folder_is_not_opened(place):
    (place.folder / "run").mkdir()
    with pytest.raises(OSError, match="not a regular file") as failure:
        place.source.open("run")
    assert failure.value.errno in {None, errno.EISDIR}


def change(file: Path) -> None:
    file.write_bytes(b"2" * 2_000_001)


def touch(file: Path) -> None:
    os.utime(file, ns=(MOMENT, MOMENT))


def replace(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"3" * 10)
    other.replace(file)


def shorten(file: Path) -> None:
    os.truncate(file, 1_500_000)


@pytest.mark.parametrize("meddle", [change, touch, replace, shorten, Path.unlink])
def test_a_file_that_changes_while_it_is_read_is_not_copied(place, tmp_path, meddle: Callable[[Path], None]):
    file = place.put("a", b"1" * 2_000_000)
    store = PosixStore(tmp_path / "archive", shown_as="archive")
    pending = [meddle]

    def watch(size: int) -> None:
        while pending:
            pending.pop()(file)

    with pytest.raises(
        CopyFailedError, match=r"the file changed while it was being copied|the source cannot be read: (No such|not found)"
    ):
        copy_file(place.source, "a", store, "NMR/a", token="t", watch=watch, before_commit=lambda: None)
    assert [path for path in (tmp_path / "archive").rglob("*") if path.is_file()] == []


def test_nothing_is_lost_at_first(place):
    assert place.source.lost() is None


def test_a_source_can_be_closed_and_used_again(place):
    place.put("a")
    place.source.close()
    assert place.found() == ["a"]
    place.source.close()
    place.source.close()
    assert place.found() == ["a"]
