"""Compresses replies as the client asks: zstd, br or gzip, whole or piece by piece, and what that means for their headers.

What has to stay as it is says so with `Cache-Control: no-transform`: a reply with a secret beside what its caller chose
would tell by its length what both have in common.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import brotli
import zstandard
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SMALLEST = 500
"""Bytes below which nothing is gained."""
OFF_THE_LOOP = 256 * 2**10
"""Bytes from which on the event loop would notice."""

_TYPES = frozenset(["application/json", "application/graphql-response+json", "application/problem+json", "image/svg+xml"])
_TEXTS = frozenset(["plain", "html", "css", "javascript"])
"""Never `text/event-stream`: what waits in a compressor is late."""

_QUALITY = re.compile(r"q\s*=\s*(0(\.\d{0,3})?|1(\.0{0,3})?)", re.IGNORECASE)


class Stream(Protocol):
    """Compresses one reply, piece by piece."""

    def piece(self, data: bytes) -> bytes:
        """Everything so far can be read from what was given back."""

    def end(self) -> bytes:
        """The rest."""


class _Zstd:
    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=3).compressobj()

    def piece(self, data: bytes) -> bytes:
        return self._compressor.compress(data) + self._compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def end(self) -> bytes:
        return self._compressor.flush()


class _Brotli:
    def __init__(self) -> None:
        self._compressor = brotli.Compressor(quality=3)

    def piece(self, data: bytes) -> bytes:
        return bytes(self._compressor.process(data) + self._compressor.flush())

    def end(self) -> bytes:
        return bytes(self._compressor.finish())


class _Gzip:
    def __init__(self) -> None:
        self._compressor = zlib.compressobj(4, zlib.DEFLATED, 16 + zlib.MAX_WBITS)

    def piece(self, data: bytes) -> bytes:
        return self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._compressor.flush()


_STREAMS: Mapping[str, Callable[[], Stream]] = {"zstd": _Zstd, "br": _Brotli, "gzip": _Gzip}
"""In the order in which we choose among what a client likes equally: what costs least comes first."""

_WHOLE: Mapping[str, Callable[[bytes], bytes]] = {
    "zstd": lambda body: zstandard.ZstdCompressor(level=3).compress(body),
    "br": lambda body: bytes(brotli.compress(body, quality=3)),
    "gzip": lambda body: zlib.compress(body, 4, 16 + zlib.MAX_WBITS),
}


@lru_cache(maxsize=256)
def chosen(accepted: str) -> str | None:
    """The coding to use for an `Accept-Encoding` header; None for none."""
    qualities = dict(_coding(each) for each in accepted.split(",") if each.strip())
    others = qualities.get("*", 0.0)
    offers = {name: qualities.get(name, others) for name in _STREAMS}
    best = max(offers, key=offers.__getitem__)
    return best if offers[best] > 0 and offers[best] >= qualities.get("identity", 0.0) else None


def _coding(text: str) -> tuple[str, float]:
    """A coding and its quality; what cannot be read as a quality is none."""
    name, *parameters = (part.strip() for part in text.split(";"))
    found = [_QUALITY.fullmatch(each) for each in parameters]
    known = [float(each[1]) for each in found if each]
    return name.lower(), known[0] if known else 0.0 if parameters else 1.0


class Compressed:
    """The application, with its replies compressed where that is asked for and worth it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = [value for name, value in scope["headers"] if name == b"accept-encoding"]
        coding = chosen(b",".join(asked).decode("latin-1")) if asked else None
        await self._app(scope, receive, _Sender(send, coding, head=scope["method"] == "HEAD"))


@dataclass(slots=True)
class _Sender:
    """Sends one reply. Its start waits for the first piece of its body, which tells whether there is enough of it."""

    send: Send
    coding: str | None
    head: bool
    start: Message | None = None
    stream: Stream | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _compressible(message):
            self.start = {**message, "headers": [*message["headers"], (b"vary", b"Accept-Encoding")]}
        elif message["type"] != "http.response.body" or (self.start is None and self.stream is None):
            await self.send(message)
        elif self.stream is not None:
            await self.send(self._piece(self.stream, message))
        else:
            assert self.start is not None
            start, self.start = self.start, None
            if self.coding is None:
                await self.send(start)
                await self.send(message)
            else:
                await self._begin(start, self.coding, message)

    async def _begin(self, start: Message, coding: str, first: Message) -> None:
        headers = MutableHeaders(raw=start["headers"])
        body, more = first.get("body", b""), first.get("more_body", False)
        unchanged = start["status"] == _NOT_MODIFIED
        if unchanged or more or int(headers.get("content-length", len(body))) >= SMALLEST:
            _weaken(headers)
            if not unchanged:
                headers["Content-Encoding"] = coding
                del headers["Content-Length"]
            if more:
                self.stream = _STREAMS[coding]()
                first = self._piece(self.stream, first)
            elif not (unchanged or self.head):
                whole = _WHOLE[coding]
                packed = whole(body) if len(body) < OFF_THE_LOOP else await asyncio.to_thread(whole, body)
                headers["Content-Length"] = str(len(packed))
                first = {**first, "body": packed}
        await self.send(start)
        await self.send(first)

    def _piece(self, stream: Stream, message: Message) -> Message:
        body = message.get("body", b"")
        packed = stream.piece(body) if body else b""
        return {**message, "body": packed if message.get("more_body", False) else packed + stream.end()}


_NOT_MODIFIED = 304


def _compressible(start: Message) -> bool:
    """By type. A part of something is a part of its bytes as they are."""
    status, worthwhile = start["status"], start["status"] == _NOT_MODIFIED
    for name, value in start["headers"]:
        if name == b"content-type":
            worthwhile = _is_text(value)
        elif name == b"content-encoding" or (name == b"cache-control" and b"no-transform" in value):
            return False
    return worthwhile and status >= 200 and status not in {204, 206}


@lru_cache(maxsize=64)
def _is_text(content_type: bytes) -> bool:
    media = content_type.decode("latin-1").partition(";")[0].strip().lower()
    main, _, sub = media.partition("/")
    return media in _TYPES or (main == "text" and sub in _TEXTS)


def _weaken(headers: MutableHeaders) -> None:
    """A strong tag names these bytes; compressed, they are others that mean the same."""
    tag = headers.get("etag", "")
    if tag.startswith('"'):
        headers["etag"] = f"W/{tag}"
