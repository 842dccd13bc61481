"""One call of one endpoint: the phases in its dialect's order, then execution, projection and the reply.

Whatever goes wrong on the way is rendered by the dialect; what nobody foresaw is reported and masked.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from graphql import GraphQLError, OperationType
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from core.context import Context
from core.errors import DomainError, Internal, InvalidInput
from engine.operation import Outcome
from rest_compat.binder import ABSENT, BODY, EVERYTHING, PATH, QUERY, Received
from rest_compat.bodies import Bounds, read_file, read_form, read_json
from rest_compat.caching import conditional, unstored
from rest_compat.dialect import Phase
from rest_compat.directives import Wire
from rest_compat.endpoint import Endpoint
from rest_compat.faults import Fault, Unbindable
from rest_compat.once import HEADER, Keyed, Once, key_of
from rest_compat.reply import CSV_TYPE, JSON_TYPE, Reply, disposition, encoded
from rest_compat.streams import json_array, texts

log = logging.getLogger(__name__)

ContextFor = Callable[[Request], Awaitable[Context]]
"""Authenticates: builds the context of a request, with a principal per credential that was recognised."""


class StreamCut(Exception):
    """A row stream failed after its headers were sent; the connection ends without a terminator."""


@dataclass(slots=True)
class Call:
    """One request, and what its phases have found out so far."""

    endpoint: Endpoint
    request: Request
    bounds: Bounds
    path: dict[str, str]
    query: QueryParams
    context: Context | None = None
    body: Any = ABSENT
    variables: dict[str, Any] = field(default_factory=dict)

    @property
    def ctx(self) -> Context:
        """The context, once the call is authenticated."""
        assert self.context is not None, "authentication is the first phase"
        return self.context

    async def run(self, phases: Sequence[Phase], stack: AsyncExitStack) -> None:
        """One phase after the other; raises what they refuse. A file is there until the stack ends."""
        for phase in phases:
            if phase is Phase.ABOUT:
                async with self.ctx.in_time():
                    await self.endpoint.operation.about(self.ctx, self.variables)
            elif phase is not Phase.READ_BODY:
                self._decide(phase)
            elif self.endpoint.binder.reads_body:
                await self._read_body(stack)

    def _decide(self, phase: Phase) -> None:
        match phase:
            case Phase.GUARD:
                self.endpoint.operation.guard(self.ctx)
            case Phase.BIND_PATH:
                self._bind([PATH])
            case Phase.BIND:
                self._bind([QUERY, BODY] if Phase.BIND_PATH in self.endpoint.declared.dialect.phases else EVERYTHING)

    def _bind(self, places: Sequence[str]) -> None:
        self.variables |= self.endpoint.binder.bind(Received(self.path, self.query, self.body), places)

    async def _read_body(self, stack: AsyncExitStack) -> None:
        if self.endpoint.binder.reads_file:
            assert self.bounds.room is not None, "a server that takes files has room for them"
            self.body = await stack.enter_async_context(read_file(self.request, self.bounds.room))
        elif self.endpoint.binder.reads_form:
            self.body = await read_form(self.request, self.bounds.body, self.bounds.form_fields)
        else:
            only = self.endpoint.declared.dialect.only_json
            self.body = await read_json(self.request, self.bounds.body, only=only)

    async def reply(self) -> Reply:
        """Execute a query or mutation."""
        async with self.ctx.in_time():
            outcome = await self.endpoint.operation.execute(self.ctx, self.variables)
        declared = self.endpoint.declared
        projection = self.endpoint.projector.project(self._data(outcome))
        status = projection.status or declared.rest.status
        if declared.wire is Wire.EMPTY:
            return declared.dialect.acknowledge(status).with_headers(projection.headers)
        body = projection.body
        if declared.wire is Wire.ACKNOWLEDGED:
            body = {**declared.dialect.acknowledgement, **body}
        reply = Reply.json(status, body, projection.headers)
        self.bounds.check_reply(reply.body)
        return reply

    async def answer(self) -> Reply:
        """The same, or its refusal."""
        try:
            return await self.reply()
        except Exception as error:  # noqa: BLE001  # what it is is the refusal's matter
            return self.refusal(error)

    async def rows(self) -> AsyncGenerator[Any, None]:
        """Execute a subscription; a list of rows per event, or a text. Each has its own time: a long list may take long, a batch may not."""
        outcomes = self.endpoint.operation.stream(self.ctx, self.variables)
        try:
            while True:
                async with self.ctx.in_time():
                    outcome = await anext(outcomes, None)
                if outcome is None:
                    return
                yield self.endpoint.projector.project(self._data(outcome)).body
        finally:
            if isinstance(outcomes, AsyncGenerator):
                await outcomes.aclose()  # at once, not when it is collected: it holds a cursor

    def refusal(self, error: Exception) -> Reply:
        """The reply for anything that went wrong."""
        known = error if isinstance(error, DomainError) else Internal(self.report(error))
        faults = self.endpoint.binder.faults(known) if isinstance(known, InvalidInput) else ()
        declared = self.endpoint.declared
        return declared.dialect.at(declared.rest.path, self.path).refuse(known, faults)

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

    def __init__(
        self,
        endpoint: Endpoint,
        context_for: ContextFor,
        path: dict[str, str],
        query: QueryParams,
        bounds: Bounds,
        once: Once | None = None,
    ) -> None:
        self.endpoint = self._endpoint = endpoint
        self._context_for = context_for
        self._path = path
        self._query = query
        self._bounds = bounds
        self._once = once

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find the answer, then send it; a reader who went away gets nothing."""
        call = Call(self._endpoint, Request(scope, receive), self._bounds, self._path, self._query)
        async with AsyncExitStack() as stack:
            with suppress(ClientDisconnect):
                answer = await self._answer(call, stack)
                await answer(scope, receive, send)

    async def _answer(self, call: Call, stack: AsyncExitStack) -> ASGIApp:
        """Authenticate and go through the phases. What is opened for a stream is left to the stack."""
        declared = self._endpoint.declared
        dialect = declared.dialect
        try:
            dialect.check(call.query)
            call.context = await self._context_for(call.request)
            await call.run(dialect.phases, stack)
            if declared.kind is OperationType.SUBSCRIPTION:
                return await _streamed(call, stack)
            reply = await self._reply(call)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001  # the last place that can turn an error into a reply
            reply = call.refusal(error)
        reply = dialect.dressed(reply, call.query)
        if declared.kind is OperationType.QUERY and reply.status == 200:
            reply = conditional(reply, call.request.headers)
        else:
            confidential = call.context is not None and call.context.effects.confidential
            reply = reply.with_headers([unstored(confidential=confidential)])
        return reply.with_headers(call.context.effects.headers if call.context else ())

    async def _reply(self, call: Call) -> Reply:
        """Execute; a change under its client's key only once. What nobody in particular asks for has no key."""
        declared = self._endpoint.declared
        if self._once is None or not declared.keyed or HEADER not in call.request.headers or not call.ctx.principals:
            return await call.reply()
        operation = f"{declared.rest.method} {declared.template}"
        try:
            keyed = Keyed(key_of(call.request.headers), operation, call.variables)
            return await self._once(call.ctx, keyed, call.answer)
        except InvalidInput as error:
            fault = Fault(("header", HEADER), "value_error", error.detail, call.request.headers[HEADER])
            raise Unbindable([fault]) from error


