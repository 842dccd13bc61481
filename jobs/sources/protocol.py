"""What a harvest asks of the place where an instrument's files are, and what it is told about a file.

A source blocks: call it in a thread, one call at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, NamedTuple, Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Refuse = Callable[[str, str], None]
"""Told the path and the reason of whatever is left out."""


class FileState(NamedTuple):
    """What tells one content from another without reading it."""

    size: int
    modified_ns: int

    @property
    def modified(self) -> datetime | None:
        """As a time; None for one that no calendar knows."""
        try:
            return EPOCH + timedelta(microseconds=self.modified_ns // 1000)
        except OverflowError:
            return None


class FoundFile(NamedTuple):
    """A file of the source; the path is relative, separated by `/`."""

    path: str
    state: FileState


class Source(Protocol):
    """A place with files. Connects when it is first asked, and again after a connection was lost."""

    def discover(self, refuse: Refuse) -> Iterator[FoundFile]:
        """Every file, ordered by path. Raises `OSError` when the place cannot be listed now, a `DomainError` if it never can."""

    def state(self, path: str) -> FileState:
        """What the file is like now."""

    def open(self, path: str) -> BinaryIO:
        """Its content."""

    def lost(self) -> str | None:
        """Why no further file can be read, if one could not because the whole place is gone."""

    def interrupt(self) -> None:
        """From another thread, at any time: what waits for an answer fails soon. Does not block."""

    def close(self) -> None:
        """Let go of the place. Never fails."""
