"""What Elasticsearch is asked: queries, orders, and places in an order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from core.errors import InvalidInput
from core.lookups.declarations import Lookup
from core.lookups.folding import needle as needle_of
from core.lookups.items import Place, Query
from core.lookups.values import Value
from core.vocabulary import ValueType
from storage.lookups.elasticsearch_documents import LONGEST_NEEDLE, field_of, key_part, stored, type_in_index

BY_ID = [{"_item_id": "asc"}]

_SPECIAL = re.compile(r"[\\*?]")
_LONGEST, _SHORTEST = 2**63 - 1, -(2**63)


class Term(NamedTuple):
    """Where the value of some name is indexed."""

    field: str
    kind: ValueType
    type: str

    def stored(self, value: Value) -> Value:
        """As it is indexed."""
        return stored(self.kind, value)


def term_of(lookup: Lookup, name: str) -> Term:
    """Of a declared field, a key's name, `_id` or `_exp`."""
    if name == "_id":
        return Term("_item_id", ValueType.STR, "keyword")
    if name == "_exp":
        return Term("_exp", ValueType.FP64, "double")
    declaration = lookup.declaration
    if name in declaration.field_types:
        at, kind = list(declaration.field_types).index(name), declaration.field_types[name]
        return Term(field_of(name, lookup.slots[at]), kind, type_in_index(kind))
    at, kind = list(declaration.key_types).index(name), declaration.key_types[name]
    return Term(key_part(at), kind, type_in_index(kind))


# --- which items -------------------------------------------------------------------------------------------------------


def among(filters: Sequence[dict[str, Any]], now: float) -> dict[str, Any]:
    """All of the filters, and not expired."""
    return {"bool": {"filter": list(filters), "must_not": [expired(now)]}}


def expired(now: float) -> dict[str, Any]:
    """What is no more."""
    return {"range": {"_exp": {"lte": now}}}


def matching(lookup: Lookup, query: Query, now: float) -> dict[str, Any]:
    """What the query wants. `InvalidInput` for a filter that is too long."""
    terms = [(term_of(lookup, equal.name), equal.value) for equal in query.equals]
    filters = [{"term": {term.field: {"value": term.stored(value)}}} for term, value in terms]
    return among([*filters, *_texts(lookup, query.text)], now)


def _texts(lookup: Lookup, text: str) -> list[dict[str, Any]]:
    """The text in any value; the digits in those of a MAC; the text in an id that is a digest."""
    needle = needle_of(text)
    if needle is None:
        return []
    if len(needle.text) > LONGEST_NEEDLE:
        raise InvalidInput(f"a filter has at most {LONGEST_NEEDLE} characters", field="f")
    chances = [_contains("_text", needle.text)]
    if ValueType.MAC in {*lookup.declaration.key_types.values(), *lookup.declaration.field_types.values()}:
        chances.append(_contains("_macs", needle.mac or needle.text))
    if needle.hexadecimal and lookup.declaration.is_compound:
        chances.append(_contains("_item_id", needle.text))
    return [{"bool": {"should": chances, "minimum_should_match": 1}}]


def _contains(field: str, text: str) -> dict[str, Any]:
    return {"wildcard": {field: {"value": f"*{_SPECIAL.sub(_escaped, text)}*"}}}


def _escaped(found: re.Match[str]) -> str:
    return f"\\{found[0]}"


# --- in which order ----------------------------------------------------------------------------------------------------


def order(lookup: Lookup, query: Query, *, backward: bool = False) -> list[dict[str, Any]]:
    """The query's, or the reverse of it. What has no value is last, backward first."""
    made: list[dict[str, Any]] = []
    for sort in query.sorts:
        term, missing = term_of(lookup, sort.name), "_first" if backward else "_last"
        directed = "desc" if sort.descending != backward else "asc"
        made.append({term.field: {"order": directed, "missing": missing, "unmapped_type": term.type}})
    return [*made, {"_item_id": "desc" if backward else "asc"}]


def place_in(lookup: Lookup, query: Query, place: Place) -> list[Any]:
    """The values that `search_after` wants. A number that is not set has the one with which Elasticsearch sorts it."""
    made: list[Any] = []
    for sort, value in zip(query.sorts, place, strict=False):
        term = term_of(lookup, sort.name)
        if value is not None:
            found = term.stored(value)
            made.append(int(found) if isinstance(found, bool) else found)
        elif term.type in {"long", "boolean"}:
            made.append(_SHORTEST if sort.descending else _LONGEST)
        elif term.type == "double":
            made.append("-Infinity" if sort.descending else "Infinity")
        else:
            made.append(None)
    return [*made, place[-1]]
