"""The types of key parts and fields: what is accepted, and the forms of a value (contract lmio-watcher §5.2).

A value is what JSON shows: text, an integer, a number, a bool. Its *text* is the canonical one, for ids and CSV. Its *sortable*
form is what stores keep, and sorts as the value does: text by code point, numbers and bools by value.
"""

from __future__ import annotations

import math
import re
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address
from typing import Any, Literal

import orjson

from core.clock import wire_time
from core.errors import InvalidInput
from core.lookups import geopoint
from core.vocabulary import ValueType

Value = str | int | float | bool
"""What is stored and shown; never null, which is "not set"."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,100}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MAC = re.compile(
    r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}|[0-9a-f]{2}(?:-[0-9a-f]{2}){5}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}|[0-9a-f]{12}"
)
_BOOLS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAPPED = bytes(10) + b"\xff\xff"
"""Before the four bytes of an IPv4 address, as IPv6 counts them."""

Sort = Literal["text", "integer", "number", "bool"]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a type does. Reading raises `ValueError`; `sortable` and `shown` undo each other, and so do `text` and `from_text`."""

    from_json: Callable[[object], Value]
    from_text: Callable[[str], Value]
    """From text without blanks around it."""
    text: Callable[[Value], str]
    sortable: Callable[[Value], Value]
    shown: Callable[[Any], Value]
    sort: Sort = "text"
    """How sortable forms are compared."""
    searched: bool = False
    """Whether a filter looks into fields of the type."""


def read_json(kind: ValueType, value: object, name: str) -> Value:
    """From JSON. `InvalidInput` names the key part or field."""
    try:
        return KINDS[kind].from_json(value)
    except ValueError as error:
        raise InvalidInput(f"{name}: {error}", field=name, value=value) from error


def read_text(kind: ValueType, text: str, name: str) -> Value:
    """From a cell of a CSV file, or a parameter. `InvalidInput` names the key part or field."""
    try:
        return KINDS[kind].from_text(text.strip())
    except ValueError as error:
        raise InvalidInput(f"{name}: {error}", field=name, value=text) from error


# --- text --------------------------------------------------------------------------------------------------------------


def same(value: Any) -> Any:
    """The form of a value that is the value itself."""
    return value


