"""The ASGI application around GraphQL and REST, and the process that serves it over HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import build_schema
from openapi_spec_validator import validate

from app.server import address_of, is_loopback, listen
from app.settings import documented
from core.errors import Unavailable
from rest_compat.calls import StreamCut

ROOT = Path(__file__).parents[2]


def assert_problem(reply: httpx.Response, status: int, title: str, detail: str) -> None:
    """RFC 9457. `instance` is the request's id."""
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
    assert reply.json() == {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": reply.headers["x-request-id"],
    }


# --- what is served ----------------------------------------------------------------------------------------------------


async def test_health(world):
    reply = await world.anonymous.request("GET", "/health")
    assert (reply.status_code, reply.headers["content-type"], reply.json()) == (200, "application/json", {"status": "ok"})


async def test_schema(world):
    reply = await world.anonymous.request("GET", "/schema.graphql")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert reply.text == (ROOT / "schema" / "schema.graphql").read_text()
    assert build_schema(reply.text).query_type is not None


@pytest.mark.slow
async def test_openapi(world):
    merged = await world.anonymous.request("GET", "/openapi.json")
    single = await world.anonymous.request("GET", "/openapi/instruments.json")
    for reply in (merged, single):
        assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
        validate(reply.json())
    assert merged.json()["info"]["title"] == "Switchyard"
    assert single.json()["info"]["title"] == "Switchyard: instruments"
    assert set(single.json()["paths"]) <= set(merged.json()["paths"])


async def test_every_route_is_in_the_openapi_document(world):
    paths = (await world.anonymous.request("GET", "/openapi.json")).json()["paths"]
    for route in world.parts.shim.routes:
        assert route.method.lower() in paths[route.path]


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/openapi/nobody.json", "no dialect nobody: there are instruments, lookups"),
        ("/health/ready/", "Not Found"),
        ("/nothing", "Not Found"),
        ("/health/", "Not Found"),
        ("/graphql/", "Not Found"),
        ("/static/nothing.js", "Not Found"),
        ("/static/../../settings.py", "Not Found"),
        ("/static/%2e%2e/%2e%2e/settings.py", "Not Found"),
        ("/nothing%0aelse", "Not Found"),
    ],
)
async def test_what_is_not_there(world, path, detail):
    reply = await world.anonymous.request("GET", path)
    assert_problem(reply, 404, "Not Found", detail)


async def test_what_is_not_there_in_a_dialect_is_said_as_the_dialect_does(world):
    reply = await world.anonymous.request("GET", "/api/nothing")
    assert (reply.status_code, reply.headers["content-type"], reply.json()) == (
        404,
        "application/json",
        {"detail": "Not Found"},
    )


