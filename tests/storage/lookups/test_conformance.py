"""What every store of items does, from contract lmio-watcher §4.3, §5.3, §6, §7, §9."""

from __future__ import annotations

import asyncio
import csv
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import Conflict, NotFound, Unavailable
from core.lookups.items import Change, Equal, Item, Query, Sort, Stats, place_of
from resolvers.lookups.csv_reading import CsvRows
from storage.lookups.protocol import CHUNK
from tests.storage.lookups.conftest import NOON, ids, shown

DATA = Path(__file__).parents[3] / "demo" / "lookups"
SAMPLES = Path(__file__).parents[2] / "samples" / "lookups"

EVERY_TYPE = {
    "keys": [{"name": "key", "type": "str"}],
    "fields": {
        "text": {"type": "str"},
        "ui8": {"type": "ui8"},
        "ui64": {"type": "ui64"},
        "si64": {"type": "si64"},
        "fp32": {"type": "fp32"},
        "fp64": {"type": "fp64"},
        "bool": {"type": "bool"},
        "ip": {"type": "ip"},
        "mac": {"type": "mac"},
        "datetime": {"type": "datetime"},
        "geopoint": {"type": "geopoint"},
    },
}
"""A field of each type; of the integers the smallest and the largest."""

RANGES = {"type": "lookup/ipaddressrange", "fields": {"place": {"type": "str"}}}


async def load(stores, name: str, *, delimiter: str = ";", file: str | None = None):
    """One of the sample lookups; the number of its rows."""
    lookup = await stores.declare(json.loads((DATA / f"{name}.declaration.json").read_text()))
    count = 0
    file = file or f"{name}.csv"
    with (DATA / file if (DATA / file).exists() else SAMPLES / file).open("rb") as rows:
        changes = iter(CsvRows(rows, lookup.declaration, delimiter=delimiter))
        while chunk := list(itertools.islice(changes, CHUNK)):
            await stores.store.write(lookup, chunk)
            count += len(chunk)
    return lookup, count


