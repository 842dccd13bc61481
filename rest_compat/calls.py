"""One call of one endpoint: the phases in its dialect's order, then execution, projection and the reply.

Whatever goes wrong on the way is rendered by the dialect; what nobody foresaw is reported and masked.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from graphql import GraphQLError, OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from core.context import Context
from core.errors import DomainError, Internal, InvalidInput
from engine.operation import Outcome
from rest_compat.binder import ABSENT, BODY, EVERYTHING, PATH, QUERY, Received
from rest_compat.bodies import read_form, read_json
from rest_compat.dialect import Phase
from rest_compat.directives import Wire
from rest_compat.endpoint import Endpoint
from rest_compat.reply import JSON_TYPE, Reply, encoded
from rest_compat.streams import Rows, json_array

log = logging.getLogger(__name__)

ContextFor = Callable[[Request], Awaitable[Context]]
"""Authenticates: builds the context of a request, with a principal per credential that was recognised."""

MEBIBYTE = 2**20


class StreamCut(Exception):
    """A row stream failed after its headers were sent; the connection ends without a terminator."""


@dataclass(slots=True)
class Call:
    """One request, and what its phases have found out so far."""

    endpoint: Endpoint
    request: Request
    body_limit: int
    path: dict[str, str]
    context: Context | None = None
    body: Any = ABSENT
    variables: dict[str, Any] = field(default_factory=dict)

    @property
    def ctx(self) -> Context:
        """The context, once the call is authenticated."""
        assert self.context is not None, "authentication is the first phase"
        return self.context

    async def run(self, phase: Phase) -> None:
        """One phase; raises what it refuses."""
        match phase:
            case Phase.GUARD:
                self.endpoint.operation.guard(self.ctx)
            case Phase.BIND_PATH:
                self._bind([PATH])
            case Phase.READ_BODY:
                await self._read_body()
            case Phase.BIND:
                self._bind([QUERY, BODY] if Phase.BIND_PATH in self.endpoint.declared.dialect.phases else EVERYTHING)

    def _bind(self, places: Sequence[str]) -> None:
        query = self.endpoint.declared.dialect.query(self.request.query_params)
        self.variables |= self.endpoint.binder.bind(Received(self.path, query, self.body), places)

    async def _read_body(self) -> None:
        if self.endpoint.binder.reads_body:
            read = read_form if self.endpoint.binder.reads_form else read_json
            self.body = await read(self.request, self.body_limit)

    async def reply(self) -> Reply:
        """Execute a query or mutation."""
        outcome = await self.endpoint.operation.execute(self.ctx, self.variables)
        declared = self.endpoint.declared
        projection = self.endpoint.projector.project(self._data(outcome))
        status = projection.status or declared.rest.status
        if declared.wire is Wire.EMPTY:
            return declared.dialect.acknowledge(status).with_headers(projection.headers)
        return Reply.json(status, projection.body, projection.headers)

    async def rows(self) -> AsyncGenerator[Rows, None]:
        """Execute a subscription; a list of rows per event."""
        outcomes = self.endpoint.operation.stream(self.ctx, self.variables)
        try:
            async for outcome in outcomes:
                yield self.endpoint.projector.project(self._data(outcome)).body
        finally:
            if isinstance(outcomes, AsyncGenerator):
                await outcomes.aclose()  # at once, not when it is collected: it holds a cursor

    def refusal(self, error: Exception) -> Reply:
        """The reply for anything that went wrong."""
        known = error if isinstance(error, DomainError) else Internal(self.report(error))
        faults = self.endpoint.binder.faults(known) if isinstance(known, InvalidInput) else ()
        return self.endpoint.declared.dialect.refuse(known, faults)

    def report(self, error: BaseException) -> str:
        """Log an unforeseen error; the id under which it is found."""
        if self.context is not None and self.context.report is not None:
            return self.context.report(error)
        error_id = uuid4().hex
        log.error("error %s in %s", error_id, self.endpoint.declared.name, exc_info=error)
        return error_id

    def _data(self, outcome: Outcome) -> dict[str, Any]:
        """A located error anywhere fails the call: REST has no place beside the data. The unforeseen goes first, to be reported."""
        if outcome.errors:
            causes = [_cause(error) for error in outcome.errors]
            raise next((cause for cause in causes if not isinstance(cause, DomainError)), causes[0])
        assert outcome.data is not None, "no data only comes with errors"
        return outcome.data


def _cause(error: GraphQLError) -> Exception:
    """What a resolver raised; an error without a path is the graph refusing the variables."""
    cause = error.original_error
    if error.path is None and not isinstance(cause, DomainError):
        return InvalidInput(error.message)
    return cause or error


class Caller:
    """Serves one endpoint as an ASGI application."""

    def __init__(self, endpoint: Endpoint, context_for: ContextFor, path: dict[str, str], body_limit: int) -> None:
        self._endpoint = endpoint
        self._context_for = context_for
        self._path = path
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find the answer, then send it; a reader who went away gets nothing."""
        call = Call(self._endpoint, Request(scope, receive), self._body_limit, self._path)
        async with AsyncExitStack() as stack:
            with suppress(ClientDisconnect):
                answer = await self._answer(call, stack)
                await answer(scope, receive, send)

    async def _answer(self, call: Call, stack: AsyncExitStack) -> ASGIApp:
        """Authenticate and go through the phases. What is opened for a stream is left to the stack."""
        declared = self._endpoint.declared
        try:
            call.context = await self._context_for(call.request)
            for phase in declared.dialect.phases:
                await call.run(phase)
            if declared.kind is OperationType.SUBSCRIPTION:
                return await _streamed(call, stack)
            reply = await call.reply()
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001  # the last place that can turn an error into a reply
            reply = call.refusal(error)
        return reply.with_headers(call.context.effects.headers if call.context else ())


async def _streamed(call: Call, stack: AsyncExitStack) -> ASGIApp:
    """Headers go out once the first batch is there: until then a failure still has a status of its own."""
    rows = await stack.enter_async_context(aclosing(call.rows()))
    first: Rows = await anext(rows, [])
    status = call.endpoint.declared.rest.status
    if call.request.method == "HEAD":
        return Reply(status, b"", (("content-type", JSON_TYPE),))
    chunks = await stack.enter_async_context(aclosing(_cut(call, json_array(first, rows))))
    response = StreamingResponse(chunks, status, media_type=JSON_TYPE)
    response.raw_headers += encoded(call.ctx.effects.headers)
    return response


async def _cut(call: Call, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(chunks):
        try:
            async for chunk in chunks:
                yield chunk
        except Exception as error:
            raise StreamCut(f"{call.endpoint.declared.name}: see error {call.report(error)}") from error
