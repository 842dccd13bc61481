"""Byte ranges of a request (RFC 9110 §14): one at a time; what is malformed, or several, counts as none."""

from __future__ import annotations

import re
from typing import NamedTuple

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class Part(NamedTuple):
    """From one byte to another, which is the first that is not in it."""

    begin: int
    end: int


class UnsatisfiableError(Exception):
    """The range lies outside."""


def asked_part(header: str | None, size: int) -> Part | None:
    """The part of something of that size; None for the whole. Raises `UnsatisfiableError`."""
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        begin, end = max(size - int(last), 0), size
    else:
        begin, end = int(first), size if not last else min(int(last) + 1, size)
        if last and int(last) < begin:
            return None
    if begin >= size:
        raise UnsatisfiableError
    return Part(begin, end)
