"""GraphQL over server-sent events: the protocol `graphql-sse`, each operation on a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress

import orjson
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from app.graphql_request import Asked, BadRequest
from app.observability import Exchange, exchange_of, request_id_of
from app.places import PLACE
from app.subscriptions.operations import Operations
from app.subscriptions.payload import failed
from app.subscriptions.session import EndedError, Session
from app.wiring import Contexts
from core.errors import Unauthenticated
from rest_compat.calls import StreamCut

EVENT_STREAM = "text/event-stream"

KEEP_ALIVE = 12.0
"""Seconds after which something is written, so that nobody on the way takes the silence for an end."""

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]
_COMPLETE = b"event: complete\ndata: \n\n"


class EventStreams:
    """Serves operations as streams of events."""

    def __init__(self, operations: Operations, contexts: Contexts) -> None:
        self._operations, self._contexts = operations, contexts
        self._open: set[EventStream] = set()

    async def open(self, request: Request, asked: Asked) -> EventStream:
        """A reply that streams. Raises `BadRequest` for what is no such request, and what keeps somebody from being known."""
        if "x-graphql-event-stream-token" in request.headers or "token" in request.query_params:
            raise BadRequest(400, "streams are not shared here: send each operation as a request of its own")
        exchange_of(request.scope).serves("graphql", "/graphql as events", kind="stream", known=False)
        stream = EventStream(asked, self._operations, read_only=request.method != "POST", ended=self._open.discard)
        stream.session = Session(self._contexts, self._operations.feed, request, request_id_of(request.scope), stream.end)
        try:
            await stream.session.begin()
        except EndedError as over:
            raise BadRequest(401, over.reason, Unauthenticated.code) from over
        exchange_of(request.scope).subject = stream.session.subject
        self._open.add(stream)
        return stream

    def cut(self) -> None:
        """The server ends: clients that see a stream cut off come again."""
        for stream in list(self._open):
            stream.end(None)


class EventStream:
    """One operation of one client."""

    session: Session
    _exchange: Exchange

    def __init__(self, asked: Asked, operations: Operations, *, read_only: bool, ended: Callable[[EventStream], None]) -> None:
        self._asked, self._operations, self._read_only, self._ended = asked, operations, read_only, ended
        self._over: EndedError | None = None
        self._cut = False
        self._pump: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        leave = scope.get(PLACE)
        if leave is not None:
            leave()
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            self._exchange = exchange_of(scope)
            await self._serve(receive, send)
        finally:
            self.session.close()
            self._ended(self)

    def end(self, over: EndedError | None) -> None:
        """Because the session is over; or because the server is."""
        self._over, self._cut = over, over is None
        if self._pump is not None:
            self._pump.cancel()

    async def _serve(self, receive: Receive, send: Send) -> None:
        self._pump = asyncio.create_task(self._write(send))
        left = asyncio.create_task(_left(receive))
        try:
            while not self._pump.done() and not left.done():
                await asyncio.wait({self._pump, left}, timeout=KEEP_ALIVE, return_when=asyncio.FIRST_COMPLETED)
                if not self._pump.done() and not left.done():
                    await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})
        finally:
            left.cancel()
            self._pump.cancel()
            with suppress(asyncio.CancelledError):
                await self._pump
        if self._cut:
            raise StreamCut("the server ends")
        if left.done() and not left.cancelled():
            return
        if self._over is not None:
            error = {"message": self._over.reason, "extensions": {"code": Unauthenticated.code}}
            await send({"type": "http.response.body", "body": _next(orjson.dumps({"errors": [error]})), "more_body": True})
        await send({"type": "http.response.body", "body": _COMPLETE})

    async def _write(self, send: Send) -> None:
        try:
            async with aclosing(
                self._operations.run(self._asked, self.session, self._exchange, read_only=self._read_only)
            ) as payloads:
                async for payload in payloads:
                    body = b'{"errors":' + payload.body + b"}" if payload.refused else payload.body
                    await send({"type": "http.response.body", "body": _next(body), "more_body": True})
        except EndedError:
            return  # which is told by whoever ends it
        except Exception as error:  # noqa: BLE001  # the last place that can say it as GraphQL does
            body = b'{"errors":' + failed(self.session.context(), error).body + b"}"
            await send({"type": "http.response.body", "body": _next(body), "more_body": True})


def wants_events(request: Request) -> bool:
    """Whether the client asks for a stream of events first of all."""
    return request.headers.get("accept", "").replace(",", ";").partition(";")[0].strip().lower() == EVENT_STREAM


def _next(body: bytes) -> bytes:
    return b"event: next\ndata: " + body + b"\n\n"


async def _left(receive: Receive) -> None:
    """Until the client goes away."""
    while (await receive())["type"] != "http.disconnect":
        pass