def expected(name: str) -> list[dict]:
    (path,) = SAMPLES.glob(f"{name}.expected*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


# --- one item ----------------------------------------------------------------------------------------------------------


async def test_what_is_written_is_read(stores):
    lookup = await stores.declare(EVERY_TYPE)
    fields = {
        "text": "Škoda \U0001f600\n\t'\"\\ %_*? \x01",
        "ui8": 255,
        "ui64": 2**64 - 1,
        "si64": -(2**63),
        "fp32": 0.1,
        "fp64": 1e300,
        "bool": False,
        "ip": "2001:db8::1",
        "mac": "0a:00:00:00:00:ff",
        "datetime": "2026-11-21T12:00:00.000001Z",
        "geopoint": 9963493229983947706,
    }
    await stores.put(lookup, "a", fields=fields)
    (found,) = await stores.store.get(lookup, ["a"])
    assert found == Item("a", ("a",), fields, None, int(NOON), int(NOON), 1)
    assert [type(value) for value in found.fields.values()] == [type(value) for value in fields.values()]


ENDS = [
    ("str", ""),
    ("str", "x" * 100_000),
    ("ui64", 0),
    ("ui64", 2**53 + 1),
    ("si64", 2**63 - 1),
    ("fp64", 0.0),
    ("fp64", 5.0),
    ("fp64", -1e-300),
    ("fp64", 123456789012345680.0),
    ("bool", True),
    ("ip", "10.0.0.1"),
    ("ip", "::"),
    ("ip", "::102:304"),
    ("datetime", "0001-01-01T00:00:00Z"),
    ("datetime", "9999-12-31T23:59:59.999999Z"),
    ("geopoint", 2**64 - 1),
]


async def test_values_at_their_ends(stores):
    lookup = await stores.declare(fields={f"f{at}": {"type": kind} for at, (kind, _) in enumerate(ENDS)})
    wanted = {f"f{at}": value for at, (_, value) in enumerate(ENDS)}
    await stores.put(lookup, "a", fields=wanted)
    (found,) = await stores.store.get(lookup, ["a"])
    assert found.fields == wanted
    assert [type(value) for value in found.fields.values()] == [type(value) for value in wanted.values()]


async def test_items_come_in_the_order_of_their_ids_asked(stores):
    lookup = await stores.declare()
    for key in ("b", "a/ü", "'; DROP TABLE x; --", "100%"):
        await stores.put(lookup, key)
    found = await stores.store.get(lookup, ["100%", "none", "b", "a/ü", "b", "'; DROP TABLE x; --"])
    assert [item and item.id for item in found] == ["100%", None, "b", "a/ü", "b", "'; DROP TABLE x; --"]
    assert await stores.store.get(lookup, []) == []


async def test_an_id_that_nothing_can_have_is_not_found_in_any_plan(stores):
    lookup = await stores.declare()
    await stores.store.write(lookup, [stores.change_of(lookup, f"{at:04}") for at in range(1_000)])
    for ask in (["a\0b"], ["a\0b", "0007"], ["0007", "\0"]):
        found = await stores.store.get(lookup, ask)
        assert [item and item.id for item in found] == [each if each == "0007" else None for each in ask]
    with pytest.raises(NotFound):
        await stores.store.delete(lookup, "a\0b")


async def test_a_second_write_merges(stores):
    lookup = await stores.declare(fields={"a": {}, "b": {}, "c": {}})
    await stores.put(lookup, "x", fields={"a": "1", "b": "2"}, _exp=NOON + 60)
    stores.now += 5
    await stores.put(lookup, "x", fields={"b": "3", "c": "4", "a": None})
    (found,) = await stores.store.get(lookup, ["x"])
    assert found == Item("x", ("x",), {"b": "3", "c": "4"}, NOON + 60, int(NOON), int(NOON) + 5, 2)
    await stores.put(lookup, "x", _exp=None)
    (found,) = await stores.store.get(lookup, ["x"])
    assert (found.expires_at, found.version) == (None, 3)


async def test_an_update_merges(stores):
    lookup = await stores.declare(fields={"a": {}, "b": {}})
    await stores.put(lookup, "x", fields={"a": "1"})
    stores.now += 1
    await stores.store.update(lookup, "x", stores.change_of(lookup, "x", fields={"b": "2"}, _exp=NOON + 9.5))
    (found,) = await stores.store.get(lookup, ["x"])
    assert found == Item("x", ("x",), {"a": "1", "b": "2"}, NOON + 9.5, int(NOON), int(NOON) + 1, 2)


async def test_an_update_of_nothing_is_refused(stores):
    lookup = await stores.declare()
    with pytest.raises(NotFound):
        await stores.store.update(lookup, "x", Change("x"))
    assert await stores.store.count(lookup) == 0


async def test_an_item_gets_another_id_in_one_step(stores):
    lookup = await stores.declare(fields={"a": {}, "b": {}})
    await stores.put(lookup, "old", fields={"a": "1"})
    await stores.store.update(lookup, "old", stores.change_of(lookup, "new", keys=["new"], fields={"b": "2"}))
    assert [shown(item) for item in await stores.store.page(lookup, limit=10)] == [
        {"_id": "new", "_keys": ["new"], "a": "1", "b": "2"}
    ]
    assert ids(await stores.store.page(lookup, Query("old"), limit=10)) == []
    assert ids(await stores.store.page(lookup, Query("new"), limit=10)) == ["new"]


async def test_an_id_that_is_taken_is_not_given_away(stores):
    lookup = await stores.declare(fields={"a": {}})
    await stores.put_all(lookup, ("x", {"a": "1"}), ("y", {"a": "2"}))
    before = await stores.store.page(lookup, limit=10)
    with pytest.raises(Conflict):
        await stores.store.update(lookup, "x", stores.change_of(lookup, "y", keys=["y"], fields={"a": "3"}))
    assert await stores.store.page(lookup, limit=10) == before


async def test_an_id_whose_item_has_expired_is_free(stores):
    lookup = await stores.declare(fields={"a": {}})
    await stores.put(lookup, "y", fields={"a": "2"}, _exp=NOON - 1)
    await stores.put(lookup, "x")
    await stores.store.update(lookup, "x", stores.change_of(lookup, "y", keys=["y"]))
    assert [shown(item) for item in await stores.store.page(lookup, limit=10)] == [{"_id": "y", "_keys": ["y"]}]


async def test_a_deletion(stores):
    lookup = await stores.declare()
    await stores.put_all(lookup, ("x", {}), ("y", {}))
    await stores.store.delete(lookup, "x")
    assert ids(await stores.store.page(lookup, limit=10)) == ["y"]
    assert await stores.store.page(lookup, Query("x"), limit=10) == []
    for gone in ("x", "never"):
        with pytest.raises(NotFound):
            await stores.store.delete(lookup, gone)


# --- many items --------------------------------------------------------------------------------------------------------


async def test_rows_of_one_id_merge_in_their_order(stores):
    lookup = await stores.declare(fields={"a": {}, "b": {}})
    rows = [Change("x", ("x",), {"a": "1", "b": "1"}), Change("y", ("y",)), Change("x", ("x",), {"a": "2"})]
    await stores.store.write(lookup, rows)
    assert [shown(item) for item in await stores.store.page(lookup, limit=10)] == [
        {"_id": "x", "_keys": ["x"], "a": "2", "b": "1"},
        {"_id": "y", "_keys": ["y"]},
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "file", "delimiter"),
    [
        ("countries", "countries.csv", ";"),
        ("countries", "countries_comma.csv", ","),
        ("macvendors", "macvendors.csv", ";"),
        ("ipgeo", "ipgeo.csv", ";"),
    ],
)
async def test_sample_lookups(stores, name, file, delimiter):
    lookup, count = await load(stores, name, file=file, delimiter=delimiter)
    wanted = expected(name)
    assert [shown(item) for item in await stores.store.get(lookup, [each["_id"] for each in wanted])] == wanted
    assert await stores.store.count(lookup) == count


async def test_the_walk_gives_each_item_once_by_id(stores):
    lookup = await stores.declare()
    names = [f"{number:04}" for number in range(250)]
    await stores.store.write(lookup, [Change(name, (name,)) for name in reversed(names)])
    batches = [batch async for batch in stores.store.walk(lookup, batch=100)]
    assert [len(batch) for batch in batches] == [100, 100, 50]
    assert [item.id for batch in batches for item in batch] == names


