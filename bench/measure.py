"""Calls an ASGI application in-process and compares the processor time of variants, round by round."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp


@dataclass(frozen=True, slots=True)
class Call:
    """One request of one variant."""

    app: ASGIApp
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    async def __call__(self) -> tuple[int, bytes]:
        """Status and whole body."""
        path, _, query = self.target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in self.headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        sent: list[bytes] = []
        status = 0

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": self.body, "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                sent.append(message.get("body", b""))

        await self.app(scope, receive, send)
        return status, b"".join(sent)


@dataclass(frozen=True, slots=True)
class Figure:
    """What one variant costs."""

    name: str
    milliseconds: float
    ratio: float
    spread: tuple[float, float]


async def compare(calls: Mapping[str, Call], *, rounds: int = 15, seconds: float = 0.25) -> list[Figure]:
    """Processor time per request of each variant, and its ratio to the first: median (quartiles) over the rounds.

    Variants take turns within a round, so that what else the machine does hits all of them.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    counts = {name: await _calibrate(call, seconds) for name, call in calls.items()}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(await _cost(call, counts[name]))
    base = times[next(iter(calls))]
    return [_figure(name, spent, base) for name, spent in times.items()]


async def _calibrate(call: Call, seconds: float) -> int:
    for _ in range(3):
        await call()
    once = await _cost(call, 3)
    return max(3, int(seconds / max(once, 1e-6)))


async def _cost(call: Call, count: int) -> float:
    gc.collect()
    started = time.process_time()
    for _ in range(count):
        await call()
    return (time.process_time() - started) / count


def _figure(name: str, spent: Sequence[float], base: Sequence[float]) -> Figure:
    ratios = [mine / first for mine, first in zip(spent, base, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    return Figure(name, statistics.median(spent) * 1000, statistics.median(ratios), (low, high))
