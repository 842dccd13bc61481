"""What operators see: one log line per request, and unforeseen errors under an id that the client was given."""

from __future__ import annotations

import logging
import sys
import time
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
    """Gives each request an id (`X-Request-ID` in the reply) and logs how it went. The query string is never logged."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope[_REQUEST_ID] = uuid4().hex[:16]
        started, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            log.info(
                "%s %s %s %.1f ms %s",
                scope["method"],
                scope["path"].encode("unicode_escape").decode(),
                status,
                (time.perf_counter() - started) * 1000,
                request_id,
            )
