"""Items that are sent one by one: contract lmio-watcher §6.2, §6.3, §7."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import InvalidInput
from core.lookups.items import ABSENT, Change
from resolvers.lookups.bodies import new_item, read_body
from resolvers.lookups.declarations import declared
from resolvers.lookups.expiration import expiration, shown
from resolvers.lookups.mistakes import MALFORMED

DATA = Path(__file__).parents[3] / "demo" / "lookups"
SAMPLES = Path(__file__).parents[2] / "samples" / "lookups"

RANGES = declared(
    {
        "name": "x",
        "type": "lookup/ipaddressrange",
        "fields": {"city": {}, "location": {"type": "geopoint"}, "risk": {"type": "fp64"}},
    }
)
RANGE = "65a43520eba4b3b28424737bf670bed20f2e16e0ddbd122d49044c0cb4ab60eb"
KEYS = [{"name": "range1", "value": "192.168.1.1"}, {"name": "range2", "value": "192.168.1.10"}]


def test_the_documented_body():
    body = {
        "keys": KEYS,
        "fields": [{"name": "city", "value": "Prague"}, {"name": "location", "value": "50.0643081, 14.443938"}],
        "_exp": 1767225600,
    }
    fields = {"city": "Prague", "location": 9963493229983947706}
    assert new_item(RANGES, body) == Change(RANGE, ("192.168.1.1", "192.168.1.10"), fields, 1767225600.0)


@pytest.mark.parametrize(
    "keys",
    [
        KEYS[::-1],
        [{**each, "type": "str", "label": "x"} for each in KEYS],
        ["192.168.1.1", "192.168.1.10"],
        ["::ffff:192.168.1.1", " 192.168.1.10"],
        {"range2": "192.168.1.10", "range1": "192.168.1.1"},
    ],
)
def test_forms_of_keys(keys):
    assert new_item(RANGES, {"keys": keys}) == Change(RANGE, ("192.168.1.1", "192.168.1.10"))


@pytest.mark.parametrize(
    "fields",
    [
        [{"name": "city", "value": "Prague"}, {"name": "risk", "value": None}, {"name": "unknown", "value": []}],
        {"city": "Prague", "risk": None, "_id": 5},
    ],
)
def test_fields_are_set_or_cleared_and_unknown_ones_ignored(fields):
    assert read_body(RANGES, {"fields": fields}).fields == {"city": "Prague", "risk": None}


def test_a_body_may_say_nothing():
    assert read_body(RANGES, {}).change("id") == read_body(RANGES, {"keys": None, "fields": None}).change("id") == Change("id")


def test_text_is_kept_as_it_is_and_empty_text_is_a_value():
    assert read_body(RANGES, {"fields": {"city": " a "}}).fields == {"city": " a "}
    assert read_body(RANGES, {"fields": {"city": ""}}).fields == {"city": ""}


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("keys", {}),
        ("keys", {"keys": None}),
        ("keys", {"keys": ["10.0.0.1"]}),
        ("keys", {"keys": ["10.0.0.1", "10.0.0.2", "10.0.0.3"]}),
        ("range2", {"keys": KEYS[:1]}),
        ("range2", {"keys": {"range1": "10.0.0.1"}}),
        ("range2", {"keys": ["10.0.0.1", None]}),
        ("range2", {"keys": ["10.0.0.1", ""]}),
        ("range2", {"keys": ["10.0.0.1", "x"]}),
        ("range2", {"keys": ["10.0.0.1", ["10.0.0.1"]]}),
        ("keys", {"keys": [*KEYS, KEYS[0]]}),
        ("keys", {"keys": [*KEYS, {"name": "range3", "value": "10.0.0.1"}]}),
        ("location", {"keys": KEYS, "fields": {"location": "somewhere"}}),
        ("risk", {"keys": KEYS, "fields": {"risk": ""}}),
        ("city", {"keys": KEYS, "fields": {"city": ["a"]}}),
        ("city", {"keys": KEYS, "fields": {"city": {"a": 1}}}),
        ("fields", {"keys": KEYS, "fields": [{"name": "city", "value": "a"}, {"name": "city", "value": "b"}]}),
        ("_exp", {"keys": KEYS, "_exp": "soon"}),
    ],
)
def test_what_a_rule_forbids(field, body):
    with pytest.raises(InvalidInput) as refusal:
        new_item(RANGES, body)
    assert refusal.value.field == field
    assert [problem.kind for problem in refusal.value.problems] == ["value_error"]


@pytest.mark.parametrize(
    "body",
    [
        [],
        "x",
        None,
        {"keys": "x"},
        {"keys": 5},
        {"keys": KEYS, "fields": 5},
        {"keys": KEYS, "fields": ""},
        {"keys": [{"name": 5, "value": "x"}]},
    ],
)
def test_what_is_not_of_the_form(body):
    with pytest.raises(InvalidInput) as refusal:
        new_item(RANGES, body)
    assert [problem.kind for problem in refusal.value.problems] == [MALFORMED]


def test_an_id_that_is_too_long():
    with pytest.raises(InvalidInput, match="_id"):
        new_item(declared({"name": "x"}), {"keys": ["x" * 513]})


@pytest.mark.parametrize("name", ["countries", "macvendors", "ipgeo"])
def test_sample_items(name):
    declaration = declared(json.loads((DATA / f"{name}.declaration.json").read_text()))
    body = json.loads((SAMPLES / "items.sample.json").read_text())[name]
    assert set(new_item(declaration, body).fields) == {entry["name"] for entry in body["fields"]}


# --- expiration --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        (1767225600, 1767225600.0),
        (1767225600.5, 1767225600.5),
        ("1767225600", 1767225600.0),
        ("1767225600.25", 1767225600.25),
        ("2026-01-01T00:00:00", 1767225600.0),
        ("2026-01-01T01:00:00+01:00", 1767225600.0),
        ("2026-01-01", 1767225600.0),
        (0, 0.0),
        (-5, -5.0),
    ],
)
def test_expirations(given, seconds):
    assert expiration(given) == seconds


@pytest.mark.parametrize("given", [True, "soon", [], {}, "nan", 1e20, "10:00"])
def test_what_is_no_expiration(given):
    with pytest.raises(InvalidInput) as refusal:
        expiration(given)
    assert refusal.value.field == "_exp"


def test_an_expiration_is_shown_as_an_integer_when_it_is_whole():
    assert [repr(shown(value)) for value in (1767225600.0, 1767225600.5)] == ["1767225600", "1767225600.5"]


def test_an_item_that_does_not_say_when_it_expires():
    assert read_body(RANGES, {}).expires_at is ABSENT
    assert read_body(RANGES, {"_exp": None}).expires_at is None