@pytest.mark.parametrize("path", ["/health", "/schema.graphql", "/openapi.json", "/openapi/instruments.json", "/docs", "/"])
async def test_methods_that_are_not_allowed(world, path):
    for method in ("POST", "DELETE", "OPTIONS"):
        reply = await world.anonymous.request(method, path)
        assert_problem(reply, 405, "Method Not Allowed", "Method Not Allowed")
        assert set(reply.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize("path", ["/health", "/schema.graphql", "/openapi.json", "/docs", "/api/instruments"])
async def test_head(world, path):
    reply, head = [await world.admin.request(method, path) for method in ("GET", "HEAD")]
    assert head.status_code == reply.status_code == 200
    assert head.headers["content-type"] == reply.headers["content-type"]


async def test_rest_routes_come_first(world):
    reply = await world.anonymous.request("GET", "/api/instruments")
    assert (reply.status_code, reply.json()) == (401, {"detail": "Unauthorized"})
    reply = await world.user.request("GET", "/users/me")
    assert reply.json()["email"] == "bob@example.org"


# --- the log -----------------------------------------------------------------------------------------------------------


async def logged(world, caplog, method: str, path: str) -> tuple[httpx.Response, list[str]]:
    caplog.clear()
    caplog.set_level(logging.INFO, "switchyard")
    reply = await world.user.request(method, path)
    return reply, [record.getMessage() for record in caplog.records if record.name == "switchyard"]


async def test_a_line_per_request(world, caplog):
    for method, path, status in (("GET", "/health", 200), ("GET", "/api/instruments", 200), ("POST", "/nothing", 404)):
        reply, (line,) = await logged(world, caplog, method, path)
        request_id = reply.headers["x-request-id"]
        assert re.fullmatch(rf"{method} {path} {status} \d+\.\d ms {request_id}", line)
        assert re.fullmatch("[0-9a-f]{16}", request_id)


async def test_every_request_has_an_id_of_its_own(world):
    ids = {
        (await world.anonymous.request("GET", "/health", headers={"x-request-id": "mine"})).headers["x-request-id"]
        for _ in range(3)
    }
    assert len(ids) == 3
    assert "mine" not in ids


async def test_the_query_string_is_not_logged(world, caplog):
    _, (line,) = await logged(world, caplog, "GET", "/api/instruments?token=hunter2")
    assert "hunter2" not in line


async def test_a_path_cannot_forge_lines(world, caplog):
    _, (line,) = await logged(world, caplog, "GET", "/a%0d%0aERROR%20%1b[31m%C3%A4%25")
    assert line.startswith("GET /a%0D%0AERROR%20%1B%5B31m%C3%A4%25 404 ")


# --- what goes wrong ---------------------------------------------------------------------------------------------------


async def test_what_nobody_foresaw(world, monkeypatch, caplog):
    def broken(*_: Any) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr("rest_compat.shim.RestShim.match", broken)
    reply = await world.user.request("GET", "/health")
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    error_id = record.args[0]
    assert_problem(reply, 500, "Internal Server Error", f"Internal error; quote {error_id} when reporting it")
    assert record.getMessage() == f"error {error_id} in request {reply.headers['x-request-id']}"
    assert str(record.exc_info[1]) == "the password is hunter2"


async def test_an_error_in_a_rest_call_is_found_under_the_id_of_the_reply(world, monkeypatch, caplog):
    async def broken(*_: Any) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr("app.wiring.Contexts.__call__", broken)
    reply = await world.user.request("GET", "/api/instruments")
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert reply.status_code == 500
    assert "hunter2" not in reply.text
    assert re.search("quote ([0-9a-f]+) when", reply.text)[1] in record.getMessage()


async def test_a_store_that_is_down(world, monkeypatch):
    async def down(*_: Any) -> None:
        raise Unavailable("the database does not answer")

    monkeypatch.setattr("app.wiring.Contexts.__call__", down)
    reply = await world.user.request("GET", "/api/instruments")
    assert (reply.status_code, reply.json()) == (503, {"detail": "the database does not answer"})
    assert (await world.user.request("GET", "/health")).status_code == 200


async def answered(app) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message):
        sent.append(message)

    async def receive():
        await asyncio.sleep(3600)

    scope = {"type": "http", "method": "GET", "path": "/x", "raw_path": b"/x", "query_string": b"", "headers": []}
    with pytest.raises(StreamCut):
        await app(scope, receive, send)
    return sent


@pytest.mark.parametrize("error", [StreamCut("see error 1"), RuntimeError("hunter2")])
async def test_a_reply_that_fails_half_way_is_cut_off(world, monkeypatch, caplog, error):
    """The client must see that something is missing: no last chunk, and no second status line."""

    async def half(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"[1,", "more_body": True})
        raise error

    caplog.set_level(logging.INFO, "switchyard")
    monkeypatch.setattr("rest_compat.shim.RestShim.match", lambda *_: half)
    start, body = await answered(world.app)
    assert (start["status"], body["more_body"]) == (200, True)
    lines = [record.getMessage() for record in caplog.records if record.name == "switchyard"]
    assert re.match(r"GET /x 200 cut off \d", lines.pop())
    assert len(lines) == (0 if isinstance(error, StreamCut) else 1)  # whoever cuts a stream has logged why


# --- other origins -----------------------------------------------------------------------------------------------------

ORIGIN = "https://lab.example.org"
PREFLIGHT = {"origin": ORIGIN, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}


async def test_no_other_origin_unless_it_is_set(world):
    reply = await world.user.request("GET", "/health", headers={"origin": ORIGIN})
    assert not [name for name in reply.headers if name.startswith("access-control")]
    assert (await world.user.request("OPTIONS", "/graphql", headers=PREFLIGHT)).status_code == 405


async def test_the_listed_origins_may_call(assembled):
    async with assembled(SWITCHYARD_CORS_ORIGINS=f"https://other.example.org, {ORIGIN}") as world:
        preflight = await world.anonymous.request("OPTIONS", "/graphql", headers=PREFLIGHT)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == ORIGIN
        assert preflight.headers["access-control-allow-credentials"] == "true"
        assert "x-request-id" in preflight.headers
        for path in ("/health", "/api/instruments", "/nothing"):
            reply = await world.anonymous.request("GET", path, headers={"origin": ORIGIN})
            assert reply.headers["access-control-allow-origin"] == ORIGIN
            assert reply.headers["access-control-expose-headers"] == (
                "X-Request-ID, X-Total-Count, RateLimit, RateLimit-Policy, Retry-After, ETag, Idempotent-Replayed"
            )
            assert "Origin" in reply.headers["vary"]


