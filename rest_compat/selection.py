"""An operation's selection as the wire sees it: response keys, types and marks, fragments opened.

The projector, the rules and OpenAPI read this; syntax trees end here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLString,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_composite_type,
    is_list_type,
)

from engine.declare import kind_of
from engine.selections import Selections
from rest_compat.directives import Marks, Vocabulary

TYPENAME = "__typename"


@dataclass(frozen=True)
class Selected:
    """One key of an object: its type, what the directives say of it, and what is selected below."""

    key: str
    type: GraphQLOutputType
    description: str | None
    marks: Marks
    node: FieldNode
    below: Selection | None
    computed: bool = False
    """Whether a use case makes the value, rather than a row that is read."""

    @property
    def many(self) -> bool:
        """Whether the value is a list."""
        return is_list_type(get_nullable_type(self.type))

    @property
    def nullable(self) -> bool:
        """Whether the value may be null."""
        return get_nullable_type(self.type) is self.type

    @property
    def type_name(self) -> str:
        """The name of the innermost type."""
        return get_named_type(self.type).name


@dataclass(frozen=True)
class Selection:
    """What is selected on an object, by the object types it can be of; `fragment` if that is one whole fragment."""

    variants: Mapping[str, tuple[Selected, ...]]
    fragment: str | None

    @cached_property
    def fields(self) -> tuple[Selected, ...]:
        """All keys; what several types share is there once."""
        merged: dict[str, Selected] = {}
        for field in (field for fields in self.variants.values() for field in fields):
            merged.setdefault(field.key, field)
        return tuple(merged.values())

    @property
    def unwrapped(self) -> Selected | None:
        """The field that stands for the whole object."""
        return next((field for field in self.fields if field.marks.unwrap), None)

    def walk(self) -> Iterator[Selection]:
        """This selection and every one below."""
        yield self
        for field in self.fields:
            if field.below is not None:
                yield from field.below.walk()


class Selector:
    """Builds selections for the operations of one document, whose aliases are wire names already."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, vocabulary: Vocabulary) -> None:
        self._schema = schema
        self._selections = Selections(schema, document, {})
        self._vocabulary = vocabulary

    def of(self, operation: OperationDefinitionNode) -> Selection:
        """The root selection of an operation."""
        root = self._schema.get_root_type(operation.operation)
        assert root is not None, "validation knows the root types"
        return self._select(root, [operation.selection_set])

    def _select(self, parent: GraphQLCompositeType, sets: Sequence[SelectionSetNode]) -> Selection:
        types = self._schema.get_possible_types(parent) if is_abstract_type(parent) else [cast(GraphQLObjectType, parent)]
        return Selection({each.name: self._fields(each, sets) for each in types}, _only_fragment(sets))

    def _fields(self, parent: GraphQLObjectType, sets: Sequence[SelectionSetNode]) -> tuple[Selected, ...]:
        collected = self._selections.collect(parent, sets)
        return tuple(self._field(parent, key, nodes) for key, nodes in collected.items())

    def _field(self, parent: GraphQLObjectType, key: str, nodes: Sequence[FieldNode]) -> Selected:
        name = nodes[0].name.value
        definition = parent.fields.get(name)
        type_: Any = definition.type if definition else GraphQLNonNull(GraphQLString)
        inner = get_named_type(type_)
        below = (
            self._select(inner, [node.selection_set for node in nodes if node.selection_set])
            if is_composite_type(inner)
            else None
        )
        marks = next((marks for node in nodes if (marks := self._vocabulary.marks(node))), Marks())
        computed = definition is not None and kind_of(definition) is None
        return Selected(key, type_, definition.description if definition else None, marks, nodes[0], below, computed)


def _only_fragment(sets: Sequence[SelectionSetNode]) -> str | None:
    selections = [selection for each in sets for selection in each.selections]
    if len(selections) == 1 and isinstance(selections[0], FragmentSpreadNode):
        return selections[0].name.value
    return None
