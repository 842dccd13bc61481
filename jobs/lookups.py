"""Removes items of lookups that have expired, and what deleted lookups left. Runs inside the server.

Any number of servers may do so at once.
"""

from __future__ import annotations

import asyncio
import logging

from jobs.pausing import pause
from storage.lookups.protocol import LookupStore

log = logging.getLogger(__name__)

EVERY = 30.0
"""Seconds: what has expired is seen no more at once, and has to be gone within a minute (contract lmio-watcher §7)."""


async def purge_lookups(store: LookupStore, stop: asyncio.Event, every: float = EVERY) -> None:
    """Until told to stop. A failure is logged and tried again."""
    while not await pause(stop, every):
        try:
            removed = await store.purge()
        except Exception:  # whatever it is, the next round may do better
            log.exception("items of lookups that have expired could not be removed")
        else:
            if removed:
                log.info("%s items of lookups were removed that had expired or were left over", removed)
