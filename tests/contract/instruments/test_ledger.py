"""Every documented endpoint is served, and nothing else is: `ledger.txt` is the list."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from app.wiring import check_operations

LEDGER = Path(__file__).with_name("ledger.txt")


def listed() -> list[str]:
    lines = (line.partition("#")[0].split() for line in LEDGER.read_text().splitlines())
    return [" ".join(words) for words in lines if words]


@pytest.fixture(scope="module")
def served() -> list[str]:
    return [f"{route.method} {route.path}" for route in check_operations().routes if route.dialect == "instruments"]


def test_no_endpoint_is_listed_or_served_twice(served: list[str]):
    assert [each for each, count in Counter(listed()).items() if count > 1] == []
    assert [each for each, count in Counter(served).items() if count > 1] == []


def test_every_listed_endpoint_is_served(served: list[str]):
    assert sorted(set(listed()) - set(served)) == []


def test_every_served_endpoint_is_listed(served: list[str]):
    assert sorted(set(served) - set(listed())) == []
