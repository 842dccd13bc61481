"""Reading and writing items one by one: contract §2 (ids in paths) and §6."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.contract.lookups.declaring import (
    COUNTRIES,
    OK,
    RANGES,
    VENDORS,
    declare,
    erred,
    failed,
    item,
    listed,
    not_found,
    of_id,
    write,
)
from tests.contract.support import Api, World, told

COMPOUND = {"name": "people", "keys": [{"name": "login"}, {"name": "company"}], "fields": {"city": {}}}
PACKED = 9963493229983947706


async def test_an_item(editor: Api, countries: str, world: World):
    await write(editor, countries, ["CZ"], {"location": PACKED, "name": "Czechia"}, _exp=1_900_000_000)
    at = int(world.clock.now.timestamp())
    expected = {"_id": "CZ", "_keys": ["CZ"], "name": "Czechia", "location": PACKED, "_exp": 1_900_000_000}
    expected |= {"_c": at, "_m": at, "_v": 1}
    assert told(await editor.get(f"{countries}/CZ")) == (200, expected)
    assert told(await editor.get(countries)) == (200, {"data": [expected], "count": 1})
    assert told(await editor.get(f"{countries}/by?field=code&value=CZ")) == (200, {"data": [expected], "count": 1})


async def test_geopoints_as_text(editor: Api, countries: str):
    await write(editor, countries, ["CZ"], {"location": PACKED})
    dms = "50°03'51.5091\"N, 14°26'38.1769\"E"
    assert (await item(editor, countries, "CZ", "?geopoint=dms"))["location"] == dms
    for path in (f"{countries}?geopoint=dms", f"{countries}/by?field=_id&value=CZ&geopoint=dms"):
        assert (await editor.get(path)).json()["data"][0]["location"] == dms


# --- ids ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["a/b", "a%2Fb", "a+b", "a b", "100%", "č", "日本", "by", "export", "export_sample", "upload", "import", "items", "a;b?c#d&e=f", "\U0001f600", "x" * 512]
)  # fmt: skip
async def test_an_id_in_a_path(editor: Api, countries: str, key: str):
    assert await write(editor, countries, [key], {"name": "x"}) == key
    shown = {"_id": key, "_keys": [key], "name": "x"}
    if key in {"by", "export", "export_sample"}:
        reply = await editor.get(f"{countries}/by", params={"field": "_id", "value": key})
        assert reply.json()["data"][0]["_id"] == key
    else:
        assert await item(editor, countries, key) == shown
    reply = await editor.request("PUT", of_id(countries, key), json={"fields": {"name": "y"}})
    assert told(reply) == (200, {"result": "OK", "_id": key})
    assert told(await editor.delete(of_id(countries, key))) == OK
    assert await listed(editor, countries) == []


@pytest.mark.parametrize("path", ["%62y", "b%79"])
async def test_a_suffix_is_a_route_even_when_it_is_encoded(editor: Api, countries: str, path: str):
    await write(editor, countries, ["by"])
    failed(await editor.get(f"{countries}/{path}"))


@pytest.mark.parametrize("key", ["x" * 513, "č" * 257, "a\n", "\0", "\x7f", "\x85", ""])
async def test_what_is_no_id(editor: Api, countries: str, key: str):
    failed(await editor.post(countries, json={"keys": [key]}))
    assert await listed(editor, countries) == []


@pytest.mark.parametrize("path", ["a%00b", "%0A", "%FF", "x" * 513, "%E2%80%A8"])
async def test_an_id_that_nothing_can_have(editor: Api, countries: str, path: str):
    not_found(await editor.get(f"{countries}/{path}"))
    not_found(await editor.delete(f"{countries}/{path}"))


@pytest.mark.parametrize(
    ("declaration", "keys", "expected"),
    [
        (COMPOUND, ["JohnDoe", "Company 1"], "9035be88295fb7f582b9109f938dc6eefecd7ccd5d44e9b009185d1ffe78ed95"),
        (RANGES, ["192.168.1.1", "192.168.1.10"], "65a43520eba4b3b28424737bf670bed20f2e16e0ddbd122d49044c0cb4ab60eb"),
        (COMPOUND, ["Škoda", "a,b"], "bb910f977b09e90ab4fb72f1d9e3c5bd35abe29940fa4c6a62849fb5d680d627"),
    ],
)
async def test_ids_of_several_keys(editor: Api, declaration: dict[str, Any], keys: list[str], expected: str):
    path = await declare(editor, declaration)
    assert await write(editor, path, keys) == expected
    assert await item(editor, path, expected) == {"_id": expected, "_keys": keys}


@pytest.mark.parametrize(
    ("kind", "key", "expected", "shown"),
    [
        ("ui64", "+0042", "42", 42),
        ("ui64", 2**64 - 1, "18446744073709551615", 2**64 - 1),
        ("si8", "-7", "-7", -7),
        ("mac", "AABB.CCDD.EEFF", "aa:bb:cc:dd:ee:ff", "aa:bb:cc:dd:ee:ff"),
        ("ip", "::FFFF:10.0.0.1", "10.0.0.1", "10.0.0.1"),
        ("ip", "2001:DB8:0::1", "2001:db8::1", "2001:db8::1"),
        ("bool", "Yes", "true", True),
        ("fp64", "1e1", "10.0", 10.0),
        ("datetime", "2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05Z", "2026-01-02T02:04:05Z"),
        ("geopoint", "0, 0", "9223372039002259456", 9223372039002259456),
    ],
)
async def test_ids_are_canonical(editor: Api, kind: str, key: Any, expected: str, shown: Any):
    path = await declare(editor, {"name": "new", "type": "lookup", "keys": [{"name": "k", "type": kind}]})
    assert await write(editor, path, [key]) == expected
    assert await item(editor, path, expected) == {"_id": expected, "_keys": [shown]}


# --- writing -----------------------------------------------------------------------------------------------------------

R1, R2 = "192.168.1.1", "192.168.1.10"


@pytest.mark.parametrize(
    "keys",
    [
        [{"name": "range2", "value": R2, "type": "ip", "label": "to"}, {"name": "range1", "value": R1}],
        [R1, R2],
        {"range2": R2, "range1": R1},
    ],
)
@pytest.mark.parametrize(
    "fields",
    [
        [
            {"name": "city_name", "value": "Prague"},
            {"name": "location", "value": "50.0643081, 14.443938"},
            {"name": "x", "value": []},
        ],
        {"location": {"lat": 50.0643081, "lon": 14.443938}, "city_name": "Prague", "undeclared": 7},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_the_shapes_of_a_body(editor: Api, method: str, keys: Any, fields: Any):
    path = await declare(editor, RANGES)
    reply = await editor.request(method, path, json={"keys": keys, "fields": fields})
    made = "65a43520eba4b3b28424737bf670bed20f2e16e0ddbd122d49044c0cb4ab60eb"
    assert told(reply) == (200, {"result": "OK", "_id": made})
    expected = {"_id": made, "_keys": [R1, R2], "city_name": "Prague", "location": PACKED}
    assert await item(editor, path, made) == expected


@pytest.mark.parametrize(
    "keys",
    [
        None,
        [],
        [R1],
        [R1, R2, R2],
        [R1, None],
        [R1, ""],
        [R1, "x"],
        {"range1": R1},
        {"range1": R1, "range2": R2, "range3": R2},
        [{"name": "range1", "value": R1}, {"name": "range1", "value": R2}],
        [{"name": "range1", "value": R1}, {"name": "range2"}],
        [R1, [R2]],
        [R1, {"a": R2}],
    ],
)
async def test_keys_that_are_wrong(editor: Api, keys: Any):
    path = await declare(editor, RANGES)
    failed(await editor.post(path, json={} if keys is None else {"keys": keys}))
    assert await listed(editor, path) == []


@pytest.mark.parametrize("body", [{"keys": "CZ"}, {"keys": 7}, {"keys": ["CZ"], "fields": "x"}, {"keys": ["CZ"], "fields": 7}])
async def test_a_body_that_is_not_of_its_form(editor: Api, countries: str, body: dict[str, Any]):
    erred(await editor.post(countries, json=body), 400)
    assert await listed(editor, countries) == []


async def test_a_field_that_does_not_fit_is_named(editor: Api, countries: str):
    assert "people" in failed(await editor.post(countries, json={"keys": ["CZ"], "fields": {"people": "many"}}))


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_what_is_there_is_merged(editor: Api, countries: str, method: str):
    await write(editor, countries, ["CZ"], {"name": "a", "people": 1})
    reply = await editor.request(method, countries, json={"keys": ["CZ"], "fields": {"people": 2, "location": 3}})
    assert told(reply) == (200, {"result": "OK", "_id": "CZ"})
    expected = {"_id": "CZ", "_keys": ["CZ"], "name": "a", "people": 2, "location": 3}
    assert await item(editor, countries, "CZ") == expected
    assert (await editor.get(f"{countries}/CZ")).json()["_v"] == 2


async def test_null_clears_a_field(editor: Api, countries: str):
    await write(editor, countries, ["CZ"], {"name": "a", "people": 1})
    await write(editor, countries, ["CZ"], {"name": None})
    assert await item(editor, countries, "CZ") == {"_id": "CZ", "_keys": ["CZ"], "people": 1}


class TestUpdating:
    @pytest.mark.parametrize("keys", [{}, {"keys": ["CZ"]}])
    async def test_it_is_merged(self, editor: Api, countries: str, keys: dict[str, Any]):
        await write(editor, countries, ["CZ"], {"name": "a", "people": 1})
        reply = await editor.request("PUT", f"{countries}/CZ", json={"fields": {"people": 2}} | keys)
        assert told(reply) == (200, {"result": "OK", "_id": "CZ"})
        assert await item(editor, countries, "CZ") == {"_id": "CZ", "_keys": ["CZ"], "name": "a", "people": 2}

    async def test_it_gets_another_id(self, editor: Api, countries: str):
        await write(editor, countries, ["CZ"], {"name": "a", "people": 1}, _exp=1_900_000_000)
        reply = await editor.request("PUT", f"{countries}/CZ", json={"keys": ["CS"], "fields": {"people": 2}})
        assert told(reply) == (200, {"result": "OK", "_id": "CS"})
        not_found(await editor.get(f"{countries}/CZ"))
        expected = {"_id": "CS", "_keys": ["CS"], "name": "a", "people": 2, "_exp": 1_900_000_000}
        assert await item(editor, countries, "CS") == expected

    async def test_the_other_id_is_taken(self, editor: Api, countries: str):
        await write(editor, countries, ["CZ"], {"name": "a"})
        await write(editor, countries, ["SK"], {"name": "b"})
        failed(await editor.request("PUT", f"{countries}/CZ", json={"keys": ["SK"], "fields": {"name": "c"}}), 409)
        assert (await item(editor, countries, "CZ"))["name"] == "a"
        assert (await item(editor, countries, "SK"))["name"] == "b"

    async def test_it_is_not_there(self, editor: Api, countries: str):
        not_found(await editor.request("PUT", f"{countries}/CZ", json={"fields": {"name": "x"}}))
        assert await listed(editor, countries) == []

    async def test_of_what_is_wrong_nothing_is_kept(self, editor: Api, countries: str):
        await write(editor, countries, ["CZ"], {"name": "a"})
        failed(await editor.request("PUT", f"{countries}/CZ", json={"fields": {"name": "b", "people": -1}}))
        assert (await item(editor, countries, "CZ"))["name"] == "a"


async def test_deleting(editor: Api, countries: str):
    await write(editor, countries, ["CZ"])
    assert told(await editor.delete(f"{countries}/CZ")) == OK
    not_found(await editor.delete(f"{countries}/CZ"))
    not_found(await editor.get(f"{countries}/CZ"))


async def test_two_write_one_item(editor: Api, countries: str):
    """Each field of each is there; nothing of one write is lost."""
    bodies = [{"keys": ["CZ"], "fields": {"name": "a"}}, {"keys": ["CZ"], "fields": {"people": 1}}] * 4
    replies = await asyncio.gather(*(editor.post(countries, json=body) for body in bodies))
    assert [told(reply) for reply in replies] == [(200, {"result": "OK", "_id": "CZ"})] * 8
    assert await item(editor, countries, "CZ") == {"_id": "CZ", "_keys": ["CZ"], "name": "a", "people": 1}


async def test_two_rename_to_one_id(editor: Api, countries: str):
    await write(editor, countries, ["A"])
    await write(editor, countries, ["B"])
    replies = await asyncio.gather(*(editor.request("PUT", f"{countries}/{key}", json={"keys": ["C"]}) for key in ("A", "B")))
    assert sorted(reply.status_code for reply in replies) == [200, 409]
    assert len(await listed(editor, countries)) == 2


# --- by ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("mac", "AA-BB-CC-DD-EE-01", ["aa:bb:cc:dd:ee:01"]),
        ("mac", "aabb.ccdd.ee01", ["aa:bb:cc:dd:ee:01"]),
        ("_id", "aa:bb:cc:dd:ee:01", ["aa:bb:cc:dd:ee:01"]),
        ("vendor", "Acme", ["aa:bb:cc:dd:ee:01"]),
        ("vendor", " Acme ", ["aa:bb:cc:dd:ee:01"]),
        ("vendor", "acme", []),
        ("vendor", "Acm", []),
        ("vendor", "", []),
        ("own", "YES", ["aa:bb:cc:dd:ee:01"]),
        ("score", "15e-1", ["aa:bb:cc:dd:ee:01"]),
        ("seen", "2026-01-01T01:00:00+01:00", ["aa:bb:cc:dd:ee:01"]),
        ("seen", "1767225600", ["aa:bb:cc:dd:ee:01"]),
    ],
)
async def test_by_a_value(editor: Api, field: str, value: str, found: list[str]):
    path = await declare(editor, VENDORS)
    fields = {"vendor": "Acme", "own": True, "score": 1.5, "seen": "2026-01-01T00:00:00Z"}
    await write(editor, path, ["aa:bb:cc:dd:ee:01"], fields)
    await write(editor, path, ["aa:bb:cc:dd:ee:02"], {"vendor": "Other", "own": False, "score": 2})
    reply = await editor.get(f"{path}/by", params={"field": field, "value": value})
    assert ([each["_id"] for each in reply.json()["data"]], reply.json()["count"]) == (found, len(found))


@pytest.mark.parametrize(
    "query",
    ["", "?field=vendor", "?value=x", "?field=nothing&value=x", "?field=_exp&value=1", "?field=mac&value=x", "?field=score&value=", "?field=own&value=maybe", "?field=&value=x"],
)  # fmt: skip
async def test_by_what_is_wrong(editor: Api, query: str):
    path = await declare(editor, VENDORS)
    failed(await editor.get(f"{path}/by{query}"))


@pytest.mark.parametrize("text", ["AA-BB-CC", "aabb.cc", "aabbcc", "aa:bb", "bc.", "vend"])
async def test_the_filter_finds_bare_addresses(editor: Api, text: str):
    path = await declare(editor, VENDORS)
    await write(editor, path, ["aa:bb:cc:dd:ee:ff"], {"vendor": "Vendor bc."})
    assert await listed(editor, path, f"?f={text}") == ["aa:bb:cc:dd:ee:ff"]


async def test_the_filter_does_not_take_addresses_apart(editor: Api):
    path = await declare(editor, RANGES)
    await write(editor, path, ["10.0.0.1", "10.0.0.9"])
    await write(editor, path, ["11.0.0.1", "11.0.0.9"])
    reply = await editor.get(f"{path}?f=10.0.0.")
    assert [each["_keys"] for each in reply.json()["data"]] == [["10.0.0.1", "10.0.0.9"]]


async def test_a_numeric_key_is_found_a_numeric_field_is_not(editor: Api):
    path = await declare(editor, {"name": "numbers", "type": "lookup/number", "fields": {"n": {"type": "ui64"}}})
    await write(editor, path, [1234], {"n": 5678})
    assert await listed(editor, path, "?f=23") == ["1234"]
    assert await listed(editor, path, "?f=67") == []


async def test_countries_with_the_same_name(editor: Api):
    path = await declare(editor, COUNTRIES)
    await write(editor, path, ["A"], {"name": "same"})
    await write(editor, path, ["B"], {"name": "same"})
    assert await listed(editor, path, "/by?field=name&value=same&scode=d") == ["B", "A"]
