"""What the applications of one process share in tests: it never changes once it is there, and is most of what a start takes.

Each application still has its own stores, settings, services and router. A start with nothing shared is what `app/test_wiring.py`
and the tests of real processes see. Tests without an application share one open SQLite database, which is emptied before each.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import strawberry
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import make_url
from starlette.types import ASGIApp

from app.passwords import HashedPasswords
from app.server import application, introspection_of, sdl_of
from app.settings import Settings
from app.wiring import Parts, assemble
from core.clock import Clock, utc_now
from engine.graph import Graph
from rest_compat import loader
from rest_compat.dialect import Dialect
from rest_compat.endpoint import Endpoint
from rest_compat.openapi import document
from rest_compat.routes import Route
from schema.root import build_schema
from storage.sql.database import Database
from storage.sql.migrate import migrate
from storage.sql.opening import open_database

CHEAP = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)
"""What is not about the strength of hashes need not wait for it."""


async def start(settings: Settings, clock: Clock = utc_now) -> tuple[Parts, ASGIApp]:
    """An application, built from what is there already. Its parts are to be closed."""
    backend = make_url(settings.url).get_backend_name()
    if backend == "sqlite":
        await asyncio.to_thread(_put_empty_database, Path(str(make_url(settings.url).database)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.wiring.HashedPasswords", lambda **options: HashedPasswords(CHEAP, **options))
        patch.setattr("app.wiring.build_schema", lambda: schema_for(backend))
        patch.setattr("rest_compat.shim.load", load_once)
        patch.setattr("rest_compat.shim.document", _document)
        patch.setattr("app.server.sdl_of", _sdl_of)
        patch.setattr("app.server.introspection_of", _introspection_of)
        parts = await assemble(settings, clock)
        return parts, application(parts)


def _put_empty_database(path: Path) -> None:
    """Unless there is one already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_bytes(empty_database())


@cache
def empty_database() -> bytes:
    """An SQLite file at the newest revision. Not for event loops: it runs one."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "switchyard.db"
        asyncio.run(_migrate(f"sqlite+aiosqlite:///{path}"))
        return path.read_bytes()


async def _migrate(url: str) -> None:
    database = await open_database(url)
    await migrate(database)
    await database.close()


@asynccontextmanager
async def copied(template: Path, folder: Path) -> AsyncIterator[Database]:
    """An open copy of an SQLite database."""
    database = await open_database(f"sqlite+aiosqlite:///{shutil.copy(template, folder / 'switchyard.db')}")
    yield database
    await database.close()


def copy_again(template: Path, database: Database) -> None:
    """Whatever was written into the copy: opening another, and composing its statements, would take far longer."""
    with closing(sqlite3.connect(template)) as source, closing(sqlite3.connect(str(database.engine.url.database))) as target:
        source.backup(target)


@cache
def schema_for(backend: str) -> strawberry.Schema:
    """One for each: a graph gives its fields resolvers for its database."""
    return build_schema()


_sdl_of, _introspection_of = cache(sdl_of), cache(introspection_of)

_documents: dict[Any, dict[str, Any]] = {}


def _document(routes: Sequence[Route], title: str, version: str) -> dict[str, Any]:
    """Once for the endpoints that were loaded once."""
    key = (*(id(route.main) for route in routes), title, version)
    if key not in _documents:
        _documents[key] = document(routes, title, version)
    return _documents[key]


_loaded: dict[Any, tuple[Endpoint, ...]] = {}


def load_once(operations: Path, graph: Graph, dialects: Sequence[Dialect]) -> tuple[Endpoint, ...]:
    """Once for all graphs that would plan alike."""
    spoken = tuple((type(dialect), *vars(dialect).items()) for dialect in dialects)
    key = (operations, graph.strawberry, graph.limits, graph.hide_suggestions, spoken)
    if key not in _loaded:
        _loaded[key] = loader.load(operations, graph, dialects)
    return _loaded[key]
