"""What a harvest tells of itself while it goes on and when it has ended: counts, speed, lines of the log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta

from core.errors import Unavailable
from jobs.active import ActiveRun, Level
from jobs.sources import FoundFile

_LOGGED = 100
"""How many files may have a line in the log before it only counts them; their transfers say the same."""


@dataclass(slots=True)
class Tally:
    """How far a harvest is. New files are those to be copied, first attempt or not; the skipped ones are known already.

    Those of acquisitions that are still being written wait, and are neither. What was found is the sum of the three.
    """

    files_found: int = 0
    files_new: int = 0
    files_done: int = 0
    files_failed: int = 0
    files_skipped: int = 0
    files_waiting: int = 0
    files_changed: int = 0
    files_vanished: int = 0
    bytes_new: int = 0
    bytes_done: int = 0


class Progress:
    """The progress of one harvest."""

    def __init__(self, run: ActiveRun, report_every: timedelta) -> None:
        self.tally = Tally()
        self.bytes_under_way = 0
        """Of copies that are not recorded yet."""
        self._run = run
        self._report_every = report_every
        self._reported = run.clock()
        self._copying_since: float | None = None
        self._left_out = 0
        self._lines = 0

    def copying_begins(self) -> None:
        """From now on there is a speed."""
        self._copying_since = time.monotonic()

    def leave_out(self, files: Sequence[FoundFile]) -> None:
        """Hooks skipped them: they are known from now on, as those that were known before."""
        self._left_out += len(files)
        self.tally.files_new -= len(files)
        self.tally.files_skipped += len(files)
        self.tally.bytes_new -= sum(file.state.size for file in files)

    async def report(self) -> None:
        """Progress on the run, and now and then in its log. Not worth failing for."""
        now = self._run.clock()
        with suppress(Unavailable):
            await self._run.progress(**asdict(self.tally) | self._speed())
            if now - self._reported >= self._report_every:
                self._reported = now
                failed = f", {self.tally.files_failed} failed" if self.tally.files_failed else ""
                await self._run.log("info", f"{self.copied()}{failed}")

    async def finish(self) -> None:
        """There is no speed any more."""
        await self._run.progress(**asdict(self.tally), bytes_per_second=None, seconds_left=None)

    async def log_file(self, level: Level, message: str) -> None:
        """A line about one file; of many, only the first have theirs."""
        self._lines += 1
        if self._lines <= _LOGGED:
            await self._run.log(level, message)
        elif self._lines == _LOGGED + 1:
            await self._run.log("warning", "More files have problems; the list of transfers names them all")

    def copied(self) -> str:
        """How far the copying is, in words."""
        return f"{self.tally.files_done} of {count_of(self.tally.files_new)} copied"

    def summary(self) -> str:
        """The message of the finished run."""
        if not self.tally.files_waiting:
            return self._outcome()
        waiting = count_of(self.tally.files_waiting)
        return f"{self._outcome()}; {waiting} left for later, in acquisitions that are still being written"

    def _outcome(self) -> str:
        tally = self.tally
        if not tally.files_new and not self._left_out:
            return f"nothing {'to copy' if tally.files_waiting else 'new'} among {count_of(tally.files_found)}"
        copied = f"{count_of(tally.files_done)} copied ({_size(tally.bytes_done)})"
        if self._left_out:
            copied = f"{copied}, {self._left_out} skipped by hooks"
        if not tally.files_failed:
            return copied
        return f"{copied}, {tally.files_failed} failed and will be tried again by the next harvest"

    def _speed(self) -> dict[str, int | None]:
        """Bytes so far, how fast they come, and how long the rest may take: as bytes or as files, whichever is slower."""
        tally = self.tally
        copied, seconds = tally.bytes_done + self.bytes_under_way, 0.0
        if self._copying_since is not None:
            seconds = time.monotonic() - self._copying_since
        ended = tally.files_done + tally.files_failed
        left = None
        if ended and seconds:
            share = min(ended / tally.files_new, copied / tally.bytes_new if tally.bytes_new else 1)
            left = round(seconds / share - seconds) if share else None
        return {
            "bytes_done": copied,
            "bytes_per_second": round(copied / seconds) if copied and seconds else None,
            "seconds_left": left,
        }


def count_of(count: int, noun: str = "file") -> str:
    """In words."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _size(count: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
