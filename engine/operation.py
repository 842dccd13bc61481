"""What a transport does with a prepared operation: ask its guards, run it, or stream it.

Two things implement it: a compiled plan, and graphql-core for what a plan refuses.
"""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from graphql import GraphQLError, OperationDefinitionNode

from core.context import Context


class Outcome(NamedTuple):
    """`data` is ready for orjson (stored JSON stands in it as `orjson.Fragment`); `errors` are located."""

    data: dict[str, Any] | None
    errors: list[GraphQLError]


@dataclass(frozen=True, slots=True)
class Leaves:
    """How a transport spells the leaves that are not the same everywhere: here, enum values (by their GraphQL name)."""

    lower_case_enums: bool = False

    def enum(self, name: str) -> str:
        """The wire spelling of an enum value."""
        return name.lower() if self.lower_case_enums else name


GRAPHQL_LEAVES = Leaves()


class UnplannableError(Exception):
    """The operation holds something that only graphql-core executes, in GraphQL's own spelling of leaves."""


class Operation(abc.ABC):
    """One operation of a validated document, prepared once and run many times."""

    definition: OperationDefinitionNode

    @abc.abstractmethod
    def guard(self, ctx: Context) -> None:
        """Raise what the guards of the root fields raise: `Unauthenticated`, `Forbidden`. `execute` asks them, too."""

    @abc.abstractmethod
    async def execute(self, ctx: Context, variables: Mapping[str, Any]) -> Outcome:
        """Run a query or mutation with raw (JSON) variable values."""

    @abc.abstractmethod
    def stream(self, ctx: Context, variables: Mapping[str, Any]) -> AsyncIterator[Outcome]:
        """Run a subscription; an outcome per event. One that fails is the last: without data, with its located error."""