def storable(text: str) -> str:
    """As it is; `ValueError` for what no store takes."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError("the text is not valid Unicode") from error
    if "\0" in text:
        raise ValueError("text may not contain the character U+0000")
    return text


def _str_from_json(value: object) -> str:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, bool | float):
        return orjson.dumps(value).decode()
    if isinstance(value, int):
        return str(value)
    raise ValueError("a str is text")


def _only_text(read: Callable[[str], Value], article: str) -> Callable[[object], Value]:
    """JSON strings are read like text."""

    def from_json(value: object) -> Value:
        if not isinstance(value, str):
            raise ValueError(f"{article} is given as text")  # noqa: TRY004  # a value that does not fit
        return read(value.strip())

    return from_json


# --- numbers -----------------------------------------------------------------------------------------------------------


def _integers(name: str, least: int, most: int) -> Kind:
    def check(value: int) -> int:
        if not least <= value <= most:
            raise ValueError(f"a {name} is from {least} to {most}")
        return value

    def from_text(text: str) -> int:
        if not _INTEGER.fullmatch(text):
            raise ValueError(f"a {name} is a whole number in decimal digits")
        return check(int(text))

    def from_json(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return check(value)
        if isinstance(value, str):
            return from_text(value.strip())
        raise ValueError(f"a {name} is a whole number")

    if most < 2**63:
        return Kind(from_json, from_text, str, same, same, "integer")
    return Kind(from_json, from_text, str, _twenty_digits, int)


def _twenty_digits(value: Value) -> str:
    """Beyond the integers of SQL and Lucene; the text sorts as the number does."""
    return f"{value:020d}"


def _floats(name: str, fit: Callable[[float], float]) -> Kind:
    def check(value: float) -> float:
        try:
            fitted = fit(value) + 0.0  # there is but one zero
        except OverflowError:
            fitted = math.inf
        if not math.isfinite(fitted):
            raise ValueError(f"a {name} is finite and in range")
        return fitted

    def from_text(text: str) -> float:
        if not _NUMBER.fullmatch(text):
            raise ValueError(f"a {name} is a number, with a dot before decimals")
        return check(float(text))

    def from_json(value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                return check(float(value))
            except OverflowError:
                return check(math.inf)
        if isinstance(value, str):
            return from_text(value.strip())
        raise ValueError(f"a {name} is a number")

    return Kind(from_json, from_text, repr, same, float, "number")


def _single(value: float) -> float:
    """The number with the fewest digits that is the same in 32 bits."""
    packed = struct.pack("<f", value)
    (value,) = struct.unpack("<f", packed)
    for digits in range(6, 10):
        short = float(f"{value:.{digits}g}")
        if math.isinf(short) or struct.pack("<f", short) == packed:
            return short
    return value


# --- bools -------------------------------------------------------------------------------------------------------------


def _bool_from_text(text: str) -> bool:
    found = _BOOLS.get(text.lower())
    if found is None:
        raise ValueError("a bool is true or false, 1 or 0, yes or no")
    return found


def _bool_from_json(value: object) -> bool:
    if isinstance(value, bool):
        return value
    return _bool_from_text(str(value) if isinstance(value, int) else value.strip() if isinstance(value, str) else "")


def _bool_text(value: Value) -> str:
    return "true" if value else "false"


# --- addresses ---------------------------------------------------------------------------------------------------------


def packed_ip(text: str) -> bytes:
    """Sixteen bytes, IPv4 mapped. Raises `ValueError`."""
    try:
        if ":" in text:
            return socket.inet_pton(socket.AF_INET6, text)
        return _MAPPED + socket.inet_pton(socket.AF_INET, text)
    except (OSError, ValueError) as error:
        raise ValueError("an ip is an IPv4 or IPv6 address") from error


def _ip_text(packed: bytes) -> str:
    if packed.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    if packed.startswith(bytes(12)):  # which the C library shows with an IPv4 address at the end
        return IPv6Address(packed).compressed
    return socket.inet_ntop(socket.AF_INET6, packed)


def _ip_from_text(text: str) -> str:
    packed = packed_ip(text)
    return _ip_text(packed) if ":" in text else text  # of IPv4 only the canonical form is taken


def _ip_sortable(value: Value) -> str:
    return packed_ip(str(value)).hex()


def _ip_shown(stored: str) -> str:
    return _ip_text(bytes.fromhex(stored))


def _mac_from_text(text: str) -> str:
    if not _MAC.fullmatch(folded := text.lower()):
        raise ValueError("a mac is twelve hexadecimal digits, bare or as aa:bb:cc:dd:ee:ff, aa-bb-cc-dd-ee-ff, aabb.ccdd.eeff")
    digits = folded.replace(":", "").replace("-", "").replace(".", "")
    return ":".join([digits[0:2], digits[2:4], digits[4:6], digits[6:8], digits[8:10], digits[10:12]])


def _mac_from_json(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value < 2**48:
            raise ValueError("a mac has 48 bits")
        return _mac_from_text(f"{value:012x}")
    if not isinstance(value, str):
        raise ValueError("a mac is text, or a whole number")  # noqa: TRY004  # a value that does not fit
    return _mac_from_text(value.strip())


# --- times -------------------------------------------------------------------------------------------------------------


def moment(value: object) -> datetime:
    """From ISO 8601 text (without a zone: UTC) or seconds since 1970, as a number or as digits. Raises `ValueError`."""
    if isinstance(value, str):
        text = value.strip()
        if not _NUMBER.fullmatch(text):
            return _iso(text)
        value = float(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a time is ISO 8601 text, or seconds since 1970")  # noqa: TRY004  # a value that does not fit
    try:
        return _EPOCH + timedelta(seconds=value)
    except (OverflowError, ValueError) as error:
        raise ValueError("a time is in the years 1 to 9999") from error


def _iso(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise ValueError("a time is ISO 8601 text, or seconds since 1970") from error


def _datetime(value: object) -> str:
    return wire_time(moment(value))


def _datetime_sortable(value: Value) -> str:
    """Always 27 characters."""
    text = str(value)
    return text if "." in text else f"{text[:-1]}.000000Z"


def _datetime_shown(stored: str) -> str:
    return stored.replace(".000000Z", "Z")


# --- places ------------------------------------------------------------------------------------------------------------


def _geopoint_from_json(value: object) -> int:
    if isinstance(value, str):
        return geopoint.parse(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return geopoint.checked(value)
    if isinstance(value, Mapping) and value.keys() == {"lat", "lon"}:
        degrees = (value["lat"], value["lon"])
        if all(isinstance(each, int | float) and not isinstance(each, bool) for each in degrees):
            return geopoint.pack(*degrees)
    raise ValueError('a geopoint is text, a packed number, or {"lat": …, "lon": …}')


KINDS: Mapping[ValueType, Kind] = {
    ValueType.STR: Kind(_str_from_json, storable, str, same, same, searched=True),
    **{ValueType(f"ui{bits}"): _integers(f"ui{bits}", 0, 2**bits - 1) for bits in (8, 16, 32, 64)},
    **{ValueType(f"si{bits}"): _integers(f"si{bits}", -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    ValueType.FP32: _floats("fp32", _single),
    ValueType.FP64: _floats("fp64", float),
    ValueType.BOOL: Kind(_bool_from_json, _bool_from_text, _bool_text, same, bool, "bool"),
    ValueType.IP: Kind(_only_text(_ip_from_text, "an ip"), _ip_from_text, str, _ip_sortable, _ip_shown, searched=True),
    ValueType.MAC: Kind(_mac_from_json, _mac_from_text, str, same, same, searched=True),
    ValueType.DATETIME: Kind(_datetime, _datetime, str, _datetime_sortable, _datetime_shown),
    ValueType.GEOPOINT: Kind(_geopoint_from_json, geopoint.parse, str, _twenty_digits, int),
}
"""Every type, by its name in a declaration."""
