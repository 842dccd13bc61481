"""Types of values, geopoints and expiration: contract §5.2, §7 and §8."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.lookups.declaring import declare, failed, item, listed, not_found, write
from tests.contract.support import Api, World, told

PRAGUE = 9963493229983947706


async def of_type(api: Api, kind: str) -> str:
    return await declare(api, {"name": "values", "fields": {"v": {"type": kind}}})


@pytest.mark.parametrize(
    ("kind", "given", "shown"),
    [
        ("str", " a ", " a "),
        ("str", "", ""),
        ("str", 7, "7"),
        ("str", True, "true"),
        ("ui8", 255, 255),
        ("ui8", "7", 7),
        ("ui16", 65535, 65535),
        ("ui32", 2**32 - 1, 2**32 - 1),
        ("ui64", 2**64 - 1, 2**64 - 1),
        ("ui64", "18446744073709551615", 2**64 - 1),
        ("si8", -128, -128),
        ("si16", -32768, -32768),
        ("si32", -(2**31), -(2**31)),
        ("si64", -(2**63), -(2**63)),
        ("si64", 2**63 - 1, 2**63 - 1),
        ("fp64", 1.5, 1.5),
        ("fp64", "1e3", 1000.0),
        ("fp32", 0.5, 0.5),
        ("bool", True, True),
        ("bool", 0, False),
        ("bool", "YES", True),
        ("bool", "false", False),
        ("ip", "10.0.0.1", "10.0.0.1"),
        ("ip", "2001:DB8::0:1", "2001:db8::1"),
        ("ip", "::ffff:1.2.3.4", "1.2.3.4"),
        ("mac", "AA-BB-CC-DD-EE-FF", "aa:bb:cc:dd:ee:ff"),
        ("mac", "aabbccddeeff", "aa:bb:cc:dd:ee:ff"),
        ("mac", 1, "00:00:00:00:00:01"),
        ("datetime", "2026-01-01T00:00:00", "2026-01-01T00:00:00Z"),
        ("datetime", "2026-01-01T00:00:00.5+02:00", "2025-12-31T22:00:00.500000Z"),
        ("datetime", 1767225600, "2026-01-01T00:00:00Z"),
        ("geopoint", PRAGUE, PRAGUE),
        ("geopoint", str(PRAGUE), PRAGUE),
        ("geopoint", "50.0643081, 14.443938", PRAGUE),
        ("geopoint", {"lat": 50.0643081, "lon": 14.443938}, PRAGUE),
        ("geopoint", "50°03'51.5091\"N, 14°26'38.1769\"E", PRAGUE),
        ("geopoint", "50d03\u203251.5091\u2033 n, 14d26\u201938.1769'' e", PRAGUE),
        ("geopoint", "0°N, 0°E", 9223372039002259456),
    ],
)
async def test_a_value(editor: Api, kind: str, given: Any, shown: Any):
    path = await of_type(editor, kind)
    await write(editor, path, ["k"], {"v": given})
    found = (await item(editor, path, "k"))["v"]
    assert (found, type(found)) == (shown, type(shown))


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("str", []),
        ("str", {}),
        ("ui8", 256),
        ("ui8", -1),
        ("ui8", 1.5),
        ("ui8", "x"),
        ("ui8", True),
        ("si8", 128),
        ("si64", 2**63),
        ("fp64", "nan"),
        ("fp64", "inf"),
        ("fp64", "1,5"),
        ("fp64", []),
        ("bool", 2),
        ("bool", "maybe"),
        ("ip", "10.0.0"),
        ("ip", "10.0.0.256"),
        ("ip", 7.5),
        ("mac", "aa:bb:cc"),
        ("mac", 2**48),
        ("mac", -1),
        ("datetime", "yesterday"),
        ("datetime", 10**18),
        ("geopoint", "91, 0"),
        ("geopoint", "0, 181"),
        ("geopoint", str(2**64)),
        ("geopoint", -1),
        ("geopoint", "50°60'N, 0°E"),
        ("geopoint", "0°E, 0°N"),
        ("geopoint", {"lat": 1}),
        ("geopoint", {"lat": "x", "lon": 1}),
        ("geopoint", []),
    ],
)
async def test_a_value_that_does_not_fit(editor: Api, kind: str, given: Any):
    path = await of_type(editor, kind)
    assert "v" in failed(await editor.post(path, json={"keys": ["k"], "fields": {"v": given}}))
    assert await listed(editor, path) == []


@pytest.mark.parametrize("kind", ["str", "ui64", "si64", "fp64", "mac", "datetime", "geopoint"])
@pytest.mark.parametrize("given", [2**64, -(2**63) - 1, 10**30])
async def test_an_integer_of_more_than_64_bits(editor: Api, kind: str, given: int):
    path = await of_type(editor, kind)
    failed(await editor.post(path, json={"keys": ["k"], "fields": {"v": given}}))
    assert await listed(editor, path) == []


@pytest.mark.parametrize(
    ("place", "packed", "dms"),
    [
        ("50.0643081, 14.443938", 9963493229983947706, "50°03'51.5091\"N, 14°26'38.1769\"E"),
        ("-33.8688, 151.2093", 16971481091579100938, "33°52'07.6799\"S, 151°12'33.4801\"E"),
        ("-0.1807, -78.4678", 5202606969981908362, "0°10'50.5200\"S, 78°28'04.0800\"W"),
        ("0, 0", 9223372039002259456, "0°00'00.0000\"N, 0°00'00.0000\"E"),
        ("90, 180", 18446744073709551615, "89°59'59.9998\"N, 179°59'59.9997\"E"),
    ],
)
async def test_the_worked_examples_of_geopoints(editor: Api, place: str, packed: int, dms: str):
    path = await of_type(editor, "geopoint")
    await write(editor, path, ["k"], {"v": place})
    assert (await item(editor, path, "k"))["v"] == packed
    assert (await item(editor, path, "k", "?geopoint=dms"))["v"] == dms
    await write(editor, path, ["again"], {"v": dms})
    assert (await item(editor, path, "again"))["v"] == packed
    for text in (place, dms, str(packed)):
        reply = await editor.get(f"{path}/by", params={"field": "v", "value": text})
        assert [each["_id"] for each in reply.json()["data"]] == ["again", "k"]


# --- expiration --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (1_900_000_000, 1_900_000_000),
        (1_900_000_000.5, 1_900_000_000.5),
        ("1900000000", 1_900_000_000),
        ("2030-03-17T17:46:40", 1_900_000_000),
        ("2030-03-17T18:46:40+01:00", 1_900_000_000),
        (None, None),
        ("", None),
    ],
)
async def test_when_an_item_expires(editor: Api, countries: str, given: Any, shown: Any):
    await write(editor, countries, ["CZ"], _exp=given)
    assert (await item(editor, countries, "CZ")).get("_exp") == shown


@pytest.mark.parametrize("given", ["soon", True, [], {}, "1e400"])
async def test_what_is_no_expiration(editor: Api, countries: str, given: Any):
    failed(await editor.post(countries, json={"keys": ["CZ"], "_exp": given}))


async def test_the_default_expiration(editor: Api, world: World):
    path = await declare(editor, default_expiration="1h")
    at = int(world.clock.now.timestamp())
    await write(editor, path, ["a"])
    await write(editor, path, ["b"], _exp=None)
    await write(editor, path, ["c"], _exp=at + 5000)
    assert (await item(editor, path, "a"))["_exp"] == pytest.approx(at + 3600, abs=1)
    assert "_exp" not in await item(editor, path, "b")
    assert (await item(editor, path, "c"))["_exp"] == at + 5000
    world.clock.advance(minutes=1)
    before = (await item(editor, path, "a"))["_exp"]
    await write(editor, path, ["a"], {"name": "merged"})
    assert (await item(editor, path, "a"))["_exp"] == before


async def test_what_has_expired_is_gone(editor: Api, countries: str, world: World):
    at = int(world.clock.now.timestamp())
    await write(editor, countries, ["CZ"], {"name": "old"}, _exp=at + 10)
    await write(editor, countries, ["SK"])
    world.clock.advance(seconds=9)
    assert await listed(editor, countries) == ["CZ", "SK"]
    world.clock.advance(seconds=1)
    assert await listed(editor, countries) == ["SK"]
    assert await listed(editor, countries, "/by?field=name&value=old") == []
    not_found(await editor.get(f"{countries}/CZ"))
    not_found(await editor.request("PUT", f"{countries}/CZ", json={"fields": {"name": "x"}}))
    not_found(await editor.delete(f"{countries}/CZ"))
    assert "CZ" not in (await editor.get(f"{countries}/export")).text
    await write(editor, countries, ["CZ"], {"people": 1})
    assert await item(editor, countries, "CZ") == {"_id": "CZ", "_keys": ["CZ"], "people": 1}


async def test_what_expires_in_the_past_is_written(editor: Api, countries: str):
    assert told(await editor.post(countries, json={"keys": ["CZ"], "_exp": 1})) == (200, {"result": "OK", "_id": "CZ"})
    assert await listed(editor, countries) == []
