"""What a document may be: bounds that hold before anything is executed."""

from __future__ import annotations

from dataclasses import dataclass

from graphql import DocumentNode, FieldNode, FragmentSpreadNode, SelectionSetNode

from core.errors import TooExpensive
from engine.selections import fragments_of, walk


@dataclass(frozen=True, slots=True)
class Limits:
    """Defaults that real clients (GraphiQL's introspection among them) stay well below."""

    characters: int = 100_000
    tokens: int = 10_000
    depth: int = 15
    aliases: int = 60
    root_fields: int = 60


def check_limits(document: DocumentNode, limits: Limits) -> None:
    """Raise `TooExpensive` naming the bound. The document is valid already, so fragments are known and acyclic."""
    aliases = sum(1 for selection in walk(document) if isinstance(selection, FieldNode) and selection.alias is not None)
    if aliases > limits.aliases:
        raise TooExpensive(f"{aliases} aliases in one document; at most {limits.aliases} are allowed")
    depths = Depths(document)
    for definition in document.definitions:
        depth = depths.of(getattr(definition, "selection_set", None))
        if depth > limits.depth:
            raise TooExpensive(f"the document is {depth} levels deep; at most {limits.depth} are allowed")
        roots = len(definition.selection_set.selections) if hasattr(definition, "selection_set") else 0
        if roots > limits.root_fields:
            raise TooExpensive(f"{roots} fields in one selection; at most {limits.root_fields} are allowed")


class Depths:
    """Depth of selection sets; each fragment is measured once, however often it is spread."""

    def __init__(self, document: DocumentNode) -> None:
        self._fragments = fragments_of(document)
        self._known: dict[str, int] = {}

    def of(self, selections: SelectionSetNode | None) -> int:
        """How many levels of fields are below."""
        if selections is None:
            return 0
        return max((self._of_selection(selection) for selection in selections.selections), default=0)

    def _of_selection(self, selection: object) -> int:
        if isinstance(selection, FragmentSpreadNode):
            return self._of_fragment(selection.name.value)
        below = self.of(getattr(selection, "selection_set", None))
        return below + 1 if isinstance(selection, FieldNode) else below

    def _of_fragment(self, name: str) -> int:
        if name not in self._known:
            self._known[name] = self.of(self._fragments[name].selection_set)
        return self._known[name]