async def _streamed(call: Call, stack: AsyncExitStack) -> ASGIApp:
    """Headers go out once the first batch is there: until then a failure still has a status of its own."""
    rows = await stack.enter_async_context(aclosing(call.rows()))
    declared = call.endpoint.declared
    if declared.wire is Wire.CSV:
        chunks, own = texts(await anext(rows, ""), rows), _of_csv(declared.filename, call.path)
    else:
        chunks, own = json_array(await anext(rows, []), rows), [("content-type", JSON_TYPE)]
    status = declared.rest.status
    headers = encoded([*own, unstored(confidential=False), *call.ctx.effects.headers])
    if call.request.method == "HEAD":
        return _head(status, headers)
    response = StreamingResponse(await stack.enter_async_context(aclosing(_cut(call, chunks))), status)
    response.raw_headers += headers
    return response


def _of_csv(filename: str | None, path: Mapping[str, str]) -> list[tuple[str, str]]:
    headers = [("content-type", f"{CSV_TYPE}; charset=utf-8")]
    return headers if filename is None else [*headers, ("content-disposition", disposition(filename.format_map(path)))]


def _head(status: int, headers: list[tuple[bytes, bytes]]) -> ASGIApp:
    """How long a stream will be, nobody knows."""

    async def answer(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    return answer


async def _cut(call: Call, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(chunks):
        try:
            async for chunk in chunks:
                yield chunk
        except Exception as error:  # too late for another status: the reply has begun
            raise StreamCut(f"{call.endpoint.declared.name}: see error {call.report(error)}") from error
