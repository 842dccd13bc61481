"""Reading a request's body: never more than the bounds, as JSON or as a form, with FastAPI's word for what is wrong."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message, Receive

from core import exact_json
from core.errors import TooLarge, UnsupportedMedia
from core.uploads import Room, Upload
from rest_compat.binder import ABSENT
from rest_compat.faults import Fault, NoFile, Unbindable
from rest_compat.multipart import FRAMING, BrokenMultipart, Parts, bounded
from rest_compat.reply import JSON_TYPE

MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one call may send and get: bytes of its body and of a reply that is no stream, fields of a form; room for files."""

    body: int = 16 * MEBIBYTE
    reply: int = 64 * MEBIBYTE
    form_fields: int = 100
    room: Room | None = None

    def check_reply(self, body: bytes | memoryview) -> None:
        """Raises `TooLarge` telling what to do instead."""
        if len(body) > self.reply:
            raise TooLarge(f"The reply is larger than {self.reply} bytes: ask for less, page by page or as a stream of rows")


async def read_bytes(request: Request, limit: int) -> bytes:
    """The body, unless it is too large: then no more of it is read than the limit. Raises `TooLarge`, `UnsupportedMedia`."""
    return await limited(request, limit).body()


async def read_json(request: Request, limit: int, *, only: bool = False) -> Any:
    """The JSON value, `ABSENT` for no body, or the text of a body of another type, which then fits nothing.

    With `only` that type is `UnsupportedMedia`, and has to be there.
    """
    sent = request.headers.get("content-type", "" if only else JSON_TYPE)
    media_type = sent.partition(";")[0].strip().lower()
    is_json = media_type == JSON_TYPE or media_type.endswith("+json")
    if only and not is_json:
        raise UnsupportedMedia(f"Unsupported content-type {media_type or '(none)'}: send {JSON_TYPE}")
    raw = await read_bytes(request, limit)
    if not raw:
        return ABSENT
    return _parsed(raw) if is_json else raw.decode(errors="replace")


@asynccontextmanager
async def read_file(request: Request, room: Room) -> AsyncIterator[Upload]:
    """The first part that has a file name; what comes after it is read and dropped. Raises `NoFile`, `TooLarge`, `Unavailable`."""
    otherwise = f"The file is larger than {room.largest} bytes"
    with room.turn():
        upload = Upload()
        try:
            sent = limited(request, room.largest + FRAMING, otherwise).stream()
            parts = Parts(request.headers.get("content-type", ""), sent)
            found = False
            while (part := await parts.next()) is not None:
                if part.filename is not None and not found:
                    found = True
                    upload.filename, upload.content_type = part.filename, part.content_type
                    await upload.fill(bounded(part, room.largest, otherwise), room.folder)
                else:
                    async for _ in part.pieces():
                        pass
            if not found:
                raise NoFile("no part of the body has a file name")
            yield upload
        except BrokenMultipart as error:
            raise NoFile(str(error)) from error
        finally:
            await upload.close()


async def read_form(request: Request, limit: int, fields: int) -> Any:
    """The form; empty for a body of another type."""
    try:
        async with limited(request, limit).form(max_files=fields, max_fields=fields) as form:
            return FormData(form.multi_items())
    except (MultiPartException, HTTPException) as error:  # the second within a Starlette application
        raise Unbindable([Fault(("body",), "value_error", "There was an error parsing the body")]) from error


def limited(request: Request, limit: int, otherwise: str = "") -> Request:
    """The request, of whose body no more is read than that. Raises `TooLarge` and `UnsupportedMedia`, the first also on reading."""
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise UnsupportedMedia("Send the body as it is, without a content encoding")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit, otherwise)
    return Request(request.scope, _counted(request.receive, limit, otherwise))


def _counted(receive: Receive, limit: int, otherwise: str) -> Receive:
    left = limit

    async def counted() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise _too_large(limit, otherwise)
        return message

    return counted


def _too_large(limit: int, otherwise: str) -> TooLarge:
    return TooLarge(otherwise or f"The body is larger than {limit} bytes")


def _parsed(raw: bytes) -> Any:
    try:
        return exact_json.read_json(raw)
    except orjson.JSONDecodeError as error:
        raise _invalid(raw, error) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits
        raise Unbindable([Fault(("body", 0), "json_invalid", "JSON decode error", {}, {"error": str(error)})]) from error


def _invalid(raw: bytes, error: json.JSONDecodeError) -> Unbindable:
    """In the standard library's words, unless it lets pass what is no JSON (`NaN`, half a surrogate pair)."""
    try:
        json.loads(raw)
    except json.JSONDecodeError as standard:
        error = standard
    except (ValueError, RecursionError):
        pass
    return Unbindable([Fault(("body", error.pos), "json_invalid", "JSON decode error", {}, {"error": error.msg})])
