"""The ASGI application: REST routes first, then GraphQL, health, schema documents and pages; and what runs beside it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app import pages
from app.graphql_http import GraphQLEndpoint
from app.observability import RequestLog
from app.wiring import Parts
from jobs.scheduler import Scheduler
from jobs.supervisor import Supervisor

TITLE = "Switchyard"


class OrjsonResponse(Response):
    """JSON, compact."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


def application(parts: Parts, beside: Callable[[], Any] | None = None) -> ASGIApp:
    """Everything that is served. `beside` makes an async context manager for what runs along with it."""
    rest = _RestFirst(parts, _site(parts, beside))
    app: ASGIApp = RequestLog(rest)
    if parts.settings.origins:
        app = CORSMiddleware(
            app, allow_origins=parts.settings.origins, allow_credentials=True, allow_methods=["*"], allow_headers=["*"]
        )
    return app


class _RestFirst:
    """REST routes are many and looked up on the raw path; the rest is a handful."""

    def __init__(self, parts: Parts, site: ASGIApp) -> None:
        self._shim, self._site = parts.shim, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._shim.match(scope) if scope["type"] == "http" else None
        await (answer or self._site)(scope, receive, send)


def _site(parts: Parts, beside: Callable[[], Any] | None) -> Starlette:
    endpoint = GraphQLEndpoint(parts.graph, parts.contexts, parts.settings.body_limit)
    documents = _documents(parts)

    async def graphql(request: Request) -> Response:
        return await endpoint(request)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if beside is not None:
                await stack.enter_async_context(beside())
            settle_garbage_collector()
            yield

    return Starlette(
        routes=[
            Route("/graphql", graphql, methods=GraphQLEndpoint.METHODS),
            Route("/health", _health),
            *documents,
            *pages.routes(),
        ],
        exception_handlers={HTTPException: _refusal},
        lifespan=lifespan,
    )


def settle_garbage_collector() -> None:
    """What start-up made lives for ever: leave it out of every later collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def _health(_: Request) -> Response:
    return OrjsonResponse({"status": "ok"})


async def _refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return OrjsonResponse({"detail": error.detail}, error.status_code, headers=error.headers)


def _documents(parts: Parts) -> list[Route]:
    """The graph's SDL and the OpenAPI documents, made once."""
    merged = orjson.dumps(parts.shim.openapi(TITLE, version("switchyard")))
    single = {
        name: orjson.dumps(parts.shim.openapi(f"{TITLE}: {name}", version("switchyard"), name)) for name in dialects(parts)
    }
    sdl = parts.graph.strawberry.as_str()

    async def openapi(request: Request) -> Response:
        name = request.path_params.get("dialect")
        document = merged if name is None else single.get(name)
        if document is None:
            raise HTTPException(404, f"no dialect {name}: there are {', '.join(single)}")
        return Response(document, media_type="application/json")

    async def schema(_: Request) -> Response:
        return PlainTextResponse(sdl)

    return [Route("/openapi.json", openapi), Route("/openapi/{dialect}.json", openapi), Route("/schema.graphql", schema)]


def dialects(parts: Parts) -> Sequence[str]:
    """The dialects that have routes."""
    return sorted({route.dialect for route in parts.shim.routes})


@asynccontextmanager
async def background(parts: Parts, worker: Sequence[str], count: int) -> AsyncIterator[None]:
    """The scheduler and the worker processes, for as long as the server runs."""
    stop = asyncio.Event()
    async with Supervisor(worker, count):
        scheduler = asyncio.create_task(Scheduler(parts.database, clock=parts.contexts.clock).run(stop))
        try:
            yield
        finally:
            stop.set()
            await scheduler
