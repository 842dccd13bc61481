"""What operators see: one log line per request, and unforeseen errors under an id that the client was given.

Nothing here writes what a request carries: no query string, no header, no body.
"""

from __future__ import annotations

import logging
import sys
import time
from urllib.parse import quote
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rest_compat.calls import StreamCut

log = logging.getLogger("switchyard")

_REQUEST_ID = "switchyard.request_id"


def configure_logging(level: str) -> None:
    """One line per event on standard error."""
    logging.basicConfig(
        level=level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)-7s %(name)s %(message)s",
        force=True,
    )
    for quiet in ("aiosqlite", "sqlalchemy.engine", "alembic", "uvicorn.access"):
        logging.getLogger(quiet).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(not_logged_yet)


def not_logged_yet(record: logging.LogRecord) -> bool:
    """The HTTP server logs whatever it is told to cut a connection with; that error stands in the log already."""
    return record.exc_info is None or not isinstance(record.exc_info[1], StreamCut)


def request_id_of(scope: Scope) -> str:
    """The id of the request under way."""
    found: str = scope.get(_REQUEST_ID, "-")
    return found


class Reporter:
    """Logs an unforeseen error; the id under which it stands in the log."""

    __slots__ = ("_request_id",)

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id

    def __call__(self, error: BaseException) -> str:
        error_id = uuid4().hex[:12]
        log.error("error %s in request %s", error_id, self._request_id, exc_info=error)
        return error_id


class RequestLog:
    """Gives each request an id (`X-Request-ID` in the reply) and logs how it went."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope[_REQUEST_ID] = uuid4().hex[:16]
        started, progress = time.perf_counter(), Progress()

        async def noting(message: Message) -> None:
            progress.note(message)
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", request_id.encode())]}
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            milliseconds = (time.perf_counter() - started) * 1000
            log.info("%s %s %s %.1f ms %s", scope["method"], printable(scope["path"]), progress, milliseconds, request_id)


class Progress:
    """How far the reply got: `200`; `200 cut off`; `unanswered` if the client went away before there was one."""

    def __init__(self) -> None:
        self._status: int | None = None
        self._complete = False

    def note(self, message: Message) -> None:
        """What is about to be sent."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
        elif message["type"] == "http.response.body":
            self._complete = not message.get("more_body", False)

    def __str__(self) -> str:
        if self._status is None:
            return "unanswered"
        return str(self._status) if self._complete else f"{self._status} cut off"


def printable(path: str) -> str:
    """As one word of ASCII, so that nobody can write lines or columns of their own into the log."""
    return quote(path, safe="/:@!$&'()*+,;=", errors="replace")
