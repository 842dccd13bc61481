"""Finds what is to be copied, and tells of files that have changed, are gone, or cannot be taken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from functools import partial

from jobs.acquisitions import Acquisitions
from jobs.active import ActiveRun, Level, RunFailedError
from jobs.comparing import Comparison, Mentioned
from jobs.gathering import Gathering
from jobs.known_files import KnownFiles
from jobs.listing import Listing
from jobs.progress import Progress, count_of
from jobs.sources import FoundFile, Source
from jobs.threads import Threads

_COMPARED = 2500
"""Files that are listed before they are compared with the records."""

_LOOK_UP = 0.02
"""Seconds for which a thread lists files without asking whether it should."""


class Finding:
    """One look through a source, beside the records of its files."""

    def __init__(
        self,
        run: ActiveRun,
        known: KnownFiles,
        source: Source,
        acquisitions: Acquisitions,
        threads: Threads,
        progress: Progress,
    ) -> None:
        self._run = run
        self._known = known
        self._source = source
        self._acquisitions = acquisitions
        self._threads = threads
        self._progress = progress

    async def find(self, attempts: int, pause: float) -> Listing:
        """What is to be copied: the source is walked to its end, before anything is done. Its folder may need several tries."""
        reason = ""
        for attempt in range(1, attempts + 1):
            if attempt > 1:
                await self._run.pause(pause)
            refused: list[tuple[str, str]] = []
            wanted, compared = Listing(), Comparison(self._known.pages())
            gathering = Gathering(wanted, self._acquisitions, self._run.clock())
            try:
                await self._compare(gathering, compared, refused)
                await self._tell(wanted, gathering, compared, refused)
            except OSError as error:
                wanted.close()
                reason = error.strerror or str(error)
                await self._run.log("warning", f"The folder could not be listed (try {attempt} of {attempts}): {reason}")
            except BaseException:
                wanted.close()
                raise
            else:
                return wanted
        raise RunFailedError(f"the instrument's folder could not be listed in {attempts} tries: {reason}")

    async def _compare(self, gathering: Gathering, compared: Comparison, refused: list[tuple[str, str]]) -> None:
        def refuse(path: str, reason: str) -> None:
            path = path.encode(errors="backslashreplace").decode()
            compared.hide(path)
            refused.append((path, reason))

        following = partial(self._threads.run, partial(self._next, self._source.discover(refuse)))
        listing = asyncio.ensure_future(following())
        try:
            while batch := await listing:
                listing = asyncio.ensure_future(following())  # the next ones are listed while these are compared
                gathering.add(batch, await compared.wanted(batch))
                self._progress.tally.files_found = compared.found
            gathering.finish()
            await compared.finish()
        finally:
            listing.cancel()
            await asyncio.wait({listing})

    def _next(self, files: Iterator[FoundFile]) -> list[FoundFile]:
        """Runs in a thread. Looks up from time to time, for most sources name thousands of files in a second."""
        batch: list[FoundFile] = []
        looked = 0.0
        for file in files:
            batch.append(file)
            now = time.monotonic()
            if now - looked > _LOOK_UP:
                looked = now
                self._threads.leave_if_abandoned()
                self._run.leave_if_stopping()
            if len(batch) == _COMPARED:
                break
        return batch

    async def _tell(
        self, wanted: Listing, gathering: Gathering, compared: Comparison, refused: Sequence[tuple[str, str]]
    ) -> None:
        tally = self._progress.tally
        for path, why in refused:
            await self._progress.log_file("warning", f"Left out {path}: {why}")
        tally.files_found, tally.files_new, tally.bytes_new = compared.found, wanted.length, wanted.bytes
        tally.files_waiting = gathering.files_waiting
        tally.files_skipped = tally.files_found - tally.files_new - tally.files_waiting
        tally.files_changed, tally.files_vanished = compared.changed.count, compared.vanished.count
        found = f"Found {count_of(tally.files_found)}, {tally.files_new} to copy"
        if gathering.waiting.count:
            found = f"{found}, {tally.files_waiting} left for later in {count_of(gathering.waiting.count, 'acquisition')}"
        await self._run.log("info", found)
        await self._name("info", gathering.waiting, "acquisition", "is still being written: its new files are left for later")
        await self._name(
            "warning",
            compared.changed,
            "file",
            "changed at the source since it was copied; its copy and its record stay as they are",
        )
        await self._name("warning", compared.vanished, "file", "is no longer at the source; its record stays")
        self._progress.copying_begins()
        await self._progress.report()

    async def _name(self, level: Level, mentioned: Mentioned, noun: str, fate: str) -> None:
        for path in mentioned.first:
            await self._run.log(level, f"{path} {fate}")
        if (more := mentioned.count - len(mentioned.first)) > 0:
            await self._run.log(level, f"{count_of(more, noun)} more: {fate}")
