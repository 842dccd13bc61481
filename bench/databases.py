"""Fresh databases to measure on: SQLite always, PostgreSQL when a server answers. And what a server's processes cost."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
from sqlalchemy import make_url

from app.settings import Settings

SERVERS = Path(__file__).parents[1] / "scripts" / "servers"
VARIABLE = "SWITCHYARD_TEST_POSTGRESQL"

COUNTED = 10**9
"""Requests per minute: each is counted, as on a server that is used, and none refused."""


def available() -> list[str]:
    """What `BENCH_DATABASES` names; without it every database that is there."""
    wanted = os.environ.get("BENCH_DATABASES", "")
    return wanted.split() or ["sqlite", *(["postgresql"] if _server() else [])]


@asynccontextmanager
async def fresh(database: str) -> AsyncIterator[Settings]:
    """Settings of a server over an empty database, which is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        given: Any = {"SWITCHYARD_DATA_DIR": Path(folder), "SWITCHYARD_RATE": 0}
        if database == "sqlite":
            yield Settings(_env_file=None, **given)
            return
        server = _server()
        if server is None:
            raise SystemExit(f"PostgreSQL does not answer: {SERVERS}/postgres start, or set {VARIABLE}")
        name = f"bench_{os.getpid()}_{uuid4().hex[:6]}"
        await _administer(server, f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            url = make_url(server).set(database=name).render_as_string(hide_password=False)
            yield Settings(_env_file=None, SWITCHYARD_DATABASE_URL=url, **given)
        finally:
            await _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


async def server_time(settings: Settings) -> Callable[[], float]:
    """Tells the processor time of the processes that serve this database; always 0 for SQLite and for servers elsewhere."""
    if settings.url.startswith("sqlite"):
        return lambda: 0.0
    connection = await asyncpg.connect(_dsn(settings.url))
    try:
        rows = await connection.fetch("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
    finally:
        await connection.close()
    files = [Path(f"/proc/{row['pid']}/schedstat") for row in rows]
    files = [file for file in files if file.exists()]
    return lambda: sum(_nanoseconds(file) for file in files) / 1e9


def _nanoseconds(file: Path) -> int:
    try:
        return int(file.read_text().split()[0])
    except FileNotFoundError:
        return 0


def elasticsearch() -> str | None:
    """The URL of the one that answers."""
    return _answering("elasticsearch")


def _server() -> str | None:
    return os.environ.get(VARIABLE) or _answering("postgres")


def _answering(name: str) -> str | None:
    script = SERVERS / name
    if subprocess.run([script, "status"], capture_output=True, check=False).returncode != 0:
        return None
    printed = subprocess.run([script, "env"], capture_output=True, check=True, text=True).stdout
    return next(word.partition("=")[2] for word in shlex.split(printed) if "=" in word)


def _dsn(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


async def _administer(server: str, statement: str) -> None:
    connection = await asyncpg.connect(_dsn(server))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
