"""`python -m bench.subscriptions`: what subscriptions cost: memory of idle ones, processor time of one event to many.

An event is compared with a bare loop that writes the same frames to as many sockets and does nothing else.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import uvloop

from app.settings import Settings
from app.wiring import assemble
from bench.databases import available, fresh
from bench.targets import Verdict
from core.clock import utc_now
from core.identity import INSTRUMENTS
from core.vocabulary import RunState
from jobs.queue import Queue, enqueue
from jobs.runner import NewRun
from storage.sql.database import Database
from storage.sql.opening import open_database
from storage.sql.tables import memberships, runs, users

IDLE, SUBSCRIBERS, EVENTS = 1000, 500, 40
QUIET = 5.0

QUERY = "subscription ($run: UUID!) { runProgress(localId: $run) { run { state progress } } }"


@dataclass(frozen=True, slots=True)
class Figures:
    """Bytes for so many idle subscriptions; seconds of processor time for one event to so many subscribers."""

    subscriptions: int
    subscribers: int
    idle: int
    event: float
    bare: float

    @property
    def ratio(self) -> float:
        return self.event / self.bare


# --- clients -----------------------------------------------------------------------------------------------------------


class Client(asyncio.Protocol):
    """Counts what it is sent; frames of less than 64 KiB, unmasked, as servers write them."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.count = 0
        self._data = b""
        self._upgraded = False
        self.upgraded = asyncio.Event()
        self._more = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._upgraded:
            head, end, rest = self._data.partition(b"\r\n\r\n")
            if not end:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._upgraded, self._data = True, rest
            self.upgraded.set()
        while len(self._data) > 1:
            size, start = self._data[1], 2
            if size == 126:
                size, start = int.from_bytes(self._data[2:4]), 4
            if len(self._data) < start + size:
                break
            if self._data[0] == 0x81:
                self.count += 1
                self.messages[:] = [self._data[start : start + size]]
            elif self._data[0] == 0x89:  # a ping; an unmasked pong would be a mistake
                self.transport.write(b"\x8a\x84\0\0\0\0" + self._data[start : start + size])
            self._data = self._data[start + size :]
        self._more.set()

    def say(self, message: object) -> None:
        text = json.dumps(message).encode()
        size = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2)
        self.transport.write(b"\x81" + size + b"\0\0\0\0" + text)  # masked with nothing

    async def has(self, count: int) -> None:
        while self.count < count:
            self._more.clear()
            await self._more.wait()

    @property
    def data(self) -> Any:
        return json.loads(self.messages[-1])


async def subscriber(port: int, token: str, run: UUID) -> Client:
    """One that has got its first event."""
    _, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", port)
    key = base64.b64encode(os.urandom(16)).decode()
    client.transport.write(
        b"GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: graphql-transport-ws\r\nSec-WebSocket-Key: " + key.encode() + b"\r\n\r\n"
    )
    await client.upgraded.wait()
    client.say({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}})
    await client.has(1)
    payload = {"query": QUERY, "variables": {"run": str(run)}}
    client.say({"id": str(uuid4()), "type": "subscribe", "payload": payload})
    await client.has(2)
    return client


# --- the server --------------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """`switchyard serve` on a database of its own, with an admin and a run that is under way."""

    process: asyncio.subprocess.Process
    port: int
    token: str
    run: UUID
    database: Database
    queue: Queue
    claim: Any

    @property
    def memory(self) -> int:
        """Resident bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024  # type: ignore[index]  # Linux always tells it

    @property
    def cpu(self) -> float:
        """Seconds so far, to the nanosecond."""
        return (
            sum(int(each.read_text().split()[0]) for each in Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")) / 1e9
        )

    async def event(self, number: int) -> None:
        await self.queue.progress(self.claim, {"found": number, "bytes": number * 1000, "done": number // 2})


@asynccontextmanager
async def serving(url: str | None = None, **settings: str) -> AsyncIterator[Server]:
    """With the settings of production, but for what forbids a thousand sockets from one address."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        given = {"SWITCHYARD_DATA_DIR": str(folder / "data"), "SWITCHYARD_PROFILE": "production"} | settings
        if url is not None:
            given["SWITCHYARD_DATABASE_URL"] = url
        own = {"SWITCHYARD_DATA_DIR": folder / "data"} | ({} if url is None else {"SWITCHYARD_DATABASE_URL": url})
        parts = await assemble(Settings(_env_file=None, **own))
        token = await _admin(parts)
        await parts.close()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app.cli", "serve", "--port", "0", "--workers", "0"),
            env={**os.environ, **given, "SWITCHYARD_RATE": "0", "SWITCHYARD_RATE_PER_ADDRESS": "0"},
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert process.stderr is not None
        port = 0
        while True:
            line = (await process.stderr.readline()).decode()
            assert line, "the server does not start"
            port = int(found[1]) if (found := re.search(r"listening on http://127.0.0.1:(\d+)", line)) else port
            if "startup complete" in line:
                break
        drain = asyncio.create_task(process.stderr.read())
        database = await open_database(parts.settings.url)
        try:
            queue = Queue(database)
            async with database.transaction() as transaction:
                run = await enqueue(transaction, NewRun("harvest", {}), now=utc_now())
            claim = await queue.claim("bench", ["harvest"])
            yield Server(process, port, token, run, database, queue, claim)
            async with database.transaction() as transaction:
                await transaction.update(runs, run, state=RunState.CANCELED)
        finally:
            process.terminate()
            await process.wait()
            await drain
            await database.close()


