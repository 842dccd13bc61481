"""Watches the feed of changes while somebody follows something in it, and wakes those whom a change is for.

A follower is only woken: what has changed it reads by itself, when it can. So nothing queues up here, however much happens.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable
from contextlib import aclosing

from core.errors import Unavailable
from engine.kinds import Topic
from storage.sql.database import Database
from storage.sql.events import BATCH, happened_after, newest

log = logging.getLogger("switchyard")

Wake = Callable[[], None]

_PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds before the database is asked again, the last of them again and again."""


class Feed:
    """One watcher for a process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._followers: dict[Topic, set[Wake]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    def follow(self, topic: Topic, wake: Wake) -> Callable[[], None]:
        """Have `wake` called after each change of the topic; what is given back ends it."""
        self._followers.setdefault(topic, set()).add(wake)
        if self._watching is None:
            # In a context of its own: the first follower's is that of a request.
            self._watching = asyncio.create_task(self._watch(), context=contextvars.Context())
        return lambda: self._leave(topic, wake)

    @property
    def size(self) -> int:
        """How many topics somebody follows."""
        return len(self._followers)

    async def listening(self) -> None:
        """From then on no change is missed."""
        await self._listening.wait()

    def _leave(self, topic: Topic, wake: Wake) -> None:
        wakes = self._followers.get(topic, set())
        wakes.discard(wake)
        if not wakes:
            self._followers.pop(topic, None)
        if not self._followers and self._watching is not None:
            self._watching.cancel()
            self._watching = None
            self._listening = asyncio.Event()

    async def _watch(self) -> None:
        number: int | None = None
        failures = 0
        while True:
            try:
                async with aclosing(self._database.wakes()) as wakes:
                    async for _ in wakes:
                        number = await newest(self._database) if number is None else await self._tell(number)
                        self._listening.set()
                        failures = 0
            except Unavailable as error:
                log.warning("changes are not watched for a moment: %s", error.detail)
            except Exception:  # whatever it is, those who follow something wait for the next change
                log.exception("changes are not watched for a moment")
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1

    async def _tell(self, number: int) -> int:
        """Wake everybody whom something after that number is for; the last number."""
        while True:
            found = await happened_after(self._database, number)
            for topic in {(entity, key) for _, entity, key in found}:
                for wake in list(self._followers.get(topic, ())):
                    wake()
            if found:
                number = found[-1][0]
            if len(found) < BATCH:
                return number
