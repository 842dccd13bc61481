"""Changes of a schema, made up: what breaks clients, what may surprise them, what was announced in time."""

from __future__ import annotations

from datetime import date

import pytest

from app.schema_changes import breaking, dangerous, undated

TODAY = date(2026, 11, 21)
BASELINE = """
type Query { a(x: Int, y: Int): A  b: B @deprecated(reason: "Ask a. Gone from 2026-11-21 on.")  c: [Color!] }
type A { name: String!  size: Int  old: String @deprecated(reason: "Ask name. Gone from 2026-11-22 on.") }
type B { name: String  c: C }
type C { name: String }
enum Color { RED GREEN @deprecated(reason: "Gone from 2026-01-31 on.") }
"""


def changed(old: str, new: str) -> str:
    assert old in BASELINE
    return BASELINE.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "descriptions"),
    [
        ("", "", []),
        ("size: Int", "size: Int  more: String", []),
        ("a(x: Int, y: Int)", "a(x: Int, y: Int, z: Int)", []),
        ("size: Int", "size: Int!", []),
        ("size: Int", "", ["Field A.size was removed."]),
        ("size: Int", "size: String", ["Field A.size changed type from Int to String."]),
        ("name: String!  size", "name: String  size", ["Field A.name changed type from String! to String."]),
        ("a(x: Int, y: Int)", "a(x: Int)", ["Argument Query.a(y:) was removed."]),
        ("a(x: Int, y: Int)", "a(x: Int, y: Int!)", ["Argument Query.a(y:) has changed type from Int to Int!."]),
        ("a(x: Int, y: Int)", "a(x: Int, y: Int, z: Int!)", ["A required argument Query.a(z:) was added."]),
        ("RED", "", ["Enum value Color.RED was removed."]),
    ],
)
def test_what_breaks_clients(old, new, descriptions):
    assert breaking(BASELINE, changed(old, new) if old else BASELINE, TODAY) == descriptions


def test_what_was_announced_goes_on_its_day():
    without = changed(' b: B @deprecated(reason: "Ask a. Gone from 2026-11-21 on.") ', "")
    assert breaking(BASELINE, without, TODAY) == []
    assert breaking(BASELINE, without, date(2026, 11, 20)) == ["Field Query.b was removed."]


def test_with_it_goes_what_only_it_led_to():
    without = changed(' b: B @deprecated(reason: "Ask a. Gone from 2026-11-21 on.") ', "")
    without = without.replace("type B { name: String  c: C }\n", "").replace("type C { name: String }\n", "")
    assert breaking(BASELINE, without, TODAY) == []


def test_too_early():
    without = changed('old: String @deprecated(reason: "Ask name. Gone from 2026-11-22 on.")', "")
    assert breaking(BASELINE, without, TODAY) == ["Field A.old was removed."]


def test_a_value_of_an_enum():
    assert breaking(BASELINE, changed('GREEN @deprecated(reason: "Gone from 2026-01-31 on.")', ""), TODAY) == []


def test_what_may_surprise():
    assert dangerous(BASELINE, changed("RED", "RED BLUE")) == ["Enum value Color.BLUE was added."]
    assert dangerous(BASELINE, BASELINE) == []


def test_a_deprecation_names_its_day():
    assert undated(BASELINE) == []
    assert undated(changed("Ask name. Gone from 2026-11-22 on.", "Ask name.")) == ["old"]
    assert undated(changed(' @deprecated(reason: "Ask name. Gone from 2026-11-22 on.")', " @deprecated")) == ["old"]
