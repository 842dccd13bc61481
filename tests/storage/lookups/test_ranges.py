"""The tree of ranges: a range has an address exactly if it hangs on the address's way to the root."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from core.lookups.values import KINDS
from core.vocabulary import ValueType
from storage.lookups.ranges import node, number_of, path

ADDRESSES = some.integers(0, 2**48 - 1)
CLOSE = some.integers(0, 300)


@given(ADDRESSES | CLOSE, ADDRESSES | CLOSE, ADDRESSES | CLOSE)
@example(0, 0, 0)
@example(0, 2**48 - 1, 2**48 - 1)
@example(8, 11, 9)
@example(7, 8, 8)
def test_a_range_that_has_the_address_is_on_its_way(first, last, address):
    if first <= address <= last:
        assert node(first, last) in set(path(address, 48))


@given(CLOSE, CLOSE, CLOSE)
def test_what_hangs_beside_is_not_asked(first, last, address):
    """Of the ranges at one node all have that node's own address, so there are as many as overlap there."""
    hangs = node(first, last)
    if hangs is not None:
        assert first <= int(hangs, 16) - 1 <= last


def test_a_range_with_nothing_in_it():
    assert node(5, 4) is None


def test_the_way_is_as_long_as_an_address():
    assert len(list(path(2**128 - 1, 128))) == 129
    assert f"{2**128:x}" in list(path(2**128 - 1, 128))


@pytest.mark.parametrize(
    ("kind", "text", "number"),
    [(ValueType.MAC, "00:00:00:00:01:00", 256), (ValueType.IP, "::1", 1), (ValueType.IP, "0.0.0.1", 0xFFFF00000001)],
)
def test_numbers_of_addresses(kind, text, number):
    assert number_of(str(KINDS[kind].sortable(text))) == number
