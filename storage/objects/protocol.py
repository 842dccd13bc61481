"""What jobs may ask of a place that keeps files. Every call blocks: make it in a thread.

A write becomes visible as a whole or not at all: it goes to a temporary name until `commit`.
"""

from __future__ import annotations

from typing import BinaryIO, Protocol


class ObjectWriter(Protocol):
    """One file on its way in. Exactly one of `commit` and `abort` ends it."""

    def write(self, chunk: bytes) -> None:
        """Add content."""

    def read_back(self) -> BinaryIO:
        """What has been stored, read again from the place itself; nothing can be written afterwards."""

    def commit(self, modified_ns: int, *, replace: bool = True) -> None:
        """Make it visible under its key, with that modification time where the place keeps one.

        What was there is replaced, or left alone: then it raises `FileExistsError`.
        """

    def abort(self) -> None:
        """Forget it and leave nothing behind."""


class ObjectStore(Protocol):
    """A place that keeps files under keys: relative paths, separated by `/`."""

    def locate(self, key: str) -> str:
        """Where the file is found, in the words of that place. Raises `InvalidInput` for a key that leaves it."""

    def begin(self, key: str, token: str, size: int = 0) -> ObjectWriter:
        """Start to write. The token names the attempt, so that its remains can be found if it never ends.

        `size` is what is expected, for places that have to know; it is no promise.
        """

    def flush(self) -> None:
        """From now on, what was committed survives a power cut, too."""

    def discard(self, location: str, token: str) -> None:
        """Remove what an attempt that never ended left behind at a location that `locate` gave; nothing there is no error.

        May be called after `interrupt`, and does not wait long for a place that does not answer.
        """

    def sweep(self) -> None:
        """Remove what all earlier attempts of this owner left behind, as far as that can be found without knowing them."""

    def check(self) -> None:
        """Whether it could be used. Raises `OSError` or a `DomainError` in words."""

    def exists(self, key: str) -> bool:
        """Whether there is anything under that key."""

    def open(self, key: str) -> BinaryIO:
        """The content. Raises `FileNotFoundError`."""

    def delete(self, key: str) -> None:
        """Remove it; nothing there is no error."""

    def lost(self) -> str | None:
        """Why nothing more can be written, if something could not because the whole place is gone."""

    def interrupt(self) -> None:
        """From another thread, at any time: what waits for an answer fails soon. Does not block."""

    def close(self) -> None:
        """Let go of the place. Never fails."""
