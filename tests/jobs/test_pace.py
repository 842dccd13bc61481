"""Groups grow while they are quick, shrink when they are not, and stay within their bounds."""

from __future__ import annotations

from collections import deque

from jobs.known_files import WantedFile
from jobs.pace import LARGEST, MOST, QUICK, Pace
from jobs.sources import FileState, FoundFile


def wanted(*sizes: int) -> deque[WantedFile]:
    return deque(WantedFile(FoundFile(f"{number}", FileState(size, 0)), None) for number, size in enumerate(sizes))


def lengths(pace: Pace, files: deque[WantedFile], seconds: float) -> list[int]:
    groups = []
    while files:
        groups.append(len(pace.next_of(files)))
        pace.took(seconds)
    return groups


def test_quick_groups_double_up_to_a_bound():
    assert lengths(Pace(), wanted(*[1] * (255 + 2 * MOST)), 0) == [1, 2, 4, 8, 16, 32, 64, MOST, MOST, MOST]


def test_slow_files_are_recorded_one_by_one():
    assert lengths(Pace(), wanted(*[1] * 5), QUICK) == [1] * 5


def test_slow_groups_halve():
    pace = Pace()
    for _ in range(3):
        pace.took(0)
    assert lengths(pace, wanted(*[1] * 20), QUICK) == [8, 4, 2, 1, 1, 1, 1, 1, 1]


def test_bytes_are_bounded_but_for_a_single_file():
    pace = Pace()
    for _ in range(10):
        pace.took(0)
    files = wanted(LARGEST - 1, 1, 1, 2 * LARGEST, 0, LARGEST, 5)
    assert lengths(pace, files, 0) == [2, 1, 1, 2, 1]


def test_after_a_surprise_it_begins_anew():
    pace = Pace()
    pace.took(0)
    pace.one_by_one()
    assert len(pace.next_of(wanted(1, 1))) == 1


def test_files_keep_their_order():
    files = wanted(*range(10))
    expected = list(files)
    pace, seen = Pace(), []
    while files:
        seen += pace.next_of(files)
        pace.took(0)
    assert seen == expected
