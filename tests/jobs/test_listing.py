"""A listing keeps its order, can be read again, and does not live in memory."""

from __future__ import annotations

import tracemalloc

import pytest

from jobs.listing import Listing
from jobs.sources import FileState, FoundFile

FILES = [FoundFile(f"run {number}/ä\n\u2028.raw", FileState(number, -number)) for number in range(7)]


def test_files_come_in_batches_and_again():
    listing = Listing(FILES)
    assert listing.length == 7
    for _ in range(2):
        assert list(listing.batches(3)) == [FILES[:3], FILES[3:6], FILES[6:]]
    listing.close()


def test_a_second_reading_starts_at_the_beginning():
    listing = Listing(FILES)
    next(listing.batches(3))
    assert list(listing.batches(10)) == [FILES]
    listing.close()


def test_an_empty_listing_has_no_batches():
    listing = Listing([])
    assert (listing.length, list(listing.batches(3))) == (0, [])
    listing.close()


def test_an_error_while_finding_is_passed_on():
    def files():
        yield FILES[0]
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        Listing(files())


@pytest.mark.slow
def test_many_files_take_little_memory():
    tracemalloc.start()
    listing = Listing(FoundFile("p" * 500, FileState(1, 1)) for _ in range(40_000))
    assert sum(len(batch) for batch in listing.batches(500)) == 40_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    listing.close()
    assert peak < 12_000_000


@pytest.mark.parametrize("in_memory", [0, 1_000_000])
def test_what_was_taken_back_is_not_there(monkeypatch, in_memory):
    monkeypatch.setattr("jobs.listing._IN_MEMORY", in_memory)
    listing = Listing(FILES[:2])
    end = listing.end()
    listing.extend(FILES[2:5])
    listing.cut(end)
    listing.extend(FILES[5:])
    kept = [*FILES[:2], *FILES[5:]]
    assert (listing.length, listing.bytes) == (len(kept), sum(file.state.size for file in kept))
    assert list(listing.batches(10)) == [kept]
    listing.close()
