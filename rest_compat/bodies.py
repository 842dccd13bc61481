"""Reading a request's body: never more than the limit, as JSON or as a form, with FastAPI's word for what is wrong."""

from __future__ import annotations

import json
from typing import Any

import orjson
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message, Receive

from core import exact_json
from core.errors import TooLarge
from rest_compat.binder import ABSENT
from rest_compat.faults import Fault, Unbindable


async def read_json(request: Request, limit: int) -> Any:
    """The JSON value, `ABSENT` for no body, or the text of a body of another type, which then fits nothing."""
    raw = await _limited(request, limit).body()
    if not raw:
        return ABSENT
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type == "application/json" or media_type.endswith("+json"):
        return _parsed(raw)
    return raw.decode(errors="replace")


async def read_form(request: Request, limit: int) -> Any:
    """The form; empty for a body of another type."""
    try:
        async with _limited(request, limit).form() as form:
            return FormData(form.multi_items())
    except (MultiPartException, HTTPException) as error:  # the second within a Starlette application
        raise Unbindable([Fault(("body",), "value_error", "There was an error parsing the body")]) from error


def _limited(request: Request, limit: int) -> Request:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    return Request(request.scope, _counted(request.receive, limit))


def _counted(receive: Receive, limit: int) -> Receive:
    left = limit

    async def counted() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise _too_large(limit)
        return message

    return counted


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is larger than {limit} bytes")


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
