"""HTTP calls to addresses that somebody typed in: never to a network that is not meant, never for long, never large.

The name is resolved here and the connection made to the address that was checked, so no second look-up can lead elsewhere.
Redirects are not followed, proxies not asked. What is logged or told names the host and nothing else of the address.
"""

from __future__ import annotations

import base64
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Self
from urllib.parse import quote, unquote, urlsplit

import httpcore

from jobs.hooks.access import WebhookAccess
from jobs.hooks.asking import HookError

LARGEST_REPLY = 64 * 1024

_PART = 4096
_READABLE = "/%:@!$&'()*+,;=~-._?"


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """What a webhook's address says. Path, query, user and password may be secrets."""

    url: httpcore.URL
    host: str
    authorization: bytes | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `HookError` for what is no address of HTTP."""
        try:
            parts = urlsplit(text)
            port, host = parts.port, (parts.hostname or "").encode("idna" if not (parts.hostname or "").isascii() else "ascii")
        except ValueError:
            parts = None
        if parts is None or parts.scheme not in {"http", "https"} or not host:
            raise HookError("its webhook_url is no address: write it as https://host/path")
        path = quote(parts.path or "/", safe=_READABLE) + (f"?{quote(parts.query, safe=_READABLE)}" if parts.query else "")
        user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
        basic = b"Basic " + base64.b64encode(user) if parts.username or parts.password else None
        return cls(httpcore.URL(scheme=parts.scheme, host=host, port=port, target=path), host.decode(), basic)


class Caller:
    """Makes calls, one at a time, and keeps connections for the next one."""

    def __init__(self, access: WebhookAccess) -> None:
        self._access = access
        self._ends_at = 0.0
        self._pool: httpcore.ConnectionPool | None = None

    def post(self, target: Target, body: bytes) -> bytes:
        """Send JSON; the body of a reply that says all is well. Raises `HookError`."""
        self._ends_at = time.monotonic() + self._access.timeout
        headers = [
            (b"Host", _host_header(target.url)),
            (b"Content-Type", b"application/json"),
            (b"Accept", b"application/json"),
            (b"User-Agent", b"switchyard"),
        ]
        if target.authorization is not None:
            headers.append((b"Authorization", target.authorization))
        if self._pool is None:  # most harvests make none
            backend = _Backend(self._access, self._remaining)
            self._pool = httpcore.ConnectionPool(ssl_context=_trusted(), keepalive_expiry=2.0, network_backend=backend)
        try:
            with self._pool.stream("POST", target.url, headers=headers, content=body) as reply:
                return _body(target.host, reply)
        except (httpcore.TimeoutException, TimeoutError) as error:
            raise HookError(f"{target.host} does not answer within {self._access.timeout:g} s") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError) as error:
            raise HookError(f"{target.host} cannot be called: {_why(error)}") from error

    def close(self) -> None:
        """Let go of connections."""
        if self._pool is not None:
            with suppress(OSError, httpcore.NetworkError):
                self._pool.close()

    def _remaining(self) -> float:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left


@cache
def _trusted() -> ssl.SSLContext:
    """Whom the machine trusts. Reading the certificates takes longer than most calls."""
    return ssl.create_default_context()


def _host_header(url: httpcore.URL) -> bytes:
    host = b"[" + url.host + b"]" if b":" in url.host else url.host
    return host if url.port is None else b"%b:%d" % (host, url.port)


def _body(host: str, reply: httpcore.Response) -> bytes:
    if not 200 <= reply.status < 300:
        raise HookError(f"{host} answered {reply.status}")
    body = bytearray()
    for chunk in reply.iter_stream():
        body += chunk
        if len(body) > LARGEST_REPLY:
            raise HookError(f"{host} answered with more than {LARGEST_REPLY // 1024} KB")
    return bytes(body)


def _why(error: Exception) -> str:
    """In words that cannot hold what was sent: the libraries' own may."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not valid ({cause.verify_message})"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return "it broke the connection" if isinstance(error, httpcore.RemoteProtocolError) else "the connection failed"


class _Backend(httpcore.SyncBackend):
    """Connects to addresses that are allowed."""

    def __init__(self, access: WebhookAccess, remaining: Callable[[], float]) -> None:
        self._access = access
        self._remaining = remaining

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = _addresses(host, port)
        allowed = [address for address in addresses if self._access.allows(address)]
        if not allowed:
            raise HookError(f"{host} is {addresses[0]}, which is in no network that webhooks may call")
        for number, address in enumerate(allowed, start=1):
            try:
                stream = super().connect_tcp(address, port, self._remaining(), local_address, socket_options)
            except httpcore.ConnectError:
                if number == len(allowed):
                    raise
            else:
                return _Bounded(stream, self._remaining)
        raise AssertionError


class _Bounded(httpcore.NetworkStream):
    """Whatever is done on it, it ends when the call has to."""

    def __init__(self, stream: httpcore.NetworkStream, remaining: Callable[[], float]) -> None:
        self._stream = stream
        self._remaining = remaining

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._remaining())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for begin in range(0, len(buffer), _PART):
            self._stream.write(buffer[begin : begin + _PART], self._remaining())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Bounded(self._stream.start_tls(ssl_context, server_hostname, self._remaining()), self._remaining)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise HookError(f"there is no host called {host}") from error
    return list(dict.fromkeys(str(each[4][0]) for each in found))
