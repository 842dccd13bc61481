"""What an operation selects: fields merged by response key, fragments opened, `@skip` and `@include` decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    is_abstract_type,
)

_CONDITIONS = {"include": True, "skip": False}


class Selections:
    """One operation's selections, for one choice of its boolean variables. What an unknown variable decides is left out."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, flags: Mapping[str, bool]) -> None:
        self.schema = schema
        self._flags = flags
        self._fragments = fragments_of(document)

    def collect(self, parent: GraphQLObjectType, sets: Sequence[SelectionSetNode]) -> dict[str, list[FieldNode]]:
        """Response key → its field nodes, in the order of the response (specification, CollectFields)."""
        fields: dict[str, list[FieldNode]] = {}
        self._collect(parent, sets, fields, set())
        return fields

    def _collect(
        self, parent: GraphQLObjectType, sets: Sequence[SelectionSetNode], fields: dict[str, list[FieldNode]], visited: set[str]
    ) -> None:
        for selection in (selection for each in sets for selection in each.selections):
            if not self._included(selection.directives or ()):
                continue
            if isinstance(selection, FieldNode):
                key = selection.alias.value if selection.alias else selection.name.value
                fields.setdefault(key, []).append(selection)
                continue
            fragment = self._fragment(selection, visited)
            if fragment is not None and self._applies(fragment, parent):
                self._collect(parent, [fragment.selection_set], fields, visited)

    def _fragment(self, selection: Any, visited: set[str]) -> InlineFragmentNode | FragmentDefinitionNode | None:
        if not isinstance(selection, FragmentSpreadNode):
            assert isinstance(selection, InlineFragmentNode)
            return selection
        name = selection.name.value
        if name in visited:
            return None
        visited.add(name)
        return self._fragments[name]

    def _applies(self, fragment: InlineFragmentNode | FragmentDefinitionNode, parent: GraphQLObjectType) -> bool:
        if fragment.type_condition is None:
            return True
        condition: GraphQLNamedType | None = self.schema.get_type(fragment.type_condition.name.value)
        return condition is parent or (is_abstract_type(condition) and self.schema.is_sub_type(condition, parent))

    def _included(self, directives: Sequence[DirectiveNode]) -> bool:
        for directive in directives:
            wanted = _CONDITIONS.get(directive.name.value)
            if wanted is not None and self._value(directive) is not wanted:
                return False
        return True

    def _value(self, directive: DirectiveNode) -> bool | None:
        (argument,) = directive.arguments or ()
        value: Any = argument.value
        return self._flags.get(value.name.value) if isinstance(value, VariableNode) else value.value


def sets_of(nodes: Sequence[FieldNode]) -> list[SelectionSetNode]:
    """What the nodes of one field select, as one selection."""
    return [node.selection_set for node in nodes if node.selection_set is not None]


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """The document's fragments by name."""
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}


def operation_of(document: DocumentNode, name: str | None) -> OperationDefinitionNode | None:
    """The operation of that name; without a name the only one."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is None:
        return operations[0] if len(operations) == 1 else None
    return next((node for node in operations if node.name is not None and node.name.value == name), None)


def condition_variables(document: DocumentNode) -> tuple[str, ...]:
    """The variables that `@skip` and `@include` ask, sorted."""
    return tuple(
        sorted(
            {
                argument.value.name.value
                for selection in walk(document)
                for directive in selection.directives or ()
                if directive.name.value in _CONDITIONS
                for argument in directive.arguments or ()
                if isinstance(argument.value, VariableNode)
            }
        )
    )


def walk(document: DocumentNode) -> Iterator[Any]:
    """Every selection of every definition, spreads unopened."""
    for selections in selection_sets(document):
        yield from selections.selections


def selection_sets(document: DocumentNode) -> Iterator[SelectionSetNode]:
    """Every selection set of every definition."""
    open_sets = [node.selection_set for node in document.definitions if hasattr(node, "selection_set")]
    while open_sets:
        selections = open_sets.pop()
        yield selections
        inner = (getattr(selection, "selection_set", None) for selection in selections.selections)
        open_sets.extend(each for each in inner if each is not None)
