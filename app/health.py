"""Whether the process answers, and whether it should be asked: every store that is configured, with its time.

What is said here is for anybody: no path, address or message of a store. `switchyard doctor` names them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response

from app.settings import Settings
from core.errors import Unavailable
from storage.sql.database import Database
from storage.sql.migrate import newest_revision

if TYPE_CHECKING:
    from storage.lookups.elasticsearch_server import Server

log = logging.getLogger("switchyard")

Result = TypeVar("Result")

KEPT = 1.0
"""Seconds for which an answer is given again, so that nobody can make the stores answer all the time."""

PATIENCE = 2.0
"""Seconds for each store. Load balancers give up soon after."""

LEAST_FREE = 256 * 2**20
"""Bytes of free space below which a disk is called full."""


class Drain:
    """The time between the word to end and the end, in which load balancers notice."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds, self.begun = seconds, False
        self.at_end: list[Callable[[], None]] = []
        """Called when the server ends, before it waits for what is under way."""


class State(StrEnum):
    """What a check found."""

    OK = "ok"
    WARNING = "warning"
    """Something will fail, but asking another server would not help."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked at; what it says when it fails or warns is for anybody."""

    name: str
    look: Callable[[], Coroutine[Any, Any, None]]
    """Raises `CheckError` when it is not right."""
    vital: bool = True


class CheckError(Exception):
    """What is not right, in words for anybody."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What all checks found."""

    status: int
    body: bytes


class Readiness:
    """`/health/ready`."""

    def __init__(self, checks: Sequence[Check], drain: Drain | None = None, *, patience: float = PATIENCE) -> None:
        self.drain = drain or Drain()
        self._checks, self._patience = checks, patience
        self._asking = asyncio.Lock()
        self._answer: tuple[float, Answer] | None = None
        self._running: dict[str, asyncio.Task[None]] = {}

    async def reply(self, _: Request) -> Response:
        """Answer one request."""
        answer = Answer(503, _body("draining", ())) if self.drain.begun else await self.answer()
        return Response(answer.body, answer.status, {"Cache-Control": "no-store"}, media_type="application/json")

    async def answer(self) -> Answer:
        """Look, unless that was done a moment ago."""
        async with self._asking:
            if self._answer is None or time.monotonic() - self._answer[0] >= KEPT:
                answer = await self._look()
                self._answer = time.monotonic(), answer
            return self._answer[1]

    async def _look(self) -> Answer:
        found = await asyncio.gather(*(self._one(check) for check in self._checks))
        ready = not any(each["status"] is State.FAILED for each in found)
        return Answer(200 if ready else 503, _body("ready" if ready else "not ready", found))

    async def _one(self, check: Check) -> dict[str, Any]:
        """A check that hangs is not begun again before it has ended: there is one of each, whatever happens."""
        begun = time.perf_counter()
        task = self._running.get(check.name)
        if task is None or task.done():
            task = self._running[check.name] = asyncio.create_task(check.look())
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # who asked may be gone
        bad = State.FAILED if check.vital else State.WARNING
        await asyncio.wait({task}, timeout=self._patience)
        if not task.done():
            said: Mapping[str, Any] = {"status": bad, "detail": "does not answer"}
        elif task.exception() is None:
            said = {"status": State.OK}
        else:
            said = {"status": bad, "detail": _explained(task.exception(), check.name)}
        return {"name": check.name, **said, "ms": round((time.perf_counter() - begun) * 1000, 1)}

    def close(self) -> None:
        """End what still looks."""
        for task in self._running.values():
            task.cancel()


def _body(status: str, checks: Sequence[Mapping[str, Any]]) -> bytes:
    return orjson.dumps({"status": status, "checks": checks})


def _explained(error: BaseException | None, name: str) -> str:
    if isinstance(error, CheckError):
        return str(error)
    log.error("the check of %s failed", name, exc_info=error)
    return "the check failed: the log says why"


# --- what is looked at -------------------------------------------------------------------------------------------------


def checks_of(settings: Settings, database: Database, elasticsearch: Server | None = None) -> list[Check]:
    """Of every store that is configured."""
    folders = [settings.data_dir, *settings.roots]
    lookups = [] if elasticsearch is None else [Check("lookups", partial(_greets, elasticsearch), vital=False)]
    return [
        Check("database", partial(_answers, database)),
        Check("schema", partial(_newest, database)),
        *lookups,
        *(Check(f"files {number}", partial(_writable, root), vital=False) for number, root in enumerate(settings.roots, 1)),
        Check("disk", partial(_room, folders), vital=False),
    ]


async def _answers(database: Database) -> None:
    try:
        await database.fetch("SELECT 1", ())
    except Unavailable as error:
        raise CheckError("does not answer") from error


async def _greets(elasticsearch: Server) -> None:
    try:
        await elasticsearch.version()
    except Unavailable as error:
        raise CheckError("does not answer") from error


async def _newest(database: Database) -> None:
    """The server that came first may have gone on to a newer program, which has changed the schema."""
    try:
        rows = await database.fetch("SELECT version_num FROM alembic_version", ())
    except Unavailable as error:
        raise CheckError("cannot be read") from error
    if [row[0] for row in rows] != [_needed()]:
        raise CheckError("is not the one that this program needs")


_needed = cache(newest_revision)  # it is read from files


async def _writable(folder: Path) -> None:
    if not await aside(lambda: os.access(folder, os.W_OK | os.X_OK)):
        raise CheckError("is not there, or cannot be written")


async def _room(folders: Sequence[Path]) -> None:
    if await aside(lambda: min(free_space(folder) for folder in folders)) < LEAST_FREE:
        raise CheckError("is nearly full")


def free_space(folder: Path) -> int:
    """Bytes that are free where the folder is, or would be."""
    there = next(each for each in (folder.resolve(), *folder.resolve().parents) if each.exists())
    return shutil.disk_usage(there).free


async def aside(work: Callable[[], Result]) -> Result:
    """In a thread that nobody waits for at the end: a network mount may hang for ever."""
    loop, done = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    def settle(result: Result | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def run() -> None:
        try:
            outcome: tuple[Result | None, BaseException | None] = work(), None
        except Exception as error:  # noqa: BLE001  # whoever waits raises it
            outcome = None, error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=run, daemon=True).start()
    found: Result = await done
    return found
