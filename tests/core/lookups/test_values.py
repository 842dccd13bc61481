"""Value types, row by row of contract lmio-watcher §5.2."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.errors import InvalidInput
from core.lookups.values import KINDS, read_json, read_text
from core.vocabulary import ValueType

INTEGERS = [ValueType(f"{sign}i{bits}") for sign in "us" for bits in (8, 16, 32, 64)]

JSON = [
    ("str", "a", "a"),
    ("str", "", ""),
    ("str", "  a b ", "  a b "),
    ("str", 5, "5"),
    ("str", 2**70, str(2**70)),
    ("str", 0.1, "0.1"),
    ("str", True, "true"),
    ("ui8", 255, 255),
    ("ui8", "+007", 7),
    ("ui8", " 7 ", 7),
    ("si8", -128, -128),
    ("si64", "-9223372036854775808", -(2**63)),
    ("ui64", 2**64 - 1, 2**64 - 1),
    ("ui64", "18446744073709551615", 2**64 - 1),
    ("fp64", 5, 5.0),
    ("fp64", "1e-3", 0.001),
    ("fp64", ".5", 0.5),
    ("fp64", -0.0, 0.0),
    ("fp32", 0.1, 0.1),
    ("fp32", 0.12345678901, 0.12345679),
    ("fp32", 16777217, 16777216.0),
    ("bool", True, True),
    ("bool", 0, False),
    ("bool", "YES", True),
    ("bool", "no", False),
    ("ip", "010.0.0.1", None),
    ("ip", "10.0.0.1", "10.0.0.1"),
    ("ip", "::FFFF:10.0.0.1", "10.0.0.1"),
    ("ip", "2001:0DB8:0:0:0:0:0:1", "2001:db8::1"),
    ("ip", "0:0:0:0:0:0:0:0", "::"),
    ("ip", "::0102:0304", "::102:304"),
    ("mac", "AA:BB:CC:DD:EE:FF", "aa:bb:cc:dd:ee:ff"),
    ("mac", "aa-bb-cc-dd-ee-ff", "aa:bb:cc:dd:ee:ff"),
    ("mac", "aabb.ccdd.eeff", "aa:bb:cc:dd:ee:ff"),
    ("mac", "aabbccddeeff", "aa:bb:cc:dd:ee:ff"),
    ("mac", 255, "00:00:00:00:00:ff"),
    ("datetime", "2026-11-21T12:00:00", "2026-11-21T12:00:00Z"),
    ("datetime", "2026-11-21T12:00:00+02:00", "2026-11-21T10:00:00Z"),
    ("datetime", "2026-11-21T12:00:00.5Z", "2026-11-21T12:00:00.500000Z"),
    ("datetime", "2026-11-21", "2026-11-21T00:00:00Z"),
    ("datetime", 1718000000, "2024-06-10T06:13:20Z"),
    ("datetime", 1718000000.25, "2024-06-10T06:13:20.250000Z"),
    ("datetime", "1718000000", "2024-06-10T06:13:20Z"),
    ("datetime", -1, "1969-12-31T23:59:59Z"),
    ("geopoint", {"lat": 50.0643081, "lon": 14.443938}, 9963493229983947706),
    ("geopoint", "50.0643081, 14.443938", 9963493229983947706),
    ("geopoint", 9963493229983947706, 9963493229983947706),
]

REFUSED = [
    ("str", None),
    ("str", []),
    ("str", {}),
    ("str", "a\0b"),
    ("str", "\ud800"),
    *(
        (kind, value)
        for kind in INTEGERS
        for value in (True, 1.0, "1.0", "", "x", "1_0", "٣", None, [], "0x1", 2**64, -(2**63) - 1)
    ),
    ("ui8", 256),
    ("ui8", -1),
    ("si8", 128),
    ("ui64", -1),
    ("ui64", "9" * 200),
    *(
        (kind, value)
        for kind in ("fp32", "fp64")
        for value in (True, "nan", "inf", "", "1,5", "0x1", None, [], "1e999", 10**400)
    ),
    ("fp64", math.inf),
    ("fp64", math.nan),
    ("fp32", 1e39),
    ("bool", 2),
    ("bool", ""),
    ("bool", "on"),
    ("bool", 1.0),
    ("bool", None),
    ("ip", 167772161),
    ("ip", ""),
    ("ip", "10.0.0"),
    ("ip", "10.0.0.256"),
    ("ip", "fe80::1%eth0"),
    ("ip", "10.0.0.0/8"),
    ("ip", "a\0b"),
    ("mac", "aa:bb:cc:dd:ee"),
    ("mac", "aa:bb-cc:dd:ee:ff"),
    ("mac", "aabb:ccdd:eeff"),
    ("mac", "gabbccddeeff"),
    ("mac", 2**48),
    ("mac", -1),
    ("mac", True),
    ("datetime", ""),
    ("datetime", "yesterday"),
    ("datetime", True),
    ("datetime", None),
    ("datetime", 1e20),
    ("datetime", "0001-01-01T00:00:00+23:00"),
    ("geopoint", 2**64),
    ("geopoint", -1),
    ("geopoint", 1.5),
    ("geopoint", True),
    ("geopoint", {"lat": 1}),
    ("geopoint", {"lat": 1, "lon": "2"}),
    ("geopoint", {"lat": 1, "lon": 2, "alt": 3}),
    ("geopoint", {"lat": 91, "lon": 2}),
    ("geopoint", [1, 2]),
]


@pytest.mark.parametrize(("kind", "given_", "value"), [row for row in JSON if row[2] is not None])
def test_values_from_json(kind, given_, value):
    found = read_json(ValueType(kind), given_, "field")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("kind", "value"), REFUSED + [(kind, given_) for kind, given_, value in JSON if value is None])
def test_what_does_not_fit_names_the_field(kind, value):
    with pytest.raises(InvalidInput) as refusal:
        read_json(ValueType(kind), value, "the field")
    assert refusal.value.field == "the field"
    assert refusal.value.detail.startswith("the field: ")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("str", "  a b ", "a b"),
        ("ui16", " 42 ", 42),
        ("fp64", "1.5", 1.5),
        ("bool", "True", True),
        ("bool", "0", False),
        ("ip", " 10.0.0.1", "10.0.0.1"),
        ("mac", "AABB.CCDD.EEFF ", "aa:bb:cc:dd:ee:ff"),
        ("datetime", "1718000000.5", "2024-06-10T06:13:20.500000Z"),
        ("geopoint", " 0, 0 ", 9223372039002259456),
    ],
)
def test_values_from_text(kind, text, value):
    assert read_text(ValueType(kind), text, "field") == value


def test_text_that_does_not_fit_names_the_field():
    with pytest.raises(InvalidInput, match=r"^port: a ui16 is from 0 to 65535$") as refusal:
        read_text(ValueType.UI16, "65536", "port")
    assert refusal.value.field == "port"


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("str", " a ", " a "),
        ("ui64", 2**64 - 1, "18446744073709551615"),
        ("si8", -5, "-5"),
        ("fp64", 468.0, "468.0"),
        ("fp64", 1e300, "1e+300"),
        ("fp32", 0.1, "0.1"),
        ("bool", True, "true"),
        ("bool", False, "false"),
        ("ip", "2001:db8::1", "2001:db8::1"),
        ("mac", "aa:bb:cc:dd:ee:ff", "aa:bb:cc:dd:ee:ff"),
        ("datetime", "2026-11-21T12:00:00Z", "2026-11-21T12:00:00Z"),
        ("geopoint", 9963493229983947706, "9963493229983947706"),
    ],
)
def test_canonical_text(kind, value, text):
    assert KINDS[ValueType(kind)].text(value) == text


ADDRESSES = some.ip_addresses().map(lambda address: str(read_json(ValueType.IP, str(address), "x")))
VALUES = {
    ValueType.STR: some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    ValueType.UI8: some.integers(0, 2**8 - 1),
    ValueType.UI64: some.integers(0, 2**64 - 1),
    ValueType.SI64: some.integers(-(2**63), 2**63 - 1),
    ValueType.FP32: some.floats(width=32, allow_nan=False, allow_infinity=False).map(
        lambda value: read_json(ValueType.FP32, value, "x")
    ),
    ValueType.FP64: some.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0),
    ValueType.BOOL: some.booleans(),
    ValueType.IP: ADDRESSES,
    ValueType.MAC: some.integers(0, 2**48 - 1).map(lambda value: read_json(ValueType.MAC, value, "x")),
    ValueType.DATETIME: some.datetimes().map(lambda value: read_json(ValueType.DATETIME, value.isoformat(), "x")),
    ValueType.GEOPOINT: some.integers(0, 2**64 - 1),
}


@pytest.mark.parametrize("kind", VALUES)
@given(data=some.data())
def test_every_form_leads_back_to_the_value(kind, data):
    value, does = data.draw(VALUES[kind]), KINDS[kind]
    assert does.shown(does.sortable(value)) == value
    assert does.from_text(does.text(value)) == value
    assert does.from_json(value) == value


@pytest.mark.parametrize("kind", [ValueType.UI64, ValueType.GEOPOINT, ValueType.MAC, ValueType.DATETIME])
@given(data=some.data())
def test_sortable_text_sorts_as_the_value(kind, data):
    one, other = data.draw(VALUES[kind]), data.draw(VALUES[kind])
    sortable = KINDS[kind].sortable
    if kind is ValueType.DATETIME:
        one, other = one.replace("Z", ""), other.replace("Z", "")
        assert (sortable(one + "Z") < sortable(other + "Z")) == (_padded(one) < _padded(other))
    else:
        assert (sortable(one) < sortable(other)) == (one < other)


def _padded(text: str) -> str:
    return text if "." in text else f"{text}.000000"


@given(some.ip_addresses(v=4), some.ip_addresses(v=4))
def test_addresses_sort_by_value(one, other):
    sortable = KINDS[ValueType.IP].sortable
    assert (sortable(str(one)) < sortable(str(other))) == (one < other)


@given(some.ip_addresses(v=6))
def test_ipv6_is_compressed_as_python_does(address):
    if address.ipv4_mapped is None:
        assert read_json(ValueType.IP, address.exploded.upper(), "x") == address.compressed


@given(some.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_of_32_bits_stays_the_same(value):
    shown = float(read_json(ValueType.FP32, value, "x"))
    assert struct.pack("<f", shown) == struct.pack("<f", value + 0.0)
