"""HTTP/1.1 as uvicorn speaks it, within bounds: of connections, of a request's head, and of how slow a client may be.

Callbacks only count; every half second `watch_clients` looks at all connections, so that a request pays for no timer.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from enum import Enum, auto
from fcntl import ioctl
from math import inf
from termios import TIOCOUTQ
from typing import Any

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app.problems import PROBLEM_JSON, problem_body
from app.settings import Settings
from app.socket_protocol import Sockets
from core.network import network_of

log = logging.getLogger("switchyard")

LOOK_EVERY = 0.5
LINGER = 2.0
"""How long a client that was refused may go on sending: were the connection closed at once, it would not see why."""
REFUSED_AT_A_TIME = 100
"""Refused connections that linger; more are closed without a word."""
AT_THE_END = 15.0
"""How long the server waits for clients when it is told to end, so that what still runs then has a little longer."""
PIPELINED = 32
"""Requests that a client may send ahead of their replies."""


class Refusal(Exception):
    """A request that is refused before the application sees it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail

    def written(self, headers: Collection[tuple[bytes, bytes]]) -> bytes:
        """The whole reply."""
        body = problem_body(self.status, self.detail)
        own = [(b"content-type", PROBLEM_JSON.encode()), (b"content-length", b"%d" % len(body)), (b"connection", b"close")]
        if self.status == 503:
            own.append((b"retry-after", b"1"))
        lines = (name + b": " + value + b"\r\n" for name, value in [*headers, *own])
        return b"".join([STATUS_LINE[self.status], *lines, b"\r\n", body])


