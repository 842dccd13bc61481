"""The ASGI application: REST routes first, then GraphQL, health, schema documents and pages; and what runs beside it."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from importlib.metadata import version
from ipaddress import ip_address
from types import FrameType
from typing import Any

import orjson
import strawberry
import uvicorn
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.server import HANDLED_SIGNALS

from app import pages
from app.collecting import settle_garbage_collector
from app.compression import Compressed
from app.documents import Document
from app.graphql_documents import Documents
from app.graphql_http import GraphQLEndpoint
from app.health import Drain
from app.http_protocol import BoundedProtocol, Clients, watch_clients
from app.metrics import MetricsEndpoint
from app.observability import Reporter, RequestLog, exchange_of, request_id_of
from app.places import PLACE
from app.problems import problem
from app.rates import RateHeaders
from app.settings import Settings
from app.socket_protocol import ALIVE_EVERY, BoundedSocket
from app.start import StartPage
from app.subscriptions.feed import Feed
from app.subscriptions.operations import Operations
from app.subscriptions.sse import EventStreams, wants_events
from app.subscriptions.websocket import SocketEndpoint
from app.wiring import Parts, bounds_of
from core.errors import Internal, Unavailable
from jobs.lookups import purge_lookups
from jobs.scheduler import Scheduler
from jobs.supervisor import Supervisor
from rest_compat.calls import Caller, StreamCut
from rest_compat.endpoint import Endpoint
from rest_compat.shim import RestShim, raw_path

TITLE = "Switchyard"

log = logging.getLogger("switchyard")


class OrjsonResponse(Response):
    """JSON, compact."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


def application(parts: Parts, beside: Callable[[], Any] | None = None) -> ASGIApp:
    """Everything that is served. `beside` makes an async context manager for what runs along with it."""
    inner = RateHeaders(_LastResort(_RestFirst(parts, _site(parts, beside))))
    at_most = _AtMost(parts.settings.requests, inner, parts.shim)
    parts.metrics.counts("switchyard_requests_under_way", "Requests that are being answered.", lambda: at_most.under_way)
    app: ASGIApp = at_most
    if parts.settings.origins:
        app = CORSMiddleware(
            app,
            allow_origins=parts.settings.origins,
            allow_credentials=True,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=[
                "X-Request-ID",
                "X-Total-Count",
                "RateLimit",
                "RateLimit-Policy",
                "Retry-After",
                "ETag",
                "Idempotent-Replayed",
            ],
        )
    if parts.settings.compression:
        app = Compressed(app)
    return RequestLog(app if parts.tracing is None else parts.tracing.around(app), parts.metrics.ended)


_ALWAYS = frozenset({"/health", "/health/ready", "/metrics"})
"""What operators ask when the server is busy; each answers from memory, or asks the stores once a second."""


class _AtMost:
    """Refuses requests beyond a number under way; never those that ask how the server is."""

    _DETAIL = "The server is busy: try again in a moment"

    def __init__(self, most: int, app: ASGIApp, shim: RestShim) -> None:
        self._most = self._free = most
        self._app, self._shim = app, shim

    @property
    def under_way(self) -> int:
        """How many requests are being answered."""
        return self._most - self._free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _ALWAYS:
            await self._app(scope, receive, send)
        elif not self._free:
            await self._refusal(scope)(scope, receive, send)
        else:
            place = _Place(self)
            scope[PLACE] = place.leave
            try:
                await self._app(scope, receive, send)
            finally:
                place.leave()

    def take(self, places: int) -> None:
        """Or give some back."""
        self._free -= places

    def _refusal(self, scope: Scope) -> ASGIApp:
        if scope["path"] == "/graphql":
            error = {"message": self._DETAIL, "extensions": {"code": Unavailable.code}}
            return OrjsonResponse({"errors": [error]}, 503, {"Retry-After": "1"})
        dialect = self._shim.dialect_of(raw_path(scope))
        if dialect is not None:
            return dialect.refuse(Unavailable(self._DETAIL)).with_headers([("retry-after", "1")])
        return problem(503, self._DETAIL, scope, {"Retry-After": "1"})


class _Place:
    """Of one request among those under way, until it leaves it."""

    def __init__(self, of: _AtMost) -> None:
        self._of: _AtMost | None = of
        of.take(1)

    def leave(self) -> None:
        """Once is enough."""
        if self._of is not None:
            self._of.take(-1)
            self._of = None


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
            await problem(refusal.status_code, refusal.detail, scope, refusal.headers)(scope, receive, send)
        except Exception as error:  # the last place before the server's, which would tell its own way
            known = Internal(Reporter(request_id_of(scope))(error))
            if begun:
                raise StreamCut(f"see error {known.error_id}") from error
            await problem(500, known.detail, scope)(scope, receive, send)


