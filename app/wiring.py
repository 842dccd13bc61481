"""Puts the parts together, once, at start-up: stores, graph, services, REST shim."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.dialects import sqlite
from starlette.requests import HTTPConnection

import rest_compat
from app.auth import HttpOnlyCookie, InstrumentsScheme, Schemes
from app.observability import Reporter, request_id_of
from app.passwords import HashedPasswords
from app.settings import Settings, keyring, master_secret
from app.tokens import SignedTokens
from core.clock import Clock, utc_now
from core.identity import Principals
from core.secrets import derive_key
from engine.graph import Graph
from engine.limits import Limits
from jobs.local import LocalRunner
from resolvers.context import RequestContext, Services
from rest_compat.calls import ContextFor
from rest_compat.dialects.instruments import Instruments
from rest_compat.shim import RestShim
from schema.root import build_schema
from storage.sql.database import Database
from storage.sql.migrate import migrate
from storage.sql.opening import open_database

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
    schemes: Schemes
    clock: Clock

    async def __call__(self, connection: HTTPConnection) -> RequestContext:
        """For the request under way."""
        principals = await self.schemes.authenticate(connection.headers, connection.cookies)
        return self.context(principals, request_id_of(connection.scope))

    def context(self, principals: Principals, request_id: str = "-") -> RequestContext:
        """For somebody whom the program itself knows."""
        return RequestContext(
            sql=self.database,
            services=self.services,
            principals=principals,
            clock=self.clock,
            request_id=request_id,
            report=Reporter(request_id),
        )


@dataclass(frozen=True, slots=True)
class Parts:
    """The running application's parts."""

    settings: Settings
    database: Database
    graph: Graph
    services: Services
    contexts: Contexts
    passwords: HashedPasswords
    shim: RestShim

    async def close(self) -> None:
        """Release what was opened."""
        self.passwords.close()
        await self.database.close()


def limits_of(settings: Settings) -> Limits:
    """The bounds of client documents."""
    return Limits(
        characters=settings.document_characters,
        tokens=settings.document_tokens,
        depth=settings.document_depth,
        aliases=settings.document_aliases,
    )


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
    passwords = HashedPasswords()
    tokens = SignedTokens(derive_key(master, "instruments tokens"), lifetime=settings.token_lifetime, clock=clock)
    services = Services(
        keyring=keyring(settings, master),
        passwords=passwords,
        tokens=tokens,
        runner=LocalRunner(clock),
        session_cookie=HttpOnlyCookie(settings.token_lifetime, settings.cookie_secure),
        allowed_roots=settings.roots,
    )
    graph = Graph(
        build_schema(),
        database.dialect,
        limits=limits_of(settings),
        hide_suggestions=settings.profile == "production",
    )
    schemes = Schemes(database, [InstrumentsScheme(tokens, database)])
    contexts = Contexts(database, services, schemes, clock)
    shim = rest_shim(graph, settings, contexts)
    return Parts(settings, database, graph, services, contexts, passwords, shim)


def rest_shim(graph: Graph, settings: Settings, contexts: ContextFor) -> RestShim:
    """The REST side of the graph. Raises `DocumentErrors` naming file and line of every mistake."""
    dialects = [Instruments(None if settings.list_shape == "envelope" else settings.list_shape)]
    return RestShim(graph, OPERATIONS, dialects, contexts, reserved=RESERVED, body_limit=settings.body_limit)


def check_operations(settings: Settings | None = None) -> RestShim:
    """Build the graph and every endpoint without a store, to see whether they fit. Raises what a start would raise."""

    async def no_context(_: HTTPConnection) -> RequestContext:
        raise RuntimeError("nothing is served here")

    return rest_shim(Graph(build_schema(), sqlite.dialect()), settings or Settings.model_construct(), no_context)