class Reading(Enum):
    """The part of a message that the parser is in."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class Awaited(Enum):
    """What a client has to do next; nothing while it is our turn."""

    NOTHING = auto()
    HEAD = "did not send the head of a request in time"
    BODY = "was too slow to send a body"
    UNREAD_BODY = "did not end a body that was answered already"
    TAKING = "was too slow to take a reply"
    LEAVING = "did not close a connection on which it was refused"


class Clients:
    """How many connections each network address has, unless it is a proxy's."""

    def __init__(self, settings: Settings, is_proxy: Callable[[str], bool]) -> None:
        self.settings = settings
        self.sockets = Sockets(settings, is_proxy)
        self._is_proxy = is_proxy
        self._open: Counter[str] = Counter()

    def enter(self, host: str) -> bool:
        """Count one more; whether there may be so many."""
        most = self.settings.connections_per_address
        if not most or self._is_proxy(host):
            return True
        network = network_of(host)
        self._open[network] += 1
        return self._open[network] <= most

    def leave(self, host: str) -> None:
        """It is gone."""
        network = network_of(host)
        self._open[network] -= 1
        if self._open[network] <= 0:
            del self._open[network]


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, clients: Clients, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._clients, self._settings = clients, clients.settings
        self.url = b""
        self._reading = Reading.NOTHING
        self._fresh = True
        """Whether a head is due, though no byte of it may have come."""
        self._held = 0
        """Bytes that came since the parser last gave something away: it keeps them."""
        self._received = 0
        self._answering: RequestResponseCycle | None = None
        self._refusal: Refusal | None = None
        self._refused = self._ended = False
        self._awaited, self._since, self._mark = Awaited.NOTHING, 0.0, 0
        self._ends_at = inf

    # --- connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        welcome = self._clients.enter(self._host)
        count = len(self.connections) - self._clients.sockets.open
        if count > self._settings.connections + REFUSED_AT_A_TIME:
            transport.abort()
        elif not welcome or count > self._settings.connections:
            self._refuse(Refusal(503, "Too many connections: try again in a moment"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._clients.leave(self._host)
        self._tell_that_it_left()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        if not self._clients.sockets.enter(self._host):
            self._refuse(Refusal(503, "Too many sockets: try again in a moment"))
            return
        self._clients.leave(self._host)  # another protocol takes the connection over
        super().handle_websocket_upgrade()

    @property
    def _host(self) -> str:
        return self.client[0] if self.client else ""

    # --- the parser

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._reading is Reading.NOTHING and not self._busy:
            self._fresh = True
        self._received += len(data)
        self._held += len(data)
        super().data_received(data)
        if self._held > self._settings.head_limit:
            self._refuse(self._too_large())

    def on_message_begin(self) -> None:
        self._reading = Reading.HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        size = len(self.url)
        if self._held > self._settings.head_limit:  # which may be the body that came along
            size += sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._settings.head_limit or len(self.url) > self._settings.target_limit:
            self._stop(self._too_large())
        if len(self.headers) > self._settings.header_count:
            self._stop(Refusal(431, f"The request has more than {self._settings.header_count} headers"))
        if len(self.pipeline) >= PIPELINED:
            self._stop(Refusal(429, f"More than {PIPELINED} requests were sent ahead of their replies"))
        super().on_headers_complete()
        if self.cycle is not None and not self.cycle.keep_alive:
            self.cycle.transport = _Last(self.transport, self._end)  # type: ignore[assignment]  # what a cycle asks of one
        self._reading, self._fresh, self._held = Reading.BODY, False, 0
        self.headers = list(self.headers)  # what follows a chunked body is not to become a header of the request

    def on_body(self, body: bytes) -> None:
        self._held = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._reading, self._held = Reading.NOTHING, 0
        self._fresh = not self._busy  # a body that was answered early: uvicorn's own timer has run already
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._refusal or Refusal(400, msg))

    def _stop(self, refusal: Refusal) -> None:
        """End the parser, which then asks for `send_400_response`."""
        self._refusal = refusal
        raise refusal

    def _too_large(self) -> Refusal:
        if len(self.url) > self._settings.target_limit:
            return Refusal(414, f"The target of the request is longer than {self._settings.target_limit} bytes")
        return Refusal(431, f"The head of the request is larger than {self._settings.head_limit} bytes")

    # --- slowness

    def shutdown(self) -> None:
        self._ends_at = self.loop.time() + AT_THE_END
        super().shutdown()

    def resume_writing(self) -> None:
        self._awaited = Awaited.NOTHING  # the client has taken something
        super().resume_writing()

    def watch(self, now: float) -> None:
        """End the connection if its client has done too little for too long."""
        awaited = self._awaits()
        if awaited is not self._awaited:
            self._awaited, self._since, self._mark = awaited, now, self._moved(awaited)
        elif awaited is not Awaited.NOTHING and now >= min(self._since + self._patience(awaited), self._ends_at):
            moved = self._moved(awaited)
            enough = max(1, self._settings.minimum_rate * self._settings.idle_timeout)
            if moved - self._mark < enough or now >= self._ends_at:
                self._give_up(awaited)
            self._since, self._mark = now, moved

    @property
    def _busy(self) -> bool:
        return self._answering is not None and not self._answering.response_complete

    @property
    def _begun(self) -> bool:
        return self._answering is not None and self._answering.response_started

    def _awaits(self) -> Awaited:
        if self._refused and not (self._ended and self.transport.get_write_buffer_size()):
            return Awaited.LEAVING
        stuck = self.flow.write_paused or self.transport.is_closing() or not self._busy
        if stuck and self.transport.get_write_buffer_size():
            return Awaited.TAKING
        if self._busy:
            sending = self._reading is Reading.BODY and not self._begun and not self.flow.read_paused
            return Awaited.BODY if sending else Awaited.NOTHING
        if self._reading is Reading.BODY:
            return Awaited.UNREAD_BODY
        return Awaited.HEAD if self._fresh or self._reading is Reading.HEAD else Awaited.NOTHING

    def _moved(self, awaited: Awaited) -> int:
        """Grows with each byte; stands still where only the end counts."""
        if awaited is Awaited.BODY:
            return self._received
        return -self._untaken() if awaited is Awaited.TAKING else 0

    def _untaken(self) -> int:
        """Bytes that the client has yet to take; many of them may wait in the kernel, which asks for more in large steps."""
        kernels = bytearray(4)
        with suppress(OSError, ValueError):  # closed meanwhile; a system that cannot tell
            ioctl(self.transport.get_extra_info("socket").fileno(), TIOCOUTQ, kernels)
        return self.transport.get_write_buffer_size() + int.from_bytes(kernels, sys.byteorder)

    def _patience(self, awaited: Awaited) -> float:
        special = {Awaited.HEAD: self._settings.head_timeout, Awaited.LEAVING: LINGER}
        return special.get(awaited, self._settings.idle_timeout)

    def _give_up(self, awaited: Awaited) -> None:
        if awaited is Awaited.HEAD and not self._held:
            self.transport.close()  # a connection that was opened in advance
        elif awaited in {Awaited.HEAD, Awaited.BODY}:
            self._refuse(Refusal(408, f"The client {awaited.value}"))
        else:
            log.info("cut a connection: the client %s", awaited.value)
            self.transport.abort()

    # --- the end of a connection

    def _end(self) -> None:
        """After the last reply. Who still sends a body that was answered early is let finish, or would not see the answer."""
        if self._reading is not Reading.BODY or self._refused or self.transport.is_closing():
            self.transport.close()
            return
        self._refused = self._ended = True
        self.flow.resume_reading()
        self.transport.write_eof()

    # --- refusals

    def _refuse(self, refusal: Refusal) -> None:
        """Answer, and take nothing more. Where an earlier request is being answered, there is no place for another reply."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        log.info("refused a request: %d %s", refusal.status, refusal.detail)
        amid = self._busy and (self._begun or self._reading is not Reading.BODY or self._answering is not self.cycle)
        self._tell_that_it_left()
        if amid:
            self.transport.close()
            return
        self.transport.write(refusal.written(self.server_state.default_headers))
        self.transport.write_eof()

    def _tell_that_it_left(self) -> None:
        """Whoever answers need not go on. Uvicorn tells the latest request, which may still wait behind this one."""
        if self._answering is not None and self._busy:
            self._answering.disconnected = True
            self._answering.message_event.set()


class _Last:
    """The transport as the last reply of a connection sees it."""

    __slots__ = ("_transport", "close")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._transport, self.close = transport, close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


async def watch_clients(connections: Collection[object]) -> None:
    """Until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(LOOK_EVERY)
        for connection in list(connections):
            if isinstance(connection, BoundedProtocol):
                connection.watch(loop.time())
