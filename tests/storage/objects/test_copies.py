"""Copies are read back from where a transfer says they are, on every kind of storage, redirected ones included."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.errors import DomainError
from core.vocabulary import StorageType
from storage.objects.copies import OpenCopy, place_of_copy
from storage.objects.opening import StorageAccess, open_store
from tests import s3, smb
from tests.smb import KEYRING

CONTENT = bytes(range(256)) * 3000
ACCESS = StorageAccess(KEYRING, connecting=5, smb_answer=5, s3_answer=5)


@dataclass
class Place:
    """A storage location's row, and what this server may read of its own disk."""

    location: dict[str, Any]
    roots: list[Path]
    elsewhere: str
    """Another base path, as a hook may choose it."""

    def put(self, key: str, *, redirected: bool = False) -> str:
        """Store the content; where it is, as a transfer writes it down."""
        location = self.location | ({"base_path": self.elsewhere} if redirected else {})
        store = open_store(location, self.roots, ACCESS, "owner")
        writer = store.begin(key, "t", len(CONTENT))
        writer.write(CONTENT)
        writer.commit(10**18)
        store.flush()
        found_at = store.locate(key)
        store.close()
        return found_at

    def open(self, found_at: str) -> OpenCopy:
        return OpenCopy(*place_of_copy(self.location, found_at, self.roots, ACCESS))


@contextmanager
def folder(path: Path) -> Iterator[Place]:
    yield Place({"type": StorageType.POSIX, "base_path": str(path / "archive")}, [path], str(path / "other"))


@contextmanager
def bucket(_: Path) -> Iterator[Place]:
    yield Place(s3.shared().location("lab/archive"), [], "other")


@contextmanager
def share(_: Path) -> Iterator[Place]:
    samba = smb.shared()
    yield Place(samba.location("lab/archive"), [], "other")
    shutil.rmtree(samba.folder)


PLACES = [folder, pytest.param(bucket, marks=pytest.mark.slow), pytest.param(share, marks=pytest.mark.slow)]


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with request.param(tmp_path) as made:
        yield made


def read(copy: OpenCopy, begin: int, end: int) -> bytes:
    """However little comes at a time."""
    content = b""
    while len(content) < end - begin:
        chunk = copy.read(begin + len(content), end - begin - len(content))
        assert chunk
        content += chunk
    return content


@pytest.mark.parametrize("redirected", [False, True])
@pytest.mark.parametrize("key", ["run.csv", "a/b c/ä é.raw"])
def test_any_part_of_a_copy_is_read(place: Place, key: str, redirected: bool) -> None:
    copy = place.open(place.put(key, redirected=redirected))
    assert copy.size == len(CONTENT)
    for begin, end in ((0, 300_000), (300_000, len(CONTENT)), (5, 12), (len(CONTENT) - 3, len(CONTENT))):
        assert read(copy, begin, end) == CONTENT[begin:end]
    copy.close()


def test_a_copy_that_is_gone_is_not_found(place: Place) -> None:
    found_at = place.put("run.csv")
    with pytest.raises((FileNotFoundError, NotADirectoryError)):
        place.open(found_at.replace("run.csv", "other.csv"))
    with pytest.raises((FileNotFoundError, NotADirectoryError)):
        place.open(f"{found_at}/below")


@pytest.mark.parametrize("found_at", ["", "/", "..", "a/../../etc/passwd"])
def test_what_is_no_place_is_refused(place: Place, found_at: str) -> None:
    with pytest.raises((DomainError, OSError)):
        place.open(found_at)


def test_what_lies_outside_the_allowed_folders_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(CONTENT)
    location = {"type": StorageType.POSIX, "base_path": str(tmp_path / "archive")}
    with pytest.raises(DomainError, match="lies outside the folders that this server may use"):
        place_of_copy(location, str(tmp_path / "secret"), [tmp_path / "archive"], ACCESS)
