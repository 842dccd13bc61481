"""Places on the Earth: packed into 64 bits (longitude above latitude), or as text, latitude first (contract lmio-watcher §8)."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

LARGEST = 2**64 - 1

_STEPS = 2**32
_DEGREE, _MINUTE, _SECOND = 36_000_000, 600_000, 10_000
"""In units of the last digit that is written: a ten-thousandth of a second."""

_DMS = re.compile(
    r"""\s*([0-9]{1,3}(?:\.[0-9]+)?)\s*[°dD]
        \s*(?:([0-9]{1,2}(?:\.[0-9]+)?)\s*'
        \s*(?:([0-9]{1,2}(?:\.[0-9]+)?)\s*(?:"|'')\s*)?)?
        ([NSEWnsew])\s*""",
    re.VERBOSE,
)
_NUMBER = r"\s*([+-]?(?:[0-9]{1,20}(?:\.[0-9]*)?|\.[0-9]+))\s*"
_DECIMAL = re.compile(f"{_NUMBER},{_NUMBER}")
_PACKED = re.compile(r"[0-9]{1,40}")
_MARKS = str.maketrans({"\u2032": "'", "\u2019": "'", "\u2033": '"', "\u201d": '"'})
"""Primes and typographic quotes."""


class Place(NamedTuple):
    """In degrees."""

    latitude: float
    longitude: float


def pack(latitude: float, longitude: float) -> int:
    """Raises `ValueError` for what is not on the Earth."""
    if not -90 <= latitude <= 90:
        raise ValueError("a latitude is from -90 to 90")
    if not -180 <= longitude <= 180:
        raise ValueError("a longitude is from -180 to 180")
    return _encode(longitude, 180) << 32 | _encode(latitude, 90)


def _encode(degrees: float, half: int) -> int:
    return min(int((degrees + half) * _STEPS / (2 * half) + 0.5), _STEPS - 1)


def unpack(packed: int) -> Place:
    """The middle of the step that the packed form stands for."""
    return Place((packed & _STEPS - 1) * 180 / _STEPS - 90, (packed >> 32) * 360 / _STEPS - 180)


def checked(packed: int) -> int:
    """As it is; `ValueError` for more than 64 bits."""
    if not 0 <= packed <= LARGEST:
        raise ValueError("a packed geopoint has 64 bits")
    return packed


def parse(text: str) -> int:
    """From degrees, minutes and seconds, from a decimal pair, or from packed digits. Raises `ValueError`."""
    text = text.strip()
    if _PACKED.fullmatch(text):
        return checked(int(text))
    if (decimal := _DECIMAL.fullmatch(text)) is not None:
        return pack(float(decimal[1]), float(decimal[2]))
    latitude, comma, longitude = text.translate(_MARKS).partition(",")
    north, east = _DMS.fullmatch(latitude), _DMS.fullmatch(longitude)
    if not comma or north is None or east is None or north[4] not in "NSns" or east[4] not in "EWew":
        raise ValueError("a geopoint is `lat, lon` in degrees, or as 50°03'51.5\"N, 14°26'38\"E, or one packed number")
    return pack(_degrees(north), _degrees(east))


def _degrees(found: re.Match[str]) -> float:
    *parts, hemisphere = found.groups()
    given = [part for part in parts if part is not None]
    if any("." in part for part in given[:-1]):
        raise ValueError("only the last part of degrees, minutes and seconds may have decimals")
    degrees, minutes, seconds = (float(part or 0) for part in parts)
    if minutes >= 60 or seconds >= 60:
        raise ValueError("minutes and seconds are below 60")
    size = degrees + minutes / 60 + seconds / 3600
    return -size if hemisphere in "SWsw" else size


def as_dms(packed: int) -> str:
    """`50°03'51.5091"N, 14°26'38.1769"E`, from which `parse` makes the same packed form again, whatever it is."""
    place = unpack(packed)
    return f"{_dms(place.latitude, 'NS')}, {_dms(place.longitude, 'EW')}"


def _dms(degrees: float, hemispheres: str) -> str:
    units = math.floor(abs(degrees) * _DEGREE + 0.5)
    whole, rest = divmod(units, _DEGREE)
    minutes, rest = divmod(rest, _MINUTE)
    seconds, fraction = divmod(rest, _SECOND)
    return f"{whole}°{minutes:02}'{seconds:02}.{fraction:04}\"{hemispheres[units > 0 > degrees]}"
