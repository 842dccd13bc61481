"""Which ranges of addresses have an address, by a few exact keys instead of a scan: a relational interval tree.

All numbers are the nodes of one imagined binary tree. A range hangs at the topmost node that lies in it. The ranges that have an
address hang on the way from the root to that address, which is as long as an address has bits.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.vocabulary import ValueType

BITS = {ValueType.IP: 128, ValueType.MAC: 48}


def number_of(sortable: str) -> int:
    """Of an address in sortable form."""
    return int(sortable.replace(":", ""), 16)


def node(first: int, last: int) -> str | None:
    """Where the range hangs; None for one that has nothing in it."""
    if first > last:
        return None
    level = (first ^ last + 1).bit_length() - 1  # nodes count from 1: of these two, `first` is already the number before
    return f"{(last + 1 >> level) << level:x}"


def path(address: int, bits: int) -> Iterator[str]:
    """The nodes from the address to the root."""
    place = address + 1
    for level in range(bits + 1):
        yield f"{(place >> level + 1 << level + 1) + (1 << level):x}"
