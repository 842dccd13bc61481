"""Real servers that are killed while they answer: what was acknowledged is there afterwards, and no half of anything."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections import deque
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import Table, select
from sqlalchemy.engine import RowMapping

from app.settings import documented
from storage.sql.tables import audit_log, instruments, runs

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
PASSWORD = "correct horse battery"
CLIENTS = 6


@pytest.fixture
def environment(database_url, tmp_path) -> dict[str, str]:
    unset = {name for setting in documented() for name in setting.names}
    return {name: value for name, value in os.environ.items() if name not in unset} | {
        "SWITCHYARD_DATABASE_URL": database_url,
        "SWITCHYARD_ALLOWED_ROOTS": str(tmp_path),
        "ADMIN_EMAIL": "ada@example.org",
        "ADMIN_PASSWORD": PASSWORD,
        "PYTHONPATH": str(REPOSITORY),
    }


def calling(address: str, token: str | None = None) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token else None
    return httpx.AsyncClient(base_url=address, headers=headers, timeout=30, verify=False)  # certificates take long to read


class Servers:
    """`switchyard serve` on free ports; the next ones start while one is in use, since a start takes long."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._argv = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--workers", "0", "--data-dir", str(folder)]
        self._environment = environment
        self._folder = folder
        self._processes: list[asyncio.subprocess.Process] = []
        self._starting: deque[asyncio.Task[tuple[asyncio.subprocess.Process, str]]] = deque()

    def start(self) -> None:
        self._starting.append(asyncio.create_task(self._start()))

    async def next(self) -> tuple[asyncio.subprocess.Process, str]:
        """A process that answers, and its address."""
        return await self._starting.popleft()

    async def end(self) -> None:
        await asyncio.gather(*self._starting, return_exceptions=True)
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _start(self) -> tuple[asyncio.subprocess.Process, str]:
        log = self._folder.with_name(f"server {len(self._processes)}.log")
        with log.open("wb") as stream:
            process = await asyncio.create_subprocess_exec(
                *self._argv,
                env=self._environment,
                cwd=self._folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        self._processes.append(process)
        async with asyncio.timeout(60):  # the log is beside the data folder
            while (found := re.search(rb"listening on (http://\S+)", log.read_bytes())) is None:
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.02)
            address = found[1].decode()
            while True:
                with suppress(httpx.TransportError):
                    async with calling(address) as client:
                        await client.get("/health")
                    return process, address


@pytest.fixture
async def servers(environment, tmp_path):
    (tmp_path / "data").mkdir()
    servers = Servers(environment, tmp_path / "data")
    yield servers
    await servers.end()


class Client:
    """Makes instruments, renames them, and triggers a schedule, one request after the other; remembers what was acknowledged."""

    def __init__(self, token: str, schedule: str) -> None:
        self._token = token
        self._schedule = schedule
        self.names: dict[UUID, str] = {}
        self.tried: dict[UUID, set[str]] = {}
        self.triggered: set[UUID] = set()

    async def work(self, address: str) -> None:
        """Until the server is gone."""
        async with calling(address, self._token) as client:
            with suppress(httpx.TransportError):
                for number in count():
                    await (self._make, self._rename, self._trigger)[number % 3](client)

    async def _make(self, client: httpx.AsyncClient) -> None:
        new = {"name": f"made {uuid4()}", "cifs_host": "file:", "cifs_share": "/nowhere"}
        reply = await client.post("/api/instruments", json=new)
        assert reply.status_code == 201, reply.text
        self.names[UUID(reply.json()["id"])] = new["name"]

    async def _rename(self, client: httpx.AsyncClient) -> None:
        key = list(self.names)[-1]
        name = f"renamed {uuid4()}"
        self.tried.setdefault(key, set()).add(name)
        reply = await client.patch(f"/api/instruments/{key}", json={"name": name})
        assert reply.status_code == 200, reply.text
        self.names[key] = name
        self.tried[key].clear()

    async def _trigger(self, client: httpx.AsyncClient) -> None:
        reply = await client.post(f"/api/schedules/{self._schedule}/trigger")
        assert reply.status_code == 200, reply.text
        self.triggered.add(UUID(reply.json()["flow_run_id"]))


