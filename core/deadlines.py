"""How long something may take. Every request has such a time, nearly none needs it: so they share one timer of the event loop.

Equal times end in the order in which they began; the timer is set to the first of those that still run.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import AbstractEventLoop, CancelledError, Task, TimerHandle
from collections import deque
from types import TracebackType
from typing import Any

from core.errors import Timeout


class InTime:
    """Cancels what is inside when the time is over, and raises `Timeout`. Stores end a statement that is cancelled.

    What `asyncio.timeout` does, which sets a timer of its own each time: a tenth of what a small request costs.
    """

    __slots__ = ("_cancelling", "_late", "_queue", "_seconds", "_task", "until")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._task: Task[Any] | None = None
        self._late = False
        self.until = 0.0

    @property
    def over(self) -> bool:
        """Whether it ended, one way or the other."""
        return self._task is None or self._late

    async def __aenter__(self) -> None:
        if self._seconds is None:
            return
        self._task = asyncio.current_task()
        assert self._task is not None, "a coroutine runs in a task"
        self._cancelling = self._task.cancelling()
        self._queue = _queues.of(self._seconds)
        self._queue.add(self)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        self._queue.tidy()
        if self._late and task.uncancel() <= self._cancelling and kind is CancelledError:
            raise Timeout(f"this took longer than {self._seconds:g} seconds, and was ended") from error

    def renew(self) -> None:
        """As if it had begun just now."""
        if not self.over:
            self._queue.move(self)

    def expire(self) -> None:
        """Cancel what is inside."""
        assert self._task is not None, "only what still runs expires"
        self._late = True
        self._task.cancel()


class _Queue:
    """All that may take equally long on one event loop, in order."""

    def __init__(self, loop: AbstractEventLoop, seconds: float) -> None:
        self._loop, self._seconds = loop, seconds
        self._running: deque[InTime] = deque()
        self._timer: TimerHandle | None = None

    def add(self, limit: InTime) -> None:
        limit.until = self._loop.time() + self._seconds
        self._running.append(limit)
        if self._timer is None:
            self._timer = self._loop.call_at(limit.until, self._look)

    def move(self, limit: InTime) -> None:
        """To the end."""
        self._running.remove(limit)
        self.add(limit)

    def tidy(self) -> None:
        """Forget what is over, up to the first that still runs."""
        while self._running and self._running[0].over:
            self._running.popleft()

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._running and (self._running[0].over or self._running[0].until <= now):
            first = self._running.popleft()
            if not first.over:
                first.expire()
        if self._running:
            self._timer = self._loop.call_at(self._running[0].until, self._look)


class _Queues(threading.local):
    """Those of the event loop that runs in this thread."""

    def __init__(self) -> None:
        self._loop: AbstractEventLoop | None = None
        self._by_time: dict[float, _Queue] = {}

    def of(self, seconds: float) -> _Queue:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._by_time = loop, {}
        return self._by_time.get(seconds) or self._by_time.setdefault(seconds, _Queue(loop, seconds))


_queues = _Queues()
