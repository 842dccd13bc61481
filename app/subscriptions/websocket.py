"""GraphQL over WebSocket: the protocol `graphql-transport-ws`, as the client library `graphql-ws` speaks it.

One task reads a socket's messages, one more runs each of its operations. Close codes are the protocol's.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import orjson
from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send

from app.graphql_request import Asked, BadRequest, asked_of
from app.observability import Exchange, Reporter, printable
from app.settings import Settings
from app.socket_protocol import WRITE
from app.subscriptions.operations import Operations
from app.subscriptions.payload import failed
from app.subscriptions.session import EndedError, Session, with_bearer
from app.wiring import Contexts
from core.errors import DomainError, RateLimited
from core.exact_json import read_json

log = logging.getLogger("switchyard")

SUBPROTOCOL = "graphql-transport-ws"

INITIALISATION = 3.0
"""Seconds for the first message."""
LEAVING = 5.0
"""Seconds for a client to take what it is told last."""
LONGEST_ID = 256


class CloseError(Exception):
    """What a socket is closed with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class SocketEndpoint:
    """Serves `/graphql` to WebSockets."""

    def __init__(self, operations: Operations, contexts: Contexts, settings: Settings) -> None:
        self._operations, self._contexts, self._settings = operations, contexts, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One socket, until it is closed."""
        await receive()  # the wish to connect
        connection = HTTPConnection(scope)
        if not self._welcome(connection.headers.get("origin"), connection.headers.get("host", "")):
            await send({"type": "websocket.close"})  # before it was accepted: 403
            return
        spoken = SUBPROTOCOL in scope["subprotocols"]
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL if spoken else None})
        socket = Socket(self._operations, self._contexts, connection, receive, send, most=self._settings.socket_operations)
        begun = time.perf_counter()
        code = await socket.serve(spoken=spoken)
        seconds = time.perf_counter() - begun
        log.info("WS %s %d %.1f s %d operations %s", printable(scope["path"]), code, seconds, socket.begun, socket.id)

    def _welcome(self, origin: str | None, host: str) -> bool:
        """A browser says whose page it is, and sends our cookie along whoever that is: only our own and those of the settings."""
        return origin is None or origin in self._settings.origins or urlsplit(origin).netloc.lower() == host.lower()


class Socket:
    """One client."""

    def __init__(
        self,
        operations: Operations,
        contexts: Contexts,
        connection: HTTPConnection,
        receive: Receive,
        send: Send,
        *,
        most: int,
    ) -> None:
        self.id = secrets.token_hex(8)
        self.begun = 0
        """Operations so far."""
        self._operations, self._contexts, self._connection = operations, contexts, connection
        self._receive, self._send, self._most = receive, send, most
        self._write: Callable[[bytes], bool] = connection.scope.get("extensions", {}).get(WRITE, lambda _: False)
        self._session: Session | None = None
        self._acknowledged = False
        self._running: dict[str, asyncio.Task[None]] = {}
        self._main: asyncio.Task[Any] | None = None
        self._closing: CloseError | None = None

    async def serve(self, *, spoken: bool) -> int:
        """Until either side closes it; the code."""
        self._main = asyncio.current_task()
        late = asyncio.get_running_loop().call_later(
            INITIALISATION, self._close_soon, CloseError(4408, "Connection initialisation timeout")
        )
        try:
            return await (self._read(late) if spoken else self._close(CloseError(4406, "Subprotocol not acceptable")))
        except CloseError as close:
            return await self._close(close)
        except asyncio.CancelledError:
            if self._closing is None or self._main is None:
                raise
            self._main.uncancel()
            return await self._close(self._closing)
        except Exception as error:  # noqa: BLE001  # the last place that can tell the client
            Reporter(self.id)(error)
            return await self._close(CloseError(4500, "Internal server error"))
        finally:
            late.cancel()
            await self._let_go()

    async def _read(self, late: asyncio.TimerHandle) -> int:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return int(message.get("code") or 1005)
            await self._handle(_message(message), late)

    async def _handle(self, message: Mapping[str, Any], late: asyncio.TimerHandle) -> None:
        match message.get("type"):
            case "connection_init":
                late.cancel()
                await self._initialise(message.get("payload"))
            case "ping":
                await self._tell(b'{"type":"pong"}')
            case "pong":
                pass
            case "subscribe":
                await self._subscribe(message)
            case "complete":
                task = self._running.pop(_id(message), None)
                if task is not None:
                    task.cancel()
            case _:
                raise CloseError(4400, "Invalid message received")

    async def _initialise(self, payload: object) -> None:
        if self._session is not None:
            raise CloseError(4429, "Too many initialisation requests")
        if payload is not None and not isinstance(payload, dict):
            raise CloseError(4400, "Invalid message received: payload has to be an object")
        connection = with_bearer(self._connection, payload or {})
        self._session = Session(
            self._contexts, self._operations.feed, connection, self.id, lambda over: self._close_soon(_closed(over))
        )
        try:
            await self._session.begin()
        except EndedError as over:
            raise _closed(over) from over
        except RateLimited as error:
            raise CloseError(4429, "Too many requests") from error
        except DomainError as error:
            raise CloseError(1013, "Try again later") from error
        self._acknowledged = True
        await self._tell(b'{"type":"connection_ack"}')

    async def _subscribe(self, message: Mapping[str, Any]) -> None:
        if self._session is None or not self._acknowledged:
            raise CloseError(4401, "Unauthorized")
        name, payload = _id(message), message.get("payload")
        if name in self._running:
            raise CloseError(4409, f"Subscriber for {name} already exists"[:100])
        if not isinstance(payload, dict):
            raise CloseError(4400, "Invalid message received: payload has to be an object")
        try:
            asked = asked_of(payload)
        except BadRequest as refusal:
            raise CloseError(4400, f"Invalid message received: {refusal}"[:100]) from refusal
        self.begun += 1
        quoted = orjson.dumps(name)
        try:
            if len(self._running) >= self._most:
                raise RateLimited(f"more than {self._most} operations on one socket")  # noqa: TRY301  # told as those of the rates
            self._session.count()
        except RateLimited as error:
            exchange = self._exchange(self._session)
            exchange.ended, exchange.refused = "refused", error.code.lower()
            with self._operations.watched(exchange):
                await self._tell(_event(quoted, b"error", failed(self._session.context(), error).body))
            return
        self._running[name] = asyncio.create_task(self._watched(self._session, name, quoted, asked))

    def _exchange(self, session: Session) -> Exchange:
        exchange = Exchange({"method": "WS", "path": self._connection.scope["path"]}, self.id)
        exchange.serves("graphql", "/graphql as messages", known=False)
        exchange.subject = session.subject
        return exchange

    async def _watched(self, session: Session, name: str, quoted: bytes, asked: Asked) -> None:
        exchange = self._exchange(session)
        with self._operations.watched(exchange):
            await self._run(session, exchange, name, quoted, asked)

    async def _run(self, session: Session, exchange: Exchange, name: str, quoted: bytes, asked: Asked) -> None:
        """One operation, from its first event to its last."""
        last = b'{"id":' + quoted + b',"type":"complete"}'
        try:
            await session.renew()
            begin = b'{"id":' + quoted + b',"type":"next","payload":'
            deliver = partial(self._deliver, session, exchange, begin)
            async with aclosing(self._operations.run(asked, session, exchange, deliver=deliver)) as payloads:
                async for payload in payloads:
                    if payload.refused:
                        last = _event(quoted, b"error", payload.body)
                        break
                    await self._tell(_event(quoted, b"next", payload.body))
        except EndedError:
            return  # which closes the socket
        except OSError:
            return  # nobody is there to be told
        except Exception as error:  # noqa: BLE001  # the last place that knows which operation it was
            last = _event(quoted, b"error", failed(session.context(), error).body)
        if self._running.pop(name, None) is not None:
            with suppress(OSError):
                await self._tell(last)

    def _deliver(self, session: Session, exchange: Exchange, begin: bytes, payload: bytes) -> bool:
        if session.in_doubt or not self._write(begin + payload + b"}"):
            return False
        exchange.events += 1
        return True

    async def _tell(self, text: bytes) -> None:
        """Waits while the client takes nothing."""
        if not self._write(text):
            await self._send({"type": "websocket.send", "text": text.decode()})

    def _close_soon(self, close: CloseError) -> None:
        if self._main is not None and self._closing is None:
            self._closing = close
            self._main.cancel()

    async def _close(self, close: CloseError) -> int:
        self._closing = close
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(LEAVING):
                await self._send({"type": "websocket.close", "code": close.code, "reason": close.reason})
        return close.code

    async def _let_go(self) -> None:
        running, self._running = list(self._running.values()), {}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._session is not None:
            self._session.close()


def _message(message: Message) -> Mapping[str, Any]:
    text = message.get("text")
    try:
        value = read_json(text.encode()) if text is not None else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise CloseError(4400, "Invalid message received")
    return value


def _id(message: Mapping[str, Any]) -> str:
    name = message.get("id")
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_ID:
        raise CloseError(4400, "Invalid message received: id has to be a text")
    return name


def _event(quoted: bytes, kind: bytes, payload: bytes) -> bytes:
    return b'{"id":' + quoted + b',"type":"' + kind + b'","payload":' + payload + b"}"


def _closed(over: EndedError) -> CloseError:
    return CloseError(over.code, over.reason)