async def test_a_compound_item_that_came_by_its_id_alone(stores):
    lookup = await stores.declare(keys=[{"name": "a"}, {"name": "b"}], fields={"x": {}})
    await stores.store.write(lookup, [Change("mine", None, {"x": "1"})])
    (found,) = await stores.store.get(lookup, ["mine"])
    assert (found.keys, found.fields) == ((), {"x": "1"})
    assert ids(await stores.store.page(lookup, Query("min", sorts=(Sort("a"),)), limit=5)) == ["mine"]
    await stores.store.write(lookup, [Change("mine", ("k", "l"))])
    await stores.store.write(lookup, [Change("mine", None, {"x": "2"})])
    (found,) = await stores.store.get(lookup, ["mine"])
    assert (found.keys, found.fields) == (("k", "l"), {"x": "2"})


async def test_statistics(stores):
    lookup = await stores.declare(fields={"a": {}})
    assert await stores.store.stats(lookup) == Stats(0, 0, 0)
    await stores.put_all(lookup, ("x", {"a": "1" * 1000}), ("y", {}))
    await stores.put(lookup, "z", _exp=NOON + 1)
    await stores.put(lookup, "expired", _exp=NOON)
    found = await stores.store.stats(lookup)
    assert (found.items, found.expiring) == (3, 1)
    assert 1000 < found.bytes < 10_000


# --- uploads -----------------------------------------------------------------------------------------------------------


async def chunked(*chunks: list[Change]) -> AsyncIterator[list[Change]]:
    for each in chunks:
        yield each


async def stored(stores, lookup) -> list[tuple[str, dict[str, Any], int]]:
    return [(item.id, dict(item.fields), item.version) for item in await stores.store.page(lookup, limit=1_000)]


async def test_an_upload_is_seen_when_it_returns(stores):
    lookup = await stores.declare(fields={"a": {}})
    await stores.store.upload(lookup, chunked([Change("x", ("x",), {"a": "1"})], [Change("y", ("y",), {"a": "2"})]))
    assert await stored(stores, lookup) == [("x", {"a": "1"}, 1), ("y", {"a": "2"}, 1)]
    assert await stores.store.count(lookup, Query("2")) == 1


async def test_an_upload_of_nothing(stores):
    lookup = await stores.declare()
    await stores.store.upload(lookup, chunked())
    assert await stores.store.count(lookup) == 0


async def test_an_upload_keeps_the_order_of_rows_of_one_id(stores):
    lookup = await stores.declare(fields={"a": {}, "b": {}})
    rows = [Change("x", ("x",), {"a": f"{at}"}) for at in range(6)]
    await stores.store.upload(lookup, chunked(rows[:2], rows[2:5], [rows[5], Change("x", None, {"b": "last"})]))
    assert await stored(stores, lookup) == [("x", {"a": "5", "b": "last"}, 7)]


async def test_an_upload_merges_into_what_is_there(stores):
    lookup = await stores.declare(fields={"a": {}, "b": {}})
    names = [f"{at}" for at in range(8)]
    await stores.store.write(lookup, [Change(name, (name,), {"a": "old", "b": "old"}) for name in names[2:]])
    changes = [Change(name, (name,), {"a": "new"}) for name in names]
    await stores.store.upload(lookup, chunked(changes[:2], changes[2:5], changes[5:]))
    assert await stored(stores, lookup) == [
        *((name, {"a": "new"}, 1) for name in names[:2]),
        *((name, {"a": "new", "b": "old"}, 2) for name in names[2:]),
    ]


async def test_an_upload_replaces_what_has_expired(stores):
    lookup = await stores.declare(fields={"a": {}, "b": {}})
    await stores.store.write(lookup, [Change("x", ("x",), {"a": "old"}, NOON + 5)])
    stores.now += 10
    await stores.store.upload(lookup, chunked([Change("x", ("x",), {"b": "new"})]))
    assert await stored(stores, lookup) == [("x", {"b": "new"}, 1)]


async def test_what_an_upload_wrote_before_it_failed_is_seen(stores):
    lookup = await stores.declare(fields={"a": {}})

    async def chunks() -> AsyncIterator[list[Change]]:
        yield [Change("x", ("x",), {"a": "found"})]
        yield [Change("y", ("y",))]
        raise Unavailable("the file ends here")

    with pytest.raises(Unavailable, match="the file ends here"):
        await stores.store.upload(lookup, chunks())
    assert [each[0] for each in await stored(stores, lookup)] == ["x", "y"]
    assert await stores.store.count(lookup, Query("found")) == 1


async def test_an_upload_into_a_lookup_that_is_cleared_meanwhile(stores):
    lookup = await stores.declare()

    async def chunks() -> AsyncIterator[list[Change]]:
        for at in range(6):
            yield [Change(f"{at}", (f"{at}",))]
            if at == 3:
                await stores.store.clear(lookup)

    await stores.store.upload(lookup, chunks())
    assert [each[0] for each in await stored(stores, lookup)][-2:] == ["4", "5"]
    assert await stores.store.count(lookup) in {2, 3}  # that one may still have been under way


