"""The REST side of the graph: documents in, an ASGI application, a ledger and an OpenAPI document out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.datastructures import QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from rest_compat.bodies import Bounds
from rest_compat.calls import Caller, ContextFor
from rest_compat.dialect import Dialect
from rest_compat.endpoint import Endpoint, Graph
from rest_compat.loader import load
from rest_compat.once import Once
from rest_compat.openapi import document
from rest_compat.reply import Reply
from rest_compat.router import Found, NotAllowed
from rest_compat.routes import Route, routed

_NO_QUERY = QueryParams()


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One route, as `switchyard routes` prints it."""

    method: str
    path: str
    dialect: str
    operation: str
    place: str
    alternates: tuple[str, ...]


class RestShim:
    """Serves every operation document below a folder. Raises `DocumentErrors` if one of them cannot be served."""

    def __init__(
        self,
        graph: Graph,
        operations: Path,
        dialects: Sequence[Dialect],
        context_for: ContextFor,
        *,
        reserved: frozenset[str] = frozenset(),
        bounds: Bounds = Bounds(),  # noqa: B008  # frozen
        once: Once | None = None,
    ) -> None:
        self._dialects = dialects
        self._context_for = context_for
        self._bounds = bounds
        self._once = once
        self.endpoints = load(operations, graph, dialects)
        self._router, self._routes = routed(self.endpoints, reserved)

    @property
    def routes(self) -> tuple[LedgerEntry, ...]:
        """Every route once, alternates by name."""
        return tuple(_entry(route) for route in self._routes)

    def openapi(self, title: str, version: str, dialect: str | None = None) -> dict[str, Any]:
        """The OpenAPI document of one dialect, or of all."""
        return document(
            [route for route in self._routes if dialect in {None, route.main.declared.dialect.name}], title, version
        )

    def resolve(self, method: str, path: str, query: str = "") -> Endpoint | None:
        """The endpoint that would serve a request."""
        found = self._router.find(method, path.encode())
        return found.target.choose(_query(found.target, query)) if isinstance(found, Found) else None

    def match(self, scope: Scope) -> ASGIApp | None:
        """What answers the request, or None if its path is none of ours."""
        raw = raw_path(scope)
        match self._router.find(scope["method"], raw):
            case Found(route, parameters):
                query = _query(route, scope["query_string"])
                return Caller(route.choose(query), self._context_for, parameters, query, self._bounds, self._once)
            case NotAllowed(methods, route):
                dialect = route.main.declared.dialect
                return dialect.dressed(dialect.not_allowed(methods), QueryParams(scope["query_string"]))
        return self._redirect(scope, raw) or self._not_found(raw, scope["query_string"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer everything; what is none of ours is 404."""
        answer = self.match(scope) or Reply.json(404, {"detail": "Not Found"})
        await answer(scope, receive, send)

    def _redirect(self, scope: Scope, raw: bytes) -> Reply | None:
        """To the same path without its last slash, if that is a route of a dialect which does so."""
        if not raw.endswith(b"/"):
            return None
        found = self._router.find(scope["method"], raw[:-1])
        if found is None or not found.target.main.declared.dialect.redirects_slash:
            return None
        query = scope["query_string"]
        location = quote(raw[:-1] + (b"?" + query if query else b""), safe="/%?&=+:@!$'()*,;~-._[]")
        return Reply(307, b"", (("location", location),))

    def dialect_of(self, raw: bytes) -> Dialect | None:
        """Whose path that is."""
        return next((dialect for dialect in self._dialects if dialect.owns(raw)), None)

    def _not_found(self, raw: bytes, query: bytes) -> Reply | None:
        dialect = self.dialect_of(raw)
        return None if dialect is None else dialect.dressed(dialect.not_found(), QueryParams(query))


def _query(route: Route, query: str | bytes) -> QueryParams:
    return route.main.declared.dialect.query(QueryParams(query) if query else _NO_QUERY)


def _entry(route: Route) -> LedgerEntry:
    main = route.main.declared
    return LedgerEntry(
        method=main.rest.method,
        path=str(main.template),
        dialect=main.dialect.name,
        operation=main.name,
        place=str(main.place),
        alternates=tuple(each.declared.name for each in route.endpoints if each is not route.main),
    )


def raw_path(scope: Scope) -> bytes:
    """The path as it was sent; servers need not tell it."""
    sent: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return sent.partition(b"?")[0]
