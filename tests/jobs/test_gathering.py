"""What is to be copied, without the acquisitions that are still being written."""

from __future__ import annotations

import pytest

from jobs.acquisitions import Acquisitions
from jobs.gathering import Gathering
from jobs.listing import Listing
from jobs.sources import FileState, FoundFile
from tests.jobs.conftest import NOON
from tests.jobs.test_acquisitions import NOON_NS

OLD, NEW = NOON_NS - 3600 * 10**9, NOON_NS


def gathered(*files: tuple[str, int], known: tuple[str, ...] = (), batch: int = 100) -> tuple[list[str], list[str], int, int]:
    """The paths to be copied, the acquisitions that wait, their files; and the bytes to be copied, of a byte each."""
    found = [FoundFile(path, FileState(1, modified)) for path, modified in files]
    listing = Listing()
    gathering = Gathering(listing, Acquisitions(["*.d"]), NOON)
    for start in range(0, len(found), batch):
        some = found[start : start + batch]
        gathering.add(some, [file for file in some if file.path not in known])
    gathering.finish()
    paths = [file.path for files in listing.batches(10) for file in files]
    assert listing.length == len(paths)
    told = listing.bytes
    listing.close()
    return paths, gathering.waiting.first, gathering.files_waiting, told


ALL = (
    ("0", NEW),
    ("a.d/1", OLD),
    ("a.d/2", OLD),
    ("b.d/1", OLD),
    ("b.d/x/2", NEW),
    ("b.d/y/3", OLD),
    ("c.d/1", OLD),
    ("z", NEW),
)


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 100])
def test_one_is_left_alone_as_a_whole(batch: int):
    assert gathered(*ALL, batch=batch) == (["0", "a.d/1", "a.d/2", "c.d/1", "z"], ["b.d"], 3, 5)


def test_the_last_one_too():
    assert gathered(("a.d/1", OLD), ("b.d/1", NEW)) == (["a.d/1"], ["b.d"], 1, 1)


def test_a_known_file_that_is_being_written_tells_of_the_others():
    assert gathered(("a.d/1", NEW), ("a.d/2", OLD), known=("a.d/1",)) == ([], ["a.d"], 1, 0)


def test_one_without_new_files_waits_for_nothing():
    assert gathered(("a.d/1", NEW), ("b", OLD), known=("a.d/1",)) == (["b"], [], 0, 1)


def test_two_that_follow_each_other_are_not_one():
    assert gathered(("a.d/1", NEW), ("b.d/1", OLD), ("c.d/1", NEW)) == (["b.d/1"], ["a.d", "c.d"], 2, 1)
