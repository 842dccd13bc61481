"""The npm clients graphql-ws and graphql-sse against a server process, while another process (this one) does the work."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.ids import encode_global_id
from storage.sql.opening import open_database
from tests.app.subscriptions.support import CHANGES, LOG, PROGRESS, begin_run
from tests.app.test_server import Server, serving
from tests.clients.npm import installed

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parent / "subscriptions"
BOTH = pytest.mark.parametrize("kind", ["ws", "sse"])
LOGIN = {"username": "ada@example.org", "password": "correct horse"}


@dataclass
class Client:
    """One of the libraries, in a process of its own."""

    process: Process

    async def told(self) -> tuple[str, Any]:
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), 20)
        assert line, "the client has ended"
        event = json.loads(line)
        return event["event"], event.get("data")

    async def next(self) -> Any:
        event, data = await self.told()
        assert event == "next", data
        return data["data"]


@asynccontextmanager
async def client(kind: str, server: Server, token: str, query: str, **variables: Any) -> AsyncIterator[Client]:
    installed(PROJECT)
    given = json.dumps({name: str(value) if name == "run" else value for name, value in variables.items()})
    command = ("node", "client.mjs", kind, server.address, token, query, given)
    process = await asyncio.create_subprocess_exec(*command, cwd=PROJECT, stdout=PIPE)
    try:
        opened = Client(process)
        assert await opened.told() == ("connected", None)
        yield opened
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def sign_in(server: Server) -> str:
    return str(httpx.post(f"{server.address}/auth/jwt/login", data=LOGIN).raise_for_status().json()["access_token"])


def sign_out(server: Server, token: str) -> None:
    httpx.post(f"{server.address}/auth/jwt/logout", headers={"authorization": f"Bearer {token}"}).raise_for_status()


def new_instrument(server: Server, token: str) -> str:
    body, headers = {"name": "NMR", "cifs_host": "local", "cifs_share": "x"}, {"authorization": f"Bearer {token}"}
    return str(httpx.post(f"{server.address}/api/instruments", json=body, headers=headers).raise_for_status().json()["id"])


def rename(server: Server, token: str, key: str) -> None:
    url, headers = f"{server.address}/api/instruments/{key}", {"authorization": f"Bearer {token}"}
    httpx.patch(url, json={"name": "NMR 2"}, headers=headers).raise_for_status()


@pytest.fixture
def server(tmp_path: Path):
    settings = {"ADMIN_EMAIL": LOGIN["username"], "ADMIN_PASSWORD": LOGIN["password"]}
    with serving(tmp_path, "--workers", "0", **settings) as server:
        yield server


@pytest.fixture
def token(server: Server) -> str:
    return sign_in(server)


@pytest.fixture
async def database(server: Server, tmp_path: Path):
    assert server.address
    database = await open_database(f"sqlite+aiosqlite:///{tmp_path}/data/switchyard.db")
    yield database
    await database.close()


@BOTH
async def test_a_run_from_beginning_to_end(kind: str, server: Server, token: str, database):
    run = await begin_run(database)
    async with (
        client(kind, server, token, PROGRESS, run=run.id) as progress,
        client(kind, server, token, LOG, run=run.id) as log,
    ):
        assert await progress.next() == {"runProgress": {"run": {"state": "RUNNING", "progress": None}}}
        await run.progress(found=7)
        assert await progress.next() == {"runProgress": {"run": {"state": "RUNNING", "progress": {"found": 7}}}}
        for number in (1, 2):
            await run.log(f"line {number}")
            assert await log.next() == {"runLog": {"lines": [{"line": number, "message": f"line {number}"}]}}
        await run.finish()
        assert (await progress.next())["runProgress"]["run"]["state"] == "SUCCEEDED"
        assert await progress.told() == ("complete", None)
        assert await log.told() == ("complete", None)


@BOTH
async def test_a_mistake(kind: str, server: Server, token: str):
    async with client(kind, server, token, "subscription { nothing }") as mistaken:
        event, data = await mistaken.told()
        errors = data if kind == "ws" else data["errors"]
        assert (event, errors[0]["extensions"]) == ("error" if kind == "ws" else "next", {"code": "INVALID_REQUEST"})


async def test_a_token_that_ends(server: Server, token: str, database):
    run = await begin_run(database)
    async with client("ws", server, token, PROGRESS, run=run.id) as ended:
        await ended.next()
        sign_out(server, token)
        event, data = await ended.told()
        assert (event, data) == ("closed", {"code": 4401, "reason": "Unauthorized: the credentials are no longer valid"})


@BOTH
async def test_a_server_that_is_replaced(kind: str, tmp_path: Path):
    """Clients are told to come again, and go on where they were."""
    settings = {
        "ADMIN_EMAIL": LOGIN["username"],
        "ADMIN_PASSWORD": LOGIN["password"],
        "SWITCHYARD_SECRET_KEY": "a secret that both servers have, long enough",
    }
    with serving(tmp_path, "--workers", "0", **settings) as first:
        port = first.address.rsplit(":", 1)[1]
        token = sign_in(first)
        key = new_instrument(first, token)
        async with client(kind, first, token, CHANGES, id=encode_global_id("Instrument", key)) as follower:
            await follower.next()
            code, _, log = await asyncio.to_thread(first.end)
            assert (code, "Traceback" in log) == (0, False)
            with serving(tmp_path, "--workers", "0", "--port", port, **settings) as second:
                assert second.address.endswith(port)
                told = [await follower.told()]
                while told[-1][0] != "next":
                    told.append(await follower.told())
                if kind == "ws":
                    assert told[0] == ("closed", {"code": 1012, "reason": ""})
                rename(second, token, key)
                assert (await follower.next())["changes"]["node"]["name"] == "NMR 2"
