"""From the graph's inputs to those of the use cases: the same names, without GraphQL's wrappers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

import strawberry

from engine.declare import limited
from resolvers.inputs import ABSENT

UseCaseInput = TypeVar("UseCaseInput")

INPUT = strawberry.argument(name="input", description="What to do, in one object.")


def use_case_input(kind: type[UseCaseInput], given: Any, **convert: Callable[[Any], Any]) -> UseCaseInput:
    """The use case's dataclass with what was given; what was left out of a `Maybe` stays absent."""
    values: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]  # every use case input is a dataclass
        value = getattr(given, field.name, None)
        if isinstance(value, strawberry.Some):
            value = value.value
        elif value is None and field.default is ABSENT:
            continue
        values[field.name] = value if value is None or field.name not in convert else convert[field.name](value)
    return kind(**values)


def required(description: str, **bounds: Any) -> Any:
    """A field of a *changes* input that may be left out, but is never null."""
    return limited(description, nullable=False, **bounds)
