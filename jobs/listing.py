"""What was found in a source, kept on disk: a harvest of a million files needs no more memory than one of ten.

It is complete before anything is done with it, and can be read any number of times. Blocks: use it in a thread.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import orjson

from jobs.sources import FileState, FoundFile

_IN_MEMORY = 4 * 1024 * 1024


class End(NamedTuple):
    """How far a listing has come."""

    offset: int
    length: int
    bytes: int


class Listing:
    """Files in the order in which they were found."""

    def __init__(self, files: Iterable[FoundFile] = ()) -> None:
        self.length = 0
        self.bytes = 0
        self._lines = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  # closed by `close`
        try:
            self.extend(files)
        except BaseException:
            self._lines.close()
            raise

    def extend(self, files: Iterable[FoundFile]) -> None:
        """Further files, not while it is read."""
        write, dumps = self._lines.write, orjson.dumps
        for file in files:
            state = file.state
            write(dumps((file.path, state.size, state.modified_ns)) + b"\n")
            self.length += 1
            self.bytes += state.size

    def end(self) -> End:
        """Where the next file will be."""
        return End(self._lines.tell(), self.length, self.bytes)

    def cut(self, end: End) -> None:
        """Take back what came since then, not while it is read."""
        self._lines.seek(end.offset)
        self._lines.truncate()
        self.length, self.bytes = end.length, end.bytes

    def batches(self, size: int) -> Iterator[list[FoundFile]]:
        """All files, some at a time. One reading at a time."""
        self._lines.seek(0)
        while lines := list(islice(self._lines, size)):
            yield [_read(line) for line in lines]

    def close(self) -> None:
        """Give the space back."""
        self._lines.close()


def _read(line: bytes) -> FoundFile:
    path, size, modified_ns = orjson.loads(line)
    return FoundFile(path, FileState(size, modified_ns))
