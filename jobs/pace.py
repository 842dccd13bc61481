"""How many files of a harvest are recorded together: one at first, more while copying takes no time."""

from __future__ import annotations

from collections import deque

from jobs.known_files import WantedFile

MOST = 128
"""Files in one transaction. A crash leaves so many transfers open, which the next attempt fails and makes again."""

LARGEST = 32 * 1024 * 1024
"""Bytes of the files that are recorded together, unless it is a single one."""

QUICK = 0.5
"""Seconds. Files that take longer together are recorded in smaller groups, so that what is copied is soon seen."""

LONG = 1.0
"""Seconds after which what has been copied is recorded, and the rest of the group later."""


class Pace:
    """Doubles while groups are quick, halves when they are not."""

    def __init__(self) -> None:
        self._count = 1

    def next_of(self, wanted: deque[WantedFile]) -> list[WantedFile]:
        """Takes the next group from the left; there has to be one file at least."""
        group = [wanted.popleft()]
        size = group[0].found.state.size
        while wanted and len(group) < self._count:
            size += wanted[0].found.state.size
            if size > LARGEST:
                break
            group.append(wanted.popleft())
        return group

    def took(self, seconds: float) -> None:
        """Learn from the group that was just copied."""
        self._count = min(self._count * 2, MOST) if seconds < QUICK else max(self._count // 2, 1)

    def one_by_one(self) -> None:
        """Begin anew."""
        self._count = 1
