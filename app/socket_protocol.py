"""WebSockets as uvicorn speaks them, within bounds: of sockets, of a message, and of the time that a client has for leaving."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.settings import Settings
from core.network import network_of

ALIVE_EVERY = 20.0
"""Seconds after which a client is asked whether it is there, and for its answer."""
WRITE = "switchyard.write"
"""In a scope's extensions: writes a text at once, or says that it cannot. Through ASGI a message takes five times as long."""

LEAVING = 10.0
"""Seconds in which a client takes what waits for it; what nobody takes would be kept for ever."""


class Sockets:
    """How many there are, and how many each network address has, unless it is a proxy's."""

    def __init__(self, settings: Settings, is_proxy: Callable[[str], bool]) -> None:
        self._most, self._most_of_one, self._is_proxy = settings.sockets, settings.connections_per_address, is_proxy
        self._of: Counter[str] = Counter()
        self.open = 0

    def enter(self, host: str) -> bool:
        """Count one more, unless there are too many already."""
        network = network_of(host)
        bound = self._most_of_one and not self._is_proxy(host)
        if self.open >= self._most or (bound and self._of[network] >= self._most_of_one):
            return False
        self.open += 1
        self._of[network] += 1
        return True

    def leave(self, host: str) -> None:
        """It is gone."""
        network = network_of(host)
        self.open -= 1
        self._of[network] -= 1
        if not self._of[network]:
            del self._of[network]


class BoundedSocket(WebSocketsSansIOProtocol):
    """One connection, from the upgrade on."""

    def __init__(self, sockets: Sockets, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._sockets = sockets
        self.logger = self.conn.logger = _log

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["extensions"][WRITE] = self._write_text  # type: ignore[assignment]  # any value, says ASGI

    def _write_text(self, text: bytes) -> bool:
        """Write a whole message if there is room; whether there was."""
        if not self.writable.is_set() or self.close_sent or self.disconnected or self.transport.is_closing():
            return False
        size = len(text)
        if size < 126:
            self.transport.write(bytes((0x81, size)) + text)
        elif size < 2**16:
            self.transport.write(b"\x81\x7e" + size.to_bytes(2) + text)
        else:
            self.transport.write(b"\x81\x7f" + size.to_bytes(8) + text)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._sockets.leave(self.client[0] if self.client else "")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if (
            self.conn.handshake_exc is not None and not self.handshake_initiated
        ):  # a head that HTTP takes, and WebSocket does not
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()

    def handle_parser_exception(self) -> None:
        super().handle_parser_exception()
        self._let_go()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()

    async def run_asgi(self) -> None:
        try:
            await super().run_asgi()
        finally:
            self._let_go()

    def shutdown(self) -> None:
        super().shutdown()
        self._let_go()

    def _let_go(self) -> None:
        if not self.disconnected:
            self.loop.call_later(LEAVING, self.transport.abort)


_log = logging.getLogger("switchyard.sockets")
_log.setLevel(logging.WARNING)  # below that uvicorn writes query strings


def _ours(record: logging.LogRecord) -> bool:
    """A client that sends no Unicode is told so by a code, which the socket's line has; uvicorn writes a traceback besides."""
    return record.exc_info is None or not isinstance(record.exc_info[1], UnicodeDecodeError)


_log.addFilter(_ours)
