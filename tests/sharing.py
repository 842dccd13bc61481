"""What the applications of one process share in tests: it never changes once it is there, and is most of what a start takes.

Each application still has its own stores, settings, services and router. A start with nothing shared is what `app/test_wiring.py`
and the tests of real processes see.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
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
from schema.root import build_schema
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


@cache
def schema_for(backend: str) -> strawberry.Schema:
    """One for each: a graph gives its fields resolvers for its database."""
    return build_schema()


_sdl_of, _introspection_of = cache(sdl_of), cache(introspection_of)

_loaded: dict[Any, tuple[Endpoint, ...]] = {}


def load_once(operations: Path, graph: Graph, dialects: Sequence[Dialect]) -> tuple[Endpoint, ...]:
    """Once for all graphs that would plan alike."""
    spoken = tuple((type(dialect), *vars(dialect).items()) for dialect in dialects)
    key = (operations, graph.strawberry, graph.limits, graph.hide_suggestions, spoken)
    if key not in _loaded:
        _loaded[key] = loader.load(operations, graph, dialects)
    return _loaded[key]
