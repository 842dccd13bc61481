"""What is new, changed or gone at a source: its files and their records, both in the order of paths, read side by side.

However many files there are, a batch of each is in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from core.sql import Row
from jobs.sources import FileState, FoundFile
from storage.sql.types import read_time

NAMED = 50
"""How many files of a kind are named; all are counted."""


@dataclass(slots=True)
class Mentioned:
    """Files with the same fate."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, path: str) -> None:
        """One more."""
        self.count += 1
        if self.count <= NAMED:
            self.first.append(path)


class Comparison:
    """A comparison under way. `records` are pages of path, size, time, and whether a transfer has not failed, by path."""

    def __init__(self, records: AsyncIterator[Sequence[Row]]) -> None:
        self.found = 0
        self.changed = Mentioned()
        self.vanished = Mentioned()
        self._records = records
        self._known: deque[Row] = deque()
        self._told: list[str] = []
        self._hidden: tuple[str, ...] = ()

    def hide(self, path: str) -> None:
        """What lies at this path, or behind it, cannot be seen: it is not gone. To be said before later files are compared.

        For threads, too.
        """
        self._told.append(f"{path.rstrip('/')}/")

    async def wanted(self, found: Sequence[FoundFile]) -> list[FoundFile]:
        """Those of the next files that have no record, or none but failed transfers."""
        self.found += len(found)
        wanted, known = [], self._known
        for file in found:
            path = file.path
            while known or await self._more():
                if known[0][0] >= path:
                    break
                self._gone(known.popleft()[0])
            if not known or known[0][0] != path:
                wanted.append(file)
                continue
            _, size, modified, settled = known.popleft()
            if not settled:
                wanted.append(file)
            elif size != file.state.size or not _same(modified, file.state):
                self.changed.add(path)
        return wanted

    async def finish(self) -> None:
        """There are no more files: what is left of the records is of files that are gone."""
        while self._known or await self._more():
            self._gone(self._known.popleft()[0])

    async def _more(self) -> bool:
        async for page in self._records:
            self._known.extend(page)
            return True
        return False

    def _gone(self, path: str) -> None:
        if len(self._told) != len(self._hidden):
            self._hidden = tuple(self._told)
        if not f"{path}/".startswith(self._hidden):
            self.vanished.add(path)


def _same(stored: str | None, state: FileState) -> bool:
    """Both by microseconds. The quick way is exact for the times of this world."""
    if stored is None:
        return state.modified is None
    modified = read_time(stored)
    return round(modified.timestamp() * 1_000_000) == state.modified_ns // 1000 or modified == state.modified
