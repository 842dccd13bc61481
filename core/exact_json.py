"""JSON with integers of any size: orjson rounds those beyond 64 bits when it reads, and does not write them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import orjson

_LONG_NUMBER = re.compile(rb"\d{19}")


def read_json(text: bytes) -> Any:
    """The value, integers exact whatever their size. Raises `ValueError` or `RecursionError` for what is no JSON."""
    value = orjson.loads(text)  # strict: no NaN, no lone surrogates
    return json.loads(text) if _LONG_NUMBER.search(text) else value


def write_json(value: Any, default: Callable[[Any], object] | None = None) -> bytes:
    """The text, compact; `default` writes what JSON does not know."""
    try:
        return orjson.dumps(value, default=default)
    except TypeError:
        return json.dumps(value, default=default, ensure_ascii=False, separators=(",", ":")).encode()
