"""A server process whose PostgreSQL is killed and comes back, while clients read and write."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.app.test_server import serving
from tests.servers import SERVERS, environment

pytestmark = pytest.mark.slow

ADMIN = {"ADMIN_EMAIL": "ada@example.org", "ADMIN_PASSWORD": "correct horse"}
WRITERS = 3


class Postgres:
    """A server of this test's own, to be killed."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._environment = os.environ | {"PG_DIR": str(folder), "PG_PORT": str(self.port), "PG_PASSWORD": "pgsecret"}
        self.url = f"postgresql+asyncpg://postgres:pgsecret@127.0.0.1:{self.port}/postgres"

    def tell(self, verb: str) -> None:
        subprocess.run([SERVERS / "postgres", verb], env=self._environment, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    environment("postgres")  # whether there is PostgreSQL at all
    server = Postgres(folder)
    server.tell("start")
    try:
        yield server
    finally:
        server.tell("stop")


class Writer(threading.Thread):
    """Makes one row after the other, and remembers which of them the server has acknowledged."""

    def __init__(self, address: str, headers: dict[str, str], name: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._address, self._headers, self._name, self._stop_asked = address, headers, name, stop
        self.acknowledged: list[str] = []
        self.statuses: Counter[int] = Counter()

    def run(self) -> None:
        with httpx.Client(base_url=self._address, headers=self._headers, timeout=60) as client:
            number = 0
            while not self._stop_asked.is_set():
                number += 1
                name = f"{self._name}-{number}"
                body = {"name": name, "cifs_host": "nmr.example.org", "cifs_share": "data"}
                reply = client.post("/api/instruments", json=body)
                self.statuses[reply.status_code] += 1
                if reply.status_code == 201:
                    self.acknowledged.append(name)
                self.statuses[client.get("/api/instruments?limit=5").status_code] += 1


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where PostgreSQL, which is never root, can get in: the folders of pytest are closed to others."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_nothing_acknowledged_is_lost_when_the_database_is_killed(tmp_path, folder):
    with (
        postgres(folder) as database,
        serving(tmp_path, "--workers", "1", SWITCHYARD_DATABASE_URL=database.url, **ADMIN) as server,
    ):
        password = {"username": ADMIN["ADMIN_EMAIL"], "password": ADMIN["ADMIN_PASSWORD"]}
        token = httpx.post(f"{server.address}/auth/jwt/login", data=password).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        stop = threading.Event()
        writers = [Writer(server.address, headers, f"writer-{number}", stop) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for _ in range(2):
            time.sleep(1.5)
            database.tell("kill9")
            time.sleep(0.5)
            database.tell("start")
        _until_it_writes_again(server.address, headers)
        stop.set()
        for writer in writers:
            writer.join(60)

        statuses = sum((writer.statuses for writer in writers), Counter())
        assert set(statuses) == {200, 201, 503}, statuses
        stored = httpx.get(f"{server.address}/api/instruments?shape=array", headers=headers, timeout=60).json()
        names = [row["name"] for row in stored]
        acknowledged = [name for writer in writers for name in writer.acknowledged]
        assert set(acknowledged) <= set(names)
        assert len(names) == len(set(names))
        assert server.process.poll() is None
        code, _, log = server.end()
    assert code == 0, log


def _until_it_writes_again(address: str, headers: dict[str, str]) -> None:
    body = {"name": "afterwards", "cifs_host": "nmr.example.org", "cifs_share": "data"}
    for _ in range(100):
        if httpx.post(f"{address}/api/instruments", json=body, headers=headers, timeout=60).status_code == 201:
            return
        time.sleep(0.2)
    pytest.fail("the server does not write again")
