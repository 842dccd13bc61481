"""Total orders and the cursors that mark a place in them.

Nulls come last, the key is the last term. A cursor carries the values of its row's sort terms and a fingerprint of the list it
was made for: under another filter or order it is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Text, and_, bindparam, cast, false, or_, tuple_
from sqlalchemy.engine import Dialect
from sqlalchemy.types import UserDefinedType

from core.errors import InvalidInput
from engine.kinds import Order


class RawType(UserDefinedType[Any]):
    """No converter at all. `NullType` is none, either, but takes that of the column which the value is compared with."""

    cache_ok = True


_READERS: dict[type, Callable[[str], object]] = {UUID: UUID, datetime: datetime.fromisoformat}
"""Python types that are stored as text, or read as text; what reads it refuses what could not be stored."""


def complete_order(order: Sequence[Order], *keys: ColumnElement[Any]) -> tuple[Order, ...]:
    """The order with the key as its last terms, in the direction of the first, so that one index serves it."""
    known = {id(term.expression) for term in order}
    missing = [key for key in keys if id(key) not in known]
    return (*order, *(Order(key, descending=bool(order) and order[0].descending) for key in missing))


def sort_terms(order: Sequence[Order], *, backward: bool) -> list[ColumnElement[Any]]:
    """What to put into ORDER BY; backward is the exact reverse."""
    return [_sort_term(term, backward=backward) for term in order]


def _sort_term(term: Order, *, backward: bool) -> ColumnElement[Any]:
    directed = term.expression.desc() if term.descending != backward else term.expression.asc()
    if not term.nullable:
        return directed
    return directed.nulls_first() if backward else directed.nulls_last()


def beyond(order: Sequence[Order], nulls: Sequence[bool], dialect: Dialect, *, backward: bool) -> ColumnElement[bool]:
    """The rows after (backward: before) the place whose values are bound as `place_0`, `place_1` and so on.

    `nulls` says which of these values are null; they choose the form of the predicate.
    """
    values = [_place(f"place_{index}", term, dialect) for index, term in enumerate(order)]
    if not any(term.nullable for term in order) and len({term.descending for term in order}) == 1:
        left, right = tuple_(*(term.expression for term in order)), tuple_(*values)
        return left < right if order[0].descending != backward else left > right
    choices: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for term, value, is_null in zip(order, values, nulls, strict=True):
        choices.append(and_(*equal, _beyond_term(term, value, is_null=is_null, backward=backward)))
        equal.append(term.expression.is_(None) if is_null else term.expression == value)
    return or_(*choices)


def _place(name: str, term: Order, dialect: Dialect) -> ColumnElement[Any]:
    """One value of a cursor. It is in stored form already, which no converter may touch; PostgreSQL has to be told its type."""
    kind = term.expression.type
    if dialect.name != "postgresql":
        return bindparam(name, type_=RawType())
    return cast(bindparam(name, type_=Text()), kind) if kind.python_type in _READERS else bindparam(name, type_=kind)


def _beyond_term(term: Order, value: ColumnElement[Any], *, is_null: bool, backward: bool) -> ColumnElement[bool]:
    if is_null:
        return term.expression.is_not(None) if backward else false()
    further = term.expression < value if term.descending != backward else term.expression > value
    return or_(further, term.expression.is_(None)) if term.nullable and not backward else further


def fingerprint(*parts: object) -> str:
    """A short name of a list under its filter and order."""
    return hashlib.blake2b(orjson.dumps(parts, default=str), digest_size=6).hexdigest()


def encode_cursor(mark: str, values: Sequence[Any]) -> str:
    """Opaque text; the values are the row's own, in stored form."""
    return base64.urlsafe_b64encode(orjson.dumps([mark, *values], default=str)).rstrip(b"=").decode()


def decode_cursor(text: str, mark: str, order: Sequence[Order], field: str) -> list[Any]:
    """The values of the place. `InvalidInput` for a cursor of another list and for anything that is none."""
    return read_cursor(text, mark, [partial(_fits, term=term) for term in order], field)


def read_cursor(text: str, mark: str, fits: Sequence[Callable[[object], bool]], field: str) -> list[Any]:
    """As `decode_cursor`, for places whose values fit what is said of each."""
    try:
        parts = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("not a cursor", field=field, value=text) from error
    if not isinstance(parts, list) or not parts or not isinstance(parts[0], str):
        raise InvalidInput("not a cursor", field=field, value=text)
    if parts[0] != mark:
        raise InvalidInput("this cursor belongs to another list, filter or order", field=field, value=text)
    if len(parts) != len(fits) + 1 or not all(fit(value) for fit, value in zip(fits, parts[1:], strict=True)):
        raise InvalidInput("not a cursor", field=field, value=text)
    values: list[Any] = parts[1:]
    return values


def _fits(value: object, term: Order) -> bool:
    """Whether a row could have that value: what cannot be bound must not get as far as the database."""
    if value is None:
        return term.nullable
    kind = term.expression.type.python_type
    if isinstance(value, str):
        return not issubclass(kind, int | float) and _is_readable(value, kind)
    number = isinstance(value, float) or (isinstance(value, int) and is_stored_integer(value))
    return number and issubclass(kind, int | float)


def _is_readable(value: str, kind: type) -> bool:
    try:
        _READERS.get(kind, str)(value)
    except ValueError:
        return False
    return True


def is_stored_integer(value: int, *, bits: int = 64) -> bool:
    """Whether an integer column can hold it."""
    bound: int = 2 ** (bits - 1)
    return -bound <= value < bound
