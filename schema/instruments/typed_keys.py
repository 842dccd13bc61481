"""Edges to rows of several types: which type it is, a column of the row says."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Text, case, cast

from storage.sql.types import text


def typed_key(kind: ColumnElement[Any], key: ColumnElement[Any], types: Mapping[enum.Enum, str]) -> ColumnElement[str]:
    """`Type:key` as `engine.declare.one` reads it; null for a kind without a type."""
    choices = [(kind == value, f"{name}:") for value, name in types.items()]
    return case(*choices).cast(text()) + cast(key, Text)