async def test_an_upload_into_a_lookup_that_is_deleted_or_changed_meanwhile(stores):
    gone, changed = await stores.declare(), await stores.declare({"name": "others"}, fields={"a": {}})

    async def chunks(meanwhile: Callable[[], Awaitable[object]]) -> AsyncIterator[list[Change]]:
        for at in range(4):
            yield [Change(f"{at}", (f"{at}",))]
            if at == 1:
                await meanwhile()

    with pytest.raises(NotFound):
        await stores.store.upload(gone, chunks(lambda: stores.remove(gone)))
    with pytest.raises(Conflict):
        await stores.store.upload(changed, chunks(lambda: stores.change(changed, fields={"b": {}})))


async def test_two_uploads_at_once(stores):
    lookup = await stores.declare(fields={"a": {}, "b": {}})
    names = [f"{at:02}" for at in range(40)]

    def of(field: str) -> AsyncIterator[list[Change]]:
        changes = [Change(name, (name,), {field: name}) for name in names]
        return chunked(*(changes[begin : begin + 10] for begin in range(0, 40, 10)))

    await asyncio.gather(*(stores.store.upload(lookup, of(field)) for field in ("a", "b")))
    assert await stored(stores, lookup) == [(name, {"a": name, "b": name}, 2) for name in names]


# --- order and pages ---------------------------------------------------------------------------------------------------

ORDERS = {
    "text": ["", "A", "Z", "a", "b", "ä", "\ue000", "\U0001f600"],
    "ui8": [0, 9, 10, 255],
    "ui64": [0, 9, 10, 2**63, 2**64 - 1],
    "si64": [-(2**63), -10, -9, 0, 9, 2**63 - 1],
    "fp64": [-1e300, -2.5, 0.0, 1e-300, 9.0, 10.0, 1e300],
    "bool": [False, True],
    "ip": ["::", "9.0.0.1", "10.0.0.1", "192.168.1.1", "2001:db8::1", "fe80::1"],
    "mac": ["00:00:00:00:00:01", "02:00:00:00:00:00", "ff:00:00:00:00:00"],
    "datetime": ["0999-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.500000Z", "2026-01-01T00:00:01Z"],
    "geopoint": [0, 9223372039002259456, 18446744073709551615],
}


@pytest.mark.parametrize("field", ORDERS)
async def test_fields_sort_by_value_and_what_is_not_set_comes_last(stores, field):
    lookup = await stores.declare(EVERY_TYPE)
    values = ORDERS[field]
    names = [chr(ord("z") - at) for at in range(len(values))]
    await stores.put_all(
        lookup, *((name, {field: value}) for name, value in zip(names, values, strict=True)), ("n", {}), ("m", {})
    )
    for descending, wanted in ((False, names), (True, names[::-1])):
        query = Query(sorts=(Sort(field, descending),))
        assert ids(await stores.store.page(lookup, query, limit=50)) == [*wanted, "m", "n"]


async def test_keys_sort_by_value(stores):
    lookup = await stores.declare(type="lookup", keys=[{"name": "net", "type": "ip"}, {"name": "port", "type": "ui16"}])
    made = [await stores.put(lookup, *parts) for parts in (("10.0.0.1", 80), ("9.0.0.1", 443), ("9.0.0.1", 80), ("::1", 8080))]
    query = Query(sorts=(Sort("net"), Sort("port", descending=True)))
    assert ids(await stores.store.page(lookup, query, limit=10)) == [made[3], made[1], made[2], made[0]]
    query = Query(sorts=(Sort("port"), Sort("net")))
    assert ids(await stores.store.page(lookup, query, limit=10)) == [made[2], made[0], made[1], made[3]]


async def test_the_id_and_the_expiration_sort(stores):
    lookup = await stores.declare()
    for name, expires in (("b", NOON + 5), ("a", None), ("c", NOON + 1.5), ("B", NOON + 5)):
        await stores.put(lookup, name, _exp=expires)
    assert ids(await stores.store.page(lookup, limit=10)) == ["B", "a", "b", "c"]
    assert ids(await stores.store.page(lookup, Query(sorts=(Sort("_id", descending=True),)), limit=10)) == ["c", "b", "a", "B"]
    assert ids(await stores.store.page(lookup, Query(sorts=(Sort("_exp"),)), limit=10)) == ["c", "B", "b", "a"]
    assert ids(await stores.store.page(lookup, Query(sorts=(Sort("_exp", descending=True),)), limit=10)) == ["B", "b", "c", "a"]


async def test_pages_by_offset(stores):
    lookup = await stores.declare()
    await stores.store.write(lookup, [Change(name, (name,)) for name in "abcde"])
    assert ids(await stores.store.page(lookup, limit=2)) == ["a", "b"]
    assert ids(await stores.store.page(lookup, limit=2, offset=4)) == ["e"]
    assert ids(await stores.store.page(lookup, limit=2, offset=6)) == []


