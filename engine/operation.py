"""What a transport does with a prepared operation: ask its guards, run it, or stream it.

Two things implement it: a compiled plan, and graphql-core for what a plan refuses.
"""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

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

    async def about(self, ctx: Context, variables: Mapping[str, Any]) -> None:  # noqa: B027  # most are about nothing
        """Raise what the root fields raise for what they are about, as far as these variables tell: `NotFound`, `Forbidden`."""

    @abc.abstractmethod
    def nodes(self, variables: Mapping[str, Any]) -> int | None:
        """What it costs at worst with these (`engine.cost`); None if they are refused."""

    @abc.abstractmethod
    async def execute(self, ctx: Context, variables: Mapping[str, Any]) -> Outcome:
        """Run a query or mutation with raw (JSON) variable values."""

    @abc.abstractmethod
    def stream(self, ctx: Context, variables: Mapping[str, Any]) -> AsyncIterator[Outcome]:
        """Run a subscription; an outcome per event. One that fails is the last: without data, with its located error.

        Of a live one, the first look.
        """

    def live(self, variables: Mapping[str, Any]) -> Following | None:
        """A live subscription with these variables; None for what ends by itself, or is refused: `stream` says why."""
        return None


class Look(NamedTuple):
    """What one look of a live subscription has found."""

    outcome: Outcome | None
    """None if there was nothing new."""
    place: Hashable
    """From where the next one goes on."""
    ended: bool = False
    more: bool = False
    """Whether to look again at once."""


class Following(Protocol):
    """A live subscription with its variables: look whenever the topic has changed."""

    topic: tuple[str, str]

    async def look(self, ctx: Context, place: Hashable) -> Look:
        """From that place on; the first has None. One that fails is the last."""
