"""GraphQL over HTTP: POST for everything, GET for queries, JSON in and out; what a client sees of an error.

A POST has to be `application/json`, which no page of another origin can send without being asked first: that is the
protection against cross-site requests.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson
from engine.errors import explain_error
from graphql import GraphQLError, OperationType
from starlette.requests import Request
from starlette.responses import Response

from core.context import Context
from core.errors import DomainError, InvalidInput
from engine.graph import Graph
from engine.operation import Operation, Outcome

JSON, GRAPHQL_JSON = "application/json", "application/graphql-response+json"


class BadRequest(Exception):
    """The request is no GraphQL request at all; `status` says in which way."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers


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
        media = accepted(request.headers.get("accept"))
        try:
            if media is None:
                raise BadRequest(406, f"this endpoint answers {GRAPHQL_JSON} and {JSON}")
            asked = _from_query(request) if request.method == "GET" else await self._from_body(request)
            ctx = await self._context_for(request)
            operation, errors = self._operation(asked, request.method)
        except BadRequest as error:
            return _reply(error.status, {"errors": [{"message": error.message}]}, media or JSON, error.headers)
        if operation is None:
            return _reply(_refused(media), {"errors": [shown(ctx, error) for error in errors]}, media)
        outcome = await operation.execute(ctx, asked.variables)
        return self._answer(ctx, outcome, media)

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
            return None, [GraphQLError("row streams are not served here: the REST route of the list streams the same rows")]
        if kind is OperationType.MUTATION and method == "GET":
            raise BadRequest(405, "a mutation needs POST", Allow="POST")
        return operation, []

    def _answer(self, ctx: Context, outcome: Outcome, media: str) -> Response:
        body: dict[str, Any] = {}
        if outcome.errors:
            body["errors"] = [shown(ctx, error) for error in outcome.errors]
        began = outcome.data is not None or any(error.path for error in outcome.errors)
        if began:
            body["data"] = outcome.data
        return _reply(200 if began else _refused(media), body, media, dict(ctx.effects.headers))

    async def _from_body(self, request: Request) -> Asked:
        content_type, _, parameters = request.headers.get("content-type", "").partition(";")
        if content_type.strip().lower() != JSON:
            raise BadRequest(415, f"send the request as {JSON}")
        if "charset" in parameters.lower() and not re.search(r'charset="?utf-?8"?', parameters, re.IGNORECASE):
            raise BadRequest(415, "send the request in UTF-8")
        try:
            body = orjson.loads(await _read(request, self._body_limit))
        except orjson.JSONDecodeError as error:
            raise BadRequest(400, f"the body is not JSON: {error}") from error
        if isinstance(body, list):
            raise BadRequest(400, "batches are not enabled: send one operation per request")
        if not isinstance(body, dict):
            raise BadRequest(400, "the body is not a JSON object")
        return _asked(body)


async def _read(request: Request, limit: int) -> bytes:
    """The body, unless it is too large: then no more of it is read than the limit."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise BadRequest(413, f"the body is larger than {limit} bytes")
        parts.append(part)
    return b"".join(parts)


def _from_query(request: Request) -> Asked:
    given: dict[str, Any] = dict(request.query_params)
    for name in ("variables", "extensions"):
        if given.get(name):
            try:
                given[name] = orjson.loads(given[name])
            except orjson.JSONDecodeError as error:
                raise BadRequest(400, f"{name} is not JSON: {error}") from error
        else:
            given.pop(name, None)
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


def accepted(header: str | None) -> str | None:
    """The media type to answer with; None if the client accepts neither."""
    if not header:
        return JSON
    ranges = [
        part.split(";")[0].strip().lower() for part in header.split(",") if "q=0" not in part.replace(" ", "").split(";")[1:]
    ]
    for media in ranges:
        if media in {GRAPHQL_JSON, JSON}:
            return media
    return JSON if {"*/*", "application/*"} & set(ranges) else None


def _refused(media: str) -> int:
    """The status of a request that was not executed: older clients, which ask for plain JSON, expect 200."""
    return 400 if media == GRAPHQL_JSON else 200


def _reply(status: int, body: Mapping[str, Any], media: str, headers: Mapping[str, str] | None = None) -> Response:
    response = Response(orjson.dumps(body), status, media_type=f"{media}; charset=utf-8")
    response.headers.update({"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})})
    return response


def shown(ctx: Context, error: GraphQLError) -> dict[str, Any]:
    """An error as a client sees it: message, place, and a stable `extensions.code`."""
    known = explain_error(ctx, error)
    cause = error.original_error
    entry: dict[str, Any] = dict(known.formatted)
    if isinstance(cause, DomainError):
        extensions: dict[str, Any] = {"code": cause.code}
        if cause.field is not None:
            extensions["field"] = camel(cause.field)
        if isinstance(cause, InvalidInput) and cause.problems:
            extensions["problems"] = [
                {"path": [camel(part) for part in problem.path], "message": problem.message, "kind": problem.kind}
                for problem in cause.problems
            ]
        entry["extensions"] = extensions
    elif "extensions" not in entry:
        entry["extensions"] = {"code": "INVALID_VALUE" if error.path else "INVALID_REQUEST"}
    return entry


def camel(name: str | int) -> str | int:
    """`service_account_id` → `serviceAccountId`: use cases speak Python, the graph speaks GraphQL."""
    return name if isinstance(name, int) else re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)
