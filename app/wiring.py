"""Puts the parts together, once, at start-up: stores, graph, services, REST shim."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.dialects import sqlite
from starlette.requests import HTTPConnection

import rest_compat
from app.auth import HttpOnlyCookie, InstrumentsScheme, Scheme
from app.downloads import Downloads, SignedLinks
from app.graphql_uploads import Uploads
from app.health import Drain, Readiness, checks_of
from app.idempotency import Idempotency
from app.lookup_tokens import LookupsScheme, jwks_of
from app.mail import Outbox, outbox_of
from app.mail_tokens import SignedMailTokens
from app.metrics import Metrics
from app.observability import Reporter, exchange_of, request_id_of, watch_changes
from app.passwords import HashedPasswords
from app.personal_tokens import SchemesWithTokens
from app.rates import Rates
from app.settings import Settings, derived_keys, keyring, lookups_secret, master_secret
from app.tokens import SignedTokens
from app.web_client import WebClient
from core.clock import Clock, utc_now
from core.deadlines import InTime
from core.identity import Principals
from core.secrets import Secret, derive_key
from core.uploads import Room
from engine.graph import Graph
from engine.limits import Limits
from engine.trusted import Trusted, load_trusted
from jobs.local import LocalRunner
from resolvers.attempts import AttemptBounds
from resolvers.context import RequestContext, Services
from resolvers.lookups.services import LookupServices
from rest_compat.bodies import Bounds
from rest_compat.calls import ContextFor
from rest_compat.dialects.instruments import Instruments
from rest_compat.dialects.lookups import Lookups
from rest_compat.once import Once
from rest_compat.shim import RestShim
from schema.root import build_schema
from storage.lookups.protocol import LookupStore
from storage.lookups.sql import SqlLookupStore
from storage.objects.opening import StorageAccess
from storage.sql.database import Database
from storage.sql.migrate import migrate
from storage.sql.opening import open_database

if TYPE_CHECKING:
    from app.tracing import Tracing
    from storage.lookups.elasticsearch_server import Server

OPERATIONS = Path(rest_compat.__file__).parent / "operations"

RESERVED = frozenset(
    [
        "api",
        "auth",
        "users",
        "login",
        "signup",
        "logout",
        "graphql",
        "graphiql",
        "health",
        "docs",
        "redoc",
        "swagger",
        "openapi",
        "openapi.json",
        "schema.graphql",
        "schema.json",
        "metrics",
        "static",
        "start",
        "download",
        "assets",
        "favicon.ico",
        "internal",
        "telemetry-id",
    ]
)
"""First segments of paths that are never the name of a dataset or tenant."""


@dataclass(frozen=True, slots=True)
class Contexts:
    """Authenticates requests and gives each its context."""

    database: Database
    services: Services
    schemes: SchemesWithTokens
    rates: Rates
    clock: Clock
    time_limit: float | None = None

    async def __call__(self, connection: HTTPConnection) -> RequestContext:
        """For the request under way, which is counted. Raises `RateLimited` if there were too many."""
        async with InTime(self.time_limit):
            cookies = connection.cookies if "cookie" in connection.headers else {}
            principals = await self.schemes.authenticate(connection.headers, cookies)
        address = connection.client.host if connection.client else ""
        exchange_of(connection.scope).subject = next((each.subject for each in principals), None)
        self.rates.count(connection.scope, principals, address)
        return self.context(principals, request_id_of(connection.scope), address)

    def context(self, principals: Principals, request_id: str = "-", address: str = "") -> RequestContext:
        """For somebody whom the program itself knows."""
        return RequestContext(
            sql=self.database,
            services=self.services,
            principals=principals,
            clock=self.clock,
            request_id=request_id,
            time_limit=self.time_limit,
            report=Reporter(request_id),
            address=address,
        )


@dataclass(frozen=True, slots=True)
class Parts:
    """The running application's parts."""

    settings: Settings
    database: Database
    graph: Graph
    trusted: Trusted
    services: Services
    contexts: Contexts
    passwords: HashedPasswords
    outbox: Outbox
    shim: RestShim
    uploads: Uploads
    once: Idempotency
    downloads: Downloads
    web_client: WebClient | None
    metrics: Metrics
    readiness: Readiness
    tracing: Tracing | None
    elasticsearch: Server | None

    async def close(self) -> None:
        """Release what was opened."""
        await self.outbox.close()
        self.passwords.close()
        self.downloads.close()
        self.readiness.close()
        await self.contexts.schemes.settle()
        await self.database.close()
        if self.elasticsearch is not None:
            await self.elasticsearch.close()
        if self.tracing is not None:
            await self.tracing.close()