@asynccontextmanager
async def _signed_in(address: str):
    async with calling(address) as client:
        reply = await client.post("/auth/jwt/login", data={"username": "ada@example.org", "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"
        yield client


async def _a_schedule(client: httpx.AsyncClient, folder: Path) -> str:
    instrument = await client.post("/api/instruments", json={"name": "NMR", "cifs_host": "file:", "cifs_share": str(folder)})
    location = await client.post("/api/storage-locations", json={"name": "Archive", "type": "posix", "base_path": str(folder)})
    schedule = await client.post(
        "/api/schedules",
        json={
            "instrument_id": instrument.json()["id"],
            "default_storage_location_id": location.json()["id"],
            "cron_expression": "0 0 1 1 *",
            "enabled": False,
        },
    )
    return str(schedule.json()["id"])


async def test_servers_killed_at_random_points_keep_what_they_acknowledged(servers, database, tmp_path, faults):
    for _ in range(3):
        servers.start()
        await asyncio.sleep(0.5)  # the first one makes the secret and the admin
    process, address = await servers.next()
    async with _signed_in(address) as admin:
        token = admin.headers["Authorization"].removeprefix("Bearer ")
        schedule = await _a_schedule(admin, tmp_path)
    clients = [Client(token, schedule) for _ in range(CLIENTS)]

    for _ in range(faults.rounds):
        before = _acknowledged(clients)
        work = asyncio.gather(*(client.work(address) for client in clients))
        async with asyncio.timeout(30):
            while _acknowledged(clients) == before:  # noqa: ASYNC110  # a server's first answers take longer
                await asyncio.sleep(0.01)
        await asyncio.sleep(faults.dice.uniform(0, 0.4))
        process.kill()
        await work
        servers.start()
        await _all_is_whole(clients, database)
        process, address = await servers.next()

    async with calling(address, token) as client:
        listed = {UUID(row["id"]): row["name"] for row in (await client.get("/api/instruments?shape=array")).json()}
    for each in clients:
        assert {key: listed[key] for key in each.names if not each.tried.get(key)} == {
            key: name for key, name in each.names.items() if not each.tried.get(key)
        }


def _acknowledged(clients: list[Client]) -> int:
    return sum(len(client.names) + len(client.triggered) for client in clients)


async def _at_one_moment(database, *tables: Table) -> list[list[RowMapping]]:
    """A database server may still be storing what a server sent it with its last breath."""
    async with database.engine.connect() as connection:
        if database.dialect.name == "postgresql":
            await connection.execution_options(isolation_level="REPEATABLE READ")
        return [list((await connection.execute(select(table))).mappings()) for table in tables]


async def _all_is_whole(clients: list[Client], database) -> None:
    """Every acknowledged change is there; each row has its line in the audit log, and each line its row."""
    made_rows, log, run_rows = await _at_one_moment(database, instruments, audit_log, runs)
    log.sort(key=lambda line: line["number"])
    names = {row["id"]: row["name"] for row in made_rows}
    for client in clients:
        for key, name in client.names.items():
            assert names[key] == name or names[key] in client.tried[key]
    made = [line["entity_id"] for line in log if line["entity_type"] == "instrument" and line["action"] == "create"]
    assert sorted(made) == sorted(names)
    last_names = {
        line["entity_id"]: line["changes"]["name"]["after"]
        for line in log
        if line["entity_type"] == "instrument" and line["action"] == "update"
    }
    assert {key: names[key] for key in last_names} == last_names
    started = {row["id"] for row in run_rows}
    noted = [UUID(line["changes"]["triggered_run"]["after"]) for line in log if "triggered_run" in (line["changes"] or {})]
    assert sorted(noted) == sorted(started)
    assert set().union(*(client.triggered for client in clients)) <= started
