"""GraphQL over HTTP: POST for everything, GET for queries, JSON in and out; what a client sees of an error.

A POST has to be `application/json`, which no page of another origin can send without the server being asked first; or, for
files, multipart with a header that has the same effect. That is the protection against cross-site requests.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import orjson
from graphql import GraphQLError, OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp
from strawberry.utils.str_converters import to_camel_case

from app.graphql_documents import Documents
from app.graphql_request import JSON, Asked, BadRequest, from_body, from_query, preflighted
from app.graphql_uploads import Form, Uploads, is_multipart
from app.observability import Reporter, exchange_of, refusal, request_id_of
from app.rates import OPERATIONS
from core.context import Context
from core.errors import (
    Conflict,
    DomainError,
    Internal,
    InvalidInput,
    NotSupported,
    Problem,
    RateLimited,
    Timeout,
    TooExpensive,
    TooLarge,
    Unavailable,
)
from core.secrets import names_secret
from engine.errors import explain_error
from engine.graph import Graph
from engine.operation import Operation, Outcome
from engine.trusted import Trusted
from rest_compat.bodies import Bounds
from rest_compat.caching import conditional, unstored
from rest_compat.once import HEADER, Keyed, Once, key_of
from rest_compat.reply import Reply, encoded

GRAPHQL_JSON = "application/graphql-response+json"

COST_HEADER = "GraphQL-Cost"
"""A request with it gets `extensions.cost`, whatever its value."""

_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")

_NO_STREAMS = NotSupported(
    "a subscription needs a connection that stays: Accept: text/event-stream, or a WebSocket with graphql-transport-ws"
)


class GraphQLEndpoint:
    """Serves `/graphql`."""

    METHODS: ClassVar[list[str]] = ["GET", "POST"]

    def __init__(
        self,
        graph: Graph,
        context_for: Callable[[Request], Awaitable[Context]],
        bounds: Bounds,
        trusted: Trusted | None = None,
        *,
        batch: int = 0,
        plain_get: bool = True,
        once: Once | None = None,
        uploads: Uploads | None = None,
    ) -> None:
        self._graph, self._context_for, self._bounds = graph, context_for, bounds
        self._documents = Documents(graph, trusted)
        self._batch, self._plain_get, self._once, self._uploads = batch, plain_get, once, uploads

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        media = accepted(",".join(request.headers.getlist("accept")))
        if media is None:
            return _not_graphql(BadRequest(406, f"this endpoint answers {GRAPHQL_JSON} and {JSON}"), JSON)
        try:
            answer = await self._answer(request, media)
            self._bounds.check_reply(answer.body)
        except TooLarge as error:
            return _too_large(error, media)
        except BadRequest as refusal:
            return _not_graphql(refusal, media)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001  # the last place that can say it as GraphQL does
            return _broken(request, error, media)
        return answer

    async def stream(self, request: Request, opened: Callable[[Request, Asked], Awaitable[ASGIApp]]) -> ASGIApp:
        """Answer one request with a stream of events."""
        try:
            asked = await self._asked(request)
            if isinstance(asked, list):
                raise BadRequest(400, "a batch is not streamed: send one operation per request")  # noqa: TRY301  # told as those of reading
            return await opened(request, asked)
        except BadRequest as refusal:
            return _not_graphql(refusal, JSON)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001  # the last place that can say it as GraphQL does
            return _broken(request, error, JSON)

    async def _answer(self, request: Request, media: str) -> Response:
        if self._uploads is not None and request.method == "POST" and is_multipart(request):
            async with self._uploads.form(request, self._bounds.body) as form:
                return await self._answer_form(request, form, self._uploads, media)
        asked = await self._asked(request)
        return await self._answered(request, await self._context_of(request, asked), asked, media)

    async def _answer_form(self, request: Request, form: Form, uploads: Uploads, media: str) -> Response:
        asked = await form.asked(self._batch)
        ctx = await self._context_of(request, asked)
        barred = [await self._barred(request, ctx, each) for each in (asked if isinstance(asked, list) else [asked])]
        if all(barred):
            bodies = [{"errors": [shown(ctx, error) for error in errors]} for errors in barred]
            return _reply(200, bodies, JSON) if isinstance(asked, list) else _reply(_refused(media), bodies[0], media)
        with uploads.turn():
            await form.files()
            return await self._answered(request, ctx, asked, media)

    async def _barred(self, request: Request, ctx: Context, asked: Asked) -> list[GraphQLError]:
        """Why the operation is not executed whatever its files hold."""
        operation, errors = self._operation(asked, request.method)
        if operation is not None:
            errors = await _barred_by_itself(ctx, operation, asked)
        if errors:
            exchange_of(request.scope).refused = refusal(errors)
        return errors

    async def _context_of(self, request: Request, asked: Asked | list[Asked]) -> Context:
        if isinstance(asked, list):
            request.scope[OPERATIONS] = len(asked)
        return await self._context_for(request)

    async def _answered(self, request: Request, ctx: Context, asked: Asked | list[Asked], media: str) -> Response:
        answer = partial(self._executed, request, ctx, asked, media)
        if self._once is None or HEADER not in request.headers or not ctx.principals or not self._changes(asked):
            return await answer()
        return await _kept(self._once, request, ctx, asked, answer)

    async def _executed(self, request: Request, ctx: Context, asked: Asked | list[Asked], media: str) -> Response:
        if isinstance(asked, list):  # one after the other, so that what changes something does so in the order of the array
            bodies = [await self._one_of_many(request, ctx, each) for each in asked]
            return _reply(200, bodies, JSON, ctx.effects.headers, confidential=ctx.effects.confidential)
        began, body = await self._run(request, ctx, asked)
        status = 200 if began else _refused(media)
        response = _reply(status, body, media, ctx.effects.headers, confidential=ctx.effects.confidential)
        return response if request.method == "POST" or status != 200 or "errors" in body else _tagged(request, response)

    def _changes(self, asked: Asked | list[Asked]) -> bool:
        """Whether it is a mutation."""
        if isinstance(asked, list):
            raise BadRequest(400, "an Idempotency-Key stands for one operation, not for a batch")
        operation = self._operation(asked, "POST")[0]
        return operation is not None and operation.definition.operation is OperationType.MUTATION

    async def _asked(self, request: Request) -> Asked | list[Asked]:
        if request.method == "POST":
            return await from_body(request, self._bounds.body, self._batch)
        if not self._plain_get and not preflighted(request.headers):
            raise BadRequest(400, "a GET needs a bearer token, or the header GraphQL-Preflight with any value")
        return from_query(request)

    async def _one_of_many(self, request: Request, ctx: Context, asked: Asked) -> dict[str, Any]:
        """What goes wrong with one operation of a batch is no reason to keep the answers of others."""
        try:
            return (await self._run(request, replace(ctx, loaders={}), asked))[1]
        except BadRequest as refusal:
            return {"errors": [refusal.error]}
        except Exception as error:  # noqa: BLE001  # the last place that knows which one it was
            return _failure(request, error)[1]

    async def _run(self, request: Request, ctx: Context, asked: Asked) -> tuple[bool, dict[str, Any]]:
        """Whether execution began, and the body."""
        exchange = exchange_of(request.scope)
        operation, errors = self._operation(asked, request.method)
        if operation is None:
            exchange.refused = refusal(errors)
            return False, {"errors": [shown(ctx, error) for error in errors]}
        with exchange.executes(operation.definition, known=self._documents.knows(asked)):
            async with ctx.in_time():
                outcome = await operation.execute(ctx, asked.variables)
        if outcome.data is None and outcome.errors and not any(error.path for error in outcome.errors):
            exchange.refused = refusal(outcome.errors)
        extensions: dict[str, Any] = {}
        if COST_HEADER in request.headers or any(isinstance(error.original_error, TooExpensive) for error in outcome.errors):
            extensions["cost"] = {"nodes": operation.nodes(asked.variables), "limit": self._graph.limits.nodes}
        return _outcome(ctx, outcome, extensions)

    def _operation(self, asked: Asked, method: str) -> tuple[Operation | None, list[GraphQLError]]:
        operation, errors = self._documents.operation(asked)
        if operation is None:
            return None, errors
        kind = operation.definition.operation
        if kind is OperationType.SUBSCRIPTION:
            return None, [GraphQLError(_NO_STREAMS.detail, original_error=_NO_STREAMS)]
        if kind is OperationType.MUTATION and method != "POST":
            raise BadRequest(405, "a mutation needs POST", Allow="POST")
        return operation, []


async def _barred_by_itself(ctx: Context, operation: Operation, asked: Asked) -> list[GraphQLError]:
    declared = {each.variable.name.value for each in operation.definition.variable_definitions or ()}
    if undeclared := asked.uploads - declared:
        return [GraphQLError(f"the map names variables that the operation does not declare: {', '.join(sorted(undeclared))}")]
    try:
        operation.guard(ctx)
    except DomainError as error:
        return [GraphQLError(error.detail, original_error=error)]
    if operation.nodes(asked.variables) is None:
        return (await operation.execute(ctx, asked.variables)).errors  # which executes nothing with these variables
    return []


# --- the media type ---------------------------------------------------------------------------------------------------


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


def _outcome(ctx: Context, outcome: Outcome, extensions: Mapping[str, Any]) -> tuple[bool, dict[str, Any]]:
    body: dict[str, Any] = {}
    if outcome.errors:
        body["errors"] = [shown(ctx, error) for error in outcome.errors]
    began = outcome.data is not None or any(error.path for error in outcome.errors)
    if began:
        body["data"] = outcome.data
    if extensions:
        body["extensions"] = extensions
    return began, body


def _not_graphql(refusal: BadRequest, media: str) -> Response:
    return _reply(refusal.status, {"errors": [refusal.error]}, media, refusal.headers.items())


def _too_large(error: TooLarge, media: str) -> Response:
    """For a reply that nobody should have to hold. It was executed: a change that was asked for has been made."""
    return _reply(200, {"errors": [{"message": error.detail, "extensions": {"code": error.code}}], "data": None}, media)


def _broken(request: Request, error: Exception, media: str) -> Response:
    """For what kept the request from being answered at all: a store that is down, its time, or something unforeseen."""
    return _reply(*_failure(request, error), media)


def _failure(request: Request, error: Exception) -> tuple[int, dict[str, Any]]:
    known = error if isinstance(error, DomainError) else Internal(Reporter(request_id_of(request.scope))(error))
    extensions = {"code": known.code} | ({"id": known.error_id} if isinstance(known, Internal) else {})
    body = {"errors": [{"message": known.detail, "extensions": extensions}]}
    return next((status for kind, status in _STATUSES.items() if isinstance(known, kind)), 500), body


_STATUSES: dict[type[DomainError], int] = {RateLimited: 429, Unavailable: 503, Timeout: 504}
"""Also for clients that ask for plain JSON: nothing was answered, so there is nothing that 200 could stand for."""


def _refused(media: str) -> int:
    """The status of a request that was not executed: older clients, which ask for plain JSON, expect 200."""
    return 400 if media == GRAPHQL_JSON else 200


def _reply(
    status: int, body: Any, media: str, headers: Iterable[tuple[str, str]] = (), *, confidential: bool = False
) -> Response:
    response = Response(orjson.dumps(body), status, media_type=f"{media}; charset=utf-8")
    fixed = [unstored(confidential=confidential), ("X-Content-Type-Options", "nosniff")]
    response.raw_headers += encoded([*fixed, *headers])
    return response


def _tagged(request: Request, response: Response) -> Response:
    """The answer of a query that was asked with GET, or that it is the one which the client has."""
    reply = conditional(Reply(response.status_code, bytes(response.body)), request.headers)
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Response(reply.body, reply.status, headers | dict(reply.headers))


async def _kept(
    once: Once, request: Request, ctx: Context, asked: Asked | list[Asked], answer: Callable[[], Awaitable[Response]]
) -> Response:
    """The answer to a mutation under its client's key."""
    assert isinstance(asked, Asked)

    async def made() -> Reply:
        response = await answer()
        headers = [(name.decode(), value.decode()) for name, value in response.raw_headers if name != b"content-length"]
        return Reply(response.status_code, bytes(response.body), tuple(headers))

    try:
        keyed = Keyed(
            key_of(request.headers), "graphql", [asked.query, asked.document_id, asked.operation_name, asked.variables]
        )
        reply = await once(ctx, keyed, made)
    except (InvalidInput, Conflict) as error:
        status = 409 if isinstance(error, Conflict) else 422
        raise BadRequest(status, error.detail, error.code, **dict(ctx.effects.headers)) from error
    response = Response(reply.body, reply.status)
    response.raw_headers += encoded(reply.headers)
    return response


