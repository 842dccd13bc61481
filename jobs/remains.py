"""What harvests leave behind that did not come to their end: open transfers, half-written copies."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from core.errors import DomainError, Unavailable
from jobs.active import ActiveRun, InterruptedRunError, RunFailedError
from jobs.known_files import KnownFiles
from jobs.queue import LeaseLostError
from jobs.records import HarvestRecords
from jobs.threads import Threads
from storage.objects.protocol import ObjectStore

log = logging.getLogger(__name__)

_WORDS: dict[type[BaseException], str] = {
    InterruptedRunError: "the worker stopped before the copy",
    RunFailedError: "the harvest ended before the copy",
}
"""What is written to transfers that were begun and not made; other ends say it themselves."""


class Remains:
    """Of one instrument, at the storage location and in the records."""

    def __init__(
        self, run: ActiveRun, known: KnownFiles, records: HarvestRecords, store: ObjectStore, threads: Threads
    ) -> None:
        self._run = run
        self._known = known
        self._records = records
        self._store = store
        self._threads = threads

    async def sweep(self) -> None:
        """Remove what earlier harvests of the instrument left at the storage location; a place that is not there ends this one."""
        await self._run.renew()  # never remove what another worker is writing
        try:
            await self._threads.run(self._store.sweep)
        except (OSError, DomainError) as error:
            if (reason := self._store.lost()) is not None:
                raise RunFailedError(reason) from error
            log.warning("run %s: the remains of earlier harvests could not be removed", self._run.id, exc_info=True)

    async def fail_open_transfers(self, reason: str) -> None:
        """Whoever began them does not end them any more."""
        transfers = await self._known.open_transfers()
        if not transfers:
            return
        await self._run.renew()  # never remove what another worker is writing
        for transfer in transfers:
            if transfer["destination_path"] is not None:
                await asyncio.to_thread(self._discard, transfer["destination_path"], str(transfer["id"]))
        await self._records.fail_open(transfers, reason)

    async def leave_none_open(self, end: BaseException) -> None:
        """Say of the transfers that were begun together what became of them, unless the run is somebody else's by now."""
        reason = self._run.ending or end
        if isinstance(reason, (LeaseLostError, asyncio.CancelledError)):
            return
        with suppress(Unavailable, LeaseLostError):  # then the next harvest does it
            await self.fail_open_transfers(_WORDS.get(type(reason)) or str(reason))

    def _discard(self, location: str, token: str) -> None:
        try:
            self._store.discard(location, token)
        except (OSError, DomainError):
            log.warning("the remains of transfer %s could not be removed", token, exc_info=True)
