"""What is uniform for a whole service and therefore said once, not per endpoint: spelling, order of checks, error bodies."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar

from starlette.datastructures import QueryParams

from core.errors import DomainError
from engine.operation import GRAPHQL_LEAVES, Leaves
from rest_compat.faults import Fault
from rest_compat.reply import Reply
from rest_compat.wire_names import snake_case

Json = dict[str, Any]


class Phase(Enum):
    """The phases between authentication and execution, in the order that a dialect states. What is read last binds last."""

    GUARD = auto()
    BIND_PATH = auto()
    ABOUT = auto()
    """What the path names is looked for; once it is bound."""
    READ_BODY = auto()
    BIND = auto()


@dataclass(frozen=True, slots=True)
class Pages:
    """The parameters of a page that is told by its number, from 1; a size above the largest is taken as that."""

    number: str
    size: str
    largest: int


class Dialect(abc.ABC):
    """One service's way of speaking HTTP. `name` is its folder of documents and, in upper case, its `RestDialect`."""

    name: ClassVar[str]
    title: ClassVar[str]
    phases: ClassVar[tuple[Phase, ...]]
    prefixes: ClassVar[tuple[str, ...]] = ()
    """Below these paths, what no route serves is answered in this dialect."""
    snake: ClassVar[bool] = False
    pages: ClassVar[Pages | None] = None
    ascending: ClassVar[str] = "asc"
    """The value of a PREFIX parameter for an ascending order; any other is descending."""
    only_json: ClassVar[bool] = False
    """Whether a JSON body of another content type is `UnsupportedMedia`, rather than a text, which then fits nothing."""
    invalid: ClassVar[int] = 422
    """The status of invalid input."""
    acknowledgement: ClassVar[Mapping[str, Any]] = {}
    """Members of an acknowledgement, also beside what a call returns."""
    leaves: ClassVar[Leaves] = GRAPHQL_LEAVES
    redirects_slash: ClassVar[bool] = False
    security: ClassVar[Mapping[str, Json]] = {}
    """OpenAPI security schemes; each of them suffices."""

    def spell(self, name: str) -> str:
        """A GraphQL name as this dialect writes it."""
        return snake_case(name) if self.snake else name

    def query(self, query: QueryParams) -> QueryParams:
        """The query with what the server's settings add to it."""
        return query

    def owns(self, raw_path: bytes) -> bool:
        """Whether what no route serves is answered in this dialect there; `/api` is one of the paths below `/api/`."""
        return any((raw_path + b"/").startswith(prefix.encode()) for prefix in self.prefixes)

    def check(self, query: QueryParams) -> None:  # noqa: B027  # most have nothing to refuse
        """Raise for what is refused before anybody asks who it is."""

    def at(self, path: str, values: Mapping[str, str] | None = None) -> Dialect:
        """How it is spoken below that path template, with those values: parts of a service may word their refusals differently."""
        return self

    def dressed(self, reply: Reply, query: QueryParams) -> Reply:
        """A reply, as the query asks for it to look."""
        return reply

    @abc.abstractmethod
    def acknowledge(self, status: int) -> Reply:
        """The reply of a call that returns nothing."""

    @abc.abstractmethod
    def refuse(self, error: DomainError, faults: Sequence[Fault] = ()) -> Reply:
        """The reply for an error; `faults` says where invalid input is on the wire."""

    @abc.abstractmethod
    def not_found(self) -> Reply:
        """The reply for a path that no route serves."""

    @abc.abstractmethod
    def not_allowed(self, methods: Sequence[str]) -> Reply:
        """The reply for a path that is served for other methods."""

    @abc.abstractmethod
    def error_schemas(self) -> Mapping[int, Json]:
        """JSON Schema of the error bodies by status; the title of each names its component."""
