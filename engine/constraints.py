"""`@constraint`: what an argument or input field accepts beyond its type. One declaration for GraphQL, REST and OpenAPI."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import strawberry
from graphql import GraphQLArgument, GraphQLInputField
from strawberry.schema_directive import Location

from core.errors import Problem


@strawberry.schema_directive(
    locations=[Location.ARGUMENT_DEFINITION, Location.INPUT_FIELD_DEFINITION],
    name="constraint",
    description="What is accepted beyond the type. `nullable: false`: may be left out, but not be null.",
)
class ConstraintDirective:
    """`Constraint` as the schema shows it."""

    min: int | None = strawberry.UNSET
    max: int | None = strawberry.UNSET
    min_length: int | None = strawberry.UNSET
    max_length: int | None = strawberry.UNSET
    pattern: str | None = strawberry.UNSET
    one_of: list[str] | None = strawberry.UNSET
    nullable: bool | None = strawberry.UNSET


@dataclass(frozen=True, slots=True)
class Constraint:
    """Bounds of one value; lengths count characters."""

    min: int | None = None
    max: int | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    one_of: Sequence[str] | None = None
    nullable: bool | None = None

    def directive(self) -> ConstraintDirective:
        """For the schema."""
        return ConstraintDirective(**{name: value for name, value in asdict(self).items() if value is not None})

    def problem(self, value: Any, path: tuple[str | int, ...]) -> Problem | None:
        """What is wrong with a given value, in the words and kinds that pydantic has for it."""
        for kind, message, broken in self._checks(value):
            if broken:
                return Problem(path, message, kind, value)
        return None

    def _checks(self, value: Any) -> list[tuple[str, str, bool]]:
        if value is None:
            return [("value_error", "Input should not be null", self.nullable is False)]
        checks: list[tuple[str, str, bool]] = []
        if isinstance(value, int) and not isinstance(value, bool):
            if self.min is not None:
                checks.append(("greater_than_equal", f"Input should be greater than or equal to {self.min}", value < self.min))
            if self.max is not None:
                checks.append(("less_than_equal", f"Input should be less than or equal to {self.max}", value > self.max))
        if isinstance(value, str):
            checks += self._text_checks(value)
        return checks

    def _text_checks(self, value: str) -> list[tuple[str, str, bool]]:
        checks: list[tuple[str, str, bool]] = []
        if self.min_length is not None:
            shortest = f"String should have at least {_characters(self.min_length)}"
            checks.append(("string_too_short", shortest, len(value) < self.min_length))
        if self.max_length is not None:
            longest = f"String should have at most {_characters(self.max_length)}"
            checks.append(("string_too_long", longest, len(value) > self.max_length))
        if self.pattern is not None:
            unmatched = re.search(self.pattern, value) is None
            checks.append(("string_pattern_mismatch", f"String should match pattern '{self.pattern}'", unmatched))
        if self.one_of is not None:
            allowed = " or ".join(repr(text) for text in self.one_of)
            checks.append(("literal_error", f"Input should be {allowed}", value not in self.one_of))
        return checks


def _characters(count: int) -> str:
    return f"{count} character{'' if count == 1 else 's'}"


def constraint_of(declared: GraphQLArgument | GraphQLInputField) -> Constraint | None:
    """The constraint of a schema argument or input field, if it has one. Worked out once, then kept beside the declaration."""
    extensions = declared.extensions
    if _KEPT not in extensions:
        extensions[_KEPT] = _read(extensions.get("strawberry-definition"))
    kept: Constraint | None = extensions[_KEPT]
    return kept


_KEPT = "switchyard.constraint"


def _read(definition: object) -> Constraint | None:
    for directive in getattr(definition, "directives", ()):
        if isinstance(directive, ConstraintDirective):
            return Constraint(**{name: value for name, value in vars(directive).items() if value is not strawberry.UNSET})
    return None
