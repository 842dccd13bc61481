"""Writes what is to be copied to a listing. An acquisition that is still being written is taken back out, as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from jobs.acquisitions import Acquisitions
from jobs.comparing import Mentioned
from jobs.listing import Listing
from jobs.sources import FoundFile


class Gathering:
    """A listing under way. Files come in the order of their paths, so those of an acquisition come one after the other."""

    def __init__(self, listing: Listing, acquisitions: Acquisitions, now: datetime) -> None:
        self.waiting = Mentioned()
        """Acquisitions with new files that are left alone."""
        self.files_waiting = 0
        self._listing = listing
        self._acquisitions = acquisitions
        self._busy_times = acquisitions.busy_times(now)
        self._acquisition: str | None = None
        self._begin = listing.end()
        self._busy = False

    def add(self, found: Sequence[FoundFile], wanted: Sequence[FoundFile]) -> None:
        """The next files, and those of them that are to be copied."""
        if not self._acquisitions:
            self._listing.extend(wanted)
            return
        new = {file.path for file in wanted}
        for file in found:
            acquisition = self._acquisitions.of_file(file.path)
            if acquisition != self._acquisition:
                self.finish()
                self._acquisition, self._begin, self._busy = acquisition, self._listing.end(), False
            if acquisition is not None and file.state.modified_ns in self._busy_times:
                self._busy = True
            if file.path in new:
                self._listing.extend([file])

    def finish(self) -> None:
        """There are no more files of the acquisition."""
        new = self._listing.length - self._begin.length
        if self._busy and self._acquisition is not None and new:
            self._listing.cut(self._begin)
            self.waiting.add(self._acquisition)
            self.files_waiting += new