def limits_of(settings: Settings) -> Limits:
    """The bounds of client documents."""
    return Limits(
        characters=settings.document_characters,
        tokens=settings.document_tokens,
        depth=settings.document_depth,
        aliases=settings.document_aliases,
        nodes=settings.node_budget,
        introspection=settings.shows_schema,
    )


def bounds_of(settings: Settings) -> Bounds:
    """The bounds of bodies and replies."""
    return Bounds(settings.body_limit, settings.response_limit, settings.form_fields)


async def assemble(settings: Settings, clock: Clock = utc_now) -> Parts:
    """Open the stores, bring them to the newest schema, build everything else. Raises when any of it is not right."""
    database = await open_database(settings.url)
    try:
        await migrate(database)
        return _assemble(settings, database, clock)
    except BaseException:
        await database.close()
        raise


def _assemble(settings: Settings, database: Database, clock: Clock) -> Parts:
    master = master_secret(settings)
    passwords = HashedPasswords(queue=settings.password_queue)
    outbox = outbox_of(settings)
    tokens = SignedTokens(*derived_keys(settings, master, "instruments tokens"), lifetime=settings.token_lifetime, clock=clock)
    elastic = _elasticsearch(settings)
    links = SignedLinks(derived_keys(settings, master, "download links"), settings.download_lifetime, clock)
    services = Services(
        keyring=keyring(settings, master),
        passwords=passwords,
        attempts=AttemptBounds(
            derive_key(master, "login attempts"),
            per_account=settings.login_attempts,
            per_address=settings.login_attempts_per_address,
            window=timedelta(seconds=settings.login_window),
        ),
        mail=outbox,
        mail_attempts=AttemptBounds(
            derive_key(master, "mail requests"),
            per_account=settings.mail_requests,
            per_address=settings.mail_requests_per_address,
            window=timedelta(hours=1),
        ),
        mail_tokens=SignedMailTokens(derived_keys(settings, master, "mail tokens"), clock),
        tokens=tokens,
        runner=LocalRunner(clock),
        session_cookie=HttpOnlyCookie(settings.token_lifetime, settings.cookie_secure),
        allowed_roots=settings.roots,
        downloads=links,
        lookups=LookupServices(
            _items_in(database, elastic, settings.elasticsearch_prefix, clock),
            settings.data_dir / "uploads",
            settings.tenants,
            settings.lookups_cell,
            settings.lookups_chunk,
        ),
    )
    graph = Graph(
        build_schema(),
        database.dialect,
        limits=limits_of(settings),
        documents=settings.document_cache,
        hide_suggestions=settings.profile == "production",
    )
    schemes = SchemesWithTokens(database, schemes_of(settings, master, tokens, database, clock), clock)
    rates = Rates(settings.rate, settings.rate_per_address)
    contexts = Contexts(database, services, schemes, rates, clock, settings.request_timeout)
    once = Idempotency(database, derive_key(master, "idempotency keys"))
    uploads = Uploads(settings.data_dir, settings.upload_limit, settings.uploads)
    shim = rest_shim(graph, settings, contexts, once, uploads)
    access = StorageAccess(services.keyring, smb_answer=settings.smb_timeout, s3_answer=settings.s3_timeout)
    watch_changes(database.engine)
    return Parts(
        settings,
        database,
        graph,
        trusted_documents(settings, graph),
        services,
        contexts,
        passwords,
        outbox,
        shim,
        uploads,
        once,
        Downloads(links, database, access, settings.roots, most=settings.downloads),
        None if settings.web_root is None else WebClient(settings.web_root, RESERVED),
        Metrics(graph, database, clock),
        Readiness(checks_of(settings, database, elastic), Drain(settings.drain)),
        _tracing(settings, database),
        elastic,
    )


