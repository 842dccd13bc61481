"""Work that is long for the event loop is done in turns: between two of them others get on.

Others have half of the event loop that way, whoever streams a long list meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

_IDLE: Final = 0.000_1
"""Seconds that nobody else needs: the event loop's own."""

_LONGEST: Final = 0.005
"""Seconds for which to wait at most: others wait in turns, too."""


async def give_way() -> None:
    """Let others run. If some did, wait for as long as they took: what is asked next may be on its way already."""
    begun = time.perf_counter()
    await asyncio.sleep(0)
    taken = time.perf_counter() - begun
    if taken > _IDLE:
        await asyncio.sleep(min(taken, _LONGEST))
