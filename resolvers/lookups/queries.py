"""What may be asked of items: an order, a value that is to be found (contract lmio-watcher §4.3, §6.1)."""

from __future__ import annotations

from collections.abc import Iterable

from core.errors import InvalidInput
from core.lookups.declarations import Declaration
from core.lookups.items import Equal, Sort, type_of
from core.lookups.values import read_text
from core.vocabulary import ValueType


def sort_terms(declaration: Declaration, given: Iterable[tuple[str, str]]) -> tuple[Sort, ...]:
    """From names and directions, of which `a` is ascending. What is not declared is left out; the first of equals counts."""
    terms: dict[str, Sort] = {}
    for name, direction in given:
        if type_of(declaration, name) is not None:
            terms.setdefault(name, Sort(name, descending=direction != "a"))
    return tuple(terms.values())


def equal_to(declaration: Declaration, name: str, text: str) -> Equal | None:
    """What has that value, in any of its spellings; None for empty text, which nothing has."""
    kind = None if name == "_exp" else type_of(declaration, name)
    if kind is None:
        raise InvalidInput(f"there is no field {name!r}", field="field", value=name)
    if kind is ValueType.STR and not text.strip():
        return None
    return Equal(name, read_text(kind, text, name))
