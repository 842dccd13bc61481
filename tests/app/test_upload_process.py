"""Files over GraphQL, over HTTP, against a server process: its memory, and what clients leave behind that go away."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.app.test_server import Server, serving
from tests.app.test_uploads import AT, BOUNDARY, ONE, body, unnamed

pytestmark = pytest.mark.slow

MIB = 2**20
LARGE = 200 * MIB
GROWTH = 24 * MIB
PROGRAM = ("-m", "tests.app.uploading")
LOGIN = {"username": "ada@example.org", "password": "correct horse"}
ADMIN = {"ADMIN_EMAIL": LOGIN["username"], "ADMIN_PASSWORD": LOGIN["password"]}


def memory(server: Server, field: str = "VmRSS") -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]


def sign_in(address: str) -> dict[str, str]:
    token = httpx.post(f"{address}/auth/jwt/login", data=LOGIN).raise_for_status().json()["access_token"]
    return {"Authorization": f"Bearer {token}", "Content-Type": f'multipart/form-data; boundary="{BOUNDARY}"'}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with serving(folder, "--workers", "0", program=PROGRAM, SWITCHYARD_IDLE_TIMEOUT="2", **ADMIN) as server:
        yield server


async def large(operations: Any = ONE, size: int = LARGE) -> AsyncIterator[bytes]:
    whole = body(operations, {"0": [AT]}, b"", b"")
    end = f"--{BOUNDARY}--\r\n".encode()
    yield whole.removesuffix(end)
    yield f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="0"; filename="large.csv"\r\n\r\n'.encode()
    for number in range(size // MIB):
        yield bytes([number % 251]) * MIB
    yield b"\r\n" + end


def nothing_stays(server: Server, folder: Path) -> None:
    """No file without a name is held, and none with one was left."""
    end = time.monotonic() + 10
    while unnamed(server.process.pid):
        assert time.monotonic() < end, unnamed(server.process.pid)
        time.sleep(0.05)
    assert {path.name.partition(".")[0] for path in folder.iterdir()} <= {"switchyard", "secret-key", "files"}


@pytest.fixture(autouse=True)
def _tidy(server: Server) -> Iterator[None]:
    yield
    nothing_stays(server, Path(server.stderr.name).parent / "data")


async def test_a_large_file_in_constant_memory(server):
    headers = sign_in(server.address)
    async with httpx.AsyncClient(base_url=server.address, timeout=120) as client:
        small = await client.post("/graphql", content=large(size=8 * MIB), headers=headers)
        assert small.json()["data"]["measure"][0]["size"] == 8 * MIB
        before = memory(server, "VmHWM")
        reply = await client.post("/graphql", content=large(), headers=headers)
    digest = hashlib.sha256()
    for number in range(LARGE // MIB):
        digest.update(bytes([number % 251]) * MIB)
    (found,) = reply.json()["data"]["measure"]
    assert (found["size"], found["sha256"]) == (LARGE, digest.hexdigest())
    assert memory(server, "VmHWM") - before < GROWTH


async def test_others_are_answered_meanwhile(server):
    """Nothing of a large file blocks the event loop."""
    headers = sign_in(server.address)
    async with httpx.AsyncClient(base_url=server.address, timeout=120) as client, httpx.AsyncClient() as other:
        upload = asyncio.create_task(client.post("/graphql", content=large(size=100 * MIB), headers=headers))
        slowest = 0.0
        while not upload.done():
            begun = time.perf_counter()
            await other.get(f"{server.address}/health")
            slowest = max(slowest, time.perf_counter() - begun)
            await asyncio.sleep(0.01)
        assert (await upload).status_code == 200
    assert slowest < 1


async def dropped(server: Server, sent: int, *, wait: Callable[[], bool]) -> None:
    """A client that goes away when it has sent so many bytes of a file."""
    headers = sign_in(server.address)
    host, port = server.address.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGE}\r\n{head}\r\n".encode())
    async for piece in large(size=sent):
        if piece.endswith(b"--\r\n"):
            break
        writer.write(piece)
        await writer.drain()
    end = time.monotonic() + 10
    while not wait():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)
    writer.transport.abort()


async def test_clients_that_go_away(server):
    """Amid a file, whose beginning is on the disk by then."""
    await asyncio.gather(*(dropped(server, 5 * MIB, wait=lambda: len(unnamed(server.process.pid)) == 4) for _ in range(4)))
    nothing_stays(server, Path(server.stderr.name).parent / "data")


async def test_a_client_that_stops_sending(server):
    """Is told so, and its file goes."""
    headers = sign_in(server.address)
    host, port = server.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGE}\r\n{head}\r\n".encode())
    async for piece in large(size=MIB):
        if piece.endswith(b"--\r\n"):
            break
        writer.write(piece)
    assert (await asyncio.wait_for(reader.readline(), 15)).startswith(b"HTTP/1.1 408 ")
    writer.transport.abort()


async def test_a_refused_client_that_sends_on(server):
    """It gets its answer although it sends everything first, and nothing of the file was kept."""
    headers = {name: value for name, value in sign_in(server.address).items() if name != "Authorization"}
    async with httpx.AsyncClient(base_url=server.address, timeout=60) as client:
        reply = await client.post(
            "/graphql", content=large(size=20 * MIB), headers=headers | {"GraphQL-Preflight": "1", "Accept": "*/*"}
        )
    assert (reply.status_code, reply.json()["errors"][0]["extensions"]) == (200, {"code": "UNAUTHENTICATED"})


def test_the_process_ends_amid_an_upload(tmp_path):
    """Killed, it leaves no file: none of them has a name."""
    with serving(tmp_path, "--workers", "0", program=PROGRAM, **ADMIN) as server:

        async def half() -> None:
            await dropped(server, 5 * MIB, wait=lambda: bool(unnamed(server.process.pid)))

        asyncio.run(half())
        server.process.kill()
        server.process.wait()
    assert {path.name.partition(".")[0] for path in (tmp_path / "data").iterdir()} <= {"switchyard", "secret-key", "files"}


def test_bounds_are_settings(tmp_path):
    settings = {"SWITCHYARD_UPLOAD_LIMIT": str(MIB)} | ADMIN
    with serving(tmp_path, "--workers", "0", program=PROGRAM, **settings) as server:
        content = body(ONE, {"0": [AT]}, *_file(b"x" * (MIB + 1)))
        reply = httpx.post(f"{server.address}/graphql", content=content, headers=sign_in(server.address))
    error = {"message": f"the files are larger than {MIB} bytes", "extensions": {"code": "TOO_LARGE"}}
    assert (reply.status_code, json.loads(reply.text)) == (413, {"errors": [error]})


def _file(content: bytes) -> list[bytes]:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="0"; filename="x"\r\n\r\n'
    return [head.encode() + content + b"\r\n"]