class _RestFirst:
    """REST routes are many and looked up on the raw path; the rest is a handful. Notes what answers."""

    def __init__(self, parts: Parts, site: Router) -> None:
        self._shim, self._site = parts.shim, site
        self._served = {endpoint.declared.name: _served(endpoint) for endpoint in parts.shim.endpoints}
        paths = [route.path for route in site.routes if isinstance(route, Route)]
        self._paths = {path: path for path in paths if "{" not in path}
        self._folders = {_folder(path): _folder(path) for path in paths if "{" in path}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._site(scope, receive, send)
            return
        answer, exchange = self._shim.match(scope), exchange_of(scope)
        if isinstance(answer, Caller):
            exchange.serves(*self._served[answer.endpoint.declared.name])
            with exchange.running():
                await answer(scope, receive, send)
        elif answer is not None:
            await answer(scope, receive, send)
        else:
            path = scope["path"]
            at = self._paths.get(path) or self._folders.get(_folder(path), "")
            exchange.serves("graphql" if path == "/graphql" else "", at, known=path != "/graphql")
            scope["app"] = self._site  # makes its routes raise their refusals
            await self._site(scope, receive, send)


def _served(endpoint: Endpoint) -> tuple[str, str, str, str]:
    """What operators see of a REST call: dialect, template, operation and its kind."""
    declared = endpoint.declared
    return declared.dialect.name, str(declared.template), declared.name, declared.kind.value


def _folder(path: str) -> str:
    """`/static` of `/static/page.css`."""
    return "/" + path.split("/", 2)[1]


def _site(parts: Parts, beside: Callable[[], Any] | None) -> Router:
    parts.metrics.counts("switchyard_tasks", "Tasks of the event loop.", lambda: len(asyncio.all_tasks()))
    uploads = parts.uploads
    parts.metrics.counts("switchyard_uploads_under_way", "Requests whose files are read or used.", lambda: uploads.under_way)
    endpoint = GraphQLEndpoint(
        parts.graph,
        parts.contexts,
        bounds_of(parts.settings),
        parts.trusted,
        batch=parts.settings.batch,
        plain_get=parts.settings.profile == "development",
        once=parts.once,
        uploads=uploads,
    )

    operations = Operations(
        Documents(parts.graph, parts.trusted),
        Feed(parts.database),
        bounds_of(parts.settings),
        most=parts.settings.subscriptions,
        ended=parts.metrics.ended,
        trace=parts.tracing,
    )
    streams = EventStreams(operations, parts.contexts)
    parts.metrics.counts("switchyard_operations_open", "Operations on WebSockets and event streams.", lambda: operations.open)
    parts.metrics.counts(
        "switchyard_changes_followed", "What is looked for in the feed of changes.", lambda: operations.feed.size
    )
    parts.readiness.drain.at_end.append(streams.cut)

    async def graphql(request: Request) -> ASGIApp:
        return await (endpoint.stream(request, streams.open) if wants_events(request) else endpoint(request))

    @asynccontextmanager
    async def lifespan(_: Router) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if beside is not None:
                await stack.enter_async_context(beside())
            await stack.enter_async_context(parts.metrics.running())
            settle_garbage_collector()
            yield

    routes = [
        Route("/graphql", graphql, methods=GraphQLEndpoint.METHODS),
        WebSocketRoute("/graphql", SocketEndpoint(operations, parts.contexts, parts.settings)),
        Route("/download/{file_id}", _download(parts)),
        Route("/health", _health),
        Route("/health/ready", parts.readiness.reply),
        Route("/start", StartPage(parts).reply),
        Route("/metrics", MetricsEndpoint(parts.metrics, parts.settings).reply),
        *_documents(parts),
        *pages.routes(explorer=parts.settings.shows_schema),
    ]
    if parts.web_client is None:
        return Router(routes, redirect_slashes=False, lifespan=lifespan)
    routes = [route for route in routes if not (isinstance(route, Route) and route.path == "/")]
    router = Router(routes, redirect_slashes=False, lifespan=lifespan, default=parts.web_client)
    parts.web_client.otherwise = router.not_found
    return router


def _download(parts: Parts) -> Callable[[Request], Awaitable[Any]]:
    parts.metrics.counts("switchyard_downloads_under_way", "Downloads that are sent.", lambda: parts.downloads.under_way)

    async def download(request: Request) -> Any:
        address = request.client.host if request.client else ""
        return await parts.downloads.reply(request, partial(parts.contexts.rates.count, request.scope, address=address))

    return download


