"""Items as documents of Elasticsearch, and back; how indexes and their fields are called, and what is indexed how.

Nothing here asks a server. Names are made so that no id of a lookup, and no name of a field, leads anywhere else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from core.lookups.declarations import Lookup
from core.lookups.folding import Haystacks
from core.lookups.ids import digest
from core.lookups.items import Item
from core.lookups.values import KINDS, Value
from core.vocabulary import ValueType
from storage.lookups.ranges import number_of

LONGEST_TERM: Final = 8_000
"""Characters of a text that are indexed as they are: Lucene takes 32,766 bytes."""

LONGEST_NEEDLE: Final = 1_000
"""Characters of what may be looked for: so much do the pieces of a long text have in common."""

NOT_READ: Final = ("_text", "_macs", "_range", "_size")
"""What of a document only queries need."""

_LONGEST_NAME = 120
_SAFE_IN_INDEXES = re.compile(r"[a-z0-9._-]")
_SAFE_IN_FIELDS = re.compile(r"[A-Za-z0-9_-]")
_BIAS = 2**63


# --- names -------------------------------------------------------------------------------------------------------------


def _encoded(text: str, safe: re.Pattern[str]) -> str:
    """Different texts stay different: what is not safe is written as `~` and two digits for each byte."""
    return "".join(each if safe.fullmatch(each) else "".join(f"~{byte:02x}" for byte in each.encode()) for each in text)


def _base(lookup_id: str) -> str:
    name = _encoded(lookup_id, _SAFE_IN_INDEXES)
    if name[:1] in {"-", "_", ".", ""}:  # which Elasticsearch refuses, or takes for more than a name
        name = f"~{ord(name[0]):02x}{name[1:]}" if name else "~"
    if len(name) > _LONGEST_NAME:
        name = f"{name[:40]}~s{hashlib.sha256(lookup_id.encode()).hexdigest()}"
    return name


def alias_of(prefix: str, lookup_id: str) -> str:
    """The documented name, `{lookup_id}.lkp`, which always leads to the index of now."""
    return f"{prefix}{_base(lookup_id)}.lkp"


def index_of(prefix: str, lookup: Lookup, space: int | str) -> str:
    """Where the items are: another index after a clear, and for another lookup of the same id."""
    return f"{prefix}{_base(lookup.id)}~~{lookup.key.hex}.{space}.lkp"


def field_of(name: str, slot: int) -> str:
    """In documents. A field that is declared again with another type is another one."""
    return f"{_encoded(name, _SAFE_IN_FIELDS)}~{slot}"


def key_part(position: int) -> str:
    """In documents."""
    return f"_key~{position}"


# --- values ------------------------------------------------------------------------------------------------------------


def type_in_index(kind: ValueType) -> str:
    """Elasticsearch's. Integers of 64 bits are text: its own lack the upper half, or their largest value means "not set"."""
    if kind is ValueType.IP:
        return "ip"
    if kind is ValueType.SI64:
        return "keyword"
    return {"text": "keyword", "integer": "long", "number": "double", "bool": "boolean"}[KINDS[kind].sort]


def stored(kind: ValueType, value: Value) -> Value:
    """As it is indexed, compared and sorted."""
    if kind is ValueType.IP:
        return value
    if kind is ValueType.SI64:
        return f"{int(value) + _BIAS:020d}"
    made = KINDS[kind].sortable(value)
    return shortened(made) if isinstance(made, str) else made


def shortened(text: str) -> str:
    """What stands for a text that is too long: its beginning, by which it sorts, and its digest, by which it is found."""
    return text if len(text) <= LONGEST_TERM else text[:LONGEST_TERM] + hashlib.sha256(text.encode()).hexdigest()


def _shown(kind: ValueType, found: Any) -> Value:
    if kind is ValueType.IP:
        return str(found)
    if kind is ValueType.SI64:
        return int(found) - _BIAS
    return KINDS[kind].shown(found)


def _pieces(text: str) -> Iterator[str]:
    """Of a text in which is looked for: what is no longer than a needle is whole in one of them."""
    yield text[:LONGEST_TERM]
    for begin in range(LONGEST_TERM - LONGEST_NEEDLE, len(text) - LONGEST_NEEDLE, LONGEST_TERM - LONGEST_NEEDLE):
        yield text[begin : begin + LONGEST_TERM]


# --- what is indexed ---------------------------------------------------------------------------------------------------


