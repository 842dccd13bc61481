"""What contract tests are written with: the whole application in this process, people who call it, and replies.

Nothing here knows how the application answers; what it should answer is in the tests.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Table, delete, exists, insert, select

from app.lookup_tokens import issue
from app.settings import Settings
from app.wiring import Parts
from core.identity import INSTRUMENTS
from rest_compat.openapi import response_schema
from storage.sql.tables import memberships, metadata, users
from tests.sharing import CHEAP, start

START = datetime(2026, 11, 21, 0, 29, 27, 495180, tzinfo=UTC)
PASSWORD = "correct horse"
PASSWORD_HASH = CHEAP.hash(PASSWORD)

_TABLES = tuple(reversed(metadata.sorted_tables))
_FILLED = select(*(exists(select(table)).label(table.name) for table in _TABLES))
UUID_PATTERN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME_PATTERN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")

# Contract §1: the formats of every id and time in every reply.
_FORMATS = FormatChecker(formats=())
_FORMATS.checks("uuid")(lambda value: not isinstance(value, str) or UUID_PATTERN.fullmatch(value) is not None)
_FORMATS.checks("date-time")(lambda value: not isinstance(value, str) or TIME_PATTERN.fullmatch(value) is not None)


@dataclass
class TickingClock:
    """Goes on by `tick` each time it is asked; stands still while that is nothing."""

    now: datetime = START
    tick: timedelta = timedelta()

    def __call__(self) -> datetime:
        self.now += self.tick
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)

    def reset(self) -> None:
        self.now, self.tick = START, timedelta()


@dataclass(repr=False)
class Api:
    """Somebody who calls the application. Every reply has to be what the OpenAPI document says, and never a 500."""

    world: World
    headers: Mapping[str, str] = field(default_factory=dict)
    id: UUID | None = None
    email: str | None = None

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {**self.headers, **options.pop("headers", {})}
        request = httpx.Request(method, f"http://switchyard.test{path}", headers=headers, **options)
        reply = await self.world.transport.handle_async_request(request)  # a client would keep cookies
        reply.request = request
        await reply.aread()
        self.world.check(method, reply)
        return reply

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Any) -> httpx.Response:
        return await self.request("POST", path, **options)

    async def patch(self, path: str, **options: Any) -> httpx.Response:
        return await self.request("PATCH", path, **options)

    async def delete(self, path: str, **options: Any) -> httpx.Response:
        return await self.request("DELETE", path, **options)

    async def made(self, path: str, **body: Any) -> dict[str, Any]:
        """The row that a POST of that body makes."""
        reply = await self.post(path, json=body)
        assert reply.status_code == 201, reply.text
        return dict(reply.json())


@dataclass(repr=False)
class World:
    """The application with its stores, and what tests have to know of them."""

    parts: Parts
    clock: TickingClock
    folder: Path
    transport: httpx.ASGITransport
    emptied: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What else is to be done when a test is over."""
    _validators: dict[tuple[str, int], Draft202012Validator] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._paths = self.parts.shim.openapi("Test", "1")["paths"]

    def anonymous(self) -> Api:
        return Api(self)

    async def person(self, email: str, role: str = "user", **columns: Any) -> Api:
        """Somebody with a valid token, and the password `PASSWORD`."""
        key, at = uuid4(), self.clock.now
        row = {
            "id": key,
            "email": email,
            "email_folded": email.casefold(),
            "password_hash": PASSWORD_HASH,
            "credentials_version": 1,
            "is_active": True,
            "is_superuser": False,
            "is_verified": False,
            "created_at": at,
            "updated_at": at,
        }
        async with self.parts.database.transaction() as transaction:
            await transaction.insert(users, **row | columns)
            await transaction.insert(memberships, user_id=key, domain=INSTRUMENTS, role=role, created_at=at)
        return Api(self, bearer(self.parts.services.tokens.issue(key, 1)), key, email)

    def vouched(self, resources: Mapping[str, Sequence[str]], subject: str = "user:42", lifetime: int = 10**7) -> Api:
        """Somebody for whom the issuer of tokens for lookups vouches, in those tenants."""
        granted = {tenant: list(each) for tenant, each in resources.items()}
        return Api(self, bearer(issue(LOOKUPS_SECRET, subject, granted, lifetime, self.clock)))

    async def insert(self, table: Table, *rows: Mapping[str, Any]) -> None:
        """Rows as something other than this API stored them: a harvest, an earlier version."""
        async with self.parts.database.transaction() as transaction:
            await transaction.execute(insert(table), rows)

    async def rows(self, table: Table) -> Sequence[Mapping[str, Any]]:
        return await self.parts.database.all(select(table))

    async def clear(self) -> None:
        """Forget everything that a test has stored."""
        filled = await self.parts.database.first(_FILLED)
        assert filled is not None
        async with self.parts.database.transaction() as transaction:
            for table in _TABLES:
                if filled[table.name]:
                    await transaction.execute(delete(table))
        for empty in self.emptied:
            await empty()
        self.clock.reset()

    async def stored_bytes(self) -> bytes:
        """Everything that is stored: the files of the data folder, and every row."""
        files = b"".join(path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file())
        rows = [await self.parts.database.fetch(f"SELECT * FROM {table.name}", []) for table in _TABLES]
        return files + repr(rows).encode()

    def check(self, method: str, reply: httpx.Response) -> None:
        """Raise unless the OpenAPI document allows the reply."""
        status = reply.status_code
        assert status != 500, reply.text
        url = reply.request.url
        endpoint = self.parts.shim.resolve(method, url.raw_path.partition(b"?")[0].decode(), url.query.decode())
        if endpoint is None:
            return
        documented = self._paths[str(endpoint.declared.template)][method.lower()]["responses"]
        assert str(status) in documented or f"{status // 100}XX" in documented, f"{status} is not documented for {url.path}"
        if status == 204:
            assert reply.content == b""
            return
        if reply.headers["content-type"] == "text/csv; charset=utf-8":
            assert list(documented[str(status)]["content"]) == ["text/csv"]
            return
        assert reply.headers["content-type"] == "application/json"
        key = (endpoint.declared.name, status)
        if key not in self._validators:
            self._validators[key] = Draft202012Validator(response_schema(endpoint, status), format_checker=_FORMATS)
        self._validators[key].validate(reply.json())


