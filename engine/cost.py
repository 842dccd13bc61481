"""What an operation costs at worst: how many objects its reply holds if every list is as long as it was asked for.

A page counts with its size (twice under a client's own filter or order, for which rows are looked at that are not shown), a list of unknown length with the default page, a batch of a stream with the batch. Introspection
counts with the schema's own average lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLObjectType,
    GraphQLSchema,
    IntValueNode,
    OperationDefinitionNode,
    VariableNode,
    get_nullable_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
)

from engine.declare import kind_of
from engine.kinds import DEFAULT_PAGE, Batch, Many
from engine.selections import Selections, sets_of

Variables = Mapping[str, Any]
"""Coerced values by name."""

Length = int | Callable[[Variables], int]
"""How long a list is."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Objects below one parent: a fixed number, lists whose length a variable decides, and the dearest of several types."""

    fixed: int = 0
    lists: tuple[tuple[Length, Cost], ...] = ()
    choices: tuple[tuple[Cost, ...], ...] = ()

    def nodes(self, variables: Variables) -> int:
        """How many, with these variables."""
        total = self.fixed
        for length, each in self.lists:
            total += (length if isinstance(length, int) else length(variables)) * each.nodes(variables)
        for choice in self.choices:
            total += max(each.nodes(variables) for each in choice)
        return total

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.fixed + other.fixed, self.lists + other.lists, self.choices + other.choices)

    @property
    def is_fixed(self) -> bool:
        """Whether no variable changes it."""
        return not self.lists and not self.choices


NOTHING, ONE = Cost(), Cost(1)


def _times(length: Length, each: Cost) -> Cost:
    return Cost(length * each.fixed) if isinstance(length, int) and each.is_fixed else Cost(lists=((length, each),))


def _dearest(costs: Sequence[Cost]) -> Cost:
    if all(each.is_fixed for each in costs):
        return Cost(max((each.fixed for each in costs), default=0))
    return Cost(choices=(tuple(costs),))


class Estimate:
    """Costs one operation for one choice of its boolean variables."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, flags: Mapping[str, bool]) -> None:
        self._schema, self._selections = schema, Selections(schema, document, flags)

    def of(self, operation: OperationDefinitionNode) -> Cost:
        """Of the whole operation; of a subscription, one event of it."""
        root = self._schema.get_root_type(operation.operation)
        assert root is not None, "a valid document asks for roots that there are"
        return self._below(root, [operation.selection_set], DEFAULT_PAGE)

    @cached_property
    def _introspected(self) -> Mapping[str, int]:
        return introspection_lengths(self._schema)

    def _below(self, parent: GraphQLObjectType, sets: Sequence[Any], length: Length) -> Cost:
        """Of what is selected of one object; `length` is that of the lists which it holds itself."""
        total = NOTHING
        for nodes in self._selections.collect(parent, sets).values():
            total += self._field(parent, nodes, length)
        return total

    def _field(self, parent: GraphQLObjectType, nodes: Sequence[FieldNode], length: Length) -> Cost:
        name = nodes[0].name.value
        field = self._schema.get_field(parent, name)
        assert field is not None, "a valid document asks for fields that there are"
        kind = kind_of(field)
        if isinstance(kind, Many):
            length = kind.batch or page_length(nodes[0], kind.largest_page)
        elif isinstance(kind, Batch) and kind.largest_page:
            length = page_length(nodes[0], kind.largest_page)
        elif parent.name.startswith("__"):
            length = self._introspected.get(f"{parent.name}.{name}", DEFAULT_PAGE)
        cost = self._value(field.type, nodes, length)
        if any(argument.name.value in {"filter", "orderBy"} for argument in nodes[0].arguments or ()) and isinstance(
            kind, Many
        ):
            cost += _times(length, ONE)
        return Cost(cost.fixed - 1, cost.lists, cost.choices) if name == "ofType" else cost  # a type's wrapper, no type

    def _value(self, kind: Any, nodes: Sequence[FieldNode], length: Length) -> Cost:
        kind = get_nullable_type(kind)
        if is_list_type(kind):
            return _times(length, self._value(kind.of_type, nodes, DEFAULT_PAGE))
        if is_leaf_type(kind):
            return NOTHING
        if is_abstract_type(kind):
            possible = self._schema.get_possible_types(kind)
            return ONE + _dearest([self._below(each, sets_of(nodes), length) for each in possible])
        return ONE + self._below(kind, sets_of(nodes), length)


def page_length(node: FieldNode, largest: int) -> Length:
    """Of the page that a field asks for by `first` or `last`; what is larger than allowed is refused elsewhere."""
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    wanted = [given[name] for name in ("first", "last") if name in given]
    names = [value.name.value for value in wanted if isinstance(value, VariableNode)]
    literal = max((int(value.value) for value in wanted if isinstance(value, IntValueNode)), default=None)
    if not names:
        return min(DEFAULT_PAGE if literal is None else literal, largest)

    def read(variables: Variables) -> int:
        sizes = [size for name in names if (size := variables.get(name)) is not None]
        sizes += [] if literal is None else [literal]
        return min(max(sizes, default=DEFAULT_PAGE), largest)

    return read


def introspection_lengths(schema: GraphQLSchema) -> dict[str, int]:
    """How long the lists of introspection are in this schema, on average."""
    types = list(schema.type_map.values())
    fields = [field for kind in types for field in getattr(kind, "fields", {}).values()]

    def average(*lengths: int) -> int:
        return -(-sum(lengths) // max(len(lengths), 1))

    return {
        "__Schema.types": len(types),
        "__Schema.directives": len(schema.directives),
        "__Directive.args": average(*(len(directive.args) for directive in schema.directives)),
        "__Field.args": average(*(len(getattr(field, "args", ())) for field in fields)),
        "__Type.fields": average(*(len(getattr(kind, "fields", ())) for kind in types)),
        "__Type.inputFields": average(*(len(getattr(kind, "fields", ())) for kind in types)),
        "__Type.interfaces": average(*(len(getattr(kind, "interfaces", ())) for kind in types)),
        "__Type.enumValues": average(*(len(getattr(kind, "values", ())) for kind in types)),
        "__Type.possibleTypes": 1,
    }
