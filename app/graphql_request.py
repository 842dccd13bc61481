"""What a client asks of `/graphql`: one operation, in a JSON body or a query string, with its document or the id of one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from functools import lru_cache
from typing import Any

from starlette.requests import Request

from core.errors import TooLarge, UnsupportedMedia
from core.exact_json import read_json
from engine.trusted import SHA256
from rest_compat.bodies import read_bytes

JSON = "application/json"

PREFLIGHT_HEADERS = ("graphql-preflight", "graphql-require-preflight", "apollo-require-preflight", "x-requested-with")
"""What clients are known to send, whatever its value, to prove that they are no form of another page."""

_HASH = re.compile("[0-9a-f]{64}")


class BadRequest(Exception):
    """The request is no GraphQL request at all; `status` says in which way."""

    def __init__(self, status: int, message: str, code: str = "INVALID_REQUEST", **headers: str) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers
        self.error = {"message": message, "extensions": {"code": code}}


@dataclass(frozen=True, slots=True)
class Asked:
    """One GraphQL request: with the text of a document, the id of one, or both."""

    query: str | None
    document_id: str | None = None
    operation_name: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    uploads: frozenset[str] = frozenset()
    """The variables that hold files."""


async def from_body(request: Request, limit: int, batch: int = 0) -> Asked | list[Asked]:
    """From a JSON body of at most so many bytes; of an array of at most so many operations, each."""
    content_type, charset = _content_type(request.headers.get("content-type", ""))
    if content_type != JSON:
        raise BadRequest(415, f"send the request as {JSON}", UnsupportedMedia.code)
    if charset not in {"utf-8", "utf8"}:
        raise BadRequest(415, "send the request in UTF-8", UnsupportedMedia.code)
    try:
        sent = await read_bytes(request, limit)
    except TooLarge as error:
        raise BadRequest(413, f"the body is larger than {limit} bytes", error.code) from error
    except UnsupportedMedia as error:
        raise BadRequest(415, error.detail, error.code) from error
    return asked_in(parsed(sent, "the body"), batch)


def asked_in(body: Any, batch: int) -> Asked | list[Asked]:
    """From JSON: an operation, or an array of at most so many. Raises `BadRequest`."""
    if isinstance(body, list):
        return _batch(body, batch)
    if not isinstance(body, dict):
        raise BadRequest(400, "the body is not a JSON object")
    return asked_of(body)


def _batch(body: list[Any], most: int) -> list[Asked]:
    if not most:
        raise BadRequest(400, "batches are not enabled: send one operation per request")
    if not 0 < len(body) <= most:
        raise BadRequest(400, f"{len(body)} operations in one batch; from 1 to {most} are allowed")
    if not all(isinstance(each, dict) for each in body):
        raise BadRequest(400, "each operation of a batch has to be a JSON object")
    return [asked_of(each) for each in body]


def from_query(request: Request) -> Asked:
    """From the query string."""
    given: dict[str, Any] = {name: text for name, text in request.query_params.items() if text}
    for name in ("variables", "extensions"):
        if name in given:
            given[name] = parsed(given[name].encode(), name)
    return asked_of(given)


def preflighted(headers: Mapping[str, str]) -> bool:
    """Whether a browser asks the server before it sends these for a page of another origin: no form or image has them."""
    if any(name in headers for name in PREFLIGHT_HEADERS):
        return True
    # Bearer, because what a browser adds by itself is Basic.
    bearer = headers.get("authorization", "").partition(" ")[0].lower() == "bearer"
    return bearer or media_type(headers) == JSON


def media_type(headers: Mapping[str, str]) -> str:
    """Of the body, in lower case."""
    return _content_type(headers.get("content-type", ""))[0]


@lru_cache(maxsize=16)
def _content_type(text: str) -> tuple[str, str]:
    """Media type and character set, in lower case."""
    header = Message()
    header["content-type"] = text
    return header.get_content_type(), header.get_content_charset("utf-8")


def parsed(text: bytes, place: str) -> Any:
    """The JSON. Raises `BadRequest`, which names the place."""
    try:
        return read_json(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(400, f"{place} is not JSON: {error}") from error


def asked_of(given: Mapping[str, Any]) -> Asked:
    """From a JSON object. Raises `BadRequest`."""
    query, name, variables = given.get("query"), given.get("operationName"), given.get("variables")
    document_id = _document_id(given)
    if query is None and document_id is not None:
        pass  # the id is enough
    elif not isinstance(query, str) or not query:
        raise BadRequest(400, "query has to be a GraphQL document")
    if name is not None and not isinstance(name, str):
        raise BadRequest(400, "operationName has to be a string")
    if variables is not None and not isinstance(variables, dict):
        raise BadRequest(400, "variables has to be an object")
    return Asked(query, document_id, name or None, variables or {})


def _document_id(given: Mapping[str, Any]) -> str | None:
    """`documentId`, or what Apollo's clients send for it."""
    document_id, extensions = given.get("documentId"), given.get("extensions")
    if document_id is not None and (not isinstance(document_id, str) or not document_id):
        raise BadRequest(400, "documentId has to be a string that is not empty")
    if extensions is not None and not isinstance(extensions, dict):
        raise BadRequest(400, "extensions has to be an object")
    persisted = (extensions or {}).get("persistedQuery")
    if persisted is None:
        return document_id
    digest = persisted.get("sha256Hash") if isinstance(persisted, dict) and persisted.get("version") == 1 else None
    if not isinstance(digest, str) or not _HASH.fullmatch(digest):
        raise BadRequest(400, "persistedQuery has to be version 1 with the sha256Hash of a document: 64 digits, in lower case")
    if document_id not in {None, SHA256 + digest}:
        raise BadRequest(400, "documentId and persistedQuery name different documents")
    return SHA256 + digest
