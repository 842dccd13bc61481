"""Calls an ASGI application in-process and compares the processor time of variants, round by round."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp

SECONDS = 0.04
"""Of one variant in one round: short turns, so that what else the machine does hits all variants alike."""


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
            "asgi": {"version": "3.0", "spec_version": "2.4"},
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
class Ratio:
    """How much more one thing costs than another: the median over the rounds, between the quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, costs: Sequence[float], base: Sequence[float]) -> Ratio:
        """Round by round."""
        ratios = [cost / other for cost, other in zip(costs, base, strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        return cls(median, low, high)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of processor time per request and round, by variant: of this process, and of the database's."""

    own: Mapping[str, Sequence[float]]
    database: Mapping[str, Sequence[float]]

    def ratio(self, variant: str, base: str) -> Ratio:
        """Of this process's time."""
        return Ratio.of(self.own[variant], self.own[base])


async def compare(calls: Mapping[str, Call], rounds: int, database: Callable[[], float]) -> Costs:
    """What a request of each variant costs. `database` tells the processor time that the database's server has used so far."""
    counts = {name: await _calibrate(call) for name, call in calls.items()}
    own: dict[str, list[float]] = {name: [] for name in calls}
    others: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            gc.collect()
            begun, elsewhere = time.process_time(), database()
            for _ in range(counts[name]):
                status, body = await call()
                if status != 200:
                    raise SystemExit(f"{name} answers {status} {body[:300]!r}")
            own[name].append((time.process_time() - begun) / counts[name])
            others[name].append((database() - elsewhere) / counts[name])
    return Costs(own, others)


async def _calibrate(call: Call) -> int:
    """How many calls fit into a turn."""
    for _ in range(20):
        await call()
    begun = time.process_time()
    for _ in range(3):
        await call()
    return max(2, int(SECONDS * 3 / (time.process_time() - begun)))
