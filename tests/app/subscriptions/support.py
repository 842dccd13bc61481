"""A client of `graphql-transport-ws` and one of event streams, and a server on a real port around one world."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from core.clock import utc_now
from core.ids import encode_global_id
from core.vocabulary import RunState
from jobs.queue import Claim, Queue, enqueue
from jobs.runner import NewRun
from storage.sql.database import Database
from tests.conftest import World

SOON = 5.0
"""Seconds after which something that should have happened has not."""
A_WHILE = 0.7
"""Seconds in which something that should not happen would have."""

PROGRESS = "subscription ($run: UUID!) { runProgress(localId: $run) { run { state progress } } }"
LOG = "subscription ($run: UUID!, $after: Int) { runLog(localId: $run, after: $after) { lines { line message } } }"
CHANGES = """subscription ($id: ID!, $after: Long) {
  changes(id: $id, after: $after) { cursor changes { cursor action } node { id ... on Instrument { name } } }
}"""


async def soon(waiting: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(waiting, SOON)


async def comes_true(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


@dataclass
class Socket:
    """One WebSocket."""

    connection: ClientConnection
    count: int = 0
    rest: list[Any] = field(default_factory=list)
    """What came before the socket was closed."""

    async def send(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def init(self, **payload: Any) -> Self:
        await self.send(type="connection_init", payload=payload)
        assert await self.receive() == {"type": "connection_ack"}
        return self

    async def subscribe(self, query: str, **variables: Any) -> str:
        self.count += 1
        payload = {"query": query, "variables": {name: _plain(value) for name, value in variables.items()}}
        await self.send(id=str(self.count), type="subscribe", payload=payload)
        return str(self.count)

    async def receive(self) -> dict[str, Any]:
        return dict(json.loads(await soon(self.connection.recv())))

    async def next(self, field: str) -> Any:
        """What the field has to tell in the next event, which must be one."""
        message = await self.receive()
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        return message["payload"]["data"][field]

    async def silent(self) -> bool:
        try:
            message = await asyncio.wait_for(self.connection.recv(), A_WHILE)
        except TimeoutError:
            return True
        raise AssertionError(message)

    async def closed(self) -> tuple[int, str]:
        """Code and reason, once everything else was told."""
        try:
            while True:
                self.rest.append(json.loads(await soon(self.connection.recv())))
        except ConnectionClosed:
            return self.connection.close_code or 0, self.connection.close_reason or ""


@asynccontextmanager
async def socket(address: str, token: str | None = None, **options: Any) -> AsyncIterator[Socket]:
    """Initialised if there is a token; an empty one is nobody's."""
    url = address.replace("http", "ws", 1) + "/graphql"
    options = {"subprotocols": ["graphql-transport-ws"], "max_size": None, "compression": None} | options
    async with connect(url, **options) as connection:
        opened = Socket(connection)
        if token is not None:
            await opened.init(**({"Authorization": f"Bearer {token}"} if token else {}))
        yield opened


@dataclass
class Events:
    """One event stream."""

    reply: httpx.Response
    lines: Any = None

    async def receive(self) -> tuple[str, Any]:
        """The next event and its data; a comment is one without a name."""
        self.lines = self.lines or self.reply.aiter_lines()
        name, data = "", ""
        async with asyncio.timeout(SOON):
            async for line in self.lines:
                if not line:
                    return name, json.loads(data) if data.strip() else None
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    data = line.removeprefix("data: ")
        raise EOFError


@asynccontextmanager
async def events(address: str, token: str, query: str, **variables: Any) -> AsyncIterator[Events]:
    headers = {"accept": "text/event-stream"} | ({"authorization": f"Bearer {token}"} if token else {})
    body = {"query": query, "variables": {name: _plain(value) for name, value in variables.items()}}
    async with (
        httpx.AsyncClient(base_url=address, timeout=SOON) as client,
        client.stream("POST", "/graphql", json=body, headers=headers) as reply,
    ):
        yield Events(reply)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


# --- the server and what happens on it ---------------------------------------------------------------------------------


@dataclass
class Live:
    """One world, served."""

    world: World
    address: str
    database: Database
    claims: list[Claim] = field(default_factory=list)

    @property
    def admin(self) -> str:
        return self.world.admin.headers["Authorization"].removeprefix("Bearer ")

    @property
    def user(self) -> str:
        return self.world.user.headers["Authorization"].removeprefix("Bearer ")

    def counted(self, name: str) -> float | None:
        return self.world.parts.metrics.registry.get_sample_value(name)

    async def nothing_is_open(self) -> None:
        """Whatever clients had is freed."""
        for name in ("switchyard_operations_open", "switchyard_changes_followed", "switchyard_requests_under_way"):
            await comes_true(lambda name=name: self.counted(name) == 0)

    async def instrument(self, name: str = "NMR") -> tuple[UUID, str]:
        """A new one: its id and its global id."""
        body = {"name": name, "cifs_host": "local", "cifs_share": "share"}
        key = (await self.world.admin.request("POST", "/api/instruments", json=body)).json()["id"]
        return UUID(key), encode_global_id("Instrument", key)

    async def rename(self, key: UUID, name: str) -> None:
        reply = await self.world.admin.request("PATCH", f"/api/instruments/{key}", json={"name": name})
        assert reply.status_code == 200, reply.text

    async def run(self) -> Run:
        return await begin_run(self.database)


@dataclass
class Run:
    """A harvest under way, as its worker sees it."""

    queue: Queue
    claim: Claim

    @property
    def id(self) -> UUID:
        return self.claim.id

    async def progress(self, **reached: int) -> None:
        await self.queue.progress(self.claim, reached)

    async def log(self, message: str) -> None:
        await self.queue.log(self.claim, "info", message)

    async def finish(self) -> None:
        await self.queue.finish(self.claim, RunState.SUCCEEDED, "all is well")


async def begin_run(database: Database) -> Run:
    queue = Queue(database)
    async with database.transaction() as transaction:
        await enqueue(transaction, NewRun("harvest", {}), now=utc_now())
    claim = await queue.claim("test", ["harvest"])
    assert claim is not None
    return Run(queue, claim)
