"""A whole list as one reply, from real server processes: processor time, memory, and whether others are still answered.

`python -m bench.stream serve` is the hand-written server, `python -m bench.stream rate` the client that asks for /health.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
import uvloop

from app.settings import Settings
from app.wiring import assemble
from bench import handwritten
from bench.data import fill
from bench.databases import fresh
from bench.targets import Verdict
from storage.sql.opening import open_database

MEGABYTE = 2**20

SECONDS = 0.7
"""For which /health is asked in one go."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """What the whole list cost a server: seconds of its processor time, megabytes, and answers of /health per second."""

    digest: str
    size: int
    cpu: Sequence[float]
    growth: float
    idle: Sequence[float]
    busy: Sequence[float]

    @property
    def megabytes(self) -> float:
        return self.size / MEGABYTE


async def measure(database: str, rows: int, rounds: int, verdict: Verdict) -> None:
    """Fill a database, serve it twice, ask both."""
    async with fresh(database) as settings:
        parts = await assemble(settings)
        try:
            filled = await fill(parts.database, files=rows, transfers_per_file=0)
            token = parts.services.tokens.issue(filled.admin, 1)
        finally:
            await parts.close()
        hand, ours = await asyncio.to_thread(_both, settings, token, rounds)
    if (hand.digest, hand.size) != (ours.digest, ours.size):
        raise SystemExit(f"streams differ: {hand.size} bytes by hand, {ours.size} of ours")
    verdict.streamed(f"GET /api/files, {rows:,} rows, {database}", hand, ours)


def _both(settings: Settings, token: str, rounds: int) -> tuple[Streamed, Streamed]:
    with _server(settings, ["-m", "bench.stream", "serve"]) as by_hand, _server(settings, ["-m", "app.cli", "serve"]) as ours:
        servers = [Server(*by_hand, "/files", token), Server(*ours, "/api/files", token)]
        growth = [server.growth() for server in servers]
        costs = [[server.cost() for server in servers] for _ in range(rounds)]
        rates = [server.rates(rounds) for server in servers]
    cpu = list(zip(*costs, strict=True))
    first, second = (Streamed(*server.last, cpu[index], growth[index], *rates[index]) for index, server in enumerate(servers))
    return first, second


class Server:
    """One process that serves the list."""

    def __init__(self, process: int, address: str, path: str, token: str) -> None:
        self._folder, self._url, self._path = Path(f"/proc/{process}"), urlsplit(address), path
        self._headers = {"authorization": f"Bearer {token}"}
        self.last = ("", 0)

    def growth(self) -> float:
        """Megabytes that the first whole list needs, after a page of it."""
        self._get(f"{self._path}?limit=500")
        (self._folder / "clear_refs").write_text("5")  # forgets the peak
        before = self._memory("VmRSS")
        self._get(self._path)
        return (self._memory("VmHWM") - before) / 1024

    def cost(self) -> float:
        """Seconds of processor time of the whole list."""
        before = self._time()
        self.last = self._get(self._path)
        return self._time() - before

    def rates(self, rounds: int) -> tuple[list[float], list[float]]:
        """Answers of /health per second, round by round: while nothing else is asked, and while the list is read."""
        idle, busy = [], []
        command = [sys.executable, "-m", "bench.stream", "rate", self._url.netloc]  # a process of its own: this one is reading
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
            for _ in range(rounds):
                idle.append(_ask(client))
                with self._being_read():
                    busy.append(_ask(client))
        return idle, busy

    @contextmanager
    def _being_read(self) -> Iterator[None]:
        """The list, again and again, by a client that does as little with it as it can: the processor is for the server."""
        stop, buffer = threading.Event(), bytearray(MEGABYTE)
        lines = [f"GET {self._path} HTTP/1.1", "host: bench", "connection: close", *map(": ".join, self._headers.items())]

        def read() -> None:
            while not stop.is_set():
                with socket.create_connection((self._url.hostname, self._url.port)) as connection:
                    connection.sendall("\r\n".join([*lines, "", ""]).encode())
                    while connection.recv_into(buffer):
                        pass

        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield
        finally:
            stop.set()
            reader.join()

    def _get(self, target: str) -> tuple[str, int]:
        """Digest and size of an answer."""
        connection = http.client.HTTPConnection(self._url.netloc)
        try:
            connection.request("GET", target, headers=self._headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise SystemExit(f"{target} answers {answer.status} {answer.read()[:300]!r}")
            digest, size = hashlib.sha256(), 0
            while part := answer.read(MEGABYTE // 4):
                digest.update(part)
                size += len(part)
        finally:
            connection.close()
        return digest.hexdigest(), size

    def _memory(self, name: str) -> int:
        """Kilobytes."""
        found = re.search(rf"^{name}:\s+(\d+) kB", (self._folder / "status").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1])

    def _time(self) -> float:
        """Of all threads, exactly."""
        return sum(int(each.read_text().split()[0]) for each in self._folder.glob("task/*/schedstat")) / 1e9


@contextmanager
def _server(settings: Settings, command: Sequence[str]) -> Iterator[tuple[int, str]]:
    """A server over the same database, and its address. It logs to a file, as ours would."""
    environment = _environment(settings)
    log = settings.data_dir / f"{command[1]}.log"
    options = ["--port", "0", "--workers", "0"] if "app.cli" in command else []
    with log.open("wb") as errors:
        process = subprocess.Popen([sys.executable, *command, *options], env=environment, stderr=errors, stdout=errors)
        try:
            yield process.pid, _address(process, log)
        except OSError as error:
            raise SystemExit(f"{error}\n{log.read_text()}") from error
        finally:
            process.terminate()
            process.wait(30)


def _environment(settings: Settings) -> Mapping[str, str]:
    return os.environ | {
        "SWITCHYARD_DATA_DIR": str(settings.data_dir),
        "SWITCHYARD_DATABASE_URL": settings.url,
        "SWITCHYARD_RATE": str(settings.rate),
    }


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where it listens, once it says so."""
    for _ in range(600):
        found = re.search(r"listening on (http://\S+)", log.read_text())
        if found is not None:
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise SystemExit(f"a server did not start:\n{log.read_text()}")


def _ask(client: subprocess.Popen[bytes]) -> float:
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(b"go\n")
    client.stdin.flush()
    return float(client.stdout.readline())


# --- the processes -----------------------------------------------------------------------------------------------------


async def _serve_by_hand() -> None:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]  # pydantic-settings takes it
    database = await open_database(settings.url)
    app = handwritten.application(database, handwritten.verify_with_pyjwt(settings))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        config = uvicorn.Config(app, http="httptools", log_level="warning", access_log=False)
        await uvicorn.Server(config).serve([listener])
    await database.close()


def _rate(server: str) -> None:
    """For each line that comes in: how many answers of /health come per second, one after the other over one connection."""
    connection = http.client.HTTPConnection(server)
    for _ in sys.stdin:
        begun, count = time.perf_counter(), 0
        while (spent := time.perf_counter() - begun) < SECONDS:
            connection.request("GET", "/health")
            connection.getresponse().read()
            count += 1
        print(count / spent, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve_by_hand())
    else:
        _rate(sys.argv[2])
