"""OpenTelemetry: a span for each request, for its operation, and for each statement. Imported only when traces are wanted.

A span holds names, templates and SQL texts, never what a request carries and no value of a statement.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib.metadata import version

from opentelemetry.context import attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.health import aside
from app.observability import AD_HOC, Exchange, exchange_of, printable

_PATH = "/v1/traces"
_LONGEST_TEXT = 8192
_LAST_EXPORT = 5.0
"""Seconds in which the last spans may be sent when the server ends."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})


class Tracing:
    """Makes the spans, and sends them in the background. `database` is what traces call the database: `postgresql`."""

    def __init__(self, provider: TracerProvider, database: str) -> None:
        self._provider, self._database = provider, database
        self._tracer = provider.get_tracer("switchyard", version("switchyard"))
        self._propagator = TraceContextTextMapPropagator()

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application with a span for each request."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            with self._request(exchange_of(scope), scope):
                await app(scope, receive, send)

        return traced

    @contextmanager
    def _request(self, exchange: Exchange, scope: Scope) -> Iterator[None]:
        method = exchange.method if exchange.method in _METHODS else "_OTHER"
        caller = self._propagator.extract(Headers(scope=scope))
        first = {
            "http.request.method": method,
            "url.path": printable(exchange.path),
            "url.scheme": scope.get("scheme", "http"),
            "switchyard.request_id": exchange.request_id,
        }
        span = self._tracer.start_span(method, caller, SpanKind.SERVER, first)
        exchange.trace = self
        with _current(span):
            try:
                yield
            finally:
                if exchange.endpoint:
                    span.update_name(f"{method} {exchange.endpoint}")
                    span.set_attribute("http.route", exchange.endpoint)
                if exchange.status is not None:
                    span.set_attribute("http.response.status_code", exchange.status)
                    if exchange.status >= 500:
                        span.set_status(StatusCode.ERROR)

    @contextmanager
    def operation(self, exchange: Exchange) -> Iterator[None]:
        """While it runs; what it is called by whom nobody knows is no span's name. On a socket it is below no request."""
        name = exchange.operation if exchange.known else AD_HOC
        span = self._tracer.start_span(f"{exchange.kind} {name}".strip())
        span.set_attribute("graphql.operation.type", exchange.kind)
        span.set_attribute("graphql.operation.name", exchange.operation)
        with _current(span):
            try:
                yield
            finally:
                if exchange.nodes is not None:
                    span.set_attribute("switchyard.operation.nodes", exchange.nodes)
                if exchange.ended:
                    span.set_attribute("switchyard.operation.outcome", exchange.ended)
                if exchange.ended == "failed":
                    span.set_status(StatusCode.ERROR)

    def statement(self, name: str, text: str) -> AbstractContextManager[object]:
        """While it runs: under the field that the plan reads, or under its first word."""
        about = {"db.system.name": self._database, "db.query.text": text[:_LONGEST_TEXT]}
        if name:
            about["switchyard.relation"] = name
        return _ended(self._tracer.start_span(name or text.split(None, 1)[0], kind=SpanKind.CLIENT, attributes=about))

    async def close(self) -> None:
        """Send what is left, if the receiver takes it."""
        with suppress(TimeoutError):
            await asyncio.wait_for(aside(self._provider.shutdown), _LAST_EXPORT)


@contextmanager
def _ended(span: Span) -> Iterator[Span]:
    """An error marks it by its class; its message may hold anything."""
    try:
        yield span
    except BaseException as error:
        span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        raise
    finally:
        span.end()


@contextmanager
def _current(span: Span) -> Iterator[None]:
    """Spans that are begun meanwhile are below it."""
    token = attach(set_span_in_context(span))
    try:
        with _ended(span):
            yield
    finally:
        detach(token)


def tracing_to(endpoint: str, database: str) -> Tracing:
    """To a receiver of OTLP over HTTP. The variables `OTEL_*` of the environment decide the rest: headers, sampling."""
    resource = Resource.create(
        {"service.name": os.environ.get("OTEL_SERVICE_NAME", "switchyard"), "service.version": version("switchyard")}
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    target = endpoint.rstrip("/")
    exporter = OTLPSpanExporter(target if target.endswith(_PATH) else target + _PATH)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider, database)
