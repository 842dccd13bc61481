"""Lookups in the graph: declarations, items, mutations, and who may do what in which tenant."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import orjson
import pytest

from core.clock import utc_now
from core.policy import ACCESS, EDIT, GLOBAL_EDIT
from storage.sql.tables import memberships
from tests.app.test_personal_tokens import made

TENANT = "standard"
FULL = {TENANT: [ACCESS, EDIT]}

PLACE = "50.0643081, 14.443938"
PACKED = 9963493229983947706
DMS = "50°03'51.5091\"N, 14°26'38.1769\"E"

CREATE = "mutation ($input: CreateLookupInput!) { createLookup(input: $input) { lookupId lookup { localId label } } }"
WRITE = "mutation ($input: WriteLookupItemInput!) { writeLookupItem(input: $input) { itemId lookupId } }"


@pytest.fixture
def name() -> str:
    return f"n{uuid4().hex}"


@pytest.fixture
def editor(world):
    return world.bearer(FULL)


def declaration(name: str, **more: Any) -> dict[str, Any]:
    fields = {"name": {"type": "str", "label": "Name"}, "location": {"type": "geopoint"}, "count": {"type": "ui64"}}
    return {"name": name, "keys": [{"name": "code", "type": "str"}], "fields": fields} | more


async def declare(caller, name: str, **more: Any) -> str:
    answer = await caller.ask(CREATE, {"input": {"tenant": TENANT, "declaration": declaration(name, **more)}})
    assert "errors" not in answer, answer
    return str(answer["data"]["createLookup"]["lookupId"])


async def write(caller, lookup: str, keys: Any, fields: Any = None, **more: Any) -> str:
    item = {"keys": keys, "fields": fields or {}} | more
    answer = await caller.ask(WRITE, {"input": {"tenant": TENANT, "lookupId": lookup, "item": item}})
    assert "errors" not in answer, answer
    return str(answer["data"]["writeLookupItem"]["itemId"])


async def look(caller, lookup: str, selection: str) -> Any:
    query = f"query ($id: String!) {{ lookup(tenant: {orjson.dumps(TENANT).decode()}, lookupId: $id) {{ {selection} }} }}"
    answer = await caller.ask(query, {"id": lookup})
    assert "errors" not in answer, answer
    return answer["data"]["lookup"]


def code(answer: dict[str, Any]) -> str:
    (error,) = answer["errors"]
    return str(error["extensions"]["code"])


# --- declarations ------------------------------------------------------------------------------------------------------


async def test_a_lookup_is_what_was_declared(editor, name):
    lookup = await declare(editor, name, label="Countries", group="geo", default_expiration="1d", descriptionTitle="All")
    assert lookup == f"{name}.{TENANT}"
    assert await look(
        editor,
        lookup,
        "localId name label group type isGlobal tenant keys { name type } fields { name type more } fieldMap schema "
        "descriptionTitle descriptionContent defaultExpiration feedPath version",
    ) == {
        "localId": lookup,
        "name": name,
        "label": "Countries",
        "group": "geo",
        "type": "lookup/string",
        "isGlobal": False,
        "tenant": TENANT,
        "keys": [{"name": "code", "type": "STR"}],
        "fields": [
            {"name": "name", "type": "STR", "more": {"label": "Name"}},
            {"name": "location", "type": "GEOPOINT", "more": {}},
            {"name": "count", "type": "UI64", "more": {}},
        ],
        "fieldMap": {
            "name": {"type": "str", "label": "Name"},
            "location": {"type": "geopoint"},
            "count": {"type": "ui64"},
        },
        "schema": {
            "define": {"type": "lookup/string", "name": name, "group": "geo"},
            "keys": [{"name": "code", "type": "str"}],
            "fields": {
                "name": {"type": "str", "label": "Name"},
                "location": {"type": "geopoint"},
                "count": {"type": "ui64"},
            },
        },
        "descriptionTitle": "All",
        "descriptionContent": None,
        "defaultExpiration": 86400,
        "feedPath": None,
        "version": 1,
    }


async def test_an_item_shows_its_typed_values_in_each_form(editor, name):
    lookup = await declare(editor, name)
    assert await write(editor, lookup, ["CZ"], {"location": PLACE, "count": 2**64 - 1}, _exp=4102444800) == "CZ"
    shown = await look(
        editor,
        lookup,
        'packed: item(itemId: "CZ") { localId keys values expiresAt expiresAtSeconds version } '
        'dms: item(itemId: "CZ", geopoint: DMS) { values } degrees: item(itemId: "CZ", geopoint: DEGREES) { values } '
        'nothing: item(itemId: "XX") { localId }',
    )
    place = shown["degrees"]["values"].pop("location")
    assert (round(place["lat"], 6), round(place["lon"], 6)) == (50.064308, 14.443938)
    assert shown == {
        "packed": {
            "localId": "CZ",
            "keys": ["CZ"],
            "values": {"location": PACKED, "count": 2**64 - 1},
            "expiresAt": "2100-01-01T00:00:00Z",
            "expiresAtSeconds": 4102444800,
            "version": 1,
        },
        "dms": {"values": {"location": DMS, "count": 2**64 - 1}},
        "degrees": {"values": {"count": 2**64 - 1}},
        "nothing": None,
    }


async def test_items_come_page_by_page_in_any_order(editor, name):
    lookup = await declare(editor, name)
    for key, count in (("a", 3), ("b", None), ("c", 1), ("d", 3)):
        await write(editor, lookup, [key], {"count": count})
    order = 'orderBy: [{field: "count", direction: DESC}, {field: "nothing"}]'
    first = (
        await look(
            editor,
            lookup,
            f"items({order}, first: 2) {{ totalCount nodes {{ localId }} pageInfo {{ hasNextPage endCursor }} }}",
        )
    )["items"]
    assert (first["totalCount"], [each["localId"] for each in first["nodes"]]) == (4, ["a", "d"])
    after = f'after: "{first["pageInfo"]["endCursor"]}"'
    second = (
        await look(
            editor,
            lookup,
            f"items({order}, {after}) {{ nodes {{ localId }} pageInfo {{ hasNextPage hasPreviousPage startCursor }} }}",
        )
    )["items"]
    assert [each["localId"] for each in second["nodes"]] == ["c", "b"]
    assert (second["pageInfo"]["hasNextPage"], second["pageInfo"]["hasPreviousPage"]) == (False, True)
    before = f'before: "{second["pageInfo"]["startCursor"]}"'
    last = (
        await look(
            editor,
            lookup,
            f"items({order}, {before}, last: 1) {{ nodes {{ localId }} pageInfo {{ hasNextPage hasPreviousPage }} }}",
        )
    )["items"]
    assert last == {"nodes": [{"localId": "d"}], "pageInfo": {"hasNextPage": True, "hasPreviousPage": True}}
    offset = (await look(editor, lookup, "items(offset: 3, first: 5) { nodes { localId } edges { cursor } }"))["items"]
    assert ([each["localId"] for each in offset["nodes"]], len(offset["edges"])) == (["d"], 1)


async def test_a_cursor_belongs_to_its_list(editor, name):
    lookup = await declare(editor, name)
    await write(editor, lookup, ["a"])
    cursor = (await look(editor, lookup, "items { pageInfo { endCursor } }"))["items"]["pageInfo"]["endCursor"]
    for arguments in (f'after: "{cursor}", text: "a"', 'after: "x"', f'after: "{cursor}", offset: 1', "first: 1, last: 1"):
        query = f'{{ lookup(tenant: "{TENANT}", lookupId: "{lookup}") {{ items({arguments}) {{ nodes {{ localId }} }} }} }}'
        assert code(await editor.ask(query)) == "INVALID_INPUT", arguments


async def test_items_are_found_by_text_and_by_value(editor, name):
    lookup = await declare(editor, name)
    await write(editor, lookup, ["CZ"], {"name": "Česko", "location": PLACE})
    await write(editor, lookup, ["AT"], {"name": "Österreich"})
    found = await look(
        editor,
        lookup,
        'text: items(text: "ČES") { totalCount nodes { localId } } '
        f'where: items(where: {{field: "location", value: "{PACKED}"}}) {{ totalCount nodes {{ localId }} }} '
        'empty: items(where: {field: "name", value: ""}) { totalCount nodes { localId } }',
    )
    one = {"totalCount": 1, "nodes": [{"localId": "CZ"}]}
    assert found == {"text": one, "where": one, "empty": {"totalCount": 0, "nodes": []}}
    for field, value in (("nothing", "x"), ("count", "many")):
        query = f'{{ lookup(tenant: "{TENANT}", lookupId: "{lookup}") {{ items(where: {{field: "{field}", value: "{value}"}}) {{ totalCount }} }} }}'
        assert code(await editor.ask(query)) == "INVALID_INPUT"


async def test_addresses_lead_to_their_ranges(editor, name):
    lookup = await declare(editor, name, type="lookup/ipaddressrange", keys=[{"name": n, "type": "ip"} for n in ("a", "b")])
    wide = await write(editor, lookup, ["10.0.0.0", "10.0.255.255"], {"name": "wide"})
    narrow = await write(editor, lookup, ["10.0.1.0", "10.0.1.255"], {"name": "narrow"})
    found = await look(
        editor, lookup, 'match(values: ["10.0.1.7", "10.0.9.9", "11.0.0.1", "nonsense", "::ffff:10.0.1.7"]) { localId }'
    )
    assert [each and each["localId"] for each in found["match"]] == [narrow, wide, None, None, narrow]


async def test_compound_keys_are_matched_as_csv_has_them(editor, name):
    lookup = await declare(editor, name, type="lookup/compoundkey", keys=[{"name": n, "type": "str"} for n in ("a", "b")])
    item = await write(editor, lookup, ["JohnDoe", "Company 1"])
    assert item == "9035be88295fb7f582b9109f938dc6eefecd7ccd5d44e9b009185d1ffe78ed95"
    found = await look(
        editor, lookup, 'match(values: ["JohnDoe, Company 1", "[\\"JohnDoe\\",\\"Company 1\\"]", "JohnDoe"]) { keys }'
    )
    assert found["match"] == [{"keys": ["JohnDoe", "Company 1"]}] * 2 + [None]


async def test_stats_and_sample(editor, name):
    lookup = await declare(editor, name)
    await write(editor, lookup, ["a"], {"name": "x"})
    found = await look(editor, lookup, "stats { items expiring bytes } sample")
    assert (found["stats"]["items"], found["stats"]["expiring"]) == (1, 0)
    assert found["sample"] == "_id;name;location;count\r\na;x;;\r\n"


async def test_lists_hold_the_tenants_lookups_and_global_ones(world, editor, name):
    admin = world.bearer({"*": ["authz:superuser"]})
    mine, everybodys = await declare(editor, name), await declare(admin, f"{name}x", **{"global": True})
    other = f"{name}.elsewhere"
    answer = await admin.ask(CREATE, {"input": {"tenant": "elsewhere", "declaration": declaration(name)}})
    assert answer["data"]["createLookup"]["lookupId"] == other
    query = f'{{ lookups(tenant: "{TENANT}", text: "{name.upper()}") {{ totalCount nodes {{ localId }} }} }}'
    expected = {"lookups": {"totalCount": 2, "nodes": [{"localId": mine}, {"localId": everybodys}]}}
    assert (await editor.ask(query))["data"] == expected
    assert (await admin.ask(query))["data"] == expected


# --- changes -----------------------------------------------------------------------------------------------------------


async def test_a_declaration_is_changed_in_part(editor, name):
    lookup = await declare(editor, name, type="lookup")
    await write(editor, lookup, ["a"], {"name": "x"})
    change = "mutation ($input: UpdateLookupInput!) { updateLookup(input: $input) { lookup { label version } } }"

    async def update(**given: Any) -> dict[str, Any]:
        return await editor.ask(change, {"input": {"tenant": TENANT, "lookupId": lookup, "declaration": given}})

    assert (await update(label="New"))["data"]["updateLookup"]["lookup"] == {"label": "New", "version": 2}
    assert code(await update(keys=[{"name": "code", "type": "ip"}])) == "CONFLICT"
    assert code(await update(name="other")) == "INVALID_INPUT"
    assert (await update(fields={"count": {"type": "ui64"}}))["data"]["updateLookup"]["lookup"]["version"] == 3
    assert (await look(editor, lookup, 'item(itemId: "a") { values } items(text: "x") { totalCount }')) == {
        "item": {"values": {}},
        "items": {"totalCount": 0},
    }


async def test_items_are_merged_renamed_and_deleted(editor, name):
    lookup = await declare(editor, name)
    await write(editor, lookup, ["a"], {"name": "x", "count": 1})
    await write(editor, lookup, ["b"])
    update = "mutation ($input: UpdateLookupItemInput!) { updateLookupItem(input: $input) { itemId lookup { items { totalCount } } } }"
    target = {"tenant": TENANT, "lookupId": lookup, "itemId": "a"}
    renamed = await editor.ask(update, {"input": {**target, "item": {"keys": ["c"], "fields": {"name": None}}}})
    assert renamed["data"]["updateLookupItem"] == {"itemId": "c", "lookup": {"items": {"totalCount": 2}}}
    assert (await look(editor, lookup, 'item(itemId: "c") { values }'))["item"] == {"values": {"count": 1}}
    assert code(await editor.ask(update, {"input": {**target, "item": {}}})) == "NOT_FOUND"
    assert code(await editor.ask(update, {"input": {**target, "itemId": "c", "item": {"keys": ["b"]}}})) == "CONFLICT"
    delete = "mutation ($input: LookupItemInput!) { deleteLookupItem(input: $input) { itemId } }"
    assert (await editor.ask(delete, {"input": {**target, "itemId": "c"}}))["data"]["deleteLookupItem"] == {"itemId": "c"}
    assert code(await editor.ask(delete, {"input": {**target, "itemId": "c"}})) == "NOT_FOUND"


async def test_clearing_and_deleting(editor, name):
    lookup = await declare(editor, name)
    await write(editor, lookup, ["a"])
    given = {"input": {"tenant": TENANT, "lookupId": lookup}}
    cleared = await editor.ask(
        "mutation ($input: LookupInput!) { clearLookup(input: $input) { lookup { items { totalCount } } } }", given
    )
    assert cleared["data"]["clearLookup"]["lookup"] == {"items": {"totalCount": 0}}
    delete = "mutation ($input: LookupInput!) { deleteLookup(input: $input) { lookupId lookup { localId } } }"
    assert (await editor.ask(delete, given))["data"]["deleteLookup"] == {"lookupId": lookup, "lookup": None}
    assert code(await editor.ask(delete, given)) == "NOT_FOUND"
    assert await look(editor, lookup, "localId") is None
    await declare(editor, name)
    assert (await look(editor, lookup, "items { totalCount }"))["items"] == {"totalCount": 0}


async def test_a_name_is_taken_once(editor, name):
    await declare(editor, name)
    assert code(await editor.ask(CREATE, {"input": {"tenant": TENANT, "declaration": declaration(name)}})) == "CONFLICT"


UPLOAD = (
    "mutation ($input: UploadLookupInput!) { uploadLookup(input: $input) { count skipped lookup { items { totalCount } } } }"
)


async def upload(caller, lookup: str, text: bytes, **more: Any) -> dict[str, Any]:
    given = {"tenant": TENANT, "lookupId": lookup, "file": None} | more
    form = {
        "operations": orjson.dumps({"query": UPLOAD, "variables": {"input": given}}).decode(),
        "map": '{"0": ["variables.input.file"]}',
    }
    files = {"0": ("../../etc/x.csv", text, "text/csv")}
    headers = {"GraphQL-Preflight": "1"}
    return dict((await caller.request("POST", "/graphql", data=form, files=files, headers=headers)).json())


async def test_a_file_is_merged_as_a_whole(editor, name):
    lookup = await declare(editor, name)
    good = await upload(editor, lookup, b"code,count\nCZ,1\n,2\n", delimiter=",")
    assert good["data"]["uploadLookup"] == {"count": 1, "skipped": 1, "lookup": {"items": {"totalCount": 1}}}
    bad = await upload(editor, lookup, b"code;count\nAT;1\nDE;many\n")
    assert (code(bad), bad["errors"][0]["message"]) == (
        "INVALID_INPUT",
        "line 3, column count: a ui64 is a whole number in decimal digits",
    )
    assert (await look(editor, lookup, "items { totalCount }"))["items"] == {"totalCount": 1}


async def test_the_longest_cell_is_a_setting(assembled, name):
    async with assembled(SWITCHYARD_LOOKUPS_CELL=10) as world:
        editor = world.bearer(FULL)
        lookup = await declare(editor, name)
        answer = await upload(editor, lookup, b"code;name\nCZ;0123456789\nAT;0123456789a\n")
        assert (code(answer), answer["errors"][0]["message"]) == ("INVALID_INPUT", "line 3: a cell has more than 10 characters")
        assert (await look(editor, lookup, "items { totalCount }"))["items"] == {"totalCount": 0}
        assert (await upload(editor, lookup, b"code;name\nCZ;0123456789\n"))["data"]["uploadLookup"]["count"] == 1


async def test_how_much_is_written_at_a_time_is_a_setting(assembled, name, monkeypatch):
    async with assembled(SWITCHYARD_LOOKUPS_CHUNK=2) as world:
        editor, store, sizes = world.bearer(FULL), world.parts.services.lookups.store, []
        lookup, whole = await declare(editor, name), store.write

        async def write(into, changes):
            sizes.append(len(changes))
            await whole(into, changes)

        monkeypatch.setattr(store, "write", write)
        await upload(editor, lookup, b"code\na\nb\nc\nd\ne\n")
        assert sizes == [2, 2, 1]


async def test_files_are_for_editors(world, editor, name):
    lookup = await declare(editor, name)
    for caller, expected in ((world.bearer({TENANT: [ACCESS]}), "FORBIDDEN"), (world.admin, "UNAUTHENTICATED")):
        assert code(await upload(caller, lookup, b"code\na\n")) == expected


@pytest.mark.slow
async def test_a_large_file_may_take_longer_than_a_request(assembled, name):
    """As long as there is progress."""
    rows = 40_000
    async with assembled(SWITCHYARD_REQUEST_TIMEOUT=0.5, SWITCHYARD_LOOKUPS_CHUNK=500) as world:
        editor = world.bearer(FULL)
        lookup, began = await declare(editor, name), time.monotonic()
        text = b"code;name;count\n" + b"".join(b"k%d;name %d;%d\n" % (n, n, n) for n in range(rows))
        answer = await upload(editor, lookup, text)
        assert answer["data"]["uploadLookup"]["count"] == rows
        assert time.monotonic() - began > 1


async def test_items_are_streamed_as_csv(world, editor, name):
    lookup = await declare(editor, name)
    await write(editor, lookup, ["a"], {"location": PLACE}, _exp=4102444800)
    graph = world.parts.graph
    query = f'subscription {{ lookupCsv(tenant: "{TENANT}", lookupId: "{lookup}", expirations: true) }}'
    document, _ = graph.document(query)
    headers = {name.lower(): value for name, value in editor.headers.items()}
    ctx = world.parts.contexts.context(await world.parts.contexts.schemes.authenticate(headers, {}))
    pieces = [outcome.data["lookupCsv"] async for outcome in graph.operation(query, document, None).stream(ctx, {})]
    doubled = DMS.replace('"', '""')
    assert pieces == ["_id;name;location;count;_exp\r\n", f'a;;"{doubled}";;4102444800\r\n']


# --- who may -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "FORBIDDEN"),
        ({TENANT: []}, "FORBIDDEN"),
        ({"*": [ACCESS]}, "FORBIDDEN"),
        ({"other": [ACCESS]}, "FORBIDDEN"),
        ({TENANT: [EDIT]}, "FORBIDDEN"),
        ({TENANT: ["authz:superuser"]}, "FORBIDDEN"),
        ({TENANT: [ACCESS]}, None),
        ({"*": ["authz:superuser"]}, None),
    ],
)
async def test_reading_takes_access_in_the_tenant(world, editor, name, resources, expected):
    lookup = await declare(editor, name)
    caller = world.bearer(resources)
    for query in (
        f'{{ lookup(tenant: "{TENANT}", lookupId: "{lookup}") {{ localId }} }}',
        f'{{ lookups(tenant: "{TENANT}") {{ totalCount }} }}',
    ):
        answer = await caller.ask(query)
        assert (code(answer) if "errors" in answer else None) == expected


async def test_who_edits_need_not_read(world, name):
    answer = await world.bearer({TENANT: [EDIT]}).ask(CREATE, {"input": {"tenant": TENANT, "declaration": declaration(name)}})
    assert answer["data"]["createLookup"] == {"lookupId": f"{name}.{TENANT}", "lookup": None}


async def test_who_reads_need_not_edit(world, editor, name):
    lookup, reader = await declare(editor, name), world.bearer({TENANT: [ACCESS, GLOBAL_EDIT]})
    assert code(await reader.ask(CREATE, {"input": {"tenant": TENANT, "declaration": {}}})) == "FORBIDDEN"
    item = {"tenant": TENANT, "lookupId": lookup, "item": None}
    assert code(await reader.ask(WRITE, {"input": item | {"item": {}}})) == "FORBIDDEN"


async def test_ids_of_other_tenants_are_refused_whether_or_not_they_exist(world, name):
    both = world.bearer({TENANT: [ACCESS, EDIT], "b": [ACCESS, EDIT], "a.b": [ACCESS, EDIT]})
    for tenant, lookup in ((TENANT, f"{name}.b"), ("b", f"{name}.a.b")):
        for caller in (both, world.bearer({"*": ["authz:superuser"]})):
            query = f'{{ lookup(tenant: "{tenant if tenant != "b" else "bbb"}", lookupId: "{lookup}") {{ localId }} }}'
            answer = await caller.ask(query)
            if tenant == TENANT:
                assert (code(answer), answer["errors"][0]["message"]) == ("REFUSED", "TENANT-NO-ACCESS")


async def test_global_lookups_take_both_rights(world, editor, name):
    both = world.bearer({TENANT: [ACCESS, EDIT, GLOBAL_EDIT]})
    given = {"input": {"tenant": TENANT, "declaration": declaration(name, **{"global": True})}}
    assert code(await editor.ask(CREATE, given)) == "FORBIDDEN"
    assert (await both.ask(CREATE, given))["data"]["createLookup"]["lookupId"] == name
    write_ = {"input": {"tenant": TENANT, "lookupId": name, "item": {"keys": ["a"]}}}
    assert code(await editor.ask(WRITE, write_)) == "FORBIDDEN"
    assert (await both.ask(WRITE, write_))["data"]["writeLookupItem"]["itemId"] == "a"
    assert (await look(editor, name, "isGlobal items { totalCount }")) == {"isGlobal": True, "items": {"totalCount": 1}}


async def test_node_shows_what_may_be_read_in_any_tenant(world, editor, name):
    lookup = await declare(editor, name)
    key = (await look(editor, lookup, "id"))["id"]
    query = "query ($id: ID!) { node(id: $id) { id } }"
    assert (await editor.ask(query, {"id": key}))["data"]["node"] == {"id": key}
    assert (await world.bearer({"other": [ACCESS]}).ask(query, {"id": key}))["data"]["node"] is None
    assert (await world.bearer({TENANT: [EDIT]}).ask(query, {"id": key}))["data"]["node"] is None
    assert (await world.admin.ask(query, {"id": key}))["data"]["node"] is None


async def test_who_is_known_to_an_issuer_only_makes_no_personal_tokens(editor):
    query = "{ personalTokens { totalCount } }"
    assert code(await editor.ask(query)) == "FORBIDDEN"


async def test_a_person_reaches_lookups_by_a_personal_token(world, editor, name):
    """One token for both domains; what it may do in lookups is what the membership there grants, and no more than its scope."""
    lookup, person = await declare(editor, name), await world.person(f"{uuid4()}@example.org")
    async with world.parts.database.transaction() as transaction:
        granted = {"user_id": person.id, "domain": "lookups", "role": "member", "created_at": utc_now()}
        await transaction.insert(memberships, **granted, grants={TENANT: [ACCESS, EDIT]})
    reader, _ = await made(person, "LOOKUPS_READ", "INSTRUMENTS_READ")
    both = f'{{ me {{ email }} lookup(tenant: "{TENANT}", lookupId: "{lookup}") {{ localId }} }}'
    assert (await reader.ask(both))["data"] == {"me": {"email": person.email}, "lookup": {"localId": lookup}}
    item = {"input": {"tenant": TENANT, "lookupId": lookup, "item": {"keys": ["a"]}}}
    assert code(await reader.ask(WRITE, item)) == "FORBIDDEN"
    writer, _ = await made(person, "LOOKUPS_WRITE")
    assert (await writer.ask(WRITE, item))["data"]["writeLookupItem"]["itemId"] == "a"
    assert code(await writer.ask('{ lookups(tenant: "other") { totalCount } }')) == "FORBIDDEN"