@pytest.mark.parametrize("field", ["text", "ui64", "fp64", "bool", "ip", "datetime", "_exp", "_id"])
@pytest.mark.parametrize("descending", [False, True])
async def test_pages_by_place_give_each_item_once_in_both_directions(stores, field, descending):
    lookup = await stores.declare(EVERY_TYPE)
    values = [*ORDERS.get(field, []), None]
    for at in range(10):
        value = values[at // 2 % len(values)]
        expires = [NOON + 1, NOON + 2.5, None][at % 3]
        await stores.put(lookup, f"{at}", fields={field: value}, _exp=expires)
    query = Query(sorts=(Sort(field, descending), Sort("_exp")))
    whole = await stores.store.page(lookup, query, limit=50)
    assert len(whole) == 10
    for backward in (False, True):
        found, place = [], None
        while True:
            page = await stores.store.page(lookup, query, limit=3, place=place, backward=backward)
            if not page:
                break
            found = [*page, *found] if backward else [*found, *page]
            place = place_of(page[0 if backward else -1], lookup.declaration, query.sorts)
        assert ids(found) == ids(whole)


# --- what is looked for ------------------------------------------------------------------------------------------------


@pytest.fixture
async def texts(stores):
    lookup = await stores.declare(
        keys=[{"name": "number", "type": "ui64"}],
        type="lookup/number",
        fields={
            "text": {"type": "str"},
            "other": {"type": "str"},
            "ip": {"type": "ip"},
            "mac": {"type": "mac"},
            "count": {"type": "ui32"},
            "bool": {"type": "bool"},
            "at": {"type": "datetime"},
        },
    )
    await stores.put_all(
        lookup,
        (1001, {"text": "Česko", "other": "republika"}),
        (1002, {"text": '100% *sure*? a_b \\ "quoted" it\'s', "other": "x\ny"}),
        (1003, {"ip": "10.0.0.17", "mac": "aa:bb:cc:dd:ee:0f"}),
        (1004, {"text": "xaabbccx", "count": 777777, "bool": True, "at": "2026-01-01T00:00:00Z"}),
        (1005, {"text": "STRASSE", "other": "ab"}),
        (1006, {"text": "cd", "ip": "2001:db8::abcd"}),
    )
    return lookup


FILTERS = {
    "ČES": [1001],
    "čESKO": [1001],
    "  česk\t": [1001],
    "ces": [],
    "": [1001, 1002, 1003, 1004, 1005, 1006],
    "   ": [1001, 1002, 1003, 1004, 1005, 1006],
    "straße": [1005],
    "Strasse": [1005],
    "100%": [1002],
    "%": [1002],
    "*": [1002],
    "*sure*?": [1002],
    "s?re": [],
    "s_re": [],
    "a_b": [1002],
    "_": [1002],
    "\\": [1002],
    "\\ ": [1002],
    '"quoted"': [1002],
    '" OR "': [],
    "it's": [1002],
    "x\ny": [1002],
    "č": [1001],
    "100": [1001, 1002, 1003, 1004, 1005, 1006],
    "1003": [1003],
    "777777": [],
    "true": [],
    "2026": [],
    "skorep": [],
    "abcd": [1006],
    "10.0.0.": [1003],
    "0.0.17": [1003],
    "2001:DB8": [1006],
    "aa:bb:cc": [1003],
    "AA-BB-CC": [1003],
    "aabb.cc": [1003],
    "aabb.": [1003],
    "aabbcc": [1003, 1004],
    "ee0f": [1003],
    "ee-0F": [1003],
    "f": [1003],
    "e-0": [1003],
    "aabbccddee0f": [1003],
    "aabbccddee0fa": [],
    "nothing here": [],
}


async def test_the_filter(stores, texts):
    found = {text: await stores.store.page(texts, Query(text), limit=50) for text in FILTERS}
    assert {text: [item.keys[0] for item in items] for text, items in found.items()} == FILTERS
    assert {text: await stores.store.count(texts, Query(text)) for text in FILTERS} == {
        text: len(ids) for text, ids in FILTERS.items()
    }


async def test_a_match_spans_no_two_values(stores):
    lookup = await stores.declare(fields={"a": {}, "b": {}})
    await stores.put(lookup, "k", fields={"a": "left", "b": "right"})
    for text in ("leftright", "left right", "left\x1fright", "kleft"):
        assert await stores.store.count(lookup, Query(text)) == 0


async def test_the_filter_looks_into_digests(stores):
    lookup = await stores.declare(keys=[{"name": "a"}, {"name": "b"}])
    made = await stores.put(lookup, "JohnDoe", "Company 1")
    assert made == "9035be88295fb7f582b9109f938dc6eefecd7ccd5d44e9b009185d1ffe78ed95"
    for text in ("9035BE88", "e7", "8ed95", "john", "company"):
        assert ids(await stores.store.page(lookup, Query(text), limit=5)) == [made]
    assert await stores.store.count(lookup, Query("9035be89")) == 0


async def test_the_filter_follows_changes(stores):
    lookup = await stores.declare(fields={"a": {}})
    await stores.put(lookup, "k", fields={"a": "before"})
    await stores.put(lookup, "k", fields={"a": "afterwards"})
    assert await stores.store.count(lookup, Query("before")) == 0
    assert await stores.store.count(lookup, Query("afterw")) == 1
    await stores.put(lookup, "k", fields={"a": None})
    assert await stores.store.count(lookup, Query("afterw")) == 0


async def test_the_filter_stays_in_its_lookup(stores):
    lookup, other = await stores.declare(), await stores.declare(tenant="other")
    await stores.put(lookup, "shared text")
    await stores.put(other, "shared text")
    assert await stores.store.count(lookup, Query("shared")) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", "Škoda \U0001f600"),
        ("text", "x"),
        ("ui8", 7),
        ("ui64", 2**64 - 1),
        ("si64", -(2**63)),
        ("fp32", 0.1),
        ("fp64", 2.5),
        ("bool", True),
        ("ip", "10.0.0.1"),
        ("mac", "0a:00:00:00:00:ff"),
        ("datetime", "2026-11-21T12:00:00Z"),
        ("geopoint", 9963493229983947706),
        ("key", "here"),
        ("_id", "here"),
    ],
)
async def test_values_are_found_exactly(stores, field, value):
    lookup = await stores.declare(EVERY_TYPE)
    await stores.put(lookup, "here", fields={} if field in {"key", "_id"} else {field: value})
    await stores.put(lookup, "Here", fields={"text": "ŠKODA \U0001f600 and more", "ip": "10.0.0.10", "bool": False, "ui8": 8})
    query = Query(equals=(Equal(field, value),))
    assert ids(await stores.store.page(lookup, query, limit=5)) == ["here"]
    assert await stores.store.count(lookup, query) == 1


