"""Runs what blocks, so that a harvest can report and be told to end while it takes its time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from jobs.active import InterruptedRunError

T = TypeVar("T")


class Threads:
    """One thread at a time. `interrupts` make what waits for an answer fail soon."""

    def __init__(self, report: Callable[[], Awaitable[None]], interrupts: Sequence[Callable[[], None]]) -> None:
        self._report = report
        self._interrupts = interrupts
        self._abandoned = False

    async def run(self, function: Callable[[], T]) -> T:
        """Run what blocks, and report while it takes its time. It has ended when this ends, however that is."""
        self._abandoned = False
        task = asyncio.create_task(asyncio.to_thread(function))
        try:
            while not (await asyncio.wait({task}, timeout=1))[0]:
                await self._report()
        finally:
            if not task.done():
                self._abandoned = True
                for interrupt in self._interrupts:
                    interrupt()
                await asyncio.wait({task})
                task.exception()  # of no interest, but asked for
        return task.result()

    def leave_if_abandoned(self) -> None:
        """For the function that runs, often: ends what nobody waits for any more."""
        if self._abandoned:
            raise InterruptedRunError
