"""Keeps worker processes running beside the server, and ends them with it."""

from __future__ import annotations

import asyncio
import logging
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from jobs.pausing import pause

log = logging.getLogger(__name__)

_HEALTHY_AFTER = 60.0
"""Seconds after which a worker's death says nothing about the next one's."""


class Supervisor:
    """`async with Supervisor(argv, count=2):` runs that many processes; one that dies is started again, ever more slowly."""

    def __init__(
        self,
        argv: Sequence[str],
        count: int,
        *,
        grace: float = 10.0,
        first_backoff: float = 0.5,
        longest_backoff: float = 30.0,
    ) -> None:
        self._argv = tuple(argv)
        self._count = count
        self._grace = grace
        self._first_backoff = first_backoff
        self._longest_backoff = longest_backoff
        self._stop = asyncio.Event()
        self._processes: dict[int, Process] = {}
        self._keepers: list[asyncio.Task[None]] = []

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that run now."""
        return tuple(process.pid for process in self._processes.values())

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    def start(self) -> None:
        """Start the workers in the background."""
        self._keepers = [asyncio.create_task(self._keep(place)) for place in range(self._count)]

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL to those that have not ended within the grace period."""
        self._stop.set()
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.terminate()
        if not self._keepers:
            return
        _, late = await asyncio.wait(self._keepers, timeout=self._grace)
        if late:
            for process in self._processes.values():
                log.warning("worker %s does not stop and is killed", process.pid)
                with suppress(ProcessLookupError):
                    process.kill()
            await asyncio.wait(late)

    async def _keep(self, place: int) -> None:
        loop = asyncio.get_running_loop()
        backoff = self._first_backoff
        while not self._stop.is_set():
            started = loop.time()
            code = await self._live(place)
            if self._stop.is_set():
                return
            if loop.time() - started > _HEALTHY_AFTER:
                backoff = self._first_backoff
            log.error("worker %s ended with code %s; the next one starts in %s s", place, code, backoff)
            await pause(self._stop, backoff)
            backoff = min(backoff * 2, self._longest_backoff)

    async def _live(self, place: int) -> int | None:
        """One process' life; its exit code, None if it could not be started."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=DEVNULL,
                start_new_session=True,  # Ctrl-C is for the server, which then ends its workers
            )
        except OSError:
            log.exception("worker %s could not be started", place)
            return None
        self._processes[place] = process
        if self._stop.is_set():  # told to stop while it was being started
            process.terminate()
        try:
            return await process.wait()
        finally:
            del self._processes[place]
