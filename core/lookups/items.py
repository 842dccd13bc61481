"""Rows of a lookup as they are read and written, and what may be asked of them."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

from core.lookups.declarations import Declaration
from core.lookups.values import Value
from core.vocabulary import ValueType


class _Absent(enum.Enum):
    ABSENT = "absent"


ABSENT: Final = _Absent.ABSENT
"""For what a change says nothing about; `None` clears."""


class Item(NamedTuple):
    """One that exists and has not expired."""

    id: str
    keys: tuple[Value, ...]
    """In declared order; empty only for a compound one that was imported by its id alone."""
    fields: Mapping[str, Value]
    """Those that are set, in declared order."""
    expires_at: float | None
    """Seconds since 1970."""
    created_at: int
    modified_at: int
    version: int


class Change(NamedTuple):
    """What one row of an upload, or one request, says about the item with that id. What it does not name stays."""

    id: str
    keys: tuple[Value, ...] | None = None
    fields: Mapping[str, Value | None] = MappingProxyType({})
    expires_at: float | _Absent | None = ABSENT


@dataclass(frozen=True, slots=True)
class Sort:
    """By a declared field, a key's name, `_id` or `_exp`. Items without the value come last in both directions."""

    name: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Equal:
    """The value of a declared field, a key's name or `_id`, exactly."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Query:
    """Which items, in which order; `_id` decides between equals."""

    text: str = ""
    """What the filter says; blanks around it do not count, and empty is none."""
    equals: tuple[Equal, ...] = ()
    sorts: tuple[Sort, ...] = ()


EVERYTHING: Final = Query()

Place = Sequence[Value | None]
"""Where an item stands in a query's order: the values of its sort terms, then its id."""


@dataclass(frozen=True, slots=True)
class Stats:
    """How much there is, without what has expired."""

    items: int
    expiring: int
    """Items that expire some day."""
    bytes: int
    """Of keys, fields and search text, roughly as they are stored."""


def place_of(item: Item, declaration: Declaration, sorts: Sequence[Sort]) -> tuple[Value | None, ...]:
    """For a cursor."""
    return (*(value_of(item, declaration, sort.name) for sort in sorts), item.id)


def value_of(item: Item, declaration: Declaration, name: str) -> Value | None:
    """Of a field, a key part, `_id` or `_exp`."""
    if name == "_id":
        return item.id
    if name == "_exp":
        return item.expires_at
    if name in declaration.field_types:
        return item.fields.get(name)
    position = list(declaration.key_types).index(name)
    return item.keys[position] if item.keys else None


def type_of(declaration: Declaration, name: str) -> ValueType | None:
    """The type that values of that name have; None for what is not declared."""
    if name == "_id":
        return ValueType.STR
    if name == "_exp":
        return ValueType.FP64
    return declaration.field_types.get(name) or declaration.key_types.get(name)
