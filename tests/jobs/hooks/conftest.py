"""Hooks and those who may be granted files; and a webhook that does as it is told: a real server on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

import pytest

from core.identity import INSTRUMENTS
from core.vocabulary import HookImplementation, HookTrigger
from storage.sql.tables import groups, hooks, memberships, projects, users
from tests.jobs.conftest import NOON, Laboratory

TIMES = {"created_at": NOON, "updated_at": NOON}


@dataclass
class Hearing:
    """One call as the server had it."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


Answer = Callable[[BaseHTTPRequestHandler, Hearing], None]


@dataclass
class Webhook:
    """What it was asked, and what it answers."""

    port: int = 0
    heard: list[Hearing] = field(default_factory=list)
    answer: Answer = lambda handler, _: reply(handler, {})
    connections: set[tuple[str, int]] = field(default_factory=set)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def says(self, said: object) -> None:
        self.answer = lambda handler, _: reply(handler, said)


def reply(handler: BaseHTTPRequestHandler, said: object, status: int = 200, **headers: str) -> None:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Webhook]:
    told = Webhook()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hearing = Hearing(self.path, dict(self.headers), json.loads(body))
            told.heard.append(hearing)
            told.connections.add(self.client_address)
            try:
                told.answer(self, hearing)
            except OSError:  # whoever asked has gone
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Connections that the other side has left."""

    listening = Server(("127.0.0.1", 0), Handler)
    told.port = listening.server_port
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield told
    told.stopping.set()
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.fixture
def add_hook(laboratory: Laboratory):
    async def add(builtin: str, config: dict[str, Any] | None = None, **columns: Any) -> UUID:
        trigger = HookTrigger.PRE_TRANSFER if builtin == "file_filter" else HookTrigger.POST_TRANSFER
        row = {
            "id": uuid4(),
            "name": columns.pop("name", builtin),
            "trigger": trigger,
            "implementation": HookImplementation.BUILTIN,
            "builtin_name": builtin,
            "config": config,
            "priority": 0,
            "enabled": True,
        }
        async with laboratory.database.transaction() as transaction:
            await transaction.insert(hooks, **row | TIMES | columns)
        return row["id"]

    return add


@pytest.fixture
def known(laboratory: Laboratory):
    """Somebody, and groups and projects, by name."""

    async def add(*, email: str = "", group: str = "", project: str = "", domain: str = INSTRUMENTS, **columns: Any) -> UUID:
        key = uuid4()
        async with laboratory.database.transaction() as transaction:
            if email:
                person = {
                    "email": email,
                    "email_folded": email.casefold(),
                    "password_hash": "x",
                    "credentials_version": 1,
                    "is_active": True,
                    "is_superuser": False,
                    "is_verified": False,
                }
                await transaction.insert(users, id=key, **person, **TIMES, **columns)
                await transaction.insert(memberships, user_id=key, domain=domain, role="user", created_at=NOON)
            else:
                table = groups if group else projects
                await transaction.insert(table, id=key, name=group or project, **TIMES, **columns)
        return key

    return add
