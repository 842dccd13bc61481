"""One endpoint, ready to be called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from graphql import DocumentNode, GraphQLSchema

from engine.operation import GRAPHQL_LEAVES, Leaves, Operation
from rest_compat.binder import Binder
from rest_compat.declaration import Declaration
from rest_compat.projector import Projector


class Graph(Protocol):
    """The graph as this layer sees it: a public schema, operations, and what a type is called."""

    @property
    def schema(self) -> GraphQLSchema:
        """The public schema."""

    def prepare(
        self, document: DocumentNode, operation_name: str | None = None, *, leaves: Leaves = GRAPHQL_LEAVES
    ) -> Operation:
        """An operation of a validated document, ready to run. Raises `UnplannableError` if it cannot be in those leaves."""

    def noun(self, type_name: str) -> str:
        """A type's name in messages: `Storage location`."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a document declares, and what was built from it."""

    declared: Declaration
    operation: Operation
    binder: Binder
    projector: Projector
