"""A minute of bad input from many clients at once, against a server process: every answer is a documented one, and nothing stays."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from statistics import median

import httpx
import pytest

from tests.app import flood
from tests.app.flood import HTTP, ME, SOCKETS, Target, answer, graphql, request
from tests.app.test_server import Server, serving
from tests.app.test_uploads import unnamed

pytestmark = pytest.mark.slow

SECONDS = 60.0
WARM_UP = 15.0
"""Of them, until memory has its size: caches fill, and so do the allocator's arenas."""
GROWTH = 32 * 2**20
"""Bytes that the process may grow by afterwards: a few bodies of 10 and 20 MB are under way at any time, and nothing is to stay of them."""

EACH = 2
"""Clients for each kind of bad input."""

METRICS = "a token for metrics, long enough"
LOGIN = {"username": "ada@example.org", "password": "correct horse"}
SETTINGS = {
    "ADMIN_EMAIL": LOGIN["username"],
    "ADMIN_PASSWORD": LOGIN["password"],
    "SWITCHYARD_PROFILE": "production",
    "SWITCHYARD_RATE": "0",
    "SWITCHYARD_RATE_PER_ADDRESS": "0",
    "SWITCHYARD_METRICS_TOKEN": METRICS,
    "SWITCHYARD_HEAD_TIMEOUT": "5",
    "SWITCHYARD_IDLE_TIMEOUT": "5",
}
OPEN = ("switchyard_requests_under_way", "switchyard_operations_open", "switchyard_uploads_under_way", "switchyard_tasks")

log = logging.getLogger(__name__)


def memory(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]


def sockets(server: Server) -> int:
    """Open sockets of the process."""
    count = 0
    for number in Path(f"/proc/{server.process.pid}/fd").iterdir():
        try:
            count += str(number.readlink()).startswith("socket:")
        except OSError:
            continue
    return count


def open_things(server: Server) -> dict[str, float]:
    headers = {"Authorization": f"Bearer {METRICS}", "Connection": "close"}
    text = httpx.get(f"{server.address}/metrics", headers=headers, timeout=30).raise_for_status().text
    found = {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE) if name in OPEN}
    assert set(found) == set(OPEN)
    return found | {"sockets": sockets(server), "files": len(unnamed(server.process.pid))}


def floods(target: Target) -> dict[str, Callable[[random.Random], Awaitable[str | None]]]:
    """Each kind of bad input by its name."""
    found = {name: partial(flood.http, kind, target=target) for name, kind in HTTP.items()}
    whole = (flood.half_open, flood.dropped_upload, flood.dropped_stream, flood.unread_reply, flood.dropped_socket)
    found |= {send.__name__: partial(send, target=target) for send in whole}
    return found | {f"socket: {name}": lambda _, name=name: flood.socket(name, target) for name in SOCKETS}


def sign_in(server: Server) -> str:
    return str(httpx.post(f"{server.address}/auth/jwt/login", data=LOGIN).raise_for_status().json()["access_token"])


class Flood:
    """Everything at once."""

    def __init__(self, target: Target, server: Server) -> None:
        self.target, self.server = target, server
        self.sent: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.memory: list[tuple[float, int]] = []
        self.slowest = 0.0
        self._end = time.monotonic() + SECONDS

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for name, send in floods(self.target).items():
                for number in range(EACH):
                    tasks.create_task(self._repeat(name, send, random.Random(f"{name} {number}")))
            tasks.create_task(self._watch())
            tasks.create_task(self._ask())

    async def _repeat(self, name: str, send: Callable[[random.Random], Awaitable[str | None]], chance: random.Random) -> None:
        while time.monotonic() < self._end and len(self.wrong) < 20:
            try:
                wrong = await send(chance)
            except ConnectionRefusedError:
                wrong = "the server is gone"
            except (OSError, TimeoutError) as error:
                wrong = repr(error)
            self.sent[name] += 1
            if wrong is not None:
                self.wrong.append(f"{name}: {wrong}")
            await asyncio.sleep(0.01)

    async def _watch(self) -> None:
        begun = time.monotonic()
        while time.monotonic() < self._end:
            self.memory.append((time.monotonic() - begun, memory(self.server)))
            await asyncio.sleep(0.25)

    async def _ask(self) -> None:
        """Somebody who does nothing wrong is answered all the while."""
        while time.monotonic() < self._end:
            begun = time.monotonic()
            status, content = await answer(self.target, request(self.target, graphql(ME)))
            self.slowest = max(self.slowest, time.monotonic() - begun)
            if (status, json.loads(content)) != (200, {"data": {"me": {"email": LOGIN["username"]}}}) and status != 503:
                self.wrong.append(f"a right query: {status} {content[:500]!r}")
            await asyncio.sleep(0.1)

    @property
    def growth(self) -> int:
        """From the quarter after the warm-up to the last one; by the median, since large bodies come and go."""
        first = median(taken for at, taken in self.memory if WARM_UP <= at < 2 * WARM_UP)
        return round(median(taken for at, taken in self.memory if at >= SECONDS - WARM_UP) - first)


async def test_a_minute_of_bad_input(tmp_path):
    with serving(tmp_path, "--workers", "0", program=("-m", "tests.app.uploading"), **SETTINGS) as server:
        token = sign_in(server)
        host, port = server.address.removeprefix("http://").split(":")
        target = Target(host, int(port), token)
        before = open_things(server)
        flooded = Flood(target, server)
        await flooded.run()
        log.info("%d requests, %.1f MiB growth, slowest %.1f s", flooded.sent.total(), flooded.growth / 2**20, flooded.slowest)
        assert flooded.wrong == []
        assert set(flooded.sent) == set(floods(target)), "every kind was sent"
        assert flooded.growth < GROWTH
        assert await _settles(server, before) == before
        status, content = await answer(target, request(target, graphql(ME)))
        assert (status, json.loads(content)) == (200, {"data": {"me": {"email": LOGIN["username"]}}})
        code, _, text = server.end()
    assert code == 0
    assert [line for line in text.splitlines() if re.search("Traceback| ERROR | CRITICAL ", line)] == []
    assert {path.name.partition(".")[0] for path in (tmp_path / "data").iterdir()} <= {"switchyard", "secret-key", "files"}


async def _settles(server: Server, before: dict[str, float]) -> dict[str, float]:
    """What is open once the last clients were given up."""
    end = time.monotonic() + 60
    while (found := open_things(server)) != before and time.monotonic() < end:  # noqa: ASYNC110  # another process tells no event
        await asyncio.sleep(0.5)
    return found
