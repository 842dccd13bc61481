"""What operators see: one log line per request, and unforeseen errors under an id that the client was given.

Nothing here writes what a request carries: no query string, no header, no body.
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any, Literal, Protocol
from urllib.parse import quote
from uuid import UUID, uuid4

import orjson
from graphql import GraphQLError, GraphQLSyntaxError, OperationDefinitionNode
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import DomainError, TooExpensive
from core.watching import watching
from rest_compat.calls import StreamCut

log = logging.getLogger("switchyard")

_EXCHANGE = "switchyard.exchange"
_GIVEN_ID = re.compile(rb"[0-9A-Za-z][0-9A-Za-z._~-]{15,63}")
"""An id that a proxy or client gave: long enough to be one of a kind, and harmless wherever it is written."""

AD_HOC = "ad hoc"
"""What metrics call every operation that the server did not know beforehand: there is no end to the names of those."""

LONGEST_NAME = 100

ERROR_ID = "error_id"


# --- requests ----------------------------------------------------------------------------------------------------------


class Trace(Protocol):
    """The spans of one request."""

    def operation(self, exchange: Exchange) -> AbstractContextManager[object]:
        """Entered while the operation runs."""

    def statement(self, name: str, text: str) -> AbstractContextManager[object]:
        """Entered while a statement runs."""


_UNTRACED = nullcontext()


class Exchange:
    """One request and its reply, as operators see it; also the `core.watching.Watch` of what runs for it."""

    __slots__ = (
        "begun",
        "complete",
        "dialect",
        "ended",
        "endpoint",
        "events",
        "kind",
        "known",
        "method",
        "nodes",
        "operation",
        "path",
        "refused",
        "request_id",
        "seconds",
        "statements",
        "status",
        "subject",
        "trace",
    )

    def __init__(self, scope: Scope, request_id: str = "") -> None:
        self.begun = time.perf_counter()
        self.request_id = request_id or _given_id(scope) or secrets.token_hex(8)
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.dialect = self.endpoint = self.operation = self.kind = ""
        self.known = False
        """Whether the server knew the operation beforehand."""
        self.subject: UUID | None = None
        self.statements = 0
        self.nodes: int | None = None
        self.refused = ""
        """Why a document was not executed: the bound that it broke, or what kind of mistake it is."""
        self.status: int | None = None
        self.complete = False
        self.ended = ""
        """How an operation on a socket or a stream of events ended: `completed`, `refused`, `failed`, `left`, `session over`."""
        self.events = 0
        """Results that it was told."""
        self.seconds = 0.0
        self.trace: Trace | None = None

    def serves(self, dialect: str, endpoint: str, operation: str = "", kind: str = "", *, known: bool = True) -> None:
        """What answers the request: the template of its path, never the path."""
        self.dialect, self.endpoint, self.known = dialect, endpoint, known
        self.operation, self.kind = operation[:LONGEST_NAME], kind

    def executes(self, definition: OperationDefinitionNode, *, known: bool) -> AbstractContextManager[object]:
        """The GraphQL operation of the request; entered while it runs."""
        name = definition.name.value if definition.name is not None else ""
        self.operation, self.kind, self.known = name[:LONGEST_NAME], definition.operation.value, known
        return self.running()

    def running(self) -> AbstractContextManager[object]:
        """Entered while the operation runs."""
        return _UNTRACED if self.trace is None else self.trace.operation(self)

    def statement(self, name: str, text: str) -> AbstractContextManager[object]:
        self.statements += 1
        return _UNTRACED if self.trace is None else self.trace.statement(name, text)

    def cost(self, nodes: int) -> None:
        self.nodes = nodes + (self.nodes or 0)  # a batch has several operations

    def note(self, message: Message) -> None:
        """What is about to be sent."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.complete = not message.get("more_body", False)

    @property
    def outcome(self) -> str:
        """How far the reply got: `200`; `200 cut off`; `unanswered` if the client went away before there was one.

        Of an operation on a socket: `subscription completed`.
        """
        if self.status is None:
            return f"{self.kind} {self.ended}".strip() if self.ended else "unanswered"
        return str(self.status) if self.complete else f"{self.status} cut off"

    def __str__(self) -> str:
        return f"{self.method} {printable(self.path)} {self.outcome} {self.seconds * 1000:.1f} ms {self.request_id}"

    def fields(self) -> dict[str, Any]:
        """What the log says of it, when it says it in fields."""
        said = {
            "method": self.method,
            "path": printable(self.path),
            "endpoint": self.endpoint,
            "status": self.status,
            "complete": self.complete,
            "ms": round(self.seconds * 1000, 1),
            "dialect": self.dialect,
            "subject": self.subject,
            "statements": self.statements,
            "cost": self.nodes,
            "refused": self.refused,
            "outcome": self.ended,
            "events": self.events or None,
        }
        return {name: value for name, value in said.items() if value not in {None, ""}}


@contextmanager
def watched(exchange: Exchange, ended: Callable[[Exchange], None], *, logged: bool = True) -> Iterator[None]:
    """What runs inside is the exchange's, of whose end the log and `ended` are told; for whatever is no request of its own."""
    before = watching.set(exchange)
    try:
        yield
    finally:
        exchange.seconds = time.perf_counter() - exchange.begun
        ended(exchange)
        if logged:
            log.info("%s", exchange)
        watching.reset(before)


