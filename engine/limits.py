"""What a document may be: bounds that hold before anything is executed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableDefinitionNode,
)

from core.errors import NotSupported, TooExpensive
from engine.selections import fragments_of, selection_sets, walk


@dataclass(frozen=True, slots=True)
class Limits:
    """Defaults that real clients (GraphiQL's introspection among them) stay well below."""

    characters: int = 100_000
    tokens: int = 10_000
    depth: int = 15
    aliases: int = 60
    root_fields: int = 60
    repetitions: int = 60
    """Selections that say what their set says already; validating them takes quadratic time."""
    directives: int = 5
    """On one field, fragment, variable or operation."""
    fields: int = 2_000
    """With every fragment opened wherever it is spread; each is planned."""
    nodes: int = 50_000
    """Objects of the reply, if every list is as long as it was asked for."""
    introspection: bool = True
    """Whether clients may ask for the schema."""


def check_limits(document: DocumentNode, limits: Limits) -> None:
    """Raise `TooExpensive` naming the bound, or `NotSupported`. Asked before validation, which takes long for what is refused."""
    if not limits.introspection and any(map(_introspects, walk(document))):
        raise NotSupported("introspection is turned off on this server")
    aliases = sum(1 for selection in walk(document) if isinstance(selection, FieldNode) and selection.alias is not None)
    if aliases > limits.aliases:
        raise TooExpensive(f"{aliases} aliases in one document; at most {limits.aliases} are allowed", bound="aliases")
    repetitions = sum(map(_repetitions, selection_sets(document)))
    if repetitions > limits.repetitions:
        raise TooExpensive(
            f"{repetitions} repeated selections in one document; at most {limits.repetitions} are allowed", bound="repetitions"
        )
    directives = max(map(_directives, [*document.definitions, *_variables(document), *walk(document)]), default=0)
    if directives > limits.directives:
        raise TooExpensive(f"{directives} directives in one place; at most {limits.directives} are allowed", bound="directives")
    measures = Measures(document)
    for operation in (each for each in document.definitions if isinstance(each, OperationDefinitionNode)):
        measure = measures.of(operation.selection_set)
        if measure.depth > limits.depth:
            raise TooExpensive(
                f"the document is {measure.depth} levels deep; at most {limits.depth} are allowed", bound="depth"
            )
        if measure.fields > limits.root_fields:
            raise TooExpensive(
                f"{measure.fields} fields in one selection; at most {limits.root_fields} are allowed", bound="root_fields"
            )
        if measure.all > limits.fields:
            raise TooExpensive(
                f"{measure.all} fields with all fragments opened; at most {limits.fields} are allowed", bound="fields"
            )


def _introspects(selection: SelectionNode) -> bool:
    return isinstance(selection, FieldNode) and selection.name.value in {"__schema", "__type"}


def _directives(node: Node) -> int:
    return len(getattr(node, "directives", None) or ())


def _variables(document: DocumentNode) -> Iterator[VariableDefinitionNode]:
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            yield from definition.variable_definitions or ()


def _repetitions(selections: SelectionSetNode) -> int:
    return len(selections.selections) - len({_said(selection) for selection in selections.selections})


def _said(selection: SelectionNode) -> tuple[str, str]:
    """What makes two selections of one set repeat each other."""
    if isinstance(selection, FieldNode):
        return "field", (selection.alias or selection.name).value
    if isinstance(selection, FragmentSpreadNode):
        return "spread", selection.name.value
    condition = selection.type_condition if isinstance(selection, InlineFragmentNode) else None
    return "inline", condition.name.value if condition is not None else ""


def _different(selections: SelectionSetNode) -> Iterator[SelectionNode]:
    """A fragment that a set spreads again adds nothing to it."""
    spread: set[str] = set()
    for selection in selections.selections:
        if isinstance(selection, FragmentSpreadNode):
            if selection.name.value in spread:
                continue
            spread.add(selection.name.value)
        yield selection


class Measure(NamedTuple):
    """Of a selection set with its fragments opened: how many fields it has, how many levels of fields, how many in all."""

    fields: int
    depth: int
    all: int


class Measures:
    """Each fragment is measured once, however often it is spread."""

    def __init__(self, document: DocumentNode) -> None:
        self._fragments = fragments_of(document)
        self._known: dict[str, Measure] = {}

    def of(self, selections: SelectionSetNode | None) -> Measure:
        """The measure of a selection set; nothing for a leaf."""
        parts = [self._of_selection(selection) for selection in _different(selections)] if selections is not None else []
        return Measure(
            sum(part.fields for part in parts),
            max((part.depth for part in parts), default=0),
            sum(part.all for part in parts),
        )

    def _of_selection(self, selection: object) -> Measure:
        if isinstance(selection, FragmentSpreadNode):
            return self._of_fragment(selection.name.value)
        below = self.of(getattr(selection, "selection_set", None))
        return Measure(1, below.depth + 1, below.all + 1) if isinstance(selection, FieldNode) else below

    def _of_fragment(self, name: str) -> Measure:
        if name not in self._known:
            self._known[name] = Measure(0, 0, 0)  # for one that spreads itself, which validation refuses
            fragment = self._fragments.get(name)
            self._known[name] = self.of(fragment.selection_set if fragment is not None else None)
        return self._known[name]
