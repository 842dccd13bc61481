"""The graph's own scalars, and how stored values become their wire form without passing through Python objects."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, NewType
from uuid import UUID

import orjson
import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

from core.clock import wire_time
from core.uploads import Upload

if TYPE_CHECKING:
    Long = int
    JSON = Any
    Bytes = str
else:
    Long = NewType("Long", int)
    Bytes = NewType("Bytes", str)
    JSON = strawberry.scalars.JSON

SMALLEST_LONG, LARGEST_LONG = -(2**63), 2**64 - 1


def _long(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise GraphQLError(f"Long cannot represent non-integer value: {value!r}")
    if not SMALLEST_LONG <= value <= LARGEST_LONG:
        raise GraphQLError(f"Long cannot represent a value outside -2^63 to 2^64-1: {value!r}")
    return value


def _time(value: object) -> datetime:
    if not isinstance(value, str):
        raise GraphQLError(f"DateTime cannot represent non-string value: {value!r}")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise GraphQLError(f"DateTime cannot represent {value!r}: write it as 2026-11-21T00:29:27Z") from error
    if moment.tzinfo is None:
        raise GraphQLError(f"DateTime needs a time zone: {value!r}")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise GraphQLError(f"DateTime cannot represent {value!r}: in UTC it is beyond the calendar") from error


def _date(value: object) -> date:
    try:
        return date.fromisoformat(value)  # type: ignore[arg-type]  # what is no text is an error, too
    except (TypeError, ValueError) as error:
        raise GraphQLError(f"Date cannot represent {value!r}: write it as 2026-11-21") from error


def _uuid(value: object) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(str(value))
    except ValueError as error:
        raise GraphQLError(f"UUID cannot represent {value!r}") from error


def _json(value: object) -> object:
    """JSON that can be stored and sent as it is: a literal may hold numbers that become NaN, infinite or too large."""
    try:
        json.dumps(value, allow_nan=False)
        orjson.dumps(value)
    except (TypeError, ValueError) as error:
        raise GraphQLError(f"JSON cannot represent this value: {error}") from error
    return value


def _upload(value: object) -> Upload:
    if not isinstance(value, Upload):
        raise GraphQLError("Upload is a file: send a variable that is null in a multipart request, and map the file to it")
    return value


def _no_upload(_: object) -> str:
    raise GraphQLError("Upload cannot be read")


def _no_bytes(_: object) -> str:
    raise GraphQLError("Bytes cannot be sent")


def _scalar(name: str, description: str, serialize: Callable[[Any], Any], parse: Callable[[Any], Any]) -> ScalarDefinition:
    return strawberry.scalar(name=name, description=description, serialize=serialize, parse_value=parse)


SCALARS: dict[object, ScalarDefinition] = {
    Long: _scalar("Long", "An exact integer from -2^63 to 2^64-1, a JSON number.", _long, _long),
    datetime: _scalar(
        "DateTime", "A moment in UTC, RFC 3339 with microseconds: `2026-11-21T00:29:27.495180Z`.", wire_time, _time
    ),
    date: _scalar("Date", "A calendar day: `2026-11-21`.", date.isoformat, _date),
    JSON: _scalar("JSON", "Any JSON value; integers fit into 64 bits.", lambda value: value, _json),
    UUID: _scalar("UUID", "A UUID, lower case with hyphens.", str, _uuid),
    Bytes: _scalar(
        "Bytes",
        "Content, as a URL of this server (its path and query) under which it can be fetched for some minutes, in ranges.",
        str,
        _no_bytes,
    ),
    Upload: _scalar("Upload", "A file, sent as the GraphQL multipart request specification says.", _no_upload, _upload),
}


def stored_time_to_wire(stored: Any) -> str:
    """From the fixed-width stored text (or a driver's datetime) to the wire: the fraction goes if it is exactly zero."""
    if stored.__class__ is not str:
        return wire_time(stored)
    moment = datetime.fromisoformat(stored)  # a row that holds no time is an error of its field
    if stored[26:] != "Z":
        return wire_time(moment)
    return stored if stored[19:26] != ".000000" else stored[:19] + "Z"


def stored_json_to_wire(stored: str) -> orjson.Fragment | None:
    """The stored text itself. It is read once, because one broken row must not break the whole response."""
    return None if orjson.loads(stored) is None else orjson.Fragment(stored)


STORED_TO_WIRE: dict[str, Callable[[Any], Any]] = {
    "DateTime": stored_time_to_wire,
    "Boolean": bool,  # SQLite has 0 and 1
    "JSON": stored_json_to_wire,
}
"""Scalars whose stored form is not their wire form; every other one passes unchanged if it is of the expected class."""

EXPECTED_CLASS: dict[str, type] = {
    "String": str,
    "ID": str,
    "UUID": str,
    "Date": str,
    "Int": int,
    "Long": int,
    "Float": float,
    "Boolean": bool,
}
"""What a leaf has to be to pass unchanged; anything else goes through the scalar's own serializer."""
