"""Traces: which spans a request has, what they hold and what they do not, and a receiver that gets them over HTTP."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from app.observability import RequestLog
from app.tracing import Tracing
from core.errors import Unavailable
from tests.app.test_server import serving

ROOT = Path(__file__).parents[2]


class Spans:
    """What was recorded."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing = Tracing(provider, "sqlite")

    def all(self) -> list[Any]:
        return sorted(self.exporter.get_finished_spans(), key=lambda span: (span.start_time, -span.end_time))

    def tree(self) -> list[str]:
        """Their names in the order of their beginnings, indented by depth."""
        spans = self.all()
        parents = {span.context.span_id: span.parent.span_id if span.parent else None for span in spans}

        def depth(span_id: int) -> int:
            parent = parents.get(span_id)
            return 0 if parent not in parents else 1 + depth(parent)

        return ["  " * depth(span.context.span_id) + span.name for span in spans]


@pytest.fixture
async def traced(assembled, monkeypatch):
    """A world and its spans."""
    spans = Spans()
    monkeypatch.setattr("app.wiring._tracing", lambda *_: spans.tracing)
    async with assembled() as world:
        yield world, spans


async def test_from_http_through_the_plan_to_each_statement(traced):
    world, spans = traced
    query = "query Mine { files(first: 3) { totalCount nodes { instrument { name } } } me { email } }"
    assert "errors" not in await world.admin.ask(query)
    assert spans.tree() == [
        "POST /graphql",
        "  authentication",
        "  query ad hoc",
        "    Query.files rows",
        "    Query.files count",
        "    Query.me",
    ]
    request, _, operation, rows, *_ = spans.all()
    assert len({span.context.trace_id for span in spans.all()}) == 1
    assert (request.kind, rows.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
    assert dict(request.attributes) == {
        "http.request.method": "POST",
        "url.path": "/graphql",
        "url.scheme": "http",
        "http.route": "/graphql",
        "http.response.status_code": 200,
        "switchyard.request_id": request.attributes["switchyard.request_id"],
    }
    assert dict(operation.attributes) == {
        "graphql.operation.type": "query",
        "graphql.operation.name": "Mine",
        "switchyard.operation.nodes": 8,
    }
    assert rows.attributes["db.system.name"] == "sqlite"
    assert rows.attributes["switchyard.relation"] == "Query.files rows"
    assert "FROM file_records" in rows.attributes["db.query.text"]
    assert str(world.admin.id) not in str([dict(span.attributes) for span in spans.all()])
    assert all(span.end_time <= request.end_time for span in spans.all())


async def test_a_rest_call(traced):
    world, spans = traced
    await world.admin.request("GET", "/api/files?limit=3&secret=hunter2", headers={"X-Request-ID": "0123456789abcdef"})
    assert spans.tree() == [
        "GET /api/files",
        "  query files_slice",
        "    authentication",
        "    Query.files rows",
        "    Query.files count",
    ]
    assert spans.all()[0].attributes["switchyard.request_id"] == "0123456789abcdef"
    assert "hunter2" not in str([dict(span.attributes) for span in spans.all()])


async def test_a_change_and_its_transaction(traced):
    world, spans = traced
    assert (await world.admin.request("POST", "/auth/jwt/logout")).status_code == 204
    names = [line.strip() for line in spans.tree()]
    assert names[:3] == ["POST /auth/jwt/logout", "mutation auth_jwt_logout", "authentication"]
    assert {"DELETE", "INSERT"} <= set(names)
    texts = [span.attributes["db.query.text"] for span in spans.all() if span.name == "INSERT"]
    assert [text for text in texts if text.startswith("INSERT INTO revoked_tokens") and "VALUES (?, ?)" in text]
    assert "BEGIN" not in names


async def test_a_caller_that_traces(traced):
    world, spans = traced
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await world.user.request("GET", "/health", headers={"traceparent": parent})
    await world.user.request("GET", "/health", headers={"traceparent": "nonsense"})
    first, second = spans.all()
    assert f"{first.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert f"{first.parent.span_id:016x}" == "b7ad6b7169203331"
    assert second.parent is None


async def test_names_have_an_end(traced):
    """Neither paths nor methods nor operations of clients become the name of a span."""
    world, spans = traced
    await world.user.request("GET", f"/nothing/{uuid4()}")
    await world.user.request("BREW", "/health")
    await world.user.request("GET", f"/api/files/{uuid4()}")
    await world.user.ask("query Anything { __typename }")
    names = [span.name for span in spans.all() if span.kind is SpanKind.SERVER]
    assert names == ["GET", "_OTHER /health", "GET /api/files/{file_id}", "POST /graphql"]


async def test_what_fails(traced, monkeypatch):
    world, spans = traced

    async def down(*_):
        raise Unavailable("the database at 10.0.0.7 does not answer")

    monkeypatch.setattr(type(world.parts.database), "fetch_all", down)
    assert (await world.admin.request("GET", "/api/files?limit=3")).status_code == 503
    request, _, statement = spans.all()
    assert (request.status.status_code, request.attributes["http.response.status_code"]) == (StatusCode.ERROR, 503)
    assert (statement.status.status_code, statement.status.description) == (StatusCode.ERROR, "Unavailable")
    assert "10.0.0.7" not in str([span.to_json() for span in spans.all()])


async def test_requests_at_the_same_time_keep_their_spans_apart(traced):
    world, spans = traced
    await asyncio.gather(*(world.admin.request("GET", "/api/files?limit=3") for _ in range(10)))
    by_trace: dict[int, list[str]] = {}
    for span in spans.all():
        by_trace.setdefault(span.context.trace_id, []).append(span.name)
    assert len(by_trace) == 10
    assert {len(names) for names in by_trace.values()} == {5}


async def test_other_than_requests_pass():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    await RequestLog(Spans().tracing.around(app))({"type": "lifespan"}, None, None)
    assert seen == ["lifespan"]


@pytest.mark.slow
def test_nothing_of_it_is_imported_unless_it_is_wanted():
    program = "import sys, app.cli; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    printed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


# --- over the wire -----------------------------------------------------------------------------------------------------


class Receiver:
    """Takes OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        self.headers: list[dict[str, str]] = []
        self.got = threading.Event()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        assert path == "/v1/traces"
        request = ExportTraceServiceRequest.FromString(body)
        self.headers.append(headers)
        for resource in request.resource_spans:
            named = {each.key: each.value.string_value for each in resource.resource.attributes}
            self.services.add(named["service.name"])
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        self.got.set()


@contextmanager
def receiving() -> Iterator[tuple[str, Receiver]]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.take(self.path, dict(self.headers), self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["SWITCHYARD_TRACES", "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_a_receiver_gets_the_spans_of_a_server(tmp_path, setting):
    """The last of them when the server ends."""
    with receiving() as (endpoint, receiver):
        more = {"OTEL_EXPORTER_OTLP_HEADERS": "x-key=abc", setting: endpoint}
        with serving(tmp_path, "--workers", "0", **more) as server:
            reply = httpx.post(f"{server.address}/graphql", json={"query": "{ __typename }"})
            code, _, log = server.end()
    assert code == 0, log
    assert receiver.services == {"switchyard"}
    assert receiver.headers[0]["x-key"] == "abc"
    (request,) = [span for span in receiver.spans if span.name == "POST /graphql"]
    (operation,) = [span for span in receiver.spans if span.name == "query ad hoc"]
    assert (operation.parent_span_id, operation.trace_id) == (request.span_id, request.trace_id)
    ids = [each.value.string_value for each in request.attributes if each.key == "switchyard.request_id"]
    assert ids == [reply.headers["x-request-id"]]


@pytest.mark.slow
def test_a_receiver_that_is_down_holds_up_nothing(tmp_path):
    with serving(tmp_path, "--workers", "0", SWITCHYARD_TRACES="http://127.0.0.1:9") as server:
        assert httpx.post(f"{server.address}/graphql", json={"query": "{ __typename }"}).status_code == 200
        code, _, log = server.end()
    assert code == 0, log
