"""The ASGI application: REST routes first, then GraphQL, health, schema documents and pages; and what runs beside it."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from importlib.metadata import version
from ipaddress import ip_address
from typing import Any

import orjson
import strawberry
import uvicorn
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.server import HANDLED_SIGNALS

from app import pages
from app.graphql_http import GraphQLEndpoint
from app.observability import Reporter, RequestLog, request_id_of
from app.wiring import Parts
from core.errors import Internal
from jobs.scheduler import Scheduler
from jobs.supervisor import Supervisor
from rest_compat.calls import StreamCut
from rest_compat.shim import RestShim

TITLE = "Switchyard"


class OrjsonResponse(Response):
    """JSON, compact."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


def application(parts: Parts, beside: Callable[[], Any] | None = None) -> ASGIApp:
    """Everything that is served. `beside` makes an async context manager for what runs along with it."""
    app: ASGIApp = _LastResort(_RestFirst(parts, _site(parts, beside)))
    if parts.settings.origins:
        app = CORSMiddleware(
            app,
            allow_origins=parts.settings.origins,
            allow_credentials=True,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID", "X-Total-Count"],
        )
    return RequestLog(app)


class _LastResort:
    """Turns what nothing inside could answer into a reply: refusals as they are, the unforeseen logged and masked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            pass  # nobody is there to be answered
        except StreamCut:
            raise  # cuts the connection; what went wrong was logged where it did
        except HTTPException as refusal:
            await OrjsonResponse({"detail": refusal.detail}, refusal.status_code, refusal.headers)(scope, receive, send)
        except Exception as error:
            known = Internal(Reporter(request_id_of(scope))(error))
            if begun:
                raise StreamCut(f"see error {known.error_id}") from error
            await OrjsonResponse({"detail": known.detail}, 500)(scope, receive, send)


class _RestFirst:
    """REST routes are many and looked up on the raw path; the rest is a handful."""

    def __init__(self, parts: Parts, site: Router) -> None:
        self._shim, self._site = parts.shim, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._shim.match(scope) if scope["type"] == "http" else None
        if answer is None:
            scope["app"] = self._site  # makes its routes raise their refusals
        await (answer or self._site)(scope, receive, send)


def _site(parts: Parts, beside: Callable[[], Any] | None) -> Router:
    endpoint = GraphQLEndpoint(parts.graph, parts.contexts, parts.settings.body_limit)

    async def graphql(request: Request) -> Response:
        return await endpoint(request)

    @asynccontextmanager
    async def lifespan(_: Router) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if beside is not None:
                await stack.enter_async_context(beside())
            settle_garbage_collector()
            yield

    routes = [
        Route("/graphql", graphql, methods=GraphQLEndpoint.METHODS),
        Route("/health", _health),
        *_documents(parts),
        *pages.routes(),
    ]
    return Router(routes, redirect_slashes=False, lifespan=lifespan)


def settle_garbage_collector() -> None:
    """What start-up made lives for ever: leave it out of every later collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def _health(_: Request) -> Response:
    return OrjsonResponse({"status": "ok"})


def _documents(parts: Parts) -> list[Route]:
    """The graph's SDL and the OpenAPI documents, made once."""
    merged = orjson.dumps(parts.shim.openapi(TITLE, version("switchyard")))
    single = {
        name: orjson.dumps(parts.shim.openapi(f"{TITLE}: {name}", version("switchyard"), name)) for name in dialects(parts.shim)
    }
    sdl = sdl_of(parts.graph.strawberry)

    async def openapi(request: Request) -> Response:
        name = request.path_params.get("dialect")
        document = merged if name is None else single.get(name)
        if document is None:
            raise HTTPException(404, f"no dialect {name}: there are {', '.join(single)}")
        return Response(document, media_type="application/json")

    async def schema(_: Request) -> Response:
        return PlainTextResponse(sdl)

    return [Route("/openapi.json", openapi), Route("/openapi/{dialect}.json", openapi), Route("/schema.graphql", schema)]


def sdl_of(schema: strawberry.Schema) -> str:
    """The schema's text, as it is served, printed and committed."""
    return schema.as_str() + "\n"


def dialects(shim: RestShim) -> Sequence[str]:
    """The dialects that have routes."""
    return sorted({route.dialect for route in shim.routes})


# --- the process -------------------------------------------------------------------------------------------------------


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


def listen(host: str, port: int) -> socket.socket:
    """Raises `ValueError` saying why nobody can listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ValueError(
            f"cannot listen on {host}, port {port}: {os.strerror(error.errno) if error.errno else error}"
        ) from error


def address_of(listener: socket.socket) -> str:
    """Where a browser on this machine finds it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # nothing is bound here
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def run_server(app: ASGIApp, listener: socket.socket, trusted_proxies: str) -> None:
    """Serve until SIGTERM or SIGINT; requests under way then have 20 seconds to end."""
    config = uvicorn.Config(
        app,
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=trusted_proxies,
        timeout_graceful_shutdown=20,
    )
    await _Server(config).serve([listener])


class _Server(uvicorn.Server):
    """Returns when it is told to end. Uvicorn's own would raise the signal again, and so end us before we have closed anything."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in HANDLED_SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield
