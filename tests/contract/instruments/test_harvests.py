"""Real input through a real server: the sample instruments, harvested by its worker process. Contract §8 and §9."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import xxhash

from app.demo import EMAIL, INSTRUMENTS_OF_THE_DEMO, PASSWORD, SAMPLES

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.slow

SAMPLE_FILES = {
    (name, path.relative_to(SAMPLES / folder).as_posix()): path
    for name, folder, *_ in INSTRUMENTS_OF_THE_DEMO
    for path in sorted((SAMPLES / folder).rglob("*"))
    if path.is_file()
}


class Server:
    """One process of the program, and those that it starts."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.data, self.log = folder / "data", folder / "log"
        own = ("SWITCHYARD_", "ADMIN_", "COOKIE_", "DATABASE_", "SECRET_", "STREAMWEAVE_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        command = [sys.executable, "-m", "app.cli", "serve", "--demo", "--data-dir", str(self.data), "--port", str(port)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,  # no .env of a developer is here
                env=environment | {"PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)

    def wait_for(self, what: str, found: Callable[[], Any], seconds: float) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log.read_text()
            with contextlib.suppress(httpx.TransportError):
                if value := found():
                    return value
            time.sleep(0.2)
        raise AssertionError(f"{what}: not within {seconds} s\n{self.log.read_text()}")

    def sign_in(self) -> None:
        reply = self.client.post("/auth/jwt/login", data={"username": EMAIL, "password": PASSWORD})
        assert reply.status_code == 200, reply.text
        self.client.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"

    def get(self, path: str) -> Any:
        reply = self.client.get(path)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def graphql(self, query: str) -> dict[str, Any]:
        reply = self.client.post("/graphql", json={"query": query})
        assert reply.status_code == 200, reply.text
        body: dict[str, Any] = reply.json()
        assert "errors" not in body, body
        return dict(body["data"])

    def processes_left(self) -> bool:
        """Whether any of its process group is still there."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def close(self) -> None:
        self.client.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    try:
        server.wait_for("the server answers", lambda: server.client.get("/health").is_success, 30)
        server.sign_in()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def harvested(server: Server) -> Server:
    """Every schedule was triggered, and nothing is under way any more."""
    triggered = set()
    for schedule in server.get("/api/schedules?shape=array"):
        reply = server.client.post(f"/api/schedules/{schedule['id']}/trigger")
        assert reply.status_code == 200, reply.text
        assert reply.json()["schedule_id"] == schedule["id"]
        triggered.add(reply.json()["flow_run_id"])
    assert len(triggered) == len(INSTRUMENTS_OF_THE_DEMO)

    def ended() -> bool:
        runs = server.graphql("{ harvestRuns(first: 100) { nodes { localId state message instrument { name } } } }")
        nodes = runs["harvestRuns"]["nodes"]
        states = {node["localId"]: node["state"] for node in nodes}
        assert "FAILED" not in states.values(), nodes
        done = {node["instrument"]["name"] for node in nodes if node["state"] == "SUCCEEDED"}
        # A trigger while the same instrument's harvest waits is SKIPPED: that one does the work.
        over = triggered <= {key for key, state in states.items() if state in {"SUCCEEDED", "SKIPPED"}}
        return over and len(done) == len(INSTRUMENTS_OF_THE_DEMO)

    server.wait_for("the harvests succeed", ended, 60)
    return server


def named_files(server: Server) -> dict[tuple[str, str], dict[str, Any]]:
    """By instrument and path."""
    names = {row["id"]: row["name"] for row in server.get("/api/instruments?shape=array")}
    return {(names[row["instrument_id"]], row["source_path"]): row for row in server.get("/api/files")}


def test_the_first_admin_comes_from_the_settings(server: Server):
    me = server.get("/users/me")

    assert (me["email"], me["role"], me["is_superuser"], me["is_active"]) == (EMAIL, "admin", True, True)


def test_every_sample_file_is_recorded(harvested: Server):
    files = named_files(harvested)

    assert set(files) == set(SAMPLE_FILES)
    assert len(SAMPLE_FILES) > 20
    for key, path in SAMPLE_FILES.items():
        content = path.read_bytes()
        row = files[key]
        assert (row["xxhash"], row["size_bytes"]) == (xxhash.xxh64_hexdigest(content), len(content))
        assert (row["filename"], row["sha256"], row["owner_id"]) == (path.name, None, None)
        date, sample = key[1].split("/")[0].split("_")[:2]
        assert row["metadata_"] == {"date": date, "sample": sample}, "the demonstration has a hook that reads them"
        assert row["persistent_id_type"] == "ark"
        assert row["persistent_id"].startswith("ark:/99999/fk4")
        assert len(row["persistent_id"]) == len("ark:/99999/fk4") + 26
    assert len({row["persistent_id"] for row in files.values()}) == len(files)


def test_every_transfer_is_verified(harvested: Server):
    files = {row["id"]: (key, row) for key, row in named_files(harvested).items()}
    (location,) = harvested.get("/api/storage-locations")["items"]
    transfers = harvested.get("/api/transfers")

    assert sorted(row["file_id"] for row in transfers) == sorted(files)
    for row in transfers:
        (instrument, path), file = files[row["file_id"]]
        assert (row["status"], row["checksum_verified"], row["error_message"]) == ("completed", True, None)
        assert row["source_checksum"] == row["dest_checksum"] == file["xxhash"]
        assert row["bytes_transferred"] == file["size_bytes"]
        assert (row["storage_location_id"], row["transfer_adapter"]) == (location["id"], "rclone")
        assert row["started_at"] <= row["completed_at"]
        assert row["prefect_flow_run_id"]
        copy = Path(row["destination_path"])
        assert copy == Path(location["base_path"], instrument, path)
        assert copy.read_bytes() == SAMPLE_FILES[instrument, path].read_bytes()


def test_every_instrument_was_harvested(harvested: Server):
    instruments = harvested.get("/api/instruments")["items"]

    assert [row["name"] for row in instruments] == [name for name, *_ in INSTRUMENTS_OF_THE_DEMO]
    assert all(row["last_harvested_at"] for row in instruments)


def test_an_unchanged_instrument_yields_nothing_new(harvested: Server):
    before = harvested.get("/api/files"), harvested.get("/api/transfers")
    (schedule, *_) = harvested.get("/api/schedules?shape=array")
    run = harvested.client.post(f"/api/schedules/{schedule['id']}/trigger").json()["flow_run_id"]

    def ended() -> bool:
        query = f'{{ harvestRun(localId: "{run}") {{ state }} }}'
        return harvested.graphql(query)["harvestRun"]["state"] in {"SUCCEEDED", "SKIPPED"}

    harvested.wait_for("another harvest ends", ended, 30)
    assert (harvested.get("/api/files"), harvested.get("/api/transfers")) == before


QUERY = """{ instruments { nodes { name files(first: 3) { nodes {
  filename persistentId checksum transfers { nodes { status checksumVerified } } } } } } }"""


def test_one_question_across_the_graph(harvested: Server):
    nodes = harvested.graphql(QUERY)["instruments"]["nodes"]

    files = named_files(harvested)
    by_identifier = {row["persistent_id"]: (instrument, row) for (instrument, _), row in files.items()}
    assert [node["name"] for node in nodes] == [name for name, *_ in INSTRUMENTS_OF_THE_DEMO]
    for node in nodes:
        assert len(node["files"]["nodes"]) == 3
        for file in node["files"]["nodes"]:
            instrument, row = by_identifier[file["persistentId"]]
            assert instrument == node["name"]
            assert file == {
                "filename": row["filename"],
                "persistentId": row["persistent_id"],
                "checksum": row["xxhash"],
                "transfers": {"nodes": [{"status": "COMPLETED", "checksumVerified": True}]},
            }


def test_it_ends_when_told_and_leaves_no_process_behind(harvested: Server):
    harvested.process.send_signal(signal.SIGTERM)

    harvested.process.wait(15)

    assert not harvested.processes_left()
    assert "Traceback" not in harvested.log.read_text()