def shown(ctx: Context, error: GraphQLError) -> dict[str, Any]:
    """An error as a client sees it: message, place, and a stable `extensions.code`."""
    entry: dict[str, Any] = dict(explain_error(ctx, error).formatted)
    entry.setdefault("extensions", {"code": "INVALID_VALUE" if error.path else "INVALID_REQUEST"})
    cause = error.original_error
    if not isinstance(cause, DomainError) and names_secret(error.message):
        entry["message"] = _without_what_was_sent(entry["message"])
    if isinstance(cause, InvalidInput) and cause.problems:
        entry["extensions"] = {**entry["extensions"], "problems": [_problem(each) for each in cause.problems]}
    return entry


def _without_what_was_sent(message: str) -> str:
    """GraphQL's own words for a wrong input end with that input."""
    for words in (", found", "cannot represent"):
        before, found, after = message.partition(words)
        if found:
            message = f"{before}." if words == ", found" else f"{before}{found}{after.partition(':')[0]}"
    return message


def _problem(problem: Problem) -> dict[str, Any]:
    """Use cases speak Python, the graph speaks GraphQL: `service_account_id` → `serviceAccountId`."""
    path = [part if isinstance(part, int) else to_camel_case(part) for part in problem.path]
    return {"path": path, "message": problem.message, "kind": problem.kind}
