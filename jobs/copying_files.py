"""Copies the files of a listing, a group at a time. Whatever nobody foresaw is tried once more, and is then one file's affair."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from core.errors import Unavailable
from jobs.active import ENDINGS, ActiveRun
from jobs.groups import Groups
from jobs.known_files import KnownFiles, WantedFile
from jobs.listing import Listing
from jobs.pace import Pace
from jobs.progress import Progress
from jobs.remains import Remains
from jobs.sources import FoundFile

log = logging.getLogger(__name__)

_BATCH = 500
"""Paths looked up in one statement."""


class FileCopying:
    """The copying of one harvest. `step_pause` is in seconds: before a file is tried once more."""

    def __init__(
        self, run: ActiveRun, known: KnownFiles, groups: Groups, remains: Remains, progress: Progress, step_pause: float
    ) -> None:
        self._run = run
        self._known = known
        self._groups = groups
        self._remains = remains
        self._progress = progress
        self._step_pause = step_pause
        self._pace = Pace()

    async def copy(self, listing: Listing) -> None:
        """Copy what is still wanted of the listing."""
        async for found in _batches(listing):
            wanted = deque(await self._known.wanted(found))
            while wanted:
                self._run.leave_if_stopping()
                await self._step(self._pace.next_of(wanted))
                self._groups.leave_if_lost()

    async def _step(self, group: Sequence[WantedFile]) -> None:
        """A few files. An error that nobody foresaw is tried once more, file by file; then it is the file's, not the harvest's."""
        left = {wanted.found.path: wanted for wanted in group}
        try:
            await self._transfer(group, left)
        except ENDINGS:
            raise
        except Exception:  # whatever it is, file by file it is known whose
            log.exception("run %s: unexpected error at %r", self._run.id, next(iter(left), None))
            self._pace.one_by_one()
        for wanted in left.values():
            await self._run.pause(self._step_pause)
            await self._step_again(wanted)

    async def _step_again(self, wanted: WantedFile) -> None:
        try:
            await self._remains.fail_open_transfers("an unexpected error ended the copy")
            for again in await self._known.wanted([wanted.found]):
                await self._transfer([again], {})
        except ENDINGS:
            raise
        except Exception as error:  # whatever it is, it is this file's alone
            log.exception("run %s: unexpected error at %r, again", self._run.id, wanted.found.path)
            await self._give_up(wanted, error)

    async def _transfer(self, group: Sequence[WantedFile], left: dict[str, WantedFile]) -> None:
        """Ask hooks, and do what they say. Takes out of `left` what was written."""
        began = time.monotonic()
        unforeseen: Exception | None = None
        while group:
            decided = await self._groups.decide(group)
            unforeseen = await self._groups.copy(decided, left) or unforeseen
            group = group[len(decided) :]
            if group:
                self._run.leave_if_stopping()
                self._groups.leave_if_lost()
        self._pace.took(time.monotonic() - began)
        if unforeseen is not None:
            raise unforeseen

    async def _give_up(self, wanted: WantedFile, error: Exception) -> None:
        self._progress.tally.files_failed += 1
        self._progress.bytes_under_way = 0
        with suppress(Unavailable):  # then the next harvest ends the transfer
            await self._remains.fail_open_transfers("an unexpected error ended the copy")
            name = type(error).__name__
            await self._progress.log_file("error", f"{wanted.found.path} was not copied: an unexpected error happened ({name})")


async def _batches(listing: Listing) -> AsyncIterator[list[FoundFile]]:
    batches = listing.batches(_BATCH)
    while batch := await asyncio.to_thread(next, batches, None):
        yield batch
