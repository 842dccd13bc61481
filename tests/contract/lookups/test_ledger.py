"""Every documented endpoint is served, and nothing else is: `ledger.txt` is the list."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from app.wiring import check_operations

LEDGER = Path(__file__).with_name("ledger.txt")


def test_what_is_listed_is_served_and_nothing_else():
    lines = (line.partition("#")[0].split() for line in LEDGER.read_text().splitlines())
    served = [f"{route.method} {route.path}" for route in check_operations().routes if route.dialect == "lookups"]
    assert Counter(served) == Counter(" ".join(words) for words in lines if words)
