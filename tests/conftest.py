"""The whole application on an empty SQLite file, and callers of every role. Nothing here is used unless a test asks for it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import hypothesis
import pytest
import pytest_asyncio
from starlette.types import ASGIApp

from app.collecting import settle_garbage_collector
from app.lookup_tokens import issue
from app.observability import not_logged_yet
from app.settings import Settings, documented
from app.wiring import Parts
from core.clock import utc_now
from core.identity import INSTRUMENTS
from core.secrets import Secret
from storage.sql.database import Database
from storage.sql.opening import open_database
from storage.sql.tables import memberships, users
from tests.effort import EFFORT
from tests.postgres import BOTH, cloned, drop_template
from tests.sharing import copied, copy_again, empty_database, start

PASSWORD = "correct horse"
UNHURRIED = {"SWITCHYARD_RATE": 10**6, "SWITCHYARD_RATE_PER_ADDRESS": 10**6}
"""Tests are faster than clients."""
LOOKUPS_SECRET = "of the issuer of tokens for lookups"


hypothesis.settings.register_profile("effort", hypothesis.settings(), max_examples=max(10, round(100 * EFFORT)))
hypothesis.settings.load_profile("effort")


def pytest_collection_finish() -> None:
    """What was imported lives for ever: it is left out of the many collections to come, as in the server."""
    settle_garbage_collector()


@dataclass
class Caller:
    """Somebody who calls the application."""

    app: ASGIApp
    headers: dict[str, str] = field(default_factory=dict)
    id: UUID | None = None
    email: str = ""

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = self.headers | options.pop("headers", {})
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://switchyard.test") as client:
            return await client.request(method, path, headers=headers, **options)

    async def ask(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The body of a GraphQL answer."""
        reply = await self.request("POST", "/graphql", json={"query": query, "variables": variables})
        assert reply.status_code == 200, reply.text
        return dict(reply.json())


@dataclass
class World:
    """The application and its callers."""

    parts: Parts
    app: ASGIApp
    anonymous: Caller
    user: Caller
    admin: Caller

    def bearer(self, resources: dict[str, list[str]], subject: str = "user:42") -> Caller:
        """Somebody for whom the issuer of tokens for lookups vouches."""
        token = issue(LOOKUPS_SECRET, subject, resources, 3600)
        return Caller(self.app, {"Authorization": f"Bearer {token}"}, email=subject)

    async def person(self, email: str, role: str = "user", *, domain: str = INSTRUMENTS) -> Caller:
        """Somebody new, whose password is `PASSWORD`, with a token."""
        key, at = uuid4(), utc_now()
        async with self.parts.database.transaction() as transaction:
            await transaction.insert(
                users,
                id=key,
                email=email,
                email_folded=email.casefold(),
                password_hash=await self.parts.passwords.hash(Secret(PASSWORD)),
                credentials_version=1,
                is_active=True,
                is_superuser=False,
                is_verified=False,
                created_at=at,
                updated_at=at,
            )
            await transaction.insert(memberships, user_id=key, domain=domain, role=role, created_at=at)
        token = self.parts.services.tokens.issue(key, 1)
        return Caller(self.app, {"Authorization": f"Bearer {token}"}, key, email)


@asynccontextmanager
async def _assembled(folder: Path, **settings: Any) -> AsyncIterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        for setting in documented():
            for name in setting.names:
                patch.delenv(name, raising=False)
        known = {"SWITCHYARD_LOOKUPS_JWT_SECRET": LOOKUPS_SECRET}
        chosen = Settings(_env_file=None, SWITCHYARD_DATA_DIR=folder, **(UNHURRIED | known | settings))
    parts, app = await start(chosen)
    try:
        nobody = Caller(app)
        world = World(parts, app, nobody, nobody, nobody)
        world.admin = await world.person("ada@example.org", "admin")
        world.user = await world.person("bob@example.org")
        yield world
    finally:
        await parts.close()


@pytest.fixture
def assembled(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[World]]:
    """Makes a world with settings of its own: `async with assembled(SWITCHYARD_PROFILE="production") as world:`."""
    return lambda **settings: _assembled(tmp_path / "data", **settings)


@pytest_asyncio.fixture(scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One world for the tests that leave it as they found it, or do not mind what others left."""
    async with _assembled(tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database at the newest revision, to be copied: migrating takes long."""
    path = tmp_path_factory.mktemp("template") / "switchyard.db"
    path.write_bytes(empty_database())
    return path


@pytest_asyncio.fixture(scope="session")
async def _shared(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    async with copied(migrated, tmp_path_factory.mktemp("shared")) as database:
        yield database


@pytest.fixture(params=BOTH)
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def database_url(database_kind: str, migrated: Path, _shared: Database) -> Iterator[str]:
    """An empty, migrated database of each kind."""
    if database_kind == "sqlite":
        copy_again(migrated, _shared)
        yield str(_shared.engine.url)
        return
    with cloned() as url:
        yield url


@pytest.fixture
async def database(database_url: str, _shared: Database) -> AsyncIterator[Database]:
    if database_url == str(_shared.engine.url):
        yield _shared
        return
    database = await open_database(database_url)
    yield database
    await database.close()


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """Logging is left as it was: what a test logs to is closed with the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    switches = {name: getattr(logging, name) for name in ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing")}
    quiet = {name: logging.getLogger(name).level for name in ("aiosqlite", "sqlalchemy.engine", "alembic", "uvicorn.access")}
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in switches.items():
        setattr(logging, name, before)
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)
    logging.getLogger("uvicorn.error").removeFilter(not_logged_yet)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, root_logger: logging.Logger) -> pytest.MonkeyPatch:
    """No setting is set, no `.env` lies about, and commands may log as they like."""
    for setting in documented():
        for name in setting.names:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.fixture(scope="session", autouse=True)
def _postgres_template() -> Iterator[None]:
    """Gone with the session that made it."""
    yield
    drop_template()
