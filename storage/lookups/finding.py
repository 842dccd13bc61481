"""Statements that find items by many ids, keys or addresses at once: as one parameter, whatever their number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    ColumnElement,
    FromClause,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    func,
    literal_column,
    select,
)
from sqlalchemy.engine import Dialect

from storage.lookups.rows import COLUMNS
from storage.lookups.statements import Term, either, in_lookup, not_driving, value_at
from storage.sql.tables import lookup_items

_I = lookup_items.c
_SHOWN = [_I[name] for name in COLUMNS]


def wanted(values: Sequence[Any]) -> str:
    """The parameter. Without text that has a U+0000: no item can have it, and PostgreSQL refuses to look for it."""
    return orjson.dumps([value for value in values if not (isinstance(value, str) and "\0" in value)]).decode()


def _listed(dialect: Dialect, values: Sequence[Any] | None = None) -> FromClause:
    """The parameter as a table with a column `value`: text, or a JSON array where there are arrays."""
    given = bindparam("wanted", None if values is None else wanted(values), type_=Text(), required=values is None)
    if dialect.name == "postgresql":
        return func.json_array_elements_text(cast(given, JSON)).table_valued("value").render_derived(name="wanted")
    return func.json_each(given).table_valued("value", name="wanted")


def among(column: ColumnElement[Any], dialect: Dialect, values: Sequence[str] | None = None) -> ColumnElement[bool]:
    """Whether the column's value is one of these, or of those that are given later."""
    return column.in_(select(_listed(dialect, values).c.value))


def by_id(dialect: Dialect) -> Select[Any]:
    """With its id, each item."""
    return select(*_SHOWN).where(*in_lookup(), among(_I.item_id, dialect))


def by_key(dialect: Dialect) -> Select[Any]:
    """By the ids that keys give, whatever the ids of the items; last the id of the key."""
    keyed = either(and_(among(_I.item_id, dialect), _I.key_id.is_(None)), among(_I.key_id, dialect))
    found = select(*_SHOWN, func.coalesce(_I.key_id, _I.item_id)).where(*in_lookup(not_driving(dialect)), keyed)
    return found.order_by(_I.item_id.desc())


def by_address(dialect: Dialect) -> Select[Any]:
    """Given are pairs of an address and a node on its way to the root; last the address. One range for each address."""
    listed = _listed(dialect)
    pair = cast(listed.c.value, JSON) if dialect.name == "postgresql" else listed.c.value
    address, node = (_element(pair, at, dialect) for at in (0, 1))
    first, last = (value_at(Term("keys", at), dialect) for at in (0, 1))
    order = (first.desc(), last, _I.item_id)
    rank = func.row_number().over(partition_by=address, order_by=order)
    chosen = (
        select(*_SHOWN, address.label("address"), rank.label("rank"))
        .select_from(listed.join(lookup_items, _I.range_node == node))
        .where(*in_lookup(), first <= address, last >= address)
        .subquery()
    )
    return select(*(chosen.c[name] for name in COLUMNS), chosen.c.address).where(chosen.c.rank == 1)


def _element(pair: Any, at: int, dialect: Dialect) -> ColumnElement[Any]:
    if dialect.name == "postgresql":
        element: ColumnElement[Any] = pair.op("->>", return_type=Text())(literal_column(str(at))).collate("C")
        return element
    return func.json_extract(pair, literal_column(f"'$[{at}]'"), type_=Text())
