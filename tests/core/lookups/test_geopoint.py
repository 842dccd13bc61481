"""Geopoints: the worked examples of contract lmio-watcher §8.3, every form of text, and that nothing is lost on the way."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.lookups import geopoint

EXAMPLES = [
    (50.0643081, 14.443938, 2319806541, 3342064570, 0x8A45704DC733DBBA, "50°03'51.5091\"N, 14°26'38.1769\"E"),
    (-33.8688, 151.2093, 3951480866, 1339342602, 0xEB86D0224FD4BF0A, "33°52'07.6799\"S, 151°12'33.4801\"E"),
    (-0.1807, -78.4678, 1211326329, 2143171978, 0x48335F797FBE358A, "0°10'50.5200\"S, 78°28'04.0800\"W"),
    (0, 0, 2147483648, 2147483648, 0x8000000080000000, "0°00'00.0000\"N, 0°00'00.0000\"E"),
    (90, 180, 4294967295, 4294967295, 18446744073709551615, "89°59'59.9998\"N, 179°59'59.9997\"E"),
    (-90, -180, 0, 0, 0, "90°00'00.0000\"S, 180°00'00.0000\"W"),
]


@pytest.mark.parametrize(("latitude", "longitude", "elon", "elat", "packed", "dms"), EXAMPLES)
def test_worked_examples(latitude, longitude, elon, elat, packed, dms):
    assert geopoint.pack(latitude, longitude) == packed == elon << 32 | elat
    assert geopoint.as_dms(packed) == dms
    assert geopoint.parse(dms) == packed


PRAGUE = 9963493229983947706


@pytest.mark.parametrize(
    "text",
    [
        "50.0643081, 14.443938",
        "+50.0643081,+14.443938",
        "  50.0643081 , 14.443938 ",
        "9963493229983947706",
        "50°03'51.5091\"N, 14°26'38.1769\"E",
        "50°03\u203251.5091\u2033n,14°26\u203238.1769\u2033e",
        "50°03\u201951.5091\u201dN, 14°26\u201938.1769\u201dE",
        "50°03'51.5091''N, 14°26'38.1769''E",
        "50d 3' 51.5091\" N , 14 ° 26 ' 38.1769 \" E",
    ],
)
def test_spellings_of_one_place(text):
    assert geopoint.parse(text) == PRAGUE


@pytest.mark.parametrize(
    ("text", "latitude", "longitude"),
    [
        ("50°N, 14°E", 50, 14),
        ("50.5°S, 14.25°W", -50.5, -14.25),
        ("50°30'N, 14°15'E", 50.5, 14.25),
        ("50°30.6'N, 14°15.6'E", 50.51, 14.26),
        ("90°N, 180°W", 90, -180),
        ("-0.5, .5", -0.5, 0.5),
        ("5., 5.", 5, 5),
    ],
)
def test_minutes_and_seconds_may_be_left_out(text, latitude, longitude):
    assert geopoint.parse(text) == geopoint.pack(latitude, longitude)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "50°N",
        "50;14",
        "50, 14, 0",
        "91, 0",
        "0, 180.1",
        "-90.0001, 0",
        "18446744073709551616",
        "-1",
        "1e1, 2",
        "nan, nan",
        "inf, 0",
        "14°E, 50°N",
        "50°N, 14°N",
        "50°60'N, 14°E",
        "50°10'60\"N, 14°E",
        "50.5°10'N, 14°E",
        "50°10.5'10\"N, 14°E",
        "-50°N, 14°E",
        "91°N, 0°E",
        "50°N 14°E",
        '50°10"N, 14°E',
        "\uff15\uff10, \uff11\uff14",
        "place",
    ],
)
def test_what_is_no_place(text):
    with pytest.raises(ValueError, match=r"geopoint|latitude|longitude|below 60|decimals"):
        geopoint.parse(text)


@given(some.integers(0, 2**64 - 1))
def test_degrees_minutes_and_seconds_lose_nothing(packed):
    assert geopoint.parse(geopoint.as_dms(packed)) == packed


@given(some.integers(0, 2**64 - 1))
def test_degrees_lose_nothing(packed):
    assert geopoint.pack(*geopoint.unpack(packed)) == packed


@given(some.floats(-90, 90), some.floats(-180, 180))
def test_a_place_moves_by_half_a_step_at_most(latitude, longitude):
    place = geopoint.unpack(geopoint.pack(latitude, longitude))
    assert abs(place.latitude - latitude) <= 180 / 2**32
    assert abs(place.longitude - longitude) <= 360 / 2**32


@given(some.text(max_size=40))
def test_any_text_is_a_place_or_is_refused(text):
    with suppress(ValueError):
        assert 0 <= geopoint.parse(text) <= geopoint.LARGEST
