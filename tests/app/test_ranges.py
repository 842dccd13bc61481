"""Which part of something a `Range` header asks for."""

import pytest

from app.ranges import Part, UnsatisfiableError, asked_part


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("bytes=0-0", Part(0, 1)),
        ("bytes=0-", Part(0, 10)),
        (" bytes=3-5 ", Part(3, 6)),
        ("bytes=3-99", Part(3, 10)),
        ("bytes=-3", Part(7, 10)),
        ("bytes=-99", Part(0, 10)),
        ("bytes=5-3", None),
        ("bytes=-", None),
        ("bytes=1-2,4-5", None),
        ("bytes=a-b", None),
        ("bytes=-1-", None),
        ("bytes=²-", None),
        ("lines=1-2", None),
        (f"bytes={'9' * 19}-", None),
    ],
)
def test_one_range_or_the_whole(header, part):
    assert asked_part(header, 10) == part


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_what_lies_outside(header):
    with pytest.raises(UnsatisfiableError):
        asked_part(header, 10)


def test_of_nothing_there_is_no_part():
    with pytest.raises(UnsatisfiableError):
        asked_part("bytes=0-", 0)
