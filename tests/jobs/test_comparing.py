"""Listing and records side by side: what is new, what has changed, what is gone, whatever the pages."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.comparing import NAMED, Comparison
from jobs.sources import FileState, FoundFile
from storage.sql.types import stored_time

PATHS = st.text(alphabet="a/ä\U0001f600\uffff -", min_size=1, max_size=4)


def file(path: str, size: int = 1) -> FoundFile:
    return FoundFile(path, FileState(size, 10**18))


def record(path: str, *, size: int = 1, settled: bool = True) -> tuple:
    modified = FileState(0, 10**18).modified
    assert modified is not None
    return path, size, stored_time(modified), settled


async def pages_of(rows: list, size: int):
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


async def compare(found: list[FoundFile], known: list[tuple], page: int = 2, batch: int = 3, hidden: tuple[str, ...] = ()):
    comparison = Comparison(pages_of(known, page))
    for path in hidden:
        comparison.hide(path)
    wanted = []
    for start in range(0, len(found), batch):
        wanted += await comparison.wanted(found[start : start + batch])
    await comparison.finish()
    return [each.path for each in wanted], comparison.changed.first, comparison.vanished.first


async def test_each_file_has_one_fate():
    found = [file("changed", 2), file("failed"), file("known"), file("new")]
    known = [record("changed"), record("failed", settled=False), record("gone"), record("known"), record("zzz")]
    assert await compare(found, known) == (["failed", "new"], ["changed"], ["gone", "zzz"])


async def test_a_file_without_a_time_that_has_one_now_has_changed():
    assert await compare([file("a")], [("a", 1, None, True)]) == ([], ["a"], [])


@pytest.mark.parametrize(("found", "known"), [([], []), ([file("a")], []), ([], [record("a")])])
async def test_nothing_on_a_side(found, known):
    assert await compare(found, known) == ([each.path for each in found], [], [each[0] for each in known])


async def test_what_could_not_be_seen_is_not_gone():
    known = [record(path) for path in ("closed/a", "closed/b/c", "closedtoo", "link")]
    assert await compare([], known, hidden=("closed/", "link")) == ([], [], ["closedtoo"])


async def test_all_are_counted_and_some_are_named():
    comparison = Comparison(pages_of([record(f"{number:05}") for number in range(1000)], 100))
    await comparison.finish()
    assert (comparison.vanished.count, len(comparison.vanished.first)) == (1000, NAMED)


@given(st.sets(PATHS), st.sets(PATHS), st.integers(1, 4), st.integers(1, 4))
async def test_the_same_as_with_sets(found, known, page, batch):
    files, rows = [file(path) for path in sorted(found)], [record(path) for path in sorted(known)]
    assert await compare(files, rows, page, batch) == (sorted(found - known), [], sorted(known - found)[:NAMED])


@pytest.mark.slow
async def test_however_many_there_are_a_page_of_each_is_in_memory():
    async def pages():
        for start in range(0, 50_000, 1000):
            yield [record(f"run {number:06}/data.raw") for number in range(start, start + 1000)]

    comparison = Comparison(pages())
    tracemalloc.start()
    try:
        for start in range(0, 50_000, 500):
            assert await comparison.wanted([file(f"run {number:06}/data.raw") for number in range(start, start + 500)]) == []
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (comparison.found, comparison.changed.count, comparison.vanished.count) == (50_000, 0, 0)
    assert most < 3_000_000
