"""The variables of one operation, coerced as graphql-core does; what it works out for every request is worked out once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from graphql import (
    GraphQLError,
    GraphQLSchema,
    Undefined,
    VariableDefinitionNode,
    VariableValues,
    coerce_input_value,
    get_nullable_type,
    get_variable_values,
    is_leaf_type,
    is_non_null_type,
)
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.execution.values import VariableValueSource


class Variables:
    """Of one operation."""

    def __init__(self, schema: GraphQLSchema, declared: Sequence[VariableDefinitionNode], *, hide_suggestions: bool) -> None:
        self._schema, self._declared, self._hide_suggestions = schema, declared, hide_suggestions
        leaves = [_leaf(schema, each) for each in declared]
        self._leaves = [leaf for leaf in leaves if leaf is not None] if None not in leaves else None

    def coerce(self, given: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        """Their values, or what is wrong with them."""
        return self._coerce_leaves(given) or get_variable_values(
            self._schema, self._declared, dict(given), hide_suggestions=self._hide_suggestions
        )

    def _coerce_leaves(self, given: Mapping[str, Any]) -> VariableValues | None:
        """None if there is more to it: an error to explain, a list or an input object among them."""
        if self._leaves is None:
            return None
        values = VariableValues({}, {})
        for name, source, absent in self._leaves:
            value = given.get(name, Undefined)
            values.sources[name] = source if value is Undefined else VariableValueSource(source.signature, value)
            coerced = absent if value is Undefined else coerce_input_value(value, source.signature.type)
            if coerced is not Undefined:
                values.coerced[name] = coerced
            elif value is not Undefined or is_non_null_type(source.signature.type):
                return None
        return values


class _Leaf(NamedTuple):
    """A variable that holds a scalar or a value of an enumeration."""

    name: str
    source: VariableValueSource
    absent: Any
    """Its value if none is given; Undefined if there is no default."""


def _leaf(schema: GraphQLSchema, declared: VariableDefinitionNode) -> _Leaf | None:
    signature = get_variable_signature(schema, declared)
    assert not isinstance(signature, GraphQLError), "a valid document declares variables of input types"
    kind: Any = get_nullable_type(signature.type)
    if not is_leaf_type(kind):
        return None
    alone = get_variable_values(schema, [declared], {})
    absent = alone.coerced.get(signature.name, Undefined) if isinstance(alone, VariableValues) else Undefined
    return _Leaf(signature.name, VariableValueSource(signature), absent)
