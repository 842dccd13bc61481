"""Lookup control: contract §5."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.lookups.declaring import (
    ACCESS,
    CONTROL,
    COUNTRIES,
    EDIT,
    GLOBAL_EDIT,
    OK,
    RANGES,
    TENANT,
    declare,
    erred,
    failed,
    item,
    listed,
    not_found,
    write,
)
from tests.contract.support import Api, World, told

HERE = f"{CONTROL}/countries.{TENANT}"


async def declaration(api: Api, name: str = "countries") -> dict[str, Any]:
    reply = await api.get(f"{CONTROL}/{name}.{TENANT}")
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


async def test_what_was_declared(editor: Api, world: World):
    new = {
        **COUNTRIES,
        "label": "Countries",
        "group": "geo",
        "type": "lookup/string",
        "global": False,
        "fields": {"name": {"type": "str", "label": "Name", "value": "?"}, "location": {"type": "geopoint"}},
        "descriptionTitle": "All countries",
        "descriptionContent": "With capitals",
        "default_expiration": "1d",
        "feedPath": "/feeds/1",
        "unknown": [1],
    }
    reply = await editor.post(CONTROL, json=new)
    assert told(reply) == (200, {"result": "OK", "id": "countries.standard", "lookup_id": "countries.standard"})

    at = int(world.clock.now.timestamp())
    expected = {
        "id": "countries.standard",
        "lookup_id": "countries.standard",
        "name": "countries",
        "label": "Countries",
        "group": "geo",
        "type": "lookup/string",
        "global": False,
        "tenant": "standard",
        "keys": [{"name": "code", "type": "str"}],
        "fields": {"name": {"type": "str", "label": "Name", "value": "?"}, "location": {"type": "geopoint"}},
        "description_title": "All countries",
        "description_content": "With capitals",
        "default_expiration": 86400,
        "feedPath": "/feeds/1",
        "_c": at,
        "_m": at,
        "_v": 1,
    }
    schema = {
        "define": {"type": "lookup/string", "name": "countries", "group": "geo"},
        "keys": expected["keys"],
        "fields": expected["fields"],
    }
    assert await declaration(editor) == expected | {"schema": schema}
    assert told(await editor.get(CONTROL)) == (200, {"data": [expected], "count": 1})
    assert list((await editor.get(CONTROL)).json()["data"][0]) == list(expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"label": "new", "type": "lookup/string", "keys": [{"name": "key", "type": "str"}], "fields": {}}),
        ({"type": "lookup/number"}, {"keys": [{"name": "key", "type": "ui64"}]}),
        ({"type": "lookup"}, {"type": "lookup", "keys": [{"name": "key", "type": "str"}]}),
        ({"keys": [{"name": "a"}, {"name": "b", "type": "ip"}]}, {"type": "lookup/compoundkey", "keys": [{"name": "a", "type": "str"}, {"name": "b", "type": "ip"}]}),
        ({"type": "lookup/ipaddressrange"}, {"keys": [{"name": "range1", "type": "ip"}, {"name": "range2", "type": "ip"}]}),
        ({"type": "lookup/macaddressrange"}, {"keys": [{"name": "range1", "type": "mac"}, {"name": "range2", "type": "mac"}]}),
        ({"type": "lookup/own-kind_1"}, {"type": "lookup/own-kind_1"}),
        ({"fields": [{"name": "b"}, {"name": "a", "type": "fp64", "label": "A"}]}, {"fields": {"b": {"type": "str"}, "a": {"type": "fp64", "label": "A"}}}),
        ({"description_title": "T", "description_content": "C"}, {"description_title": "T", "description_content": "C"}),
        ({"group": None, "feedPath": None, "default_expiration": None}, {"group": None, "feedPath": None, "default_expiration": None}),
        ({"default_expiration": 0}, {"default_expiration": 0}),
        ({"default_expiration": 90}, {"default_expiration": 90}),
        ({"default_expiration": "90s"}, {"default_expiration": 90}),
        ({"default_expiration": "2m"}, {"default_expiration": 120}),
        ({"default_expiration": "2h"}, {"default_expiration": 7200}),
        ({"default_expiration": "1w"}, {"default_expiration": 604800}),
    ],
)  # fmt: skip
async def test_defaults_and_spellings(editor: Api, given: dict[str, Any], expected: dict[str, Any]):
    await declare(editor, {"name": "new", **given})
    found = await declaration(editor, "new")
    assert {name: found[name] for name in expected} == expected
    assert list(found["fields"]) == list(expected.get("fields", {}))


@pytest.mark.parametrize(
    "given",
    [
        {"name": "Upper"},
        {"name": "a.b"},
        {"name": ""},
        {"name": "-a"},
        {"name": "_a"},
        {"name": "a" * 128},
        {"name": "a*"},
        {"name": "a/../b"},
        {"name": "č"},
        {"type": "lookup/"},
        {"type": "table"},
        {"type": "lookup/A"},
        {"type": "lookup/compoundkey"},
        {"type": "lookup/string", "keys": [{"name": "a", "type": "ip"}]},
        {"type": "lookup/string", "keys": [{"name": "a"}, {"name": "b"}]},
        {"type": "lookup/number", "keys": [{"name": "a", "type": "str"}]},
        {"type": "lookup/ipaddressrange", "keys": [{"name": "a", "type": "ip"}]},
        {"type": "lookup/macaddressrange", "keys": [{"name": "a", "type": "ip"}, {"name": "b", "type": "ip"}]},
        {"keys": []},
        {"keys": [{"name": ""}]},
        {"keys": [{"name": "_a"}]},
        {"keys": [{"name": "a\n"}]},
        {"keys": [{"name": "a"}, {"name": "a"}]},
        {"keys": [{"name": "a", "type": "text"}]},
        {"keys": [{"name": "a"}], "fields": {"a": {}}},
        {"fields": {"a" * 256: {}}},
        {"fields": {"_id": {}}},
        {"fields": {"a": {"type": "int"}}},
        {"fields": [{"name": "a"}, {"name": "a"}]},
        {"default_expiration": -1},
        {"default_expiration": "1y"},
        {"default_expiration": "d"},
    ],
)
async def test_a_rule_that_is_violated(editor: Api, given: dict[str, Any]):
    failed(await editor.post(CONTROL, json={"name": "new"} | given))
    assert told(await editor.get(CONTROL)) == (200, {"data": [], "count": 0})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"label": "x"},
        {"name": 7},
        {"name": None},
        {"name": "new", "label": 7},
        {"name": "new", "label": None},
        {"name": "new", "group": 7},
        {"name": "new", "type": []},
        {"name": "new", "global": "yes"},
        {"name": "new", "keys": {}},
        {"name": "new", "keys": "a"},
        {"name": "new", "keys": ["a"]},
        {"name": "new", "keys": [{"type": "str"}]},
        {"name": "new", "keys": [{"name": 7}]},
        {"name": "new", "fields": 7},
        {"name": "new", "fields": {"a": "str"}},
        {"name": "new", "fields": ["a"]},
        {"name": "new", "descriptionTitle": 7},
        {"name": "new", "description_content": []},
        {"name": "new", "default_expiration": 1.5},
        {"name": "new", "default_expiration": True},
        {"name": "new", "feedPath": 7},
    ],
)
async def test_a_body_that_is_not_of_its_form(editor: Api, body: dict[str, Any]):
    assert erred(await editor.post(CONTROL, json=body), 400).startswith("400: ")


async def test_a_body_without_a_name(editor: Api):
    assert erred(await editor.post(CONTROL, json={}), 400) == "400: data must contain ['name'] properties"


async def test_an_id_that_is_taken(editor: Api, countries: str):
    await write(editor, countries, ["CZ"])
    failed(await editor.post(CONTROL, json={"name": "countries", "label": "other"}), 409)
    assert (await declaration(editor))["label"] == "countries"
    assert await listed(editor, countries) == ["CZ"]


async def test_a_new_lookup_is_empty(reader: Api, countries: str):
    assert told(await reader.get(countries)) == (200, {"data": [], "count": 0})


async def test_a_global_lookup_beside_one_of_a_tenant(world: World):
    caller = world.vouched({TENANT: [ACCESS, EDIT, GLOBAL_EDIT]})
    await declare(caller)
    assert (await caller.post(CONTROL, json=COUNTRIES | {"global": True})).json()["id"] == "countries"
    found = (await caller.get(CONTROL)).json()["data"]
    shown = [(each["id"], each["tenant"], each["global"]) for each in found]
    assert shown == [("countries", None, True), ("countries.standard", "standard", False)]


@pytest.mark.parametrize(
    ("text", "found"), [("GEO", True), ("countries.st", True), ("3600", True), ("titl", True), ("conté", True), ("lookup/string", False), ("%", False)]
)  # fmt: skip
async def test_the_filter_of_lookups(editor: Api, text: str, found: bool):
    more = {"group": "geo", "default_expiration": "1h", "descriptionTitle": "Title", "descriptionContent": "Conté"}
    await declare(editor, **more)
    await declare(editor, {"name": "other"})
    reply = await editor.get(CONTROL, params={"f": text})
    assert [each["name"] for each in reply.json()["data"]] == (["countries"] if found else [])
    assert reply.json()["count"] == int(found)


class TestChanging:
    async def test_what_is_absent_stays(self, editor: Api, countries: str, world: World):
        before = await declaration(editor)
        world.clock.advance(seconds=5)
        assert told(await editor.request("PUT", HERE, json={"label": "New", "default_expiration": "1h"})) == OK
        after = await declaration(editor)
        changed = {"label": "New", "default_expiration": 3600, "_m": before["_m"] + 5, "_v": 2}
        assert after == before | changed

    async def test_the_whole_map_of_fields(self, editor: Api, countries: str):
        await write(editor, countries, ["CZ"], {"name": "Česko", "people": 10})
        assert told(await editor.request("PUT", HERE, json={"fields": {"people": {"type": "ui64"}, "more": {}}})) == OK
        assert await item(editor, countries, "CZ") == {"_id": "CZ", "_keys": ["CZ"], "people": 10}
        assert await listed(editor, countries, "?f=Česko") == []
        failed(await editor.get(f"{countries}/by?field=name&value=x"))

    async def test_a_key_is_renamed(self, editor: Api, countries: str):
        await write(editor, countries, ["CZ"])
        assert told(await editor.request("PUT", HERE, json={"keys": [{"name": "iso2", "type": "str"}]})) == OK
        assert await listed(editor, countries, "/by?field=iso2&value=CZ") == ["CZ"]

    @pytest.mark.parametrize("body", [{"name": "other"}, {"global": True}])
    async def test_what_cannot_be_changed(self, editor: Api, countries: str, body: dict[str, Any]):
        failed(await editor.request("PUT", HERE, json=body))

    async def test_what_is_as_it_was(self, editor: Api, countries: str):
        assert told(await editor.request("PUT", HERE, json={"name": "countries", "global": False})) == OK

    @pytest.mark.parametrize(
        "body",
        [
            {"keys": [{"name": "code", "type": "ui64"}], "type": "lookup"},
            {"keys": [{"name": "code"}, {"name": "b"}], "type": "lookup/compoundkey"},
            {"fields": {"name": {"type": "ui64"}}},
        ],
    )
    async def test_what_needs_an_empty_lookup(self, editor: Api, countries: str, body: dict[str, Any]):
        await write(editor, countries, ["CZ"], {"name": "x"})
        before = await declaration(editor)
        failed(await editor.request("PUT", HERE, json=body), 409)
        assert await declaration(editor) == before
        await editor.delete(f"{HERE}/items")
        assert told(await editor.request("PUT", HERE, json=body)) == OK

    @pytest.mark.parametrize("body", [{"type": "x"}, {"fields": {"code": {}}}, {"type": "lookup/number"}])
    async def test_a_rule_that_is_violated(self, editor: Api, countries: str, body: dict[str, Any]):
        failed(await editor.request("PUT", HERE, json=body))

    async def test_a_body_that_is_not_of_its_form(self, editor: Api, countries: str):
        erred(await editor.request("PUT", HERE, json={"label": 7}), 400)


async def test_deleting(editor: Api, countries: str):
    await write(editor, countries, ["CZ"])
    assert told(await editor.delete(HERE)) == OK
    for reply in (await editor.get(HERE), await editor.get(countries), await editor.delete(HERE)):
        not_found(reply)
    await declare(editor)
    assert await listed(editor, countries) == []


async def test_clearing(editor: Api, countries: str):
    await write(editor, countries, ["CZ"])
    before = await declaration(editor)
    assert told(await editor.delete(f"{HERE}/items")) == OK
    assert told(await editor.delete(f"{HERE}/items")) == OK
    assert await listed(editor, countries) == []
    assert {**await declaration(editor), "_v": 1, "_m": before["_m"]} == {**before, "_v": 1}


async def test_the_vendors_example(editor: Api):
    """§5.1: keys of a range type need not be given."""
    await declare(editor, RANGES)
    assert (await declaration(editor, "ranges"))["schema"]["keys"] == [
        {"name": "range1", "type": "ip"},
        {"name": "range2", "type": "ip"},
    ]