async def test_conditions_are_all_met(stores):
    lookup = await stores.declare(fields={"a": {}, "b": {"type": "ui8"}})
    await stores.put_all(lookup, ("x1", {"a": "same", "b": 1}), ("x2", {"a": "same", "b": 2}), ("y1", {"a": "same", "b": 1}))
    query = Query("x", (Equal("a", "same"), Equal("b", 1)), (Sort("b"),))
    assert ids(await stores.store.page(lookup, query, limit=5)) == ["x1"]
    assert await stores.store.count(lookup, query) == 1


async def test_parts_of_keys_are_found(stores):
    lookup = await stores.declare(type="lookup/ipaddressrange")
    one = await stores.put(lookup, "10.0.0.0", "10.0.0.255")
    await stores.put(lookup, "10.0.1.0", "10.0.1.255")
    for name, value in (("range1", "10.0.0.0"), ("range2", "10.0.0.255")):
        assert ids(await stores.store.page(lookup, Query(equals=(Equal(name, value),)), limit=5)) == [one]


async def test_a_key_is_found_whatever_the_id(stores):
    lookup = await stores.declare()
    await stores.store.write(lookup, [Change("a", ("a",)), Change("other", ("b",)), Change("c", ("d",))])
    assert ids(await stores.store.page(lookup, Query(equals=(Equal("key", "b"),)), limit=5)) == ["other"]
    assert await stores.store.count(lookup, Query(equals=(Equal("key", "c"),))) == 0
    found = await stores.store.find(lookup, [("b",), ("a",), ("c",), ("d",), ("none",), ("a",)])
    assert [item and item.id for item in found] == ["other", "a", None, "c", None, "a"]


async def test_compound_keys_are_found(stores):
    lookup = await stores.declare(keys=[{"name": "a"}, {"name": "b", "type": "ui8"}])
    one = await stores.put(lookup, "x", 1)
    assert [item and item.id for item in await stores.store.find(lookup, [("x", 2), ("x", 1)])] == [None, one]


# --- ranges ------------------------------------------------------------------------------------------------------------


async def test_addresses_are_found_in_their_ranges(stores):
    lookup = await stores.declare(RANGES)
    for first, last, place in (
        ("10.0.0.0", "10.255.255.255", "all of ten"),
        ("10.1.0.0", "10.1.255.255", "inside"),
        ("10.1.0.5", "10.1.0.5", "one address"),
        ("0.0.0.0", "0.0.0.255", "the beginning"),
        ("255.255.255.255", "255.255.255.255", "the end"),
        ("2001:db8::", "2001:db8::ffff", "six"),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "the last"),
        ("20.0.0.9", "20.0.0.1", "nothing"),
    ):
        await stores.put(lookup, first, last, fields={"place": place})
    asked = {
        "9.255.255.255": None,
        "10.0.0.0": "all of ten",
        "10.1.0.0": "inside",
        "10.1.0.5": "one address",
        "10.1.0.6": "inside",
        "10.255.255.255": "all of ten",
        "11.0.0.0": None,
        "0.0.0.0": "the beginning",
        "0.0.1.0": None,
        "255.255.255.255": "the end",
        "255.255.255.254": None,
        "::": None,
        "2001:db8::1": "six",
        "2001:db8::1:0": None,
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "the last",
        "20.0.0.5": None,
    }
    found = await stores.store.find(lookup, [(address,) for address in asked])
    assert dict(zip(asked, [item and item.fields["place"] for item in found], strict=True)) == asked


