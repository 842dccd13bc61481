"""GraphQL over HTTP: POST for everything, GET for queries, JSON in and out; what a client sees of an error.

A POST has to be `application/json`, which no page of another origin can send without being asked first: that is the
protection against cross-site requests.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any, ClassVar

import orjson
from graphql import GraphQLError, OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from strawberry.utils.str_converters import to_camel_case

from app.observability import Reporter, request_id_of
from core.context import Context
from core.errors import DomainError, Internal, InvalidInput, NotSupported, Problem, TooLarge, Unavailable, UnsupportedMedia
from core.exact_json import read_json
from engine.errors import explain_error
from engine.graph import Graph
from engine.operation import Operation, Outcome
from rest_compat.reply import encoded

JSON, GRAPHQL_JSON = "application/json", "application/graphql-response+json"

_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")

_NO_STREAMS = NotSupported("row streams are not served here: the REST route of the list streams the same rows")


class BadRequest(Exception):
    """The request is no GraphQL request at all; `status` says in which way."""

    def __init__(self, status: int, message: str, code: str = "INVALID_REQUEST", **headers: str) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers
        self.error = {"message": message, "extensions": {"code": code}}


@dataclass(frozen=True, slots=True)
class Asked:
    """One GraphQL request."""

    query: str
    operation_name: str | None
    variables: Mapping[str, Any]


class GraphQLEndpoint:
    """Serves `/graphql`."""

    METHODS: ClassVar[list[str]] = ["GET", "POST"]

    def __init__(self, graph: Graph, context_for: Callable[[Request], Awaitable[Context]], body_limit: int) -> None:
        self._graph, self._context_for, self._body_limit = graph, context_for, body_limit

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        media = accepted(",".join(request.headers.getlist("accept")))
        if media is None:
            return _not_graphql(BadRequest(406, f"this endpoint answers {GRAPHQL_JSON} and {JSON}"), JSON)
        try:
            return await self._answer(request, media)
        except BadRequest as refusal:
            return _not_graphql(refusal, media)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001  # the last place that can say it as GraphQL does
            return _broken(request, error, media)

    async def _answer(self, request: Request, media: str) -> Response:
        asked = await self._from_body(request) if request.method == "POST" else _from_query(request)
        ctx = await self._context_for(request)
        operation, errors = self._operation(asked, request.method)
        if operation is None:
            return _reply(_refused(media), {"errors": [shown(ctx, error) for error in errors]}, media)
        outcome = await operation.execute(ctx, asked.variables)
        return _outcome(ctx, outcome, media)

    def _operation(self, asked: Asked, method: str) -> tuple[Operation | None, list[GraphQLError]]:
        document, errors = self._graph.document(asked.query)
        if document is None:
            return None, errors
        try:
            operation = self._graph.operation(asked.query, document, asked.operation_name)
        except GraphQLError as error:
            return None, [error]
        kind = operation.definition.operation
        if kind is OperationType.SUBSCRIPTION:
            return None, [GraphQLError(_NO_STREAMS.detail, original_error=_NO_STREAMS)]
        if kind is OperationType.MUTATION and method != "POST":
            raise BadRequest(405, "a mutation needs POST", Allow="POST")
        return operation, []

    async def _from_body(self, request: Request) -> Asked:
        content_type, charset = _content_type(request)
        if content_type != JSON:
            raise BadRequest(415, f"send the request as {JSON}", UnsupportedMedia.code)
        if charset not in {"utf-8", "utf8"}:
            raise BadRequest(415, "send the request in UTF-8", UnsupportedMedia.code)
        body = _parsed(await _read(request, self._body_limit), "the body")
        if isinstance(body, list):
            raise BadRequest(400, "batches are not enabled: send one operation per request")
        if not isinstance(body, dict):
            raise BadRequest(400, "the body is not a JSON object")
        return _asked(body)


# --- the request -------------------------------------------------------------------------------------------------------


def _content_type(request: Request) -> tuple[str, str]:
    """Media type and character set, in lower case."""
    header = Message()
    header["content-type"] = request.headers.get("content-type", "")
    return header.get_content_type(), header.get_content_charset("utf-8")


async def _read(request: Request, limit: int) -> bytes:
    """The body, unless it is too large: then no more of it is read than the limit."""
    too_large = BadRequest(413, f"the body is larger than {limit} bytes", TooLarge.code)
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise too_large
    return bytes(body)


def _parsed(text: bytes, place: str) -> Any:
    try:
        return read_json(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(400, f"{place} is not JSON: {error}") from error


def _from_query(request: Request) -> Asked:
    given: dict[str, Any] = {name: text for name, text in request.query_params.items() if text}
    for name in ("variables", "extensions"):
        if name in given:
            given[name] = _parsed(given[name].encode(), name)
    return _asked(given)


def _asked(given: Mapping[str, Any]) -> Asked:
    query, name, variables = given.get("query"), given.get("operationName"), given.get("variables")
    if not isinstance(query, str) or not query:
        raise BadRequest(400, "query has to be a GraphQL document")
    if name is not None and not isinstance(name, str):
        raise BadRequest(400, "operationName has to be a string")
    if variables is not None and not isinstance(variables, dict):
        raise BadRequest(400, "variables has to be an object")
    if given.get("extensions") is not None and not isinstance(given["extensions"], dict):
        raise BadRequest(400, "extensions has to be an object")
    return Asked(query, name or None, variables or {})


def accepted(header: str) -> str | None:
    """The media type to answer with; None if the client accepts neither. Plain JSON unless the client prefers the other."""
    if not header.strip():
        return JSON
    ranges = [_range(text) for text in header.split(",") if text.strip()]
    offers = [(*_preference(media, ranges), media) for media in (JSON, GRAPHQL_JSON)]
    quality, _, _, media = max(offers, key=lambda offer: offer[:3])
    return media if quality > 0 else None


def _range(text: str) -> tuple[str, float]:
    """A media range and its quality; what cannot be read as a quality is no preference."""
    media, *parameters = (part.strip().lower() for part in text.split(";"))
    given = [part[2:] for part in parameters if part.startswith("q=")]
    return media, float(given[0]) if given and _QUALITY.fullmatch(given[0]) else 1.0


def _preference(media: str, ranges: list[tuple[str, float]]) -> tuple[float, int, int]:
    """By quality, then by how exactly it is asked for, then by what comes first."""
    for exactness, wanted in ((2, media), (1, "application/*"), (0, "*/*")):
        for place, (found, quality) in enumerate(ranges):
            if found == wanted:
                return quality, exactness, -place if exactness == 2 else 0
    return 0.0, 0, 0


# --- the reply ---------------------------------------------------------------------------------------------------------


def _outcome(ctx: Context, outcome: Outcome, media: str) -> Response:
    body: dict[str, Any] = {}
    if outcome.errors:
        body["errors"] = [shown(ctx, error) for error in outcome.errors]
    began = outcome.data is not None or any(error.path for error in outcome.errors)
    if began:
        body["data"] = outcome.data
    return _reply(200 if began else _refused(media), body, media, ctx.effects.headers)


def _not_graphql(refusal: BadRequest, media: str) -> Response:
    return _reply(refusal.status, {"errors": [refusal.error]}, media, refusal.headers.items())


def _broken(request: Request, error: Exception, media: str) -> Response:
    """For what kept the request from being answered at all: a store that is down, or something unforeseen."""
    known = error if isinstance(error, DomainError) else Internal(Reporter(request_id_of(request.scope))(error))
    extensions = {"code": known.code} | ({"id": known.error_id} if isinstance(known, Internal) else {})
    body = {"errors": [{"message": known.detail, "extensions": extensions}]}
    return _reply(503 if isinstance(known, Unavailable) else 500, body, media)


def _refused(media: str) -> int:
    """The status of a request that was not executed: older clients, which ask for plain JSON, expect 200."""
    return 400 if media == GRAPHQL_JSON else 200


def _reply(status: int, body: Mapping[str, Any], media: str, headers: Iterable[tuple[str, str]] = ()) -> Response:
    response = Response(orjson.dumps(body), status, media_type=f"{media}; charset=utf-8")
    fixed = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
    response.raw_headers += encoded([*fixed, *headers])
    return response


def shown(ctx: Context, error: GraphQLError) -> dict[str, Any]:
    """An error as a client sees it: message, place, and a stable `extensions.code`."""
    entry: dict[str, Any] = dict(explain_error(ctx, error).formatted)
    entry.setdefault("extensions", {"code": "INVALID_VALUE" if error.path else "INVALID_REQUEST"})
    cause = error.original_error
    if isinstance(cause, InvalidInput) and cause.problems:
        entry["extensions"] = {**entry["extensions"], "problems": [_problem(each) for each in cause.problems]}
    return entry


def _problem(problem: Problem) -> dict[str, Any]:
    """Use cases speak Python, the graph speaks GraphQL: `service_account_id` → `serviceAccountId`."""
    path = [part if isinstance(part, int) else to_camel_case(part) for part in problem.path]
    return {"path": path, "message": problem.message, "kind": problem.kind}
