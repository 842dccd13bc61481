"""Items as CSV, which an upload reads back (contract lmio-watcher §9.2)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence

import orjson

from core.lookups import geopoint
from core.lookups.declarations import Declaration
from core.lookups.ids import texts_of
from core.lookups.items import Item
from core.lookups.values import KINDS, Value
from core.vocabulary import ValueType
from resolvers.lookups.expiration import shown

SAMPLE = 5
"""Items in a sample."""


class CsvWriter:
    """Text of the header and of any number of items, piece by piece."""

    def __init__(self, declaration: Declaration, *, expirations: bool = False) -> None:
        self._declaration, self._expirations = declaration, expirations
        self._fields = [(each.name, _text_of(each.type)) for each in declaration.fields]

    def header(self) -> str:
        """The first line."""
        names = ["_id", *(["_keys"] if self._declaration.is_compound else []), *self._declaration.field_types]
        return _written([[*names, *(["_exp"] if self._expirations else [])]])

    def rows(self, items: Iterable[Item]) -> str:
        """A line for each."""
        return _written(self._cells(item) for item in items)

    def _cells(self, item: Item) -> list[str]:
        cells = [item.id]
        if self._declaration.is_compound:
            cells.append(keys_cell(texts_of(self._declaration, item.keys)) if item.keys else "")
        for name, text in self._fields:
            value = item.fields.get(name)
            cells.append("" if value is None else text(value))
        if self._expirations:
            cells.append("" if item.expires_at is None else str(shown(item.expires_at)))
        return cells


def keys_cell(parts: Sequence[str]) -> str:
    """Separated by commas, or a JSON array where that would be read differently."""
    joined = ",".join(parts)
    if joined.startswith("[") or any("," in part or part != part.strip() for part in parts):
        return orjson.dumps(parts).decode()
    return joined


def _text_of(kind: ValueType) -> Callable[[Value], str]:
    if kind is ValueType.GEOPOINT:
        return lambda value: geopoint.as_dms(int(value))
    return KINDS[kind].text


def _written(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=";").writerows(rows)
    return text.getvalue()
