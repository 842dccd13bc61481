"""Which folder a file's acquisition is, when its files are still being written, and what is wrong with a config."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.errors import InvalidInput
from jobs.acquisitions import Acquisitions
from jobs.sources.protocol import EPOCH
from tests.jobs.conftest import NOON

SECOND = 10**9
NOON_NS = round((NOON - EPOCH).total_seconds()) * SECOND


@pytest.mark.parametrize(
    ("folders", "path", "acquisition"),
    [
        (["*"], "glucose/pdata/1/1r", "glucose"),
        (["*"], "notes.txt", None),
        (["*.d"], "a.d/AcqData/MSScan.bin", "a.d"),
        (["*.d"], "A.D/x", None),
        (["*.d"], "2026/a.d/x", None),
        (["*/*_1H"], "2026/glucose_1H/pdata/1/1r", "2026/glucose_1H"),
        (["*/*_1H"], "glucose_1H/fid", None),
        (["*"], ".hidden/x", ".hidden"),
        (["run?", "[ab]", "[!x]c"], "run1/x", "run1"),
        (["run?", "[ab]", "[!x]c"], "b/x", "b"),
        (["run?", "[ab]", "[!x]c"], "xc/x", None),
        (["a?b"], "a/b/x", None),
        (["a[!x]b"], "a/b/x", None),
        (["*/*.d", "*"], "2026/a.d/x", "2026"),
        (["*.raw/*.d", "*/*/*"], "1.raw/2.d/3/x", "1.raw/2.d"),
        (["**/*.d"], "a.d/x", "a.d"),
        (["**/*.d"], "2026/01/a.d/b.d/x", "2026/01/a.d"),
        (["data/**/*.d"], "data/2026/01/a.d/x", "data/2026/01/a.d"),
        (["data/**/*.d"], "other/a.d/x", None),
        (["**/**/x"], "x/y", "x"),
        (["a**b"], "a__b/x", "a__b"),
        ([], "a/b", None),
    ],
)
def test_the_outermost_folder_that_matches(folders: list[str], path: str, acquisition: str | None):
    assert Acquisitions(folders).of_file(path) == acquisition


def test_each_file_for_itself():
    acquisitions = Acquisitions(["*.d"])
    paths = ["a.d/1", "a.d/2", "a.d/sub/3", "b", "b.d/1", "c", "d/e"]
    assert [acquisitions.of_file(path) for path in paths] == ["a.d", "a.d", "a.d", None, "b.d", None, None]


def test_no_pattern_takes_long():
    acquisitions = Acquisitions(["**/" * 500 + "x", "/".join(["*a*a*a*a*a*b"] * 5)])
    assert acquisitions.of_file("a" * 100 + "/y" * 500 + "/z") is None


@pytest.mark.parametrize(
    ("modified", "busy"),
    [
        (NOON_NS - 60 * SECOND, False),
        (NOON_NS - 60 * SECOND + 1000, True),
        (NOON_NS, True),
        (NOON_NS + 86_400 * SECOND, True),
        (NOON_NS + 86_400 * SECOND + 1000, False),
        (-1, False),
    ],
)
def test_the_last_seconds_and_the_next_day_are_busy(modified: int, busy: bool):
    assert (modified in Acquisitions(["*"], 60).busy_times(NOON)) is busy


def test_without_a_time_to_settle_nothing_is_busy():
    assert list(Acquisitions(["*"], 0).busy_times(NOON)) == []


@pytest.mark.parametrize("config", [None, {}, {"checkers": 8}, {"acquisition": None}])
def test_without_a_config_there_are_none(config: Any):
    acquisitions = Acquisitions.of(config)
    assert not acquisitions
    assert acquisitions.of_file("a/b") is None


def test_a_config():
    acquisitions = Acquisitions.of({"acquisition": {"folders": ["*.d"], "settle_seconds": 5, "unknown": 1}, "checkers": 8})
    assert acquisitions
    assert acquisitions.of_file("a.d/x") == "a.d"
    assert len(acquisitions.busy_times(NOON)) == timedelta(days=1, seconds=5) // timedelta(microseconds=1) * 1000


def test_a_minute_unless_it_is_said():
    assert Acquisitions.of({"acquisition": {"folders": ["*"]}}).busy_times(NOON) == Acquisitions(["*"], 60).busy_times(NOON)


_PATTERN = "a pattern is names of folders with / between them, the last one not **"


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ("*.d", "acquisition: Input should be an object"),
        ({}, "acquisition.folders: Field required"),
        ({"folders": []}, "acquisition.folders: List should have at least 1 item after validation, not 0"),
        ({"folders": "*"}, "acquisition.folders: Input should be a valid array"),
        ({"folders": ["*", 1]}, "acquisition.folders.1: Input should be a valid string"),
        ({"folders": ["a\\b"]}, f"acquisition.folders.0: {_PATTERN}"),
        ({"folders": [""]}, f"acquisition.folders.0: {_PATTERN}"),
        ({"folders": ["/a"]}, f"acquisition.folders.0: {_PATTERN}"),
        ({"folders": ["a/"]}, f"acquisition.folders.0: {_PATTERN}"),
        ({"folders": ["a/**"]}, f"acquisition.folders.0: {_PATTERN}"),
        (
            {"folders": ["*"], "settle_seconds": -1},
            "acquisition.settle_seconds: Input should be greater than or equal to 0",
        ),
        (
            {"folders": ["*"], "settle_seconds": "60"},
            "acquisition.settle_seconds: Input should be a valid integer",
        ),
        (
            {"folders": ["*"], "settle_seconds": 10**12},
            "acquisition.settle_seconds: Input should be less than or equal to 604800",
        ),
    ],
)
def test_what_cannot_be_used_is_named(config: Any, problem: str):
    with pytest.raises(InvalidInput) as refused:
        Acquisitions.of({"acquisition": config})
    assert refused.value.detail == f"the instrument's transfer_config cannot be used: {problem}"
