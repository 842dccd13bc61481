"""What one client can take of the server, over real connections: heads, bodies, replies, slowness, connections, requests."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx
import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from app.http_protocol import PIPELINED
from app.server import http_server, listen
from app.settings import Settings
from core.secrets import Secret
from rest_compat.calls import Call
from storage.sql.tables import file_records, instruments
from tests.app.test_server import Server, serving

pytestmark = pytest.mark.slow  # an application of its own for each

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
SOON = 5
"""Seconds after which something that should have happened has not."""


# --- a server around an application that does little -----------------------------------------------------------------------


@dataclass
class Application:
    """Reads the body, answers with `reply`, and remembers. `early` answers without reading; `gate` holds answers back."""

    reply: bytes = b"done"
    early: bool = False
    gate: asyncio.Event | None = None
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    left: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for stage in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{stage}.complete"})
            return
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        if not self.early and not await self._read(receive):
            return
        if self.gate is not None:
            await self.gate.wait()
        head = [(b"content-length", str(len(self.reply)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": self.reply})

    async def _read(self, receive: Any) -> bool:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left += 1
                return False
            body += message["body"]
            more = message["more_body"]
        self.bodies.append(body)
        return True


class Connection:
    """One raw connection. Receives through a small buffer, so that what is not read stays with the server."""

    def __init__(self, port: int, buffer: int = 4096) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.setblocking(False)
        self._port = port

    async def __aenter__(self) -> Self:
        await asyncio.get_running_loop().sock_connect(self.socket, ("127.0.0.1", self._port))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.socket.close()

    async def send(self, data: bytes) -> None:
        await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(self.socket, data), SOON)

    async def dribble(self, data: bytes, pause: float) -> None:
        """Byte by byte, for as long as somebody takes them."""
        with suppress(ConnectionError):
            for byte in data:
                await self.send(bytes([byte]))
                await asyncio.sleep(pause)

    async def receive(self, size: int = 65536) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.socket, size), SOON)

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        parts = []
        while part := await self.receive():
            parts.append(part)
        return b"".join(parts)

    async def reply(self) -> bytes:
        """One reply of the application."""
        received = b""
        while not received.endswith(b"done"):
            part = await self.receive()
            assert part, received
            received += part
        return received

    async def is_gone(self) -> None:
        """Wait until the server has cut the connection."""
        with suppress(ConnectionError):
            await self.rest()


def told(answer: bytes) -> tuple[int, Any]:
    """Status and detail of a refusal."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert b"connection: close" in lines
    assert b"content-type: application/problem+json" in lines
    assert b"content-length: %d" % len(body) in lines
    return int(answer.split()[1]), json.loads(body)["detail"]


@asynccontextmanager
async def served(app: Any, **settings: Any) -> AsyncIterator[int]:
    """The port of the application, served as `switchyard serve` does."""
    with pytest.MonkeyPatch.context() as patch, listen("127.0.0.1", 0) as listener:
        patch.setattr("app.http_protocol.LOOK_EVERY", 0.02)
        patch.setattr("app.http_protocol.LINGER", 0.3)
        patch.setattr("app.server.HANDLED_SIGNALS", ())
        port = listener.getsockname()[1]
        server = http_server(app, Settings(_env_file=None, **settings))
        running = asyncio.create_task(server.serve([listener]))
        await succeeds(lambda: server.started)
        try:
            yield port
        finally:
            server.should_exit = True
            await running


async def answer_to(request: bytes, **settings: Any) -> bytes:
    async with served(Application(), **settings) as port, Connection(port) as connection:
        await connection.send(request)
        return await connection.rest()


