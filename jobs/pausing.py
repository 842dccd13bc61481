"""Waiting that ends early when it is time to stop."""

from __future__ import annotations

import asyncio


async def pause(stop: asyncio.Event, seconds: float) -> bool:
    """Wait, but no longer than until `stop` is set; whether it is."""
    await first_of(stop, seconds=seconds)
    return stop.is_set()


async def first_of(*events: asyncio.Event, seconds: float | None = None) -> None:
    """Wait until one of them is set, or for so long."""
    waiting = {asyncio.ensure_future(event.wait()) for event in events}
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
