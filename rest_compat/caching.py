"""Conditional requests: a tag for what is answered, and `304 Not Modified` for who has it already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from xxhash import xxh3_128_hexdigest

from rest_compat.reply import Reply

NOT_MODIFIED: Final = 304

_ASK_AGAIN: Final = (("cache-control", "private, no-cache"), ("vary", "Authorization, Cookie, Accept"))
"""Rows change at any time, and what one person sees of them is nobody else's."""


def conditional(reply: Reply, request: Mapping[str, str]) -> Reply:
    """A query's reply with its tag, or 304. The tag is weak: of two replies of one meaning, one may be compressed."""
    tag = f'W/"{xxh3_128_hexdigest(reply.body)}"'
    known = has(tag, request)
    headers = (*reply.headers, ("etag", tag), *_ASK_AGAIN)
    return Reply(NOT_MODIFIED, b"", headers) if known else Reply(reply.status, reply.body, headers)


def unstored(*, confidential: bool) -> tuple[str, str]:
    """The header of what no cache keeps; what holds a secret is not compressed either."""
    return "cache-control", "no-store, no-transform" if confidential else "no-store"


def has(tag: str, request: Mapping[str, str]) -> bool:
    """Whether `If-None-Match` names the tag, weak or strong."""
    given = request.get("if-none-match")
    if given is None:
        return False
    return given.strip() == "*" or tag.removeprefix("W/") in {each.strip().removeprefix("W/") for each in given.split(",")}