def refusal(errors: Sequence[GraphQLError]) -> str:
    """Why a document is not executed, in a word of which there are few: the bound that it breaks, or the kind of mistake."""
    cause, code = errors[0].original_error, (errors[0].extensions or {}).get("code")
    if isinstance(cause, DomainError):
        return cause.bound if isinstance(cause, TooExpensive) and cause.bound else cause.code.lower()
    if code is not None:
        return str(code).lower()
    return "syntax" if isinstance(errors[0], GraphQLSyntaxError) else "validation"


def watch_changes(engine: AsyncEngine) -> None:
    """Tell of statements that no plan sends: those of use cases."""

    def begins(_conn: Any, _cursor: Any, text: str, _parameters: Any, context: Any, _many: bool) -> None:
        watch = watching.get()
        if watch is not None and text != "BEGIN IMMEDIATE":
            context.watched = watch.statement("", text)
            context.watched.__enter__()

    def ends(_conn: Any, _cursor: Any, _text: str, _parameters: Any, context: Any, _many: bool) -> None:
        _leave(context, None)

    def fails(failure: ExceptionContext) -> None:
        _leave(failure.execution_context, failure.original_exception)

    event.listen(engine.sync_engine, "before_cursor_execute", begins)
    event.listen(engine.sync_engine, "after_cursor_execute", ends)
    event.listen(engine.sync_engine, "handle_error", fails)


def _leave(context: Any, error: BaseException | None) -> None:
    watched = getattr(context, "watched", None)
    if watched is not None:
        context.watched = None
        watched.__exit__(None if error is None else type(error), error, None)


def _given_id(scope: Scope) -> str | None:
    for name, value in scope.get("headers", ()):
        if name == b"x-request-id":
            return value.decode() if _GIVEN_ID.fullmatch(value) else None
    return None


def exchange_of(scope: Scope) -> Exchange:
    """The exchange under way; one that nobody looks at where there is none."""
    found: Exchange | None = scope.get(_EXCHANGE)
    return found or Exchange({"method": "", "path": ""})


def request_id_of(scope: Scope) -> str:
    """The id of the request under way."""
    found: Exchange | None = scope.get(_EXCHANGE)
    return "-" if found is None else found.request_id


class Reporter:
    """Logs an unforeseen error; the id under which it stands in the log."""

    __slots__ = ("_request_id",)

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id

    def __call__(self, error: BaseException) -> str:
        error_id = uuid4().hex[:12]
        log.error("error %s in request %s", error_id, self._request_id, exc_info=error, extra={ERROR_ID: error_id})
        return error_id


class RequestLog:
    """Gives each request an id (`X-Request-ID` in the reply) and logs how it went. `ended` is told of it, too."""

    def __init__(self, app: ASGIApp, ended: Callable[[Exchange], None] = lambda _: None) -> None:
        self._app, self._ended = app, ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = scope[_EXCHANGE] = Exchange(scope)
        name = (b"x-request-id", exchange.request_id.encode())

        async def noting(message: Message) -> None:
            exchange.note(message)
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), name]}
            await send(message)

        before = watching.set(exchange)
        try:
            await self._app(scope, receive, noting)
        finally:
            exchange.seconds = time.perf_counter() - exchange.begun
            self._ended(exchange)
            log.info("%s", exchange)
            watching.reset(before)


def printable(path: str) -> str:
    """As one word of ASCII, so that nobody can write lines or columns of their own into the log."""
    return quote(path, safe="/:@!$&'()*+,;=", errors="replace")


# --- the log -----------------------------------------------------------------------------------------------------------

Form = Literal["text", "json"]


def configure_logging(level: str, form: Form = "text") -> None:
    """One line per event on standard error."""
    logging.basicConfig(
        level=level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)-7s %(name)s %(message)s",
        force=True,
    )
    if form == "json":
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines())
    # As the logging HOWTO advises: nobody asks for the thread, process and line of a message, and finding them out takes time.
    logging._srcfile = None  # noqa: SLF001  # the switch that the HOWTO names
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for quiet in ("aiosqlite", "sqlalchemy.engine", "alembic", "uvicorn.access", "httpcore"):
        logging.getLogger(quiet).setLevel(logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # what is wrong with a form is its sender's to know
    logging.getLogger("uvicorn.error").addFilter(not_logged_yet)


class JsonLines(logging.Formatter):
    """One JSON object per line. What is logged for a request has its id and the name of its operation."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _unicode(record.getMessage()),
        }
        exchange = watching.get()
        if isinstance(exchange, Exchange):
            line["request_id"] = exchange.request_id
            if exchange.operation:
                line["operation"] = exchange.operation
            if exchange.seconds:
                line |= exchange.fields()
        if ERROR_ID in record.__dict__:
            line[ERROR_ID] = record.__dict__[ERROR_ID]
        if record.exc_info:
            line["traceback"] = _unicode(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str, option=orjson.OPT_UTC_Z).decode()


def _unicode(text: str) -> str:
    """File names and clients may hold what is no Unicode, which JSON cannot."""
    return text.encode(errors="replace").decode()


def not_logged_yet(record: logging.LogRecord) -> bool:
    """The HTTP server logs whatever it is told to cut a connection with; that error stands in the log already."""
    return record.exc_info is None or not isinstance(record.exc_info[1], StreamCut)
