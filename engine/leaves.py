"""One leaf as an expression of generated code: what passes unchanged, what is converted, what a missing value means."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson
from graphql import GraphQLEnumType, GraphQLError, GraphQLLeafType

from engine.levels import Position, null_error
from engine.operation import Leaves
from engine.scalars import (
    EXPECTED_CLASS,
    LARGEST_LONG,
    SMALLEST_LONG,
    STORED_TO_WIRE,
    stored_json_to_wire,
    stored_time_to_wire,
)

BOUNDS: dict[str, tuple[float, float]] = {
    "Int": (-(2**31), 2**31 - 1),
    "Long": (SMALLEST_LONG, LARGEST_LONG),
    "Float": (-sys.float_info.max, sys.float_info.max),
}
"""Within these a number passes unchanged; what JSON cannot hold, or the type forbids, its own serializer refuses."""


class Names:
    """The objects that generated code may name. Their names are made here, so no text of a client gets into the code."""

    def __init__(self) -> None:
        self.bound: dict[str, Any] = {}

    def bind(self, value: Any) -> str:
        """A fresh name for the value."""
        name = f"b{len(self.bound)}"
        self.bound[name] = value
        return name


def serializer(leaf: GraphQLLeafType, leaves: Leaves) -> Callable[[Any], Any]:
    """From a Python value to the wire."""
    if isinstance(leaf, GraphQLEnumType):
        return lambda value: leaves.enum(leaf.coerce_output_value(value))
    return leaf.coerce_output_value


def stored_converter(leaf: GraphQLLeafType, leaves: Leaves) -> Callable[[Any], Any] | None:
    """From a stored value to the wire; None if they are the same."""
    if isinstance(leaf, GraphQLEnumType):
        return EnumSpelling(leaf, leaves).__getitem__
    return STORED_TO_WIRE.get(leaf.name)


class EnumSpelling(dict[Any, str]):
    """Stored value → wire spelling."""

    def __init__(self, leaf: GraphQLEnumType, leaves: Leaves) -> None:
        super().__init__((getattr(value.value, "value", value.value), leaves.enum(name)) for name, value in leaf.values.items())
        self._leaf = leaf

    def __missing__(self, value: Any) -> str:
        raise GraphQLError(f"Enum '{self._leaf.name}' cannot represent value: {value!r}")


def expression(
    raw: str,
    leaf: GraphQLLeafType,
    names: Names,
    *,
    position: Position,
    convert: Callable[[Any], Any] | None,
    serialize: Callable[[Any], Any],
) -> str:
    """The code that reads one leaf. `raw` is the code that reads the value."""

    def rare(value: Any) -> Any:
        converted = None if value is None else (convert or serialize)(value)
        if converted is None and not position.nullable:
            raise null_error(position.label)
        return converted

    otherwise, value = names.bind(rare), f"(v := {raw})"
    if convert is not None:
        usual = _without_call(convert, names)
        given = "v" if position.nullable else value
        if usual is not None:
            holds, wire = usual
            found = f"{wire} if {given}.__class__ is str and {holds} else {otherwise}(v)"
        else:
            found = f"{names.bind(convert)}(v) if {given} is not None else {otherwise}(v)"
        return f"(None if {value} is None else {found})" if position.nullable else f"({found})"
    expected = EXPECTED_CLASS.get(leaf.name)
    if expected is None:
        return f"{otherwise}({raw})"
    low_high = BOUNDS.get(leaf.name)
    bounds = f" and {low_high[0]} <= v <= {low_high[1]}" if low_high else ""
    absent = " or v is None" if position.nullable else ""
    return f"(v if ({value}.__class__ is {expected.__name__}{bounds}){absent} else {otherwise}(v))"


def _without_call(convert: Callable[[Any], Any], names: Names) -> tuple[str, str] | None:
    """What two converters of `engine.scalars` do, for lists are full of them: a condition on `v`, and the wire form if it holds.

    The text `null` is a value to SQL and none to GraphQL: it does not hold.
    """
    if convert is stored_time_to_wire:
        return f"{names.bind(datetime.fromisoformat)}(v) and v[26:] == 'Z'", "(v if v[19:26] != '.000000' else v[:19] + 'Z')"
    if convert is stored_json_to_wire:
        return f"{names.bind(orjson.loads)}(v) is not None", f"{names.bind(orjson.Fragment)}(v)"
    return None