async def test_of_overlapping_ranges_the_one_that_begins_last(stores):
    lookup = await stores.declare(RANGES)
    for first, last in (
        ("10.0.0.0", "10.0.0.9"),
        ("10.0.0.2", "10.0.0.20"),
        ("10.0.0.2", "10.0.0.6"),
        ("10.0.0.7", "10.0.0.7"),
    ):
        await stores.put(lookup, first, last, fields={"place": f"{first}-{last}"})
    found = await stores.store.find(lookup, [("10.0.0.4",), ("10.0.0.7",), ("10.0.0.8",), ("10.0.0.1",)])
    assert [item and item.fields["place"] for item in found] == [
        "10.0.0.2-10.0.0.6",
        "10.0.0.7-10.0.0.7",
        "10.0.0.2-10.0.0.20",
        "10.0.0.0-10.0.0.9",
    ]


@pytest.mark.slow
async def test_mac_ranges(stores):
    lookup, _ = await load(stores, "macvendors")
    found = await stores.store.find(lookup, [("02:01:4f:12:34:56",), ("ff:ff:ff:ff:ff:ff",), ("02:04:fe:00:00:00",)])
    assert [item and item.fields["manufacturer"] for item in found] == ["Helios Systems GmbH", None, "Wren Telecom GmbH"]


