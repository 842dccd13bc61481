"""Ids of items: the text of a single key, a digest of a compound one (contract lmio-watcher §6.2)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import orjson

from core.errors import InvalidInput
from core.lookups.declarations import Declaration
from core.lookups.values import KINDS, Value, storable

LONGEST = 512
"""Bytes of UTF-8: Elasticsearch takes no more."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def id_of(declaration: Declaration, keys: Sequence[Value]) -> str:
    """What these parts give. `InvalidInput` for a single key that is no id."""
    parts = texts_of(declaration, keys)
    return digest(parts) if len(parts) > 1 else checked_id(parts[0])


def texts_of(declaration: Declaration, keys: Sequence[Value]) -> list[str]:
    """The canonical text of each part."""
    return [KINDS[key.type].text(value) for key, value in zip(declaration.keys, keys, strict=True)]


def digest(parts: Sequence[str]) -> str:
    """SHA-256 of the parts as a JSON array without spaces."""
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def checked_id(item_id: str) -> str:
    """As it is; `InvalidInput` for what cannot be one."""
    try:
        size = len(storable(item_id).encode())
    except ValueError as error:
        raise InvalidInput(f"_id: {error}", field="_id", value=item_id) from error
    if not item_id:
        raise InvalidInput("_id: it is empty", field="_id", value=item_id)
    if size > LONGEST:
        raise InvalidInput(f"_id: it has {size} bytes of at most {LONGEST}", field="_id", value=item_id)
    if _CONTROL.search(item_id):
        raise InvalidInput("_id: it has control characters", field="_id", value=item_id)
    return item_id
