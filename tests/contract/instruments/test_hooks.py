"""Hooks: contract §7. What they share with other resources is in `test_conventions`, what they do in `tests/jobs/hooks`."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from storage.sql.tables import audit_log
from tests.contract.instruments.resources import HOOKS, INSTRUMENTS
from tests.contract.support import NOT_A_UUID, NOW, UNKNOWN, Api, TickingClock, World, fault, ids, places, refused, told

PATH = "/api/hooks"
SHOWN = [
    "id",
    "name",
    "description",
    "trigger",
    "implementation",
    "builtin_name",
    "script_path",
    "webhook_url",
    "config",
    "instrument_id",
    "priority",
    "enabled",
    "created_at",
    "updated_at",
    "deleted_at",
]


async def test_a_new_one_in_full(admin: Api):
    instrument = await INSTRUMENTS.create(admin)
    body = {
        "name": "Operators see their files",
        "description": "by the first folder",
        "trigger": "post_transfer",
        "implementation": "builtin",
        "builtin_name": "access_assignment",
        "script_path": "",
        "webhook_url": "",
        "config": {"grants": [{"grantee_type": "group", "match_field": "group"}]},
        "instrument_id": instrument["id"],
        "priority": -3,
        "enabled": False,
    }

    status, row = told(await admin.post(PATH, json=body))

    assert (status, row) == (201, {"id": row["id"], **body, "created_at": NOW, "updated_at": NOW, "deleted_at": None})
    assert list(row) == SHOWN
    assert told(await admin.get(f"{PATH}/{row['id']}")) == (200, row)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "n"},
        {"description": "d"},
        {"trigger": "post_transfer"},
        {"implementation": "http_webhook"},
        {"builtin_name": "file_filter"},
        {"script_path": "x.py"},
        {"webhook_url": "https://hooks.example.org/x"},
        {"config": {"min_size_bytes": 1}},
        {"config": None},
        {"priority": 7},
        {"enabled": False},
    ],
    ids=str,
)
async def test_each_field_can_be_changed_alone(admin: Api, changes: dict[str, Any], clock: TickingClock):
    row = await HOOKS.create(admin, config={"a": 1})
    clock.advance(seconds=1)

    changed = {**row, **changes, "updated_at": "2026-11-21T00:29:28.495180Z"}

    assert told(await admin.patch(f"{PATH}/{row['id']}", json=changes)) == (200, changed)


async def test_it_can_be_given_to_an_instrument_and_made_global_again(admin: Api):
    instrument, row = await INSTRUMENTS.create(admin), await HOOKS.create(admin)

    given = await admin.patch(f"{PATH}/{row['id']}", json={"instrument_id": instrument["id"]})
    taken = await admin.patch(f"{PATH}/{row['id']}", json={"instrument_id": None})

    assert told(given) == (200, {**row, "instrument_id": instrument["id"]})
    assert told(taken) == (200, row)


@pytest.mark.parametrize("field", ["description", "builtin_name", "script_path", "webhook_url"])
async def test_unused_text_may_be_empty(admin: Api, field: str):
    assert (await HOOKS.create(admin, **{field: ""}))[field] == ""


async def test_an_unknown_builtin_is_stored(admin: Api):
    assert (await HOOKS.create(admin, builtin_name="no_such_thing"))["builtin_name"] == "no_such_thing"


@pytest.mark.parametrize("config", [{}, {"exclude_patterns": 7}, {"no such key": [None, {"a": []}]}], ids=str)
async def test_a_config_is_stored_as_it_is(admin: Api, config: dict[str, Any]):
    assert (await HOOKS.create(admin, config=config))["config"] == config


@pytest.mark.parametrize("config", [[], "x", 7, True], ids=repr)
async def test_a_config_is_an_object(admin: Api, config: object):
    assert places(await admin.post(PATH, json={**HOOKS.minimal, "config": config})) == [["body", "config"]]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("trigger", "pre", "'pre_transfer' or 'post_transfer'"),
        ("implementation", "", "'builtin', 'python_script' or 'http_webhook'"),
    ],
)
async def test_an_enum(admin: Api, field: str, value: str, expected: str):
    reply = await admin.post(PATH, json={**HOOKS.minimal, field: value})

    message = f"Input should be {expected}"
    assert told(reply) == refused(422, [fault("enum", ["body", field], message, value, expected=expected)])


async def test_what_is_required(admin: Api):
    reply = await admin.post(PATH, json={})

    assert sorted(places(reply)) == [["body", "implementation"], ["body", "name"], ["body", "trigger"]]


@pytest.mark.parametrize("value", ["abc", 1.5, None, 2**31, -(2**31) - 1, "", []], ids=repr)
async def test_a_priority_is_a_whole_number(admin: Api, value: object):
    assert places(await admin.post(PATH, json={**HOOKS.minimal, "priority": value})) == [["body", "priority"]]


async def test_a_name_has_at_most_255_characters(admin: Api):
    assert (await HOOKS.create(admin, name="n" * 255))["name"] == "n" * 255
    assert places(await admin.post(PATH, json={**HOOKS.minimal, "name": "n" * 256})) == [["body", "name"]]


async def test_an_unknown_instrument_is_refused(admin: Api):
    reply = await admin.post(PATH, json={**HOOKS.minimal, "instrument_id": UNKNOWN})
    row = await HOOKS.create(admin)

    assert places(reply) == [["body", "instrument_id"]]
    assert places(await admin.patch(f"{PATH}/{row['id']}", json={"instrument_id": UNKNOWN})) == [["body", "instrument_id"]]
    assert places(await admin.post(PATH, json={**HOOKS.minimal, "instrument_id": NOT_A_UUID})) == [["body", "instrument_id"]]
    assert places(await admin.post(PATH, json={**HOOKS.minimal, "instrument_id": ""})) == [["body", "instrument_id"]]


async def test_the_list_is_in_the_order_of_insertion(admin: Api, clock: TickingClock):
    first = await HOOKS.create(admin, priority=9)
    clock.advance(seconds=-10)
    second = await HOOKS.create(admin, priority=1)

    assert ids((await admin.get(PATH)).json()["items"]) == [first["id"], second["id"]]


async def test_changes_are_audited_and_the_address_of_a_webhook_is_hidden(admin: Api, world: World):
    row = await HOOKS.create(admin, webhook_url="https://hooks.example.org/sesame-1")

    await admin.patch(f"{PATH}/{row['id']}", json={"webhook_url": "https://hooks.example.org/sesame-2", "priority": 5})

    logged = [(entry["entity_type"], entry["action"].value, entry["changes"]) for entry in await world.rows(audit_log)]
    changes = {"webhook_url": {"before": "***", "after": "***"}, "priority": {"before": 0, "after": 5}}
    assert sorted(logged, key=lambda entry: entry[1]) == [("hook", "create", None), ("hook", "update", changes)]


class TestBuiltins:
    async def test_there_are_three(self, admin: Api):
        status, builtins = told(await admin.get(f"{PATH}/builtins"))

        assert status == 200
        assert [(each["name"], each["display_name"], each["trigger"]) for each in builtins] == [
            ("file_filter", "File Filter", "pre"),
            ("metadata_enrichment", "Metadata Enrichment", "post"),
            ("access_assignment", "Access Assignment", "post"),
        ]
        assert {tuple(each) for each in builtins} == {("name", "display_name", "description", "trigger", "config_schema")}
        assert all(each["description"] for each in builtins)

    async def test_each_tells_the_schema_of_its_config(self, admin: Api):
        builtins = (await admin.get(f"{PATH}/builtins")).json()

        for each in builtins:
            Draft202012Validator.check_schema(each["config_schema"])
            assert each["config_schema"]["type"] == "object"
        assert {each["name"]: sorted(each["config_schema"]["properties"]) for each in builtins} == {
            "file_filter": ["exclude_patterns", "include_patterns", "min_size_bytes", "redirect_rules"],
            "metadata_enrichment": ["rules"],
            "access_assignment": ["grants"],
        }

    async def test_they_are_for_admins(self, anonymous: Api, user: Api):
        assert told(await anonymous.get(f"{PATH}/builtins")) == refused(401, "Unauthorized")
        assert told(await user.get(f"{PATH}/builtins")) == refused(403, "Admin access required")

    async def test_they_cannot_be_changed(self, admin: Api):
        assert places(await admin.patch(f"{PATH}/builtins", json={"name": "x"})) == [["path", "hook_id"]]


class TestGraph:
    async def test_hooks_of_an_instrument(self, admin: Api):
        instrument = await INSTRUMENTS.create(admin)
        row = await HOOKS.create(admin, instrument_id=instrument["id"])
        await HOOKS.create(admin)
        query = """query ($id: UUID!) { instrument(localId: $id) { hooks { totalCount nodes {
            localId name trigger implementation instrument { name } } } } }"""

        reply = await admin.post("/graphql", json={"query": query, "variables": {"id": instrument["id"]}})

        (hook,) = reply.json()["data"]["instrument"]["hooks"]["nodes"]
        assert hook == {
            "localId": row["id"],
            "name": "No temporary files",
            "trigger": "PRE_TRANSFER",
            "implementation": "BUILTIN",
            "instrument": {"name": "Bruker 500"},
        }

    async def test_the_builtins(self, admin: Api):
        query = "{ hookBuiltins { name displayName trigger configSchema } }"

        builtins = (await admin.post("/graphql", json={"query": query})).json()["data"]["hookBuiltins"]

        assert [(each["name"], each["trigger"], each["configSchema"]["type"]) for each in builtins] == [
            ("file_filter", "PRE_TRANSFER", "object"),
            ("metadata_enrichment", "POST_TRANSFER", "object"),
            ("access_assignment", "POST_TRANSFER", "object"),
        ]