async def test_many_addresses_at_once(stores):
    lookup, _ = await load(stores, "ipgeo")
    with (DATA / "ipgeo.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter=";") if ":" not in row["_keys"]][:120]
    asked = [(row["_keys"].split(",")[1].strip(),) for row in rows]
    found = await stores.store.find(lookup, asked)
    assert [item and item.fields["city_name"] for item in found] == [row["city_name"] for row in rows]


# --- expiration --------------------------------------------------------------------------------------------------------


async def test_an_expired_item_is_nowhere(stores):
    lookup = await stores.declare(RANGES)
    gone = await stores.put(lookup, "10.0.0.0", "10.0.0.9", fields={"place": "here"}, _exp=NOON + 1.5)
    stores.now = NOON + 1.4
    assert ids(await stores.store.page(lookup, limit=5)) == [gone]
    stores.now = NOON + 1.5
    assert await stores.store.get(lookup, [gone]) == [None]
    assert await stores.store.find(lookup, [("10.0.0.1",)]) == [None]
    assert await stores.store.page(lookup, limit=5) == []
    assert await stores.store.page(lookup, Query("here"), limit=5) == []
    assert await stores.store.page(lookup, Query(equals=(Equal("place", "here"),)), limit=5) == []
    assert await stores.store.count(lookup) == 0
    assert [batch async for batch in stores.store.walk(lookup)] == []
    assert await stores.store.stats(lookup) == Stats(0, 0, 0)
    with pytest.raises(NotFound):
        await stores.store.update(lookup, gone, Change(gone))
    with pytest.raises(NotFound):
        await stores.store.delete(lookup, gone)


async def test_nothing_of_an_expired_item_is_merged_in(stores):
    lookup = await stores.declare(fields={"a": {}, "b": {}})
    await stores.put(lookup, "x", fields={"a": "1"}, _exp=NOON + 1)
    stores.now = NOON + 2
    await stores.put(lookup, "x", fields={"b": "2"})
    assert await stores.store.get(lookup, ["x"]) == [Item("x", ("x",), {"b": "2"}, None, int(NOON) + 2, int(NOON) + 2, 1)]


async def test_new_items_live_as_long_as_is_declared(stores):
    lookup = await stores.declare(default_expiration="1m")
    await stores.put(lookup, "a")
    await stores.put(lookup, "b", _exp=None)
    await stores.put(lookup, "c", _exp=NOON + 5)
    stores.now += 10
    await stores.put(lookup, "a")
    assert [item and item.expires_at for item in await stores.store.get(lookup, ["a", "b", "c"])] == [NOON + 60, None, None]


async def test_what_has_expired_is_removed(stores):
    lookup = await stores.declare()
    await stores.store.write(lookup, [Change(f"{at}", (f"{at}",), {}, NOON + 1) for at in range(1500)])
    await stores.put(lookup, "stays", _exp=NOON + 100)
    assert await stores.store.purge() == 0
    stores.now = NOON + 1
    assert await stores.store.purge() == 1500
    assert await stores.store.purge() == 0
    stores.now = NOON
    assert ids(await stores.store.page(lookup, limit=5)) == ["stays"]


# --- whole lookups -----------------------------------------------------------------------------------------------------


async def test_a_clear_leaves_the_lookup_empty(stores):
    lookup = await stores.declare()
    await stores.put_all(lookup, ("x", {}), ("y", {}))
    await stores.store.clear(lookup)
    assert await stores.store.page(lookup, limit=5) == []
    assert await stores.store.get(lookup, ["x"]) == [None]
    assert await stores.store.count(lookup, Query("x")) == 0
    await stores.store.clear(lookup)
    await stores.put(lookup, "z")
    await stores.store.purge()
    assert ids(await stores.store.page(lookup, limit=5)) == ["z"]


async def test_a_lookup_of_the_same_id_begins_empty(stores):
    lookup = await stores.declare()
    await stores.put(lookup, "x")
    await stores.remove(lookup)
    again = await stores.declare()
    assert (again.id, await stores.store.page(again, limit=5)) == (lookup.id, [])
    await stores.put(again, "y")
    await stores.store.purge()
    assert ids(await stores.store.page(again, limit=5)) == ["y"]


async def test_nobody_writes_into_a_lookup_that_is_gone(stores):
    lookup = await stores.declare()
    await stores.put(lookup, "x")
    await stores.remove(lookup)
    again = await stores.declare()
    for write in (
        stores.store.write(lookup, [Change("x", ("x",))]),
        stores.store.update(lookup, "x", Change("x")),
        stores.store.delete(lookup, "x"),
        stores.store.clear(lookup),
    ):
        with pytest.raises(NotFound):
            await write
    assert await stores.store.count(again) == 0


async def test_dropped_fields_vanish_and_come_back_empty(stores):
    lookup = await stores.declare(fields={"a": {"type": "str"}, "b": {"type": "str"}, "c": {"type": "ui8"}})
    await stores.put(lookup, "x", fields={"a": "alpha", "b": "beta", "c": 1})
    lookup = await stores.change(lookup, fields={"c": {"type": "ui8"}, "b": {"type": "str"}})
    (found,) = await stores.store.page(lookup, limit=5)
    assert (list(found.fields.items()), found.version) == ([("c", 1), ("b", "beta")], 1)
    assert [await stores.store.count(lookup, Query(text)) for text in ("alpha", "al", "beta")] == [0, 0, 1]
    lookup = await stores.change(lookup, fields={"a": {"type": "ui8"}, "b": {"type": "str"}})
    (found,) = await stores.store.page(lookup, Query(sorts=(Sort("a"),)), limit=5)
    assert found.fields == {"b": "beta"}
    await stores.put(lookup, "x", fields={"a": 7})
    assert ids(await stores.store.page(lookup, Query("bet", (Equal("a", 7),)), limit=5)) == ["x"]


async def test_keys_are_renamed_in_place(stores):
    lookup = await stores.declare(keys=[{"name": "a"}])
    await stores.put(lookup, "x")
    lookup = await stores.change(lookup, keys=[{"name": "b"}])
    assert ids(await stores.store.page(lookup, Query(equals=(Equal("b", "x"),), sorts=(Sort("b"),)), limit=5)) == ["x"]


async def test_rows_that_were_read_by_another_declaration_are_not_written(stores):
    lookup = await stores.declare(fields={"a": {"type": "str"}})
    await stores.change(lookup, fields={"a": {"type": "ui8"}})
    with pytest.raises(Conflict):
        await stores.store.write(lookup, [Change("x", ("x",), {"a": "text"})])
    assert await stores.store.count(lookup) == 0


async def test_another_label_keeps_nobody_from_writing(stores):
    lookup = await stores.declare(fields={"a": {}})
    await stores.change(lookup, label="Other")
    await stores.put(lookup, "x", fields={"a": "1"})
    assert await stores.store.count(lookup) == 1


# --- several clients ---------------------------------------------------------------------------------------------------


async def test_two_uploads_interleave_row_by_row(stores):
    lookup = await stores.declare(fields={"a": {}, "b": {}, "both": {}})
    names = [f"{number:03}" for number in range(60)]

    async def upload(field: str) -> None:
        for begin in range(0, len(names), 10):
            rows = [Change(name, (name,), {field: name, "both": field}) for name in names[begin : begin + 10]]
            await stores.store.write(lookup, rows)

    await asyncio.gather(upload("a"), upload("b"))
    items = await stores.store.page(lookup, limit=100)
    assert [(item.id, item.fields["a"], item.fields["b"], item.version) for item in items] == [(n, n, n, 2) for n in names]


async def test_two_clients_create_one_item(stores):
    lookup = await stores.declare(fields={name: {} for name in "abcdefgh"})
    await asyncio.gather(*(stores.put(lookup, "x", fields={name: "1"}) for name in "abcdefgh"))
    (found,) = await stores.store.page(lookup, limit=5)
    assert (found.fields, found.version) == (dict.fromkeys("abcdefgh", "1"), 8)


async def test_one_of_two_takes_an_id(stores):
    lookup = await stores.declare()
    await stores.put_all(lookup, ("x", {}), ("y", {}))

    async def rename(old: str) -> str:
        try:
            await stores.store.update(lookup, old, Change("z", ("z",)))
        except Conflict:
            return "taken"
        return "moved"

    assert sorted(await asyncio.gather(rename("x"), rename("y"))) == ["moved", "taken"]
    assert await stores.store.count(lookup) == 2


async def test_a_clear_in_the_middle_of_an_upload_loses_nothing_that_comes_after(stores):
    lookup = await stores.declare()
    await stores.store.write(lookup, [Change("before", ("before",))])
    await asyncio.gather(stores.store.clear(lookup), stores.store.write(lookup, [Change("during", ("during",))]))
    await stores.store.write(lookup, [Change("after", ("after",))])
    await stores.store.purge()
    found = ids(await stores.store.page(lookup, limit=5))
    assert found in (["after"], ["after", "during"])
