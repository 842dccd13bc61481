"""What plans read of a lookup's row, and how clients name its items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement

from core.errors import InvalidInput
from core.lookups.declarations import Lookup
from core.lookups.values import Value, read_text
from core.sql import Row
from resolvers.lookups.csv_reading import read_keys_cell
from storage.lookups.registry import lookup_of
from storage.sql.tables import lookups

_READ: Mapping[str, Callable[[Any], Any]] = {
    "id": UUID,
    "is_global": bool,
    "keys": orjson.loads,
    "fields": orjson.loads,
    "slots": orjson.loads,
}
"""From the stored form to Python, where these differ."""

_NAMES = (
    "id",
    "lookup_id",
    "tenant",
    "name",
    "label",
    "group_name",
    "type",
    "is_global",
    "keys",
    "fields",
    "description_title",
    "description_content",
    "default_expiration",
    "feed_path",
    "slots",
    "version",
)

COLUMNS: tuple[ColumnElement[Any], ...] = tuple(lookups.c[name] for name in _NAMES)
"""What `lookup_from` needs."""


def lookup_from(row: Row) -> Lookup:
    """From raw values of `COLUMNS`."""
    return lookup_of({name: _READ[name](value) if name in _READ else value for name, value in zip(_NAMES, row, strict=True)})


def keys_from(lookup: Lookup, values: Sequence[str]) -> list[tuple[Value, ...] | None]:
    """What is to be found: an address where items are ranges, else a key, its parts as in CSV. None where one does not fit."""
    return [_key_from(lookup, value) for value in values]


def _key_from(lookup: Lookup, value: str) -> tuple[Value, ...] | None:
    declaration = lookup.declaration
    first = declaration.keys[0]
    try:
        if declaration.has_ranges or not declaration.is_compound:
            return (read_text(first.type, value, first.name),) if value.strip() else None
        return read_keys_cell(declaration, value)
    except InvalidInput:
        return None
