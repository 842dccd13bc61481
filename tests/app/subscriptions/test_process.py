"""Whole server processes: several on one database, their end, and what a thousand idle subscriptions take."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from bench import subscriptions
from storage.sql.opening import open_database
from tests.app.subscriptions.support import LOG, PROGRESS, begin_run, events, socket
from tests.app.test_server import Server, serving
from tests.postgres import cloned

pytestmark = pytest.mark.slow

LOGIN = {"username": "ada@example.org", "password": "correct horse"}
ADMIN = {"ADMIN_EMAIL": LOGIN["username"], "ADMIN_PASSWORD": LOGIN["password"]}


def sign_in(server: Server) -> str:
    return str(httpx.post(f"{server.address}/auth/jwt/login", data=LOGIN).raise_for_status().json()["access_token"])


def sign_out(server: Server, token: str) -> None:
    httpx.post(f"{server.address}/auth/jwt/logout", headers={"authorization": f"Bearer {token}"}).raise_for_status()


@pytest.fixture
def url() -> Iterator[str]:
    """Of a PostgreSQL database."""
    with cloned() as url:
        yield url


async def test_two_servers_and_a_worker_on_one_database(tmp_path: Path, url: str):
    """What a worker does is seen on both servers; so is what one of them is asked to do, and the end of a token."""
    settings = ADMIN | {"SWITCHYARD_DATABASE_URL": url, "SWITCHYARD_SECRET_KEY": "of both servers, and long enough for it"}
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
    with (
        serving(tmp_path / "one", "--workers", "0", **settings) as one,
        serving(tmp_path / "two", "--workers", "0", **settings) as two,
    ):
        token = sign_in(one)
        worker = await open_database(url)
        try:
            run = await begin_run(worker)
            async with AsyncExitStack() as stack:
                clients = [await stack.enter_async_context(socket(server.address, token)) for server in (one, two)]
                for client in clients:
                    await client.subscribe(PROGRESS, run=run.id)
                    await client.next("runProgress")
                for found in range(5):
                    await run.progress(found=found)
                    for client in clients:
                        assert (await client.next("runProgress"))["run"]["progress"] == {"found": found}
                sign_out(two, token)
                for client in clients:
                    assert (await client.closed())[0] == 4401
        finally:
            await worker.close()


async def test_a_server_that_loses_the_database_for_a_moment(tmp_path: Path, url: str):
    """Every connection is cut; what happened meanwhile is told afterwards, all of it."""
    with serving(tmp_path, "--workers", "0", SWITCHYARD_DATABASE_URL=url, **ADMIN) as server:
        token = sign_in(server)
        worker = await open_database(url)
        try:
            run = await begin_run(worker)
            async with socket(server.address, token) as client:
                await client.subscribe(LOG, run=run.id)
                await run.log("line 1")
                lines = [line["line"] for line in (await client.next("runLog"))["lines"]]
                for number in range(2, 31):
                    if number % 10 == 0:
                        others = "datname = current_database() AND pid <> pg_backend_pid()"
                        await worker.fetch(f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {others}", [])
                        await worker.engine.dispose()
                    await run.log(f"line {number}")
                await run.finish()
                while (message := await client.receive())["type"] == "next":
                    lines += [line["line"] for line in message["payload"]["data"]["runLog"]["lines"]]
                assert (message["type"], lines) == ("complete", list(range(1, 31)))
        finally:
            await worker.close()


async def test_the_end_of_a_server(tmp_path: Path):
    """Sockets are closed with a code, streams are cut, both at once; nothing is waited for."""
    with serving(tmp_path, "--workers", "0", **ADMIN) as server:
        token = sign_in(server)
        database = await open_database(f"sqlite+aiosqlite:///{tmp_path}/data/switchyard.db")
        run = await begin_run(database)
        await database.close()
        async with socket(server.address, token) as client, events(server.address, token, PROGRESS, run=run.id) as stream:
            await client.subscribe(PROGRESS, run=run.id)
            await client.next("runProgress")
            await stream.receive()
            began = asyncio.get_running_loop().time()
            ending = asyncio.create_task(asyncio.to_thread(server.end))
            assert (await client.closed())[0] == 1012
            with pytest.raises((EOFError, httpx.RemoteProtocolError)):
                await stream.receive()
            code, _, log = await ending
            assert asyncio.get_running_loop().time() - began < 5
            assert code == 0
            assert "Traceback" not in log


async def test_a_thousand_idle_subscriptions():
    async with subscriptions.serving() as server:
        assert await subscriptions.idle(server, 1000) < 100 * 10**6


async def test_a_thousand_idle_subscriptions_on_postgresql(url: str):
    async with subscriptions.serving(url) as server:
        assert await subscriptions.idle(server, 1000) < 100 * 10**6


async def test_one_event_to_many():
    """A wide margin: the machine may do something else meanwhile. `python -m bench.subscriptions` says what it takes."""
    assert (await subscriptions.measure()).ratio < 4
