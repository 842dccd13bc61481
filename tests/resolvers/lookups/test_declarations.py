"""Declarations as clients send them: contract lmio-watcher §5.1."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import InvalidInput
from core.lookups.declarations import Declaration, Field, Key, belongs, lookup_id
from core.vocabulary import ValueType
from resolvers.lookups.declarations import changed, declared, needs_no_items, seconds_of
from resolvers.lookups.mistakes import MALFORMED

DATA = Path(__file__).parents[3] / "demo" / "lookups"

STR, UI64, IP, MAC = ValueType.STR, ValueType.UI64, ValueType.IP, ValueType.MAC


def test_all_that_can_be_declared():
    body = {
        "name": "users",
        "label": "Users",
        "group": "people",
        "type": "lookup/compoundkey",
        "global": True,
        "keys": [{"name": "user", "type": "str", "more": 1}, {"name": "port", "type": "ui16"}],
        "fields": {"mail": {"type": "str", "label": "E-mail", "value": "none"}, "age": {}},
        "descriptionTitle": "Title",
        "descriptionContent": "Content",
        "default_expiration": "2h",
        "feedPath": "/feed",
        "unknown": [],
    }
    assert declared(body) == Declaration(
        "users",
        "Users",
        "lookup/compoundkey",
        (Key("user", STR), Key("port", ValueType.UI16)),
        (Field("mail", STR, {"label": "E-mail", "value": "none"}), Field("age", STR)),
        "people",
        True,
        "Title",
        "Content",
        7200,
        "/feed",
    )


def test_all_that_is_not_said():
    assert declared({"name": "x"}) == Declaration("x", "x", "lookup/string", (Key("key", STR),))


@pytest.mark.parametrize(
    ("body", "kind", "keys"),
    [
        ({}, "lookup/string", [("key", STR)]),
        ({"type": "lookup"}, "lookup", [("key", STR)]),
        ({"type": "lookup/other-1_x"}, "lookup/other-1_x", [("key", STR)]),
        ({"type": "lookup/number"}, "lookup/number", [("key", UI64)]),
        ({"type": "lookup/ipaddressrange"}, "lookup/ipaddressrange", [("range1", IP), ("range2", IP)]),
        ({"type": "lookup/macaddressrange"}, "lookup/macaddressrange", [("range1", MAC), ("range2", MAC)]),
        ({"keys": [{"name": "a"}]}, "lookup/string", [("a", STR)]),
        ({"keys": [{"name": "a"}, {"name": "b"}]}, "lookup/compoundkey", [("a", STR), ("b", STR)]),
        ({"type": "lookup", "keys": [{"name": "a", "type": "fp64"}]}, "lookup", [("a", ValueType.FP64)]),
    ],
)
def test_types_and_keys_that_are_not_said(body, kind, keys):
    found = declared({"name": "x"} | body)
    assert (found.type, [(key.name, key.type) for key in found.keys]) == (kind, keys)


def test_fields_as_an_array_keep_their_order():
    found = declared({"name": "x", "fields": [{"name": "b", "type": "ip"}, {"name": "a", "label": "A"}]})
    assert found.fields == (Field("b", IP), Field("a", STR, {"label": "A"}))


def test_both_spellings_of_descriptions():
    found = declared({"name": "x", "description_title": "snake", "descriptionTitle": "camel", "description_content": "c"})
    assert (found.description_title, found.description_content) == ("camel", "c")


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (None, None),
        (0, 0),
        (90, 90),
        ("0s", 0),
        ("15s", 15),
        ("2m", 120),
        ("3h", 10800),
        ("4d", 345600),
        ("1w", 604800),
        (" 1w ", 604800),
    ],
)
def test_expirations(given, seconds):
    assert seconds_of(given) == declared({"name": "x", "default_expiration": given}).default_expiration == seconds


@pytest.mark.parametrize("name", ["a", "0", "a-b_c", "a" * 127])
def test_names(name):
    assert declared({"name": name}).name == name


@pytest.mark.parametrize(
    ("field", "body"),
    [
        *(("name", {"name": name}) for name in ("", "A", "-a", "_a", "a.b", "a b", "a/b", "*", "ä", "a" * 128, "a\n")),
        ("type", {"type": "x"}),
        ("type", {"type": "lookup/"}),
        ("type", {"type": "lookup/A"}),
        ("type", {"type": "lookup/a/b"}),
        ("keys", {"type": "lookup/compoundkey"}),
        ("keys", {"keys": []}),
        ("keys", {"keys": [{"name": str(number)} for number in range(17)]}),
        ("keys", {"type": "lookup/string", "keys": [{"name": "a"}, {"name": "b"}]}),
        ("keys", {"type": "lookup/string", "keys": [{"name": "a", "type": "ip"}]}),
        ("keys", {"type": "lookup/number", "keys": [{"name": "a", "type": "ui32"}]}),
        ("keys", {"type": "lookup/ipaddressrange", "keys": [{"name": "a", "type": "ip"}]}),
        ("keys", {"type": "lookup/macaddressrange", "keys": [{"name": "a", "type": "mac"}, {"name": "b", "type": "ip"}]}),
        *(("keys", {"keys": [{"name": name}]}) for name in ("", "_a", "a\tb", "a" * 256)),
        *(("fields", {"fields": {name: {}}}) for name in ("", "_id", "a\x7f", "a" * 256)),
        ("keys", {"keys": [{"name": "a"}, {"name": "a"}]}),
        ("fields", {"fields": [{"name": "a"}, {"name": "a"}]}),
        ("fields", {"keys": [{"name": "a"}], "fields": {"a": {}}}),
        ("fields", {"fields": {str(number): {} for number in range(501)}}),
        ("fields.a.type", {"fields": {"a": {"type": "text"}}}),
        ("keys[0].type", {"keys": [{"name": "a", "type": "STR"}]}),
        ("default_expiration", {"default_expiration": -1}),
        ("default_expiration", {"default_expiration": "5"}),
        ("default_expiration", {"default_expiration": "5 m"}),
        ("default_expiration", {"default_expiration": "5y"}),
        ("default_expiration", {"default_expiration": 10**11}),
        ("label", {"label": "a\0"}),
        ("label", {"label": "a" * 10_001}),
    ],
)
def test_what_a_rule_forbids(field, body):
    with pytest.raises(InvalidInput) as refusal:
        declared({"name": "x"} | body)
    assert refusal.value.field == field
    assert [problem.kind for problem in refusal.value.problems] == ["value_error"]


@pytest.mark.parametrize(
    ("field", "body"),
    [
        (None, []),
        (None, "x"),
        (None, None),
        ("name", {}),
        *((attribute, {"name": "x", attribute: 5}) for attribute in ("label", "group", "type", "global", "keys", "fields")),
        *((attribute, {"name": "x", attribute: []}) for attribute in ("label", "type", "default_expiration", "feedPath")),
        ("name", {"name": 5}),
        ("name", {"name": None}),
        ("label", {"name": "x", "label": None}),
        ("global", {"name": "x", "global": "yes"}),
        ("default_expiration", {"name": "x", "default_expiration": True}),
        ("default_expiration", {"name": "x", "default_expiration": 1.5}),
        ("keys", {"name": "x", "keys": "abc"}),
        ("keys", {"name": "x", "keys": {"a": {}}}),
        ("keys[0]", {"name": "x", "keys": ["a"]}),
        ("keys[0]", {"name": "x", "keys": [{"type": "str"}]}),
        ("keys[0].name", {"name": "x", "keys": [{"name": 5}]}),
        ("keys[0].type", {"name": "x", "keys": [{"name": "a", "type": 5}]}),
        ("fields.a", {"name": "x", "fields": {"a": "str"}}),
        ("fields[0]", {"name": "x", "fields": [{"type": "str"}]}),
        ("descriptionTitle", {"name": "x", "descriptionTitle": 5}),
    ],
)
def test_what_is_not_of_the_form(field, body):
    with pytest.raises(InvalidInput) as refusal:
        declared(body)
    assert refusal.value.field == field
    assert [problem.kind for problem in refusal.value.problems] == [MALFORMED]


# --- changes -----------------------------------------------------------------------------------------------------------

OLD = declared({"name": "x", "keys": [{"name": "a"}], "fields": {"f": {"type": "ip"}, "g": {}}, "group": "old", "label": "Old"})


def test_what_is_present_replaces_and_the_rest_stays():
    new = changed(OLD, {"name": "x", "global": False, "label": "New", "group": None, "fields": {"g": {}}})
    assert (new.label, new.group, new.fields, new.keys, new.type) == ("New", None, (Field("g"),), OLD.keys, OLD.type)
    assert changed(OLD, {}) == OLD


@pytest.mark.parametrize(
    ("field", "body"), [("name", {"name": "y"}), ("global", {"global": True}), ("keys", {"type": "lookup/number"})]
)
def test_what_cannot_be_changed(field, body):
    with pytest.raises(InvalidInput) as refusal:
        changed(OLD, body)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("body", "while_empty"),
    [
        ({"label": "New", "type": "lookup", "default_expiration": 5}, False),
        ({"keys": [{"name": "renamed"}]}, False),
        ({"fields": {"g": {}, "h": {}}}, False),
        ({"fields": {}}, False),
        ({"type": "lookup", "keys": [{"name": "a", "type": "ip"}]}, True),
        ({"type": "lookup", "keys": [{"name": "a"}, {"name": "b"}]}, True),
        ({"fields": {"f": {"type": "str"}}}, True),
    ],
)
def test_what_can_be_changed_only_while_there_are_no_items(body, while_empty):
    assert (needs_no_items(OLD, changed(OLD, body)) is not None) is while_empty


# --- ids ---------------------------------------------------------------------------------------------------------------


def test_ids_of_lookups():
    assert lookup_id(declared({"name": "countries"}), "standard") == "countries.standard"
    assert lookup_id(declared({"name": "countries", "global": True}), "standard") == "countries"


@pytest.mark.parametrize(
    ("identifier", "tenant", "own"),
    [
        ("x", "b", True),
        ("x.b", "b", True),
        ("x.a.b", "b", False),
        ("x.a.b", "a.b", True),
        ("x.a", "b", False),
        ("x.", "b", False),
    ],
)
def test_which_tenant_reaches_a_lookup(identifier, tenant, own):
    assert belongs(identifier, tenant) is own


@pytest.mark.parametrize("name", ["countries", "macvendors", "ipgeo"])
def test_sample_declarations(name):
    assert declared(json.loads((DATA / f"{name}.declaration.json").read_text())).name == name