UNHURRIED = {"SWITCHYARD_RATE": 10**6, "SWITCHYARD_RATE_PER_ADDRESS": 10**6}
"""Tests are faster than clients."""
LOOKUPS_SECRET = "of the issuer of tokens for lookups"


@asynccontextmanager
async def running(folder: Path, **settings: Any) -> AsyncIterator[World]:
    """The application on an empty database in that folder."""
    clock = TickingClock()
    known = {"SWITCHYARD_LOOKUPS_JWT_SECRET": LOOKUPS_SECRET, "SWITCHYARD_DATA_DIR": folder}
    parts, app = await start(Settings(_env_file=None, **UNHURRIED, **known, **settings), clock)
    try:
        yield World(parts, clock, folder, httpx.ASGITransport(app))
    finally:
        await parts.close()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def told(reply: httpx.Response) -> tuple[int, Any]:
    """Status and body."""
    return reply.status_code, reply.json() if reply.content else None


def refused(status: int, detail: Any) -> tuple[int, Any]:
    """What `told` says of an error."""
    return status, {"detail": detail}


def fault(kind: str, where: Sequence[str | int], message: str, given: Any, **context: Any) -> dict[str, Any]:
    """One entry of a 422 body. Contract §1, Errors."""
    entry = {"type": kind, "loc": list(where), "msg": message, "input": given}
    return entry | {"ctx": context} if context else entry


def places(reply: httpx.Response) -> list[list[str | int]]:
    """Where the faults of a 422 are."""
    assert reply.status_code == 422, reply.text
    return [each["loc"] for each in reply.json()["detail"]]


def ids(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


NOT_A_UUID = "abc"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
NOW = "2026-11-21T00:29:27.495180Z"
"""The clock of the tests, as the API writes it."""


def uuid_fault(*where: str) -> dict[str, Any]:
    """What is said of `NOT_A_UUID`. The contract leaves the reason open: it is that of the library of the original."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(UUID).validate_python(NOT_A_UUID)
    (error,) = caught.value.errors()
    assert error["msg"].startswith("Input should be a valid UUID, invalid length: ")
    return fault("uuid_parsing", where, error["msg"], NOT_A_UUID, **error["ctx"])


ODD = [
    None,
    True,
    0,
    -1,
    2**31,
    2**63,
    2**64,
    10**400,
    1.5,
    1e308,
    "",
    "x" * 5000,
    "\0",
    "a\0b",
    "\ud800",
    "\U0001f600",
    UNKNOWN,
    [],
    [[]],
    {},
    {"\ud800": 1},
    {"a": 2**70},
    {"a": "\0"},
]
"""Values that some field will not like. No reply to any of them is a 500."""


async def send(api: Api, method: str, path: str, body: Any) -> httpx.Response:
    """With JSON that only the standard library writes: lone surrogates, large integers."""
    return await api.request(method, path, content=json.dumps(body), headers={"content-type": "application/json"})
