"""Items as rows of `lookup_items`, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from core.lookups.declarations import Lookup
from core.lookups.folding import Haystacks
from core.lookups.ids import digest
from core.lookups.items import ABSENT, Change, Item
from core.lookups.values import KINDS, Value, same
from storage.lookups.ranges import node, number_of

COLUMNS = ("item_id", "keys", "fields", "expires_at", "created_at", "modified_at", "version")
"""What an item is made of, in this order."""


def stored_time(seconds: float) -> int:
    """Microseconds, as times are stored."""
    return round(seconds * 1_000_000)


class Rows:
    """Of one lookup, as it is declared now."""

    def __init__(self, lookup: Lookup) -> None:
        declaration = lookup.declaration
        self._is_compound, self._has_ranges = declaration.is_compound, declaration.has_ranges
        self._keys = [KINDS[key.type] for key in declaration.keys]
        self._texts = [kind.text for kind in self._keys]
        self._fields = [
            (each.name, slot, KINDS[each.type].sortable, KINDS[each.type].shown)
            for each, slot in zip(declaration.fields, lookup.slots, strict=True)
        ]
        named = dict(zip(lookup.slots, declaration.field_types, strict=True))
        self._by_slot = [named.get(slot, "") for slot in range(max(lookup.slots, default=-1) + 1)]
        self._converted = [(slot, sortable) for _, slot, sortable, _ in self._fields if sortable is not same]
        self._haystacks = Haystacks(declaration)
        self._lifetime = declaration.default_expiration or None

    def item(self, row: Sequence[Any]) -> Item:
        """From the columns as the store's raw rows have them, JSON as text."""
        item_id, keys, fields, *rest = row
        return self.item_of((item_id, orjson.loads(keys), orjson.loads(fields), *rest))

    def item_of(self, row: Sequence[Any]) -> Item:
        """From the columns with Python values."""
        item_id, keys, fields, expires, created_at, modified_at, version = row
        expires_at = None if expires is None else expires / 1_000_000
        width = len(fields)
        shown = {
            name: show(value) for name, slot, _, show in self._fields if slot < width and (value := fields[slot]) is not None
        }
        parts = tuple(kind.shown(part) for part, kind in zip(keys, self._keys, strict=False))
        return Item(item_id, parts, shown, expires_at, created_at, modified_at, version)

    def made(self, change: Change, now: float) -> Item:
        """What a change makes where there is no item."""
        later = None if self._lifetime is None else now + self._lifetime
        expires_at = later if change.expires_at is ABSENT else change.expires_at
        fields = {name: value for name, value in change.fields.items() if value is not None}
        return Item(change.id, change.keys or (), fields, expires_at, int(now), int(now), 1)

    def merged(self, item: Item, change: Change, now: float) -> Item:
        """What a change makes of an item."""
        fields: dict[str, Value] = {
            name: value for name, value in (dict(item.fields) | dict(change.fields)).items() if value is not None
        }
        return Item(
            change.id,
            item.keys if change.keys is None else change.keys,
            fields,
            item.expires_at if change.expires_at is ABSENT else change.expires_at,
            item.created_at,
            int(now),
            item.version + 1,
        )

    def row(self, item: Item) -> dict[str, Any]:
        """To be stored."""
        keys, fields = item.keys, item.fields
        stored: list[Value | None] = [fields.get(name) for name in self._by_slot]
        for slot, sortable in self._converted:
            if (value := stored[slot]) is not None:
                stored[slot] = sortable(value)
        texts = [text(value) for text, value in zip(self._texts, keys, strict=False)]  # an item may have no keys
        key_id = digest(texts) if len(texts) > 1 else texts[0] if texts else None
        shown_id = None if self._is_compound and key_id == item.id else item.id
        parts = [kind.sortable(value) for kind, value in zip(self._keys, keys, strict=False)]
        return {
            "item_id": item.id,
            "key_id": None if key_id == item.id else key_id,
            "keys": parts,
            "fields": stored,
            "range_node": self._node(parts),
            "search_text": self._haystacks.of(texts, shown_id, fields).joined(),
            "expires_at": None if item.expires_at is None else stored_time(item.expires_at),
            "created_at": item.created_at,
            "modified_at": item.modified_at,
            "version": item.version,
        }

    def _node(self, keys: Sequence[Any]) -> str | None:
        if not keys or not self._has_ranges:
            return None
        first, last = keys
        return node(number_of(first), number_of(last))


def merge_all(rows: Rows, stored: Mapping[str, Item], changes: Sequence[Change], now: float) -> dict[str, Item]:
    """What a sequence of changes makes of the items with their ids."""
    made: dict[str, Item] = {}
    for change in changes:
        before = made.get(change.id) or stored.get(change.id)
        made[change.id] = rows.made(change, now) if before is None else rows.merged(before, change, now)
    return made