async def _admin(parts: Any) -> str:
    key, at = uuid4(), utc_now()
    known = {"id": key, "email": "ada@example.org", "email_folded": "ada@example.org", "password_hash": ""}
    flags = {"credentials_version": 1, "is_active": True, "is_superuser": False, "is_verified": True}
    async with parts.database.transaction() as transaction:
        await transaction.insert(users, **known, **flags, created_at=at, updated_at=at)
        await transaction.insert(memberships, user_id=key, domain=INSTRUMENTS, role="admin", created_at=at)
    return str(parts.services.tokens.issue(key, 1))


# --- the bare loop -----------------------------------------------------------------------------------------------------


async def bare(count: int, events: int, frame: bytes) -> float:
    """Seconds of processor time for one event: this very loop, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.subscriptions", "bare", str(count), str(events), frame.hex()),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    loop = asyncio.get_running_loop()
    clients = [await loop.create_connection(Client, "127.0.0.1", port) for _ in range(count)]
    seconds = float(await process.stdout.readline())
    await process.wait()
    for transport, _ in clients:
        transport.close()
    return seconds


async def _bare_server(count: int, events: int, frame: bytes) -> None:
    transports: list[asyncio.Transport] = []
    all_there = asyncio.Event()

    class Connection(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            transport.write(b"HTTP/1.1 101\r\n\r\n")
            transports.append(transport)
            if len(transports) == count:
                all_there.set()

    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await all_there.wait()
    await asyncio.sleep(0.5)
    begun = time.process_time()
    for _ in range(events):
        for transport in transports:
            transport.write(frame)
        await asyncio.sleep(0.05)  # only now the loop writes
    spent = time.process_time() - begun
    print(spent / events, flush=True)


# --- the figures -------------------------------------------------------------------------------------------------------


async def idle(server: Server, count: int) -> int:
    """Bytes that so many idle subscriptions take, each on a socket of its own."""
    for client in [await subscriber(server.port, server.token, server.run) for _ in range(20)]:
        client.transport.close()  # what the first ones load stays
    await asyncio.sleep(1)
    before = server.memory
    clients = [await subscriber(server.port, server.token, server.run) for _ in range(count)]
    await asyncio.sleep(2)
    taken = server.memory - before
    for client in clients:
        client.transport.close()
    await asyncio.sleep(1)
    return taken


async def one_event(server: Server, count: int, events: int) -> tuple[float, bytes]:
    """Seconds of processor time for one event to so many, and the frame that each of them gets.

    Without what the server does when nothing happens: schedules, pings, looking whether anything has happened.
    """
    clients = [await subscriber(server.port, server.token, server.run) for _ in range(count)]
    for number in range(1, 4):
        await _told(server, clients, number)
    begun = server.cpu
    await asyncio.sleep(QUIET)
    idle = (server.cpu - begun) / QUIET
    begun, since = server.cpu, time.monotonic()
    for number in range(4, events + 4):
        await _told(server, clients, number)
    spent = (server.cpu - begun - idle * (time.monotonic() - since)) / events
    text = clients[0].messages[-1]
    for client in clients:
        client.transport.close()
    return spent, b"\x81\x7e" + len(text).to_bytes(2) + text


async def _told(server: Server, clients: list[Client], number: int) -> None:
    await server.event(number)
    for client in clients:
        await client.has(2 + number)


async def measure(
    database: str = "sqlite", subscriptions: int = IDLE, subscribers: int = SUBSCRIBERS, events: int = EVENTS
) -> Figures:
    """All of it, once."""
    sockets = {"SWITCHYARD_SOCKETS": str(subscriptions + subscribers)}
    async with fresh(database) as settings, serving(settings.url, **sockets) as server:
        memory = await idle(server, subscriptions)
    async with fresh(database) as settings, serving(settings.url, **sockets) as server:
        event, frame = await one_event(server, subscribers, events)
    return Figures(subscriptions, subscribers, memory, event, await bare(subscribers, events, frame))


async def main() -> None:
    verdict = Verdict()
    for database in available():
        verdict.subscriptions(f"subscriptions, {database}", await measure(database))
    raise SystemExit(verdict.conclude())


if __name__ == "__main__":
    logging.disable(logging.INFO)
    if sys.argv[1:2] == ["bare"]:
        uvloop.run(_bare_server(int(sys.argv[2]), int(sys.argv[3]), bytes.fromhex(sys.argv[4])))
    else:
        uvloop.run(main())
