"""Equal subscriptions of equal viewers look together: after a change one look is made, and all get the same bytes of it.

Who can take them at once is written to at once, in one loop; the others are woken, and look when they can.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple

from app.subscriptions.feed import Feed
from app.subscriptions.payload import payload_of
from core.context import Context
from core.errors import Timeout, Unavailable
from engine.operation import Following, Outcome

log = logging.getLogger("switchyard")

Deliver = Callable[[bytes], bool]
"""Gives a client its next payload if it can be written now; whether it could."""

TURN = 100
"""Clients that are written to in one go; then the event loop sees to others."""


class Seen(NamedTuple):
    """What a look has found, as it goes over the wire."""

    body: bytes | None
    place: Hashable
    ended: bool
    more: bool
    refused: bool
    """Whether the body is no result but why there is none."""


@dataclass(slots=True, eq=False)
class Stand:
    """Where a client is in what it follows, and what it was told last."""

    place: Hashable = None
    told: bytes | None = None
    deliver: Deliver | None = None
    woken: asyncio.Future[None] | None = None

    def is_news(self, seen: Seen) -> bool:
        """Whether there is something to tell. At the same place the same is told once."""
        return seen.body is not None and (seen.body != self.told or seen.place != self.place)

    def move(self, seen: Seen) -> None:
        """It was told."""
        self.place = seen.place
        if seen.body is not None:
            self.told = seen.body


class Group:
    """Those who follow the same with the same rights. Each has a place of its own; mostly it is the same place."""

    def __init__(
        self,
        feed: Feed,
        following: Following,
        context: Callable[[], Context],
        turns: asyncio.Semaphore,
        looking: Callable[[], AbstractContextManager[None]],
        leave: Callable[[], object],
    ) -> None:
        self.generation = 0
        """How often something has changed."""
        self._members = 0
        self._following, self._context, self._turns, self._leave = following, context, turns, leave
        self._looking = looking
        self._looks: dict[Hashable, asyncio.Task[Seen]] = {}
        self._waiting: set[Stand] = set()
        self._telling: asyncio.Task[None] | None = None
        self._unfollow = feed.follow(following.topic, self._wake)

    def enter(self) -> None:
        """One member more."""
        self._members += 1

    def leave(self) -> None:
        """One member less; the last one closes the group."""
        self._members -= 1
        if not self._members:
            self._unfollow()
            for task in (*self._looks.values(), *([self._telling] if self._telling else ())):
                task.cancel()
            self._leave()

    async def look(self, place: Hashable) -> Seen:
        """What there is from that place on. Raises `Unavailable` and `Timeout` if the store does not say."""
        task = self._looks.get(place)
        if task is None:
            task = self._looks[place] = asyncio.create_task(self._look(place), context=contextvars.Context())
            task.add_done_callback(lambda done: self._forget_failed(place, done))
        return task.result() if task.done() else await asyncio.shield(task)

    async def stay(self, stand: Stand, generation: int) -> None:
        """Wait until there is something new after that generation which cannot be delivered without the client's own task."""
        if generation != self.generation:
            return
        stand.woken = asyncio.get_running_loop().create_future()
        self._waiting.add(stand)
        try:
            await stand.woken
        finally:
            self._waiting.discard(stand)

    def _wake(self) -> None:
        self.generation += 1
        self._looks.clear()  # those under way may have missed it: who waits for them looks again
        if self._telling is None and self._waiting:
            self._telling = asyncio.create_task(self._tell_all(), context=contextvars.Context())

    async def _tell_all(self) -> None:
        generation = None
        try:
            while generation != self.generation:
                generation = self.generation
                for place in {stand.place for stand in self._waiting}:
                    await self._tell(place)
        except Exception:  # whatever it is, each finds out by itself
            log.exception("subscribers could not be told together")
            for stand in list(self._waiting):
                self._rouse(stand)
        finally:
            self._telling = None

    async def _tell(self, place: Hashable) -> None:
        """Those who stand at a place."""
        try:
            seen = await self.look(place)
        except (Unavailable, Timeout):
            seen = None  # each tries again by itself
        for count, stand in enumerate([each for each in self._waiting if each.place == place], 1):
            if stand in self._waiting and (seen is None or not self._passes(stand, seen)):
                self._rouse(stand)
            if not count % TURN:
                await asyncio.sleep(0)

    def _passes(self, stand: Stand, seen: Seen) -> bool:
        """Whether the client knows it now and goes on waiting."""
        if seen.ended or seen.more or seen.refused:
            return False
        if stand.is_news(seen) and not (stand.deliver is not None and stand.deliver(seen.body or b"")):
            return False
        stand.move(seen)
        return True

    def _rouse(self, stand: Stand) -> None:
        self._waiting.discard(stand)
        if stand.woken is not None and not stand.woken.done():
            stand.woken.set_result(None)

    def _forget_failed(self, place: Hashable, task: asyncio.Task[Seen]) -> None:
        if (task.cancelled() or task.exception() is not None) and self._looks.get(place) is task:
            del self._looks[place]

    async def _look(self, place: Hashable) -> Seen:
        ctx = self._context()
        async with self._turns:
            with self._looking():
                async with ctx.in_time():
                    look = await self._following.look(ctx, place)
        if look.outcome is None:
            return Seen(None, look.place, look.ended, look.more, refused=False)
        _raise_passing(look.outcome)
        payload = payload_of(ctx, look.outcome)
        return Seen(payload.body, look.place, look.ended, look.more, payload.refused)


def _raise_passing(outcome: Outcome) -> None:
    """A store that is down comes back, and a look that failed can be made again."""
    for error in outcome.errors:
        if isinstance(error.original_error, Unavailable | Timeout):
            raise error.original_error