async def succeeds(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


# --- heads -----------------------------------------------------------------------------------------------------------------

TOO_LARGE_HEAD = (431, "The head of the request is larger than 1000 bytes")
SMALL_HEAD = {"SWITCHYARD_HEAD_LIMIT": 1000, "SWITCHYARD_TARGET_LIMIT": 500}


@pytest.mark.parametrize(
    "head",
    [
        GET + b"X: " + b"x" * 1000 + b"\r\n\r\n",
        GET + b"X: y\r\n" * 200 + b"\r\n",
        GET + b"X: " + b"x" * 1000,
        GET + b"x" * 1000,
        GET + b"X: y\r\n" * 200,
        b"\r\n" * 600,
    ],
    ids=["a large header", "many headers", "an endless header", "an endless name", "endless headers", "empty lines"],
)
async def test_a_head_over_the_limit(head):
    assert told(await answer_to(head, **SMALL_HEAD)) == TOO_LARGE_HEAD


async def test_a_head_that_comes_in_pieces_is_counted_as_a_whole():
    async with served(Application(), **SMALL_HEAD) as port, Connection(port) as connection:
        for _ in range(3):
            await connection.send(GET + b"Connection: keep-alive\r\n\r\n")
            await connection.reply()
        await connection.send(GET)
        for _ in range(10):
            await asyncio.sleep(0.01)
            await connection.send(b"X: " + b"y" * 95 + b"\r\n")
        assert told(await connection.rest()) == TOO_LARGE_HEAD


@pytest.mark.parametrize("end", [b" HTTP/1.1\r\n\r\n", b""], ids=["complete", "endless"])
async def test_a_target_over_the_limit(end):
    answer = await answer_to(b"GET /" + b"x" * 1200 + end, **SMALL_HEAD)
    assert told(answer) == (414, "The target of the request is longer than 500 bytes")


async def test_more_headers_than_the_limit():
    answer = await answer_to(GET + b"X: y\r\n" * 20 + b"\r\n", SWITCHYARD_HEADER_COUNT=20)
    assert told(answer) == (431, "The request has more than 20 headers")


async def test_a_head_of_exactly_the_limits():
    head = b"GET /" + b"x" * 499 + b" HTTP/1.1\r\nConnection: close\r\nX: " + b"y" * (500 - 3 - 21) + b"\r\n\r\n"
    answer = await answer_to(head, **SMALL_HEAD | {"SWITCHYARD_HEADER_COUNT": 2, "SWITCHYARD_TARGET_LIMIT": 500})
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_large_body_in_one_piece_with_its_head_is_no_large_head():
    app = Application()
    async with served(app, **SMALL_HEAD) as port, Connection(port) as connection:
        await connection.send(POST + b"Content-Length: 50000\r\n\r\n" + b"x" * 50000 + GET + b"Connection: close\r\n\r\n")
        assert (await connection.rest()).count(b"HTTP/1.1 200 OK\r\n") == 2
    assert app.bodies == [b"x" * 50000, b""]


async def test_what_follows_a_chunked_body_is_no_header():
    app = Application()
    async with served(app) as port, Connection(port) as connection:
        await connection.send(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n")
        await connection.reply()
    assert app.headers == [{"host": "x", "transfer-encoding": "chunked"}]


@pytest.mark.parametrize("piece", [b"0\r\nX: ", b"1;x="], ids=["a trailer", "a chunk extension"])
async def test_what_is_no_body_is_bounded_like_a_head(piece):
    async with served(Application(), **SMALL_HEAD) as port, Connection(port) as connection:
        await connection.send(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        await asyncio.sleep(0.05)
        await connection.send(piece)
        await asyncio.sleep(0.05)
        await connection.send(b"y" * 1001)
        assert told(await connection.rest()) == TOO_LARGE_HEAD


async def test_what_is_no_http():
    assert told(await answer_to(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")) == (400, "Invalid HTTP request received.")


async def test_requests_far_ahead_of_their_replies():
    app = Application(gate=asyncio.Event())
    async with served(app) as port, Connection(port) as connection:
        await connection.send((GET + b"\r\n") * (PIPELINED + 2))
        await connection.is_gone()
        app.gate.set()
    assert len(app.headers) == 1


async def test_some_requests_ahead_of_their_replies():
    async with served(Application()) as port, Connection(port) as connection:
        await connection.send((GET + b"\r\n") * (PIPELINED - 1) + GET + b"Connection: close\r\n\r\n")
        assert (await connection.rest()).count(b"HTTP/1.1 200 OK\r\n") == PIPELINED


# --- slow senders ----------------------------------------------------------------------------------------------------------

QUICK = {"SWITCHYARD_HEAD_TIMEOUT": 0.3, "SWITCHYARD_IDLE_TIMEOUT": 0.3, "SWITCHYARD_MINIMUM_RATE": 100}
LATE_HEAD = (408, "The client did not send the head of a request in time")
LATE_BODY = (408, "The client was too slow to send a body")


async def test_a_head_byte_by_byte():
    async with served(Application(), **QUICK) as port, Connection(port) as connection:
        started = time.monotonic()
        sending = asyncio.create_task(connection.dribble(GET * 10, 0.02))
        assert told(await connection.rest()) == LATE_HEAD
        assert 0.2 < time.monotonic() - started < 2
        await sending


async def test_empty_lines_for_ever():
    async with served(Application(), **QUICK) as port, Connection(port) as connection:
        sending = asyncio.create_task(connection.dribble(b"\r\n" * 100, 0.02))
        assert told(await connection.rest()) == LATE_HEAD
        await sending


async def test_a_second_head_byte_by_byte():
    async with served(Application(), **QUICK) as port, Connection(port) as connection:
        await connection.send(GET + b"\r\n")
        await connection.reply()
        sending = asyncio.create_task(connection.dribble(GET * 10, 0.02))
        assert told(await connection.rest()) == LATE_HEAD
        await sending


async def test_a_connection_on_which_nothing_comes_is_closed():
    async with served(Application(), **QUICK) as port, Connection(port) as connection:
        assert await connection.rest() == b""


async def test_a_connection_is_kept_for_the_next_request_for_a_while():
    async with served(Application(), **QUICK, SWITCHYARD_KEEP_ALIVE=1) as port, Connection(port) as connection:
        await connection.send(GET + b"\r\n")
        await connection.reply()
        await asyncio.sleep(0.5)
        await connection.send(GET + b"\r\n")
        await connection.reply()
        started = time.monotonic()
        assert await connection.rest() == b""
        assert 0.8 < time.monotonic() - started < 3


@pytest.mark.parametrize("framing", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("pause", [0.02, SOON], ids=["byte by byte", "no byte"])
async def test_a_slow_body(framing, pause):
    app = Application()
    async with served(app, **QUICK) as port, Connection(port) as connection:
        await connection.send(POST + framing + b"\r\n\r\n")
        sending = asyncio.create_task(connection.dribble(b"1\r\nx\r\n" * 20, pause))
        assert told(await connection.rest()) == LATE_BODY
        sending.cancel()
    assert (app.left, app.bodies) == (1, [])


async def test_a_body_at_a_fair_rate_may_take_long():
    app = Application()
    async with served(app, **QUICK) as port, Connection(port) as connection:
        await connection.send(POST + b"Content-Length: 200\r\n\r\n")
        await connection.dribble(b"x" * 200, 0.004)
        await connection.reply()
    assert app.bodies == [b"x" * 200]


async def test_a_server_that_takes_its_time_is_not_the_clients_fault():
    app = Application(gate=asyncio.Event())
    async with served(app, **QUICK) as port, Connection(port) as connection:
        await connection.send(POST + b"Content-Length: 1\r\n\r\nx")
        await asyncio.sleep(1)
        app.gate.set()
        await connection.reply()


async def test_a_body_that_was_answered_before_it_ended():
    async with served(Application(early=True), **QUICK) as port, Connection(port) as connection:
        await connection.send(POST + b"Content-Length: 100000\r\n\r\n")
        await connection.reply()
        sending = asyncio.create_task(connection.dribble(b"x" * 1000, 0.02))
        await connection.is_gone()
        await sending


async def test_the_next_request_after_a_body_that_was_answered_early():
    async with served(Application(early=True), **QUICK) as port, Connection(port) as connection:
        await connection.send(POST + b"Content-Length: 100000\r\n\r\n")
        await connection.reply()
        await connection.send(b"x" * 100000 + GET + b"\r\n")
        await connection.reply()


async def test_nothing_after_a_body_that_was_answered_early():
    async with served(Application(early=True), **QUICK, SWITCHYARD_KEEP_ALIVE=60) as port, Connection(port) as connection:
        await connection.send(POST + b"Content-Length: 100000\r\n\r\n")
        await connection.reply()
        await connection.send(b"x" * 100000)
        assert await connection.rest() == b""


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: -1",
        b"Content-Length: x",
        b"Content-Length: 1\r\nContent-Length: 2",
        b"Content-Length: 1\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip",
    ],
)
async def test_a_body_whose_length_is_in_doubt(framing):
    app = Application()
    async with served(app) as port, Connection(port) as connection:
        await connection.send(POST + framing + b"\r\n\r\nx")
        assert told(await connection.rest())[0] == 400
    assert app.bodies == []


async def test_a_chunk_that_is_none():
    app = Application()
    async with served(app) as port, Connection(port) as connection:
        await connection.send(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        await asyncio.sleep(0.05)
        await connection.send(b"zz\r\n")
        assert told(await connection.rest()) == (400, "Invalid HTTP request received.")
    assert (app.left, app.bodies) == (1, [])


async def test_a_client_that_leaves_before_the_end_of_its_body():
    app = Application()
    async with served(app) as port:
        async with Connection(port) as connection:
            await connection.send(POST + b"Content-Length: 100\r\n\r\nx")
            await succeeds(lambda: len(app.headers) == 1)
        await succeeds(lambda: app.left == 1)
    assert app.bodies == []


# --- slow readers ----------------------------------------------------------------------------------------------------------

LARGE = b"x" * 20 * 2**20  # more than the buffers of both ends take


async def test_a_reply_that_nobody_takes():
    app = Application(LARGE)
    async with served(app, **QUICK) as port, Connection(port) as connection:
        await connection.send(GET + b"\r\n")
        await asyncio.sleep(1.5)
        assert len(await connection.rest()) < len(LARGE)


async def test_a_small_reply_that_nobody_takes():
    """It never fills the server's buffer, but every reply ahead of it fills the kernel's."""
    app = Application(b"x" * 40_000)
    async with served(app, **QUICK) as port, Connection(port) as connection:
        sending = asyncio.create_task(connection.send((GET + b"\r\n") * 10_000))
        await asyncio.sleep(1.5)
        await connection.is_gone()
        sending.cancel()
    assert len(app.headers) < 1000


async def test_a_reply_that_is_taken_at_a_fair_rate():
    app = Application(LARGE)
    async with served(app, **QUICK) as port, Connection(port, 2**18) as connection:
        await connection.send(GET + b"Connection: close\r\n\r\n")
        received = 0
        while part := await connection.receive(200_000):
            received += len(part)
            await asyncio.sleep(0.02)
    assert received > len(LARGE)


# --- connections -----------------------------------------------------------------------------------------------------------

CROWDED = (503, "Too many connections: try again in a moment")


async def test_more_connections_than_the_limit():
    async with (
        served(Application(), SWITCHYARD_CONNECTIONS=2) as port,
        Connection(port) as first,
        Connection(port) as second,
        Connection(port) as third,
    ):
        await third.send(GET + b"\r\n")
        answer = await third.rest()
        assert told(answer) == CROWDED
        assert b"\r\nretry-after: 1\r\n" in answer
        for connection in (first, second):
            await connection.send(GET + b"Connection: close\r\n\r\n")
            assert (await connection.rest()).endswith(b"done")
        async with Connection(port) as later:
            await later.send(GET + b"Connection: close\r\n\r\n")
            assert (await later.rest()).endswith(b"done")


async def test_more_connections_from_one_address_than_the_limit():
    bounds = {"SWITCHYARD_CONNECTIONS_PER_ADDRESS": 1, "SWITCHYARD_TRUSTED_PROXIES": "192.0.2.1"}
    async with served(Application(), **bounds) as port:
        async with Connection(port), Connection(port) as second:
            assert told(await second.rest()) == CROWDED
        await asyncio.sleep(0.1)
        async with Connection(port) as later:
            await later.send(GET + b"Connection: close\r\n\r\n")
            assert (await later.rest()).endswith(b"done")


@pytest.mark.parametrize(
    "bounds",
    [
        {"SWITCHYARD_CONNECTIONS_PER_ADDRESS": 1, "SWITCHYARD_TRUSTED_PROXIES": "127.0.0.1"},
        {"SWITCHYARD_CONNECTIONS_PER_ADDRESS": 0, "SWITCHYARD_TRUSTED_PROXIES": "192.0.2.1"},
    ],
    ids=["a proxy", "no bound"],
)
async def test_addresses_without_a_limit_of_connections(bounds):
    async with served(Application(), **bounds) as port, Connection(port), Connection(port) as second:
        await second.send(GET + b"Connection: close\r\n\r\n")
        assert (await second.rest()).endswith(b"done")


async def test_connections_that_wait_to_be_accepted():
    """The kernel takes one more than it is told."""

    async def connects(connection: Connection) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await connection.__aenter__()
                return True
        return False

    with listen("127.0.0.1", 0, 2) as listener:
        tried = [Connection(listener.getsockname()[1]) for _ in range(5)]
        assert [await connects(each) for each in tried] == [True, True, True, False, False]
    for each in tried:
        each.socket.close()


# --- the whole application -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def client(port: int) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=SOON) as found:
        yield found


async def many_files(world: Any, count: int) -> None:
    """Found on one instrument."""
    at, instrument = datetime(2026, 11, 21, tzinfo=UTC), uuid4()
    async with world.parts.database.transaction() as transaction:
        await transaction.insert(
            instruments,
            id=instrument,
            name="NMR",
            cifs_host="nas",
            cifs_share="nmr",
            transfer_adapter="rclone",
            enabled=True,
            created_at=at,
            updated_at=at,
        )
        row = {
            "instrument_id": instrument,
            "persistent_id_type": "ark",
            "filename": "x" * 200,
            "metadata": {},
            "first_discovered_at": at,
        }
        rows = [
            {**row, "id": uuid4(), "persistent_id": f"ark:/99999/fk4{number}", "source_path": f"{number}/{'x' * 200}"}
            for number in range(count)
        ]
        await transaction.execute(file_records.insert(), rows)


async def test_a_stream_that_nobody_takes(assembled, monkeypatch):
    """The connection is cut, what the stream holds is released, and everybody else is served meanwhile."""
    closed = []
    rows = Call.rows

    async def watched(call):
        try:
            async for batch in rows(call):
                yield batch
        finally:
            closed.append(call)

    monkeypatch.setattr(Call, "rows", watched)
    async with assembled() as world, served(world.app, **QUICK) as port:
        await many_files(world, 20_000)
        async with Connection(port) as connection, client(port) as others:
            token = world.admin.headers["Authorization"]
            await connection.send(f"GET /api/files HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode())
            assert (await connection.receive(4096)).startswith(b"HTTP/1.1 200 OK\r\n")
            while not closed:
                started = time.monotonic()
                assert (await others.get("/health")).json() == {"status": "ok"}
                assert time.monotonic() - started < 1
                await asyncio.sleep(0.05)
            assert not (await connection.rest()).endswith(b"0\r\n\r\n")


async def test_more_requests_than_the_limit(assembled, monkeypatch):
    gate = asyncio.Event()

    async def waits(*_: Any) -> Any:
        await gate.wait()
        return world.parts.contexts.context(())

    async with assembled(SWITCHYARD_REQUESTS=2) as world, served(world.app) as port, client(port) as caller:
        monkeypatch.setattr("app.wiring.Contexts.__call__", waits)
        under_way = [asyncio.create_task(caller.get("/api/instruments")) for _ in range(2)]
        await asyncio.sleep(0.2)
        refused = await caller.get("/api/instruments")
        assert (refused.status_code, refused.json()) == (503, {"detail": "The server is busy: try again in a moment"})
        assert refused.headers["retry-after"] == "1"
        assert "x-request-id" in refused.headers
        refused = await caller.post("/graphql", json={"query": "{ __typename }"})
        error = {"message": "The server is busy: try again in a moment", "extensions": {"code": "UNAVAILABLE"}}
        assert (refused.status_code, refused.json()) == (503, {"errors": [error]})
        assert (await caller.get("/health")).json() == {"status": "ok"}
        gate.set()
        await asyncio.gather(*under_way)
        assert (await caller.post("/graphql", json={"query": "{ __typename }"})).status_code == 200


async def test_a_connection_that_was_to_become_a_web_socket_is_not_counted_for_ever(world):
    upgrade = (
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + b"x" * 22 + b"==\r\n"
    )
    bounds = {"SWITCHYARD_CONNECTIONS_PER_ADDRESS": 1, "SWITCHYARD_TRUSTED_PROXIES": "192.0.2.1"}
    async with served(world.app, **bounds) as port:
        for _ in range(3):
            async with Connection(port) as connection:
                await connection.send(GET + upgrade + b"\r\n")
                assert (await connection.receive()).startswith(b"HTTP/1.1 403 ")
            await asyncio.sleep(0.05)


async def test_sign_ins_are_counted_for_the_client_behind_a_trusted_proxy(assembled):
    async def status(address: str) -> int:
        form = {"username": f"{uuid4()}@example.org", "password": "wrong"}
        return (await caller.post("/auth/jwt/login", data=form, headers={"x-forwarded-for": address})).status_code

    async with assembled(SWITCHYARD_LOGIN_ATTEMPTS_PER_ADDRESS=2) as world:
        async with served(world.app) as port, client(port) as caller:
            assert [await status("192.0.2.1") for _ in range(3)] == [400, 400, 429]
            assert [await status("192.0.2.2") for _ in range(3)] == [400, 400, 429]
        async with served(world.app, SWITCHYARD_TRUSTED_PROXIES="192.0.2.9") as port, client(port) as caller:
            assert [await status(f"192.0.2.{number}") for number in range(3, 6)] == [400, 400, 429]


async def test_a_flood_of_sign_ins_does_not_queue_without_bound(assembled):
    """Some are checked, the others are told to come again; everybody else is served meanwhile."""

    async def sign_in() -> httpx.Response:
        form = {"username": f"{uuid4()}@example.org", "password": "wrong"}
        return await caller.post("/auth/jwt/login", data=form)

    bounds = {"SWITCHYARD_PASSWORD_QUEUE": 1, "SWITCHYARD_LOGIN_ATTEMPTS_PER_ADDRESS": 0}
    async with assembled(**bounds) as world, served(world.app) as port, client(port) as caller:
        world.parts.passwords._current = Argon2Hasher()
        world.parts.passwords._nobodys = await world.parts.passwords.hash(Secret("x"))
        flood = [asyncio.create_task(sign_in()) for _ in range(30)]
        await asyncio.sleep(0)
        assert (await caller.get("/health")).status_code == 200
        replies = [await each for each in flood]
    assert {reply.status_code for reply in replies} == {400, 503}
    refused = {reply.text for reply in replies if reply.status_code == 503}
    assert refused == {'{"detail":"too many passwords are waiting for their check: try again in a moment"}'}


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 100):
        yield b"x" * 100


@pytest.mark.parametrize("body", [b"x" * 1001, chunks(2000)], ids=["announced", "chunked"])
@pytest.mark.parametrize("path", ["/api/instruments", "/auth/jwt/login", "/graphql"])
async def test_a_body_over_the_limit(assembled, path, body):
    kind = "application/x-www-form-urlencoded" if "login" in path else "application/json"
    async with assembled(SWITCHYARD_BODY_LIMIT=1000) as world, served(world.app) as port, client(port) as caller:
        content = body if isinstance(body, bytes) else chunks(2000)
        reply = await caller.post(path, content=content, headers={**world.admin.headers, "content-type": kind})
        assert reply.status_code == 413
        assert "he body is larger than 1000 bytes" in reply.text
        assert (await caller.get("/health")).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "x-own", "gzip, identity"])
async def test_a_compressed_body(world, encoding):
    headers = {"content-encoding": encoding, "content-type": "application/json"}
    reply = await world.admin.request("POST", "/api/instruments", content=b"x", headers=headers)
    assert (reply.status_code, reply.json()) == (415, {"detail": "Send the body as it is, without a content encoding"})
    reply = await world.admin.request("POST", "/graphql", content=b"x", headers=headers)
    error = {"message": "Send the body as it is, without a content encoding", "extensions": {"code": "UNSUPPORTED_MEDIA"}}
    assert (reply.status_code, reply.json()) == (415, {"errors": [error]})


async def test_the_answer_to_a_body_that_is_too_large_for_a_connection_that_ends(world):
    """The client sends all of it first; were the connection closed at once, it would see a reset and no answer."""
    body = b"x" * 20 * 2**20
    head = f"POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    async with served(world.app) as port, Connection(port) as connection:
        await connection.send(head.encode() + b"\r\n\r\n")
        for start in range(0, len(body), 2**20):
            await connection.send(body[start : start + 2**20])
        answer = await connection.rest()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


async def test_a_body_that_is_expressly_not_compressed(world):
    headers = {"content-encoding": "identity"}
    reply = await world.admin.request("POST", "/graphql", json={"query": "{ __typename }"}, headers=headers)
    assert reply.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000])
async def test_deep_json(world, text):
    headers = {"content-type": "application/json"}
    assert (await world.admin.request("POST", "/api/instruments", content=text, headers=headers)).status_code == 422
    assert (await world.admin.request("POST", "/graphql", content=text, headers=headers)).status_code == 400


@pytest.mark.parametrize(
    "form",
    [{"data": {str(number): "" for number in range(11)}}, {"files": {str(number): (None, b"") for number in range(11)}}],
    ids=["urlencoded", "multipart"],
)
async def test_a_form_of_many_fields(assembled, form):
    async with assembled(SWITCHYARD_FORM_FIELDS=10) as world:
        reply = await world.anonymous.request("POST", "/auth/jwt/login", **form)
        (fault,) = reply.json()["detail"]
        assert (reply.status_code, fault["loc"], fault["msg"]) == (422, ["body"], "There was an error parsing the body")


async def test_a_reply_over_the_limit(assembled):
    async with assembled(SWITCHYARD_RESPONSE_LIMIT=20_000) as world:
        await many_files(world, 100)
        detail = "The reply is larger than 20000 bytes: ask for less, page by page or as a stream of rows"
        reply = await world.admin.request("GET", "/api/files?limit=100")
        assert (reply.status_code, reply.json()) == (413, {"detail": detail})
        reply = await world.admin.request("GET", "/api/files?limit=10")
        assert (reply.status_code, len(reply.json())) == (200, 10)
        body = await world.admin.ask("{ files(first: 100) { nodes { sourcePath } } }")
        assert body == {"data": None, "errors": [{"message": detail, "extensions": {"code": "TOO_LARGE"}}]}
        body = await world.admin.ask("{ files(first: 10) { nodes { sourcePath } } }")
        assert len(body["data"]["files"]["nodes"]) == 10


async def test_a_stream_may_be_larger_than_a_reply(assembled):
    async with assembled(SWITCHYARD_RESPONSE_LIMIT=20_000) as world:
        await many_files(world, 100)
        reply = await world.admin.request("GET", "/api/files")
        assert (reply.status_code, len(reply.json())) == (200, 100)


# --- the process -----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def process(folder: Path, **settings: str) -> AsyncIterator[tuple[Server, int]]:
    """`switchyard serve` and its port."""
    with serving(folder, "--workers", "0", **settings) as server:
        yield server, int((await asyncio.to_thread(lambda: server.address)).rpartition(":")[2])


def resident(server: Server) -> int:
    """Kilobytes of memory that the process has."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


@pytest.mark.slow
async def test_200_slow_connections(tmp_path):
    """Half of them dribble a head, half a body; nobody else notices, and memory does not grow with them."""
    async with process(tmp_path) as (server, port), client(port) as others:
        for _ in range(50):
            await others.get("/health")
        before = resident(server)
        slow = [await Connection(port).__aenter__() for _ in range(200)]
        try:
            for number, connection in enumerate(slow):
                await connection.send(GET if number % 2 else POST + b"Content-Length: 1000000\r\n\r\n")
            waits = []
            for round_ in range(20):
                for connection in slow:
                    await connection.send(b"x" if round_ else b"X:")
                started = time.monotonic()
                assert (await others.get("/health")).json() == {"status": "ok"}
                waits.append(time.monotonic() - started)
            assert max(waits) < 1
            assert resident(server) - before < 10 * 1024
        finally:
            for connection in slow:
                connection.socket.close()


@pytest.mark.slow
async def test_sigterm_does_not_wait_for_a_slow_client(tmp_path):
    async with process(tmp_path) as (server, port), Connection(port) as connection:
        await connection.send(
            b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
        )
        sending = asyncio.create_task(connection.dribble(b" " * 99, 0.5))
        await asyncio.sleep(1)
        started = time.monotonic()
        code, _, log = await asyncio.to_thread(server.end)
        assert code == 0, log
        assert time.monotonic() - started < 20
        assert "Traceback" not in log
        sending.cancel()
