"""The parts of a multipart body, one after the other, none of them held in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from core.errors import TooLarge
from core.uploads import UNKNOWN_TYPE

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MULTIPART = "multipart/form-data"
FRAMING = 2**16
"""Bytes for boundaries and for the headers of parts."""

_AS_IT_IS = frozenset({"", "7bit", "8bit", "binary"})


class BrokenMultipart(Exception):
    """The body is not what its type says."""


class Part:
    """One part: what it is called, and its content, once."""

    def __init__(self, parts: Parts, headers: dict[bytes, bytes]) -> None:
        disposition, options = parse_options_header(headers.get(b"content-disposition", b""))
        if disposition != b"form-data" or b"name" not in options:
            raise BrokenMultipart("a part has no name")
        if headers.get(b"content-transfer-encoding", b"").strip().lower().decode("latin-1") not in _AS_IT_IS:
            raise BrokenMultipart("a part has a transfer encoding: send it as it is")
        self.name = options[b"name"].decode(errors="replace")
        self.filename = options[b"filename"].decode(errors="replace") if b"filename" in options else None
        self.content_type = headers.get(b"content-type", b"").decode("latin-1").strip() or UNKNOWN_TYPE
        self._parts = parts

    async def pieces(self) -> AsyncIterator[bytes]:
        """The content, as it comes. Raises `BrokenMultipart` if it is cut off."""
        while (piece := await self._parts.event()) is not None:
            assert isinstance(piece, bytes), "a part ends before the next one begins"
            yield piece


async def bounded(part: Part, most: int, otherwise: str) -> AsyncIterator[bytes]:
    """The content of a part. Raises `TooLarge` in those words if there is more."""
    left = most
    async for piece in part.pieces():
        left -= len(piece)
        if left < 0:
            raise TooLarge(otherwise)
        yield piece


class Parts:
    """Of one body."""

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        media_type, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if media_type != MULTIPART.encode() or not boundary:
            raise BrokenMultipart("the content type names no boundary")
        try:
            self._parser = MultipartParser(boundary, self._callbacks())
        except FormParserError as error:
            raise BrokenMultipart(str(error)) from error
        self._body = body
        self._events: deque[dict[bytes, bytes] | bytes | None] = deque()
        """A part begins with its headers, has its content in pieces, and ends with None."""
        self._field, self._value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._over = False

    async def next(self) -> Part | None:
        """The next part, when the one before was read; None after the last."""
        while not self._events:
            if self._over:
                return None
            await self._read()
        headers = await self.event()
        assert isinstance(headers, dict), "the part before was read to its end"
        return Part(self, headers)

    async def event(self) -> dict[bytes, bytes] | bytes | None:
        """What comes next."""
        while not self._events:
            await self._read()
        return self._events.popleft()

    async def _read(self) -> None:
        piece = await anext(self._body, None)
        if piece is None:
            raise BrokenMultipart("the body ends before its last boundary")
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise BrokenMultipart(f"the body is not {MULTIPART}: {error}") from error

    def _callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_to_field,
            "on_header_value": self._add_to_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._headers = {}

    def _add_to_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field, self._value = b"", b""

    def _end_headers(self) -> None:
        self._events.append(self._headers)

    def _add(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _end(self) -> None:
        self._events.append(None)

    def _finish(self) -> None:
        self._over = True