async def _health(_: Request) -> Response:
    return OrjsonResponse({"status": "ok"})


def _documents(parts: Parts) -> list[Route]:
    """The graph's schema and the OpenAPI documents, made once."""
    shim, number = parts.shim, version("switchyard")
    merged = _json(shim.openapi(TITLE, number))
    single = {name: _json(shim.openapi(f"{TITLE}: {name}", number, name)) for name in dialects(shim)}
    sdl = Document(sdl_of(parts.graph.strawberry).encode(), "text/plain")
    introspection = _json(introspection_of(parts.graph.strawberry))

    async def openapi(request: Request) -> Response:
        name = request.path_params.get("dialect")
        document = merged if name is None else single.get(name)
        if document is None:
            raise HTTPException(404, f"no dialect {name}: there are {', '.join(single)}")
        return await document(request)

    async def schema(request: Request) -> Response:
        if not parts.settings.shows_schema:
            raise HTTPException(404, "introspection is turned off on this server")
        return await (sdl if request.url.path.endswith(".graphql") else introspection)(request)

    described = [Route("/openapi.json", openapi), Route("/openapi/{dialect}.json", openapi)]
    return [*described, Route("/schema.graphql", schema), Route("/schema.json", schema)]


def _json(value: Any) -> Document:
    return Document(orjson.dumps(value), "application/json")


def sdl_of(schema: strawberry.Schema) -> str:
    """The schema's text, as it is served, printed and committed."""
    return schema.as_str() + "\n"


def introspection_of(schema: strawberry.Schema) -> dict[str, Any]:
    """What the introspection query answers, which many tools read instead of the text."""
    return {"data": schema.introspect()}


def dialects(shim: RestShim) -> Sequence[str]:
    """The dialects that have routes."""
    return sorted({route.dialect for route in shim.routes})


# --- the process -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def background(parts: Parts, worker: Sequence[str], count: int) -> AsyncIterator[None]:
    """The scheduler and the worker processes, for as long as the server runs."""
    stop = asyncio.Event()
    async with Supervisor(worker, count):
        settings, clock = parts.settings, parts.contexts.clock
        fired = Scheduler(parts.database, clock=clock, retention=settings.kept_runs, event_retention=settings.kept_events)
        purging = purge_lookups(parts.services.lookups.store, stop)
        tasks = [asyncio.create_task(fired.run(stop)), asyncio.create_task(purging)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)


def listen(host: str, port: int, backlog: int = 2048) -> socket.socket:
    """Raises `ValueError` saying why nobody can listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=backlog)
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


def http_server(app: ASGIApp, settings: Settings, drain: Drain | None = None) -> uvicorn.Server:
    """Serves until SIGTERM or SIGINT, and as long as it drains; requests under way then have 20 seconds to end."""
    proxied = ProxyHeadersMiddleware(app, settings.trusted_proxies)  # type: ignore[arg-type]  # Starlette's names for the same
    clients = Clients(settings, proxied.trusted_hosts.__contains__)
    config = uvicorn.Config(
        proxied,
        http=partial(BoundedProtocol, clients),  # type: ignore[arg-type]  # only ever called
        ws=partial(BoundedSocket, clients.sockets),  # type: ignore[arg-type]  # as well
        ws_max_size=settings.socket_message,
        ws_ping_interval=ALIVE_EVERY,
        ws_ping_timeout=ALIVE_EVERY,
        ws_per_message_deflate=False,  # a window for each socket would take more memory than everything else
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=settings.backlog,
        timeout_keep_alive=settings.keep_alive,
        timeout_graceful_shutdown=20,
    )
    return _Server(config, drain or Drain())


class _Server(uvicorn.Server):
    """Returns when it is told to end. Uvicorn's own would raise the signal again, and so end us before we have closed anything."""

    def __init__(self, config: uvicorn.Config, drain: Drain) -> None:
        super().__init__(config)
        self._drain = drain
        self._drained: asyncio.TimerHandle | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first word begins the drain, if there is one; the next one ends it."""
        first, self._drain.begun = not self._drain.begun, True
        if first and self._drain.seconds:
            log.info("draining for %g seconds", self._drain.seconds)
            end = super().handle_exit
            self._drained = asyncio.get_running_loop().call_later(self._drain.seconds, end, sig, frame)
            return
        if self._drained is not None:
            self._drained.cancel()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for tell in self._drain.at_end:
            tell()
        await super().shutdown(sockets)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        watch = asyncio.create_task(watch_clients(self.server_state.connections))
        try:
            await super().serve(sockets)
        finally:
            watch.cancel()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in HANDLED_SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield
