"""Statements that read items. Their text depends on the shape of a query only, and values are always bound.

Names of fields are nowhere in it: a field is a place in an array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Double,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    column,
    false,
    func,
    literal_column,
    or_,
    select,
    table,
    union_all,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from core.lookups.declarations import Lookup
from core.lookups.folding import MAC, Needle, fold
from core.lookups.folding import needle as needle_of
from core.lookups.ids import texts_of
from core.lookups.items import Equal, Place, Query
from core.lookups.values import KINDS, Sort, Value
from core.sql import Statement
from storage.lookups.rows import COLUMNS, stored_time
from storage.sql.tables import lookup_items, lookups
from storage.sql.tables.lookups import SEARCH
from storage.sql.types import UuidColumn, text

MOST_TRIGRAMS = 32
"""With which the index is asked; the text itself is compared anyway."""

MOST_STATEMENTS = 256

_TYPES: dict[Sort, TypeEngine[Any]] = {"text": text(), "integer": BigInteger(), "number": Double(), "bool": Boolean()}
_I = lookup_items.c
_FOUND = table(SEARCH, column("rowid"))


class Term(NamedTuple):
    """A value of an item."""

    where: Literal["id", "exp", "keys", "fields", "key"]
    at: int = 0
    sort: Sort = "text"
    indexed: bool = False
    """Whether the trigrams have its text, and enough of it was given."""


class Looked(NamedTuple):
    """What a filter needs."""

    indexed: bool
    mac: bool
    hexadecimal: bool


class Shape(NamedTuple):
    """All that decides the text of a statement."""

    equals: tuple[Term, ...]
    sorts: tuple[tuple[Term, bool], ...]
    looked: Looked | None
    nulls: tuple[bool, ...] | None = None
    backward: bool = False
    counted: bool = False


class Asked(NamedTuple):
    """A query of one lookup: the shape of its statement, and the values."""

    shape: Shape
    values: dict[str, Any]


class Statements:
    """For one database; those that were used last are kept."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.of = lru_cache(MOST_STATEMENTS)(self._of)
        self.finding = cache(self._finding)

    def _of(self, shape: Shape) -> Statement:
        return Statement(compose(shape, self.dialect), self.dialect, "lookup_items")

    def _finding(self, composed: Callable[[Dialect], Select[Any]]) -> Statement:
        return Statement(composed(self.dialect), self.dialect, "lookup_items")


# --- what is asked -----------------------------------------------------------------------------------------------------


def asked(lookup: Lookup, query: Query, now: float, *, place: Place | None = None, backward: bool = False) -> Asked:
    """A page."""
    values: dict[str, Any] = {"lookup": lookup.key, "now": stored_time(now)}
    equals = [_equal(lookup, equal, f"equal_{at}", values) for at, equal in enumerate(query.equals)]
    sorts = [(term_of(lookup, sort.name), sort.descending) for sort in query.sorts]
    looked = _look(lookup, needle_of(query.text), values)
    nulls = None if place is None else tuple(value is None for value in place)
    for at, value in enumerate(place or ()):
        name = "_id" if at == len(sorts) else query.sorts[at].name
        values[f"place_{at}"] = None if value is None else _stored(lookup, name, value)
    return Asked(Shape(tuple(equals), tuple(sorts), looked, nulls, backward), values)


def counted(lookup: Lookup, query: Query, now: float) -> Asked:
    """How many."""
    found = asked(lookup, Query(query.text, query.equals), now)
    return Asked(found.shape._replace(counted=True), found.values)


def term_of(lookup: Lookup, name: str) -> Term:
    """Where the value of that name is stored."""
    if name == "_id":
        return Term("id")
    if name == "_exp":
        return Term("exp", sort="integer")
    declaration = lookup.declaration
    if name in declaration.field_types:
        at = list(declaration.field_types).index(name)
        return Term("fields", lookup.slots[at], KINDS[declaration.field_types[name]].sort)
    at = list(declaration.key_types).index(name)
    return Term("keys", at, KINDS[declaration.key_types[name]].sort)


def _stored(lookup: Lookup, name: str, value: Value) -> Value:
    if name == "_exp":
        return stored_time(float(value))
    declaration = lookup.declaration
    kind = declaration.field_types.get(name) or declaration.key_types.get(name)
    return value if kind is None else KINDS[kind].sortable(value)


def _equal(lookup: Lookup, equal: Equal, bound: str, values: dict[str, Any]) -> Term:
    term, declaration = term_of(lookup, equal.name), lookup.declaration
    if term.where == "keys" and not declaration.is_compound:
        (values[bound],) = texts_of(declaration, [equal.value])
        return Term("key")
    values[bound] = _stored(lookup, equal.name, equal.value)
    kind = declaration.field_types.get(equal.name) or declaration.key_types.get(equal.name)
    if kind is None or (term.where == "fields" and not KINDS[kind].searched):
        return term
    match = _match(fold(KINDS[kind].text(equal.value)))
    if match is None:
        return term
    values[f"{bound}_match"], values[f"{bound}_like"] = match, _like(fold(KINDS[kind].text(equal.value)))
    return term._replace(indexed=True)


def _look(lookup: Lookup, needle: Needle | None, values: dict[str, Any]) -> Looked | None:
    if needle is None:
        return None
    matches = [_match(each) for each in (needle.text, needle.mac) if each is not None]
    values |= {"text": needle.text, "text_like": _like(needle.text)}
    if needle.mac is not None:
        values |= {"mac": needle.mac, "mac_like": _like(needle.mac)}
    if indexed := None not in matches:
        values["match"] = " OR ".join(f"({match})" for match in matches)
    return Looked(indexed, needle.mac is not None, lookup.declaration.is_compound and needle.hexadecimal)


def _match(folded: str) -> str | None:
    """What FTS5 is asked; None for text without a trigram."""
    found = dict.fromkeys(folded[at : at + 3] for at in range(len(folded) - 2))
    return " AND ".join('"' + each.replace('"', '""') + '"' for each in list(found)[:MOST_TRIGRAMS]) or None


def _like(folded: str) -> str:
    escaped = folded.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


# --- the statement -----------------------------------------------------------------------------------------------------


def compose(shape: Shape, dialect: Dialect) -> Select[Any]:
    """Its text."""
    selected = select(func.count()) if shape.counted else select(*(_I[name] for name in COLUMNS))
    found = any(term.indexed or term.where == "key" for term in shape.equals) or (shape.looked and shape.looked.indexed)
    selected = selected.where(*in_lookup(not_driving(dialect) if found else _I.space))
    selected = selected.where(*(_is_equal(term, f"equal_{at}", dialect) for at, term in enumerate(shape.equals)))
    if shape.looked is not None:
        selected = selected.where(*_has(shape.looked, dialect))
    if shape.counted:
        return selected if shape.equals or shape.looked else _whole()
    terms = [(value_at(term, dialect), descending, term.where != "id") for term, descending in shape.sorts]
    terms.append((_I.item_id, False, False))
    if shape.nulls is not None:
        selected = selected.where(_beyond(terms, shape.nulls, backward=shape.backward))
    for value, descending, nullable in terms:
        directed = value.desc() if descending != shape.backward else value.asc()
        nulls = directed.nulls_first() if shape.backward else directed.nulls_last()
        selected = selected.order_by(nulls if nullable else directed)
    return selected.limit(bindparam("limit", type_=BigInteger())).offset(bindparam("offset", type_=BigInteger()))


def _whole() -> Select[Any]:
    """The number of all, from two indexes: whether each of them has expired stands in its row."""
    everything = select(func.count()).where(_I.space == _space()).scalar_subquery()
    expired = and_(_I.space == _space(), _I.expires_at <= bindparam("now", type_=BigInteger()))
    return select(everything - select(func.count()).select_from(lookup_items).where(expired).scalar_subquery())


def in_lookup(space: ColumnElement[Any] = _I.space) -> list[ColumnElement[bool]]:
    """Items of the lookup that have not expired."""
    return [space == _space(), or_(_I.expires_at.is_(None), _I.expires_at > bindparam("now", type_=BigInteger()))]


def not_driving(dialect: Dialect) -> ColumnElement[Any]:
    """The space, where another index finds fewer items. SQLite would take its own, and uses none for what begins with a plus."""
    return literal_column("+lookup_items.space", _I.space.type) if dialect.name == "sqlite" else _I.space


def either(one: ColumnElement[bool], other: ColumnElement[bool]) -> ColumnElement[bool]:
    """Of the lookup, by an index for each; `or` would have none."""
    first, second = (select(_I.number).where(_I.space == _space(), each).correlate(None) for each in (one, other))
    return _I.number.in_(union_all(first, second))


def _space() -> ColumnElement[Any]:
    return select(lookups.c.space).where(lookups.c.id == bindparam("lookup", type_=UuidColumn())).scalar_subquery()


def value_at(term: Term, dialect: Dialect) -> ColumnElement[Any]:
    """In the sortable form."""
    if term.where in {"id", "key"}:
        return _I.item_id
    if term.where == "exp":
        return _I.expires_at
    kind = _TYPES[term.sort]
    if dialect.name != "postgresql":
        return func.json_extract(_I[term.where], literal_column(f"'$[{term.at}]'"), type_=kind)
    found = _I[term.where].op("->>", return_type=Text())(literal_column(str(term.at)))
    return found.collate("C") if term.sort == "text" else cast(found, kind)


def _is_equal(term: Term, bound: str, dialect: Dialect) -> ColumnElement[bool]:
    value = bindparam(bound, type_=_TYPES[term.sort])
    if term.where == "key":
        return either(and_(_I.item_id == value, _I.key_id.is_(None)), _I.key_id == value)
    same = value_at(term, dialect) == value
    return and_(same, _candidates(f"{bound}_match", f"{bound}_like", dialect)) if term.indexed else same


def _has(looked: Looked, dialect: Dialect) -> list[ColumnElement[bool]]:
    """The text in any value; the digits in those of a MAC; the text in an id that is a digest."""
    chances = [_contains(_I.search_text, "text", dialect)]
    if looked.mac:
        chances.append(_contains(_macs(dialect), "mac", dialect))
        if dialect.name == "postgresql":
            chances[-1] = and_(_I.search_text.like(bindparam("mac_like", type_=Text()), escape="\\"), chances[-1])
    if looked.hexadecimal:
        chances.append(_contains(_I.item_id, "text", dialect))
    if not looked.indexed or dialect.name == "postgresql":  # which finds its index by itself
        return [or_(*chances)]
    found = select(_FOUND.c.rowid).where(literal_column(SEARCH).op("MATCH")(bindparam("match", type_=Text())))
    if not looked.hexadecimal:
        return [_I.number.in_(found), or_(*chances)]
    ids = lookup_items.alias("ids")
    digests = select(ids.c.number).where(ids.c.space == _space(), _contains(ids.c.item_id, "text", dialect))
    return [_I.number.in_(union_all(found, digests)), or_(*chances)]


def _candidates(match: str, like: str, dialect: Dialect) -> ColumnElement[bool]:
    if dialect.name == "postgresql":
        return _I.search_text.like(bindparam(like, type_=Text()), escape="\\")
    return _I.number.in_(select(_FOUND.c.rowid).where(literal_column(SEARCH).op("MATCH")(bindparam(match, type_=Text()))))


def _contains(where: ColumnElement[Any], bound: str, dialect: Dialect) -> ColumnElement[bool]:
    if dialect.name == "postgresql" and bound == "text":
        return where.like(bindparam(f"{bound}_like", type_=Text()), escape="\\")
    find = func.strpos if dialect.name == "postgresql" else func.instr
    return find(where, bindparam(bound, type_=Text())) > 0


def _macs(dialect: Dialect) -> ColumnElement[Any]:
    """The part of the search text that has bare MACs; null without."""
    find = func.strpos if dialect.name == "postgresql" else func.instr
    return func.substr(_I.search_text, func.nullif(find(_I.search_text, literal_column(f"'{MAC}'")), 0))


def _beyond(
    terms: Sequence[tuple[ColumnElement[Any], bool, bool]], nulls: Sequence[bool], *, backward: bool
) -> ColumnElement[bool]:
    choices: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for at, ((value, descending, nullable), is_null) in enumerate(zip(terms, nulls, strict=True)):
        place = bindparam(f"place_{at}", type_=value.type)
        if is_null:
            choices.append(and_(*equal, value.is_not(None) if backward else false()))
            equal.append(value.is_(None))
            continue
        further = value < place if descending != backward else value > place
        choices.append(and_(*equal, or_(further, value.is_(None)) if nullable and not backward else further))
        equal.append(value == place)
    return or_(*choices)