@pytest.mark.parametrize("origin", ["https://evil.example.org", "null", f"{ORIGIN}.evil.org", "http://lab.example.org"])
async def test_no_other_origin_may_call(assembled, origin):
    async with assembled(SWITCHYARD_CORS_ORIGINS=ORIGIN) as world:
        preflight = await world.anonymous.request("OPTIONS", "/graphql", headers=PREFLIGHT | {"origin": origin})
        assert preflight.status_code == 400
        for reply in (preflight, await world.user.request("GET", "/health", headers={"origin": origin})):
            assert "access-control-allow-origin" not in reply.headers


async def test_an_error_can_be_read_by_the_listed_origins(assembled, monkeypatch):
    def broken(*_: Any) -> None:
        raise RuntimeError

    async with assembled(SWITCHYARD_CORS_ORIGINS=ORIGIN) as world:
        monkeypatch.setattr("rest_compat.shim.RestShim.match", broken)
        reply = await world.anonymous.request("GET", "/health", headers={"origin": ORIGIN})
        assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (500, ORIGIN)


# --- listening ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_listening(host):
    with listen(host, 0) as listener:
        assert address_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ValueError, match=rf"cannot listen on {host}, port \d+: Address already in use"):
            listen(host, listener.getsockname()[1])


def test_listening_on_nothing_that_is_ours():
    with pytest.raises(ValueError, match=r"cannot listen on 192\.0\.2\.1, port 0: "):
        listen("192.0.2.1", 0)
    with pytest.raises(ValueError, match=r"cannot listen on no\.such\.host\.invalid, port 0: "):
        listen("no.such.host.invalid", 0)


@pytest.mark.skipif(not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists(), reason="no IPv6 here")
def test_listening_on_ipv6():
    with listen("::1", 0) as listener:
        assert address_of(listener) == f"http://[::1]:{listener.getsockname()[1]}"


def test_loopback():
    assert [host for host in ("127.0.0.1", "127.8.0.1", "::1", "localhost") if not is_loopback(host)] == []
    assert [host for host in ("0.0.0.0", "::", "192.168.0.1", "example.org", "") if is_loopback(host)] == []


# --- the process -------------------------------------------------------------------------------------------------------


class Server:
    """`switchyard serve` in a process of its own."""

    def __init__(self, folder: Path, *options: str, program: Sequence[str] = ("-m", "app.cli"), **settings: str) -> None:
        ours = {name for setting in documented() for name in setting.names}
        environment = {name: value for name, value in os.environ.items() if name not in ours}
        self.stderr = (folder / "stderr").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, *program, "serve", "--port", "0", "--data-dir", str(folder / "data"), *options],
            cwd=folder,
            env=environment | {"PYTHONPATH": str(ROOT)} | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            text=True,
        )

    def log(self) -> str:
        self.stderr.flush()
        return Path(self.stderr.name).read_text()

    def wait_for(self, pattern: str) -> re.Match[str]:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            found = re.search(pattern, self.log())
            if found:
                return found
            assert self.process.poll() is None, self.log()
            time.sleep(0.05)
        raise AssertionError(f"no {pattern} in {self.log()}")

    @property
    def address(self) -> str:
        address = self.wait_for(r"listening on (http://\S+)")[1]
        self.wait_for("Uvicorn running|Application startup complete")
        return address

    def end(self) -> tuple[int, str, str]:
        """Exit code, standard output and log."""
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output, self.log()


@contextmanager
def serving(folder: Path, *options: str, **settings: Any) -> Iterator[Server]:
    server = Server(folder, *options, **settings)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()
        server.stderr.close()