def schemes_of(settings: Settings, master: Secret, tokens: SignedTokens, database: Database, clock: Clock) -> list[Scheme]:
    """One for each domain that anybody can prove to belong to. Raises `ValueError` for what is not right."""
    schemes: list[Scheme] = [InstrumentsScheme(tokens, database)]
    secret = lookups_secret(settings, master)
    try:
        keys = None if settings.lookups_jwks is None else jwks_of(settings.lookups_jwks)
    except (OSError, ValueError) as error:
        raise ValueError(f"SWITCHYARD_LOOKUPS_JWKS: {error}") from error
    return schemes if secret is None and keys is None else [*schemes, LookupsScheme(secret, keys, clock)]


def _elasticsearch(settings: Settings) -> Server | None:
    """Nothing is asked of it yet: it may come later than this server."""
    if settings.elasticsearch_url is None:
        return None
    try:
        from storage.lookups.elasticsearch_server import Server
    except ImportError as error:
        raise ValueError(
            "SWITCHYARD_ELASTICSEARCH_URL needs the extra `elasticsearch`: pip install 'switchyard[elasticsearch]'"
        ) from error
    return Server(settings.elasticsearch_url.get_secret_value())


def _items_in(database: Database, elastic: Server | None, prefix: str, clock: Clock) -> LookupStore:
    """Declarations are in the database, whatever holds the items."""

    def now() -> float:
        return clock().timestamp()

    if elastic is None:
        return SqlLookupStore(database, now)
    from storage.lookups.elasticsearch import ElasticsearchLookupStore

    return ElasticsearchLookupStore(elastic, database, now, prefix)


def _tracing(settings: Settings, database: Database) -> Tracing | None:
    if settings.traces is None:
        return None
    try:
        from app.tracing import tracing_to
    except ImportError as error:
        raise ValueError("SWITCHYARD_TRACES needs the extra `tracing`: pip install 'switchyard[tracing]'") from error
    return tracing_to(settings.traces, database.dialect.name)


def rest_shim(
    graph: Graph, settings: Settings, contexts: ContextFor, once: Once | None = None, room: Room | None = None
) -> RestShim:
    """The REST side of the graph. Raises `DocumentErrors` naming file and line of every mistake."""
    list_shape = None if settings.list_shape == "envelope" else settings.list_shape
    dialects = [Instruments(list_shape), Lookups(RESERVED)]
    bounds = replace(bounds_of(settings), room=room)
    return RestShim(graph, OPERATIONS, dialects, contexts, reserved=RESERVED, bounds=bounds, once=once)


def trusted_documents(settings: Settings, graph: Graph) -> Trusted:
    """The documents that clients may name. Raises `ValueError` naming file and line of every mistake."""
    only = settings.documents == "trusted"
    if settings.trusted_documents is None:
        if only:
            raise ValueError("SWITCHYARD_DOCUMENTS=trusted: say in SWITCHYARD_TRUSTED_DOCUMENTS where the documents are")
        return Trusted()
    return load_trusted(settings.trusted_documents, lambda text: graph.document(text)[1], only=only)


def check_operations(settings: Settings | None = None) -> RestShim:
    """Build the graph and every endpoint without a store, to see whether they fit. Raises what a start would raise."""

    async def no_context(_: HTTPConnection) -> RequestContext:
        raise RuntimeError("nothing is served here")

    settings = settings or Settings.model_construct()
    graph = Graph(build_schema(), sqlite.dialect(), limits=limits_of(settings))
    trusted_documents(settings, graph)
    return rest_shim(graph, settings, no_context)
