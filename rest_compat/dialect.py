"""What is uniform for a whole service and therefore said once, not per endpoint: spelling, order of checks, error bodies."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
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
    READ_BODY = auto()
    BIND = auto()


class Dialect(abc.ABC):
    """One service's way of speaking HTTP. `name` is its folder of documents and, in upper case, its `RestDialect`."""

    name: ClassVar[str]
    title: ClassVar[str]
    phases: ClassVar[tuple[Phase, ...]]
    prefixes: ClassVar[tuple[str, ...]] = ()
    """Below these paths, what no route serves is answered in this dialect."""
    snake: ClassVar[bool] = False
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

    def at(self, path: str) -> Dialect:
        """How it is spoken below that path template: a service may be made of parts that word their refusals differently."""
        return self

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