@pytest.mark.slow
def test_the_server_process(tmp_path):
    with serving(tmp_path, "--workers", "1") as server:
        address = server.address
        assert httpx.get(f"{address}/health").json() == {"status": "ok"}
        reply = httpx.post(f"{address}/graphql", json={"query": "{ __typename }"})
        assert (reply.status_code, reply.json()) == (200, {"data": {"__typename": "Query"}})
        assert "server" not in reply.headers
        assert httpx.head(f"{address}/graphql", params={"query": "{ __typename }"}).content == b""
        password = {"username": "admin@localhost", "password": "wrong horse"}
        assert httpx.post(f"{address}/auth/jwt/login?why=secret-query", data=password).status_code == 400
        code, output, log = server.end()
    assert code == 0, log
    assert re.search(r"Created the first admin: admin@localhost with the password (\S{24}) \(shown only now\)\.", output)
    assert re.search(r"^\S+ \S+ INFO    switchyard POST /auth/jwt/login 400 \d+\.\d ms [0-9a-f]{16}$", log, re.MULTILINE)
    assert "secret-query" not in log
    assert "wrong horse" not in log
    assert "Traceback" not in log
    assert log.count("GET /health") == 1
    assert (tmp_path / "data" / "switchyard.db").exists()
    assert not (tmp_path / "data" / "switchyard.db-wal").exists(), "everything was closed"


@pytest.mark.slow
def test_sigterm_lets_a_request_end(tmp_path):
    """A body that is still being sent when the server is told to end is read, and answered."""
    body = json.dumps({"query": "{ __typename }"}).encode()
    with serving(tmp_path, "--workers", "0") as server:
        host, port = server.address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body[:5]
            )
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            server.wait_for("Shutting down")
            time.sleep(0.5)
            assert server.process.poll() is None
            connection.sendall(body[5:])
            connection.settimeout(10)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        server.process.communicate(timeout=30)
        assert server.process.returncode == 0, server.log()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b'\r\n\r\n{"data":{"__typename":"Query"}}')


@pytest.mark.slow
def test_a_stream_that_fails_cuts_the_connection(tmp_path):
    """Seen by the client as a broken reply; logged once, with its cause."""
    (tmp_path / "broken.py").write_text(
        "import rest_compat.calls as calls\n"
        "async def rows(self):\n"
        "    yield [1]\n"
        "    raise RuntimeError('a cause to be found')\n"
        "calls.Call.rows = rows\n"
        "from app.cli import main\n"
        "main()\n"
    )
    login = {"username": "ada@example.org", "password": "correct horse"}
    settings = {"ADMIN_EMAIL": login["username"], "ADMIN_PASSWORD": login["password"]}
    with serving(tmp_path, "--workers", "0", program=["broken.py"], **settings) as server:
        token = httpx.post(f"{server.address}/auth/jwt/login", data=login).json()["access_token"]
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{server.address}/api/files", headers={"Authorization": f"Bearer {token}"})
        server.wait_for("cut off")
        code, _, log = server.end()
    assert code == 0
    assert log.count("RuntimeError: a cause to be found") == 1
    assert "ASGI" not in log
    assert re.search(r"GET /api/files 200 cut off", log)


@pytest.mark.slow
def test_workers_leave_with_the_server(tmp_path):
    with serving(tmp_path, "--workers", "2") as server:
        server.address  # noqa: B018
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        end = time.monotonic() + 20
        while len(pids := children.read_text().split()) < 2 and time.monotonic() < end:
            time.sleep(0.1)
        assert len(pids) == 2
        time.sleep(2)
        code, _, log = server.end()
    assert code == 0
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert "Traceback" not in log


@pytest.mark.slow
def test_several_servers_start_at_once_on_one_folder(tmp_path):
    """One of them decides on the secret key and migrates; the others wait for it."""
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        folder.mkdir()
    shared = {"SWITCHYARD_DATA_DIR": str(tmp_path / "shared")}
    started = [Server(folder, "--workers", "0", "--data-dir", shared["SWITCHYARD_DATA_DIR"]) for folder in folders]
    try:
        for server in started:
            assert httpx.get(f"{server.address}/health").status_code == 200
        ends = [server.end() for server in started]
    finally:
        for server in started:
            server.process.kill()
            server.process.communicate()
            server.stderr.close()
    assert [code for code, _, _ in ends] == [0, 0, 0]
    assert sum("Created the first admin" in output for _, output, _ in ends) == 1


@pytest.mark.slow
def test_a_taken_port(tmp_path):
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with serving(tmp_path, "--port", str(port)) as server:
            server.process.wait(60)
            assert (server.process.returncode, server.log()) == (
                1,
                f"switchyard: cannot listen on 127.0.0.1, port {port}: Address already in use\n",
            )
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "data").write_text("a file")
    with serving(tmp_path) as server:
        server.process.wait(60)
        assert server.process.returncode == 1
        assert re.fullmatch(rf"switchyard: [^\n]*{tmp_path}/data[^\n]*\n", server.log())