def settings_and_mappings(text_type: str) -> dict[str, Any]:
    """Of every lookup's index. `text_type` is `wildcard` where the server has it."""
    keyword = {"type": "keyword", "ignore_above": 8191}
    return {
        "settings": {
            "number_of_shards": 1,
            "auto_expand_replicas": "0-1",
            "index.mapping.total_fields.limit": 10_000,
        },
        "mappings": {
            "dynamic": False,
            "subobjects": False,
            "properties": {
                "_item_id": keyword,
                "_key": keyword,
                "_keys": keyword,
                "_text": {"type": text_type, "ignore_above": 8191},
                "_macs": {"type": text_type, "ignore_above": 8191},
                "_exp": {"type": "double"},
                "_c": {"type": "long"},
                "_m": {"type": "long"},
                "_v": {"type": "long"},
                "_size": {"type": "long"},
            },
        },
    }


def properties(lookup: Lookup) -> dict[str, Any]:
    """Of one lookup's index."""
    declaration = lookup.declaration
    made: dict[str, Any] = {
        field_of(each.name, slot): {"type": type_in_index(each.type)}
        for each, slot in zip(declaration.fields, lookup.slots, strict=True)
    }
    made |= {key_part(at): {"type": type_in_index(key.type)} for at, key in enumerate(declaration.keys)}
    if declaration.has_ranges:
        made["_range"] = {"type": "ip_range" if declaration.keys[0].type is ValueType.IP else "long_range"}
    return made


def in_range(kind: ValueType, address: str) -> str | int:
    """As ranges of that type have it."""
    return address if kind is ValueType.IP else number_of(address)


class Documents:
    """Of one lookup, as it is declared now."""

    def __init__(self, lookup: Lookup) -> None:
        self._declaration = declaration = lookup.declaration
        self._kinds = [key.type for key in declaration.keys]
        self._fields = [
            (each.name, field_of(each.name, slot), each.type)
            for each, slot in zip(declaration.fields, lookup.slots, strict=True)
        ]
        self._haystacks = Haystacks(declaration)

    def item(self, source: Mapping[str, Any]) -> Item:
        """From a document."""
        long: Mapping[str, str] = source.get("_long", {})
        fields = {
            name: _shown(kind, long.get(field, source[field]))
            for name, field, kind in self._fields
            if source.get(field) is not None
        }
        keys = tuple(KINDS[kind].from_text(part) for kind, part in zip(self._kinds, source["_keys"], strict=False))
        expires = source.get("_exp")
        expires_at = None if expires is None else float(expires)
        return Item(source["_item_id"], keys, fields, expires_at, source["_c"], source["_m"], source["_v"])

    def document(self, item: Item) -> dict[str, Any]:
        """To be stored."""
        texts = [KINDS[kind].text(part) for kind, part in zip(self._kinds, item.keys, strict=False)]
        key_id = digest(texts) if len(texts) > 1 else texts[0] if texts else None
        made: dict[str, Any] = {
            "_item_id": item.id,
            "_keys": texts,
            "_c": item.created_at,
            "_m": item.modified_at,
            "_v": item.version,
        }
        if key_id is not None:
            made["_key"] = shortened(key_id)
        if item.expires_at is not None:
            made["_exp"] = item.expires_at
        long: dict[str, Value] = {}
        for name, field, kind in self._fields:
            if (value := item.fields.get(name)) is not None:
                made[field] = stored(kind, value)
                if isinstance(value, str) and len(value) > LONGEST_TERM:
                    long[field] = value
        for at, (kind, part) in enumerate(zip(self._kinds, item.keys, strict=False)):
            made[key_part(at)] = stored(kind, part)
        if long:
            made["_long"] = long  # which is not declared, and so not indexed
        shown_id = None if self._declaration.is_compound and key_id == item.id else item.id
        haystack = self._haystacks.of(texts, shown_id, item.fields)
        made["_size"] = len(orjson.dumps(made)) + sum(len(text) for text in haystack.texts)
        made["_text"] = [piece for text in haystack.texts for piece in _pieces(text)]
        if haystack.macs:
            made["_macs"] = haystack.macs
        if self._declaration.has_ranges and item.keys:
            made |= self._range(texts)
        return made

    def _range(self, texts: list[str]) -> dict[str, Any]:
        """None for one that has nothing in it: Elasticsearch would refuse it."""
        kind = self._kinds[0]
        first, last = (number_of(str(KINDS[kind].sortable(text))) for text in texts)
        if first > last:
            return {}
        return {"_range": {"gte": in_range(kind, texts[0]), "lte": in_range(kind, texts[1])}}
