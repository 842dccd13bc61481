"""The 422 bodies of contract §1, row by row, and what its [FIX] puts in the place of a 500."""

from __future__ import annotations

import json

import pytest

from tests.contract.instruments.resources import GROUPS, HOOKS, INSTRUMENTS, PROJECTS, SCHEDULES, STORAGE_LOCATIONS, Resource
from tests.contract.support import NOT_A_UUID, ODD, UNKNOWN, Api, fault, places, refused, send, told, uuid_fault

PATH = "/api/instruments"
INSTRUMENT = dict(INSTRUMENTS.minimal)


class TestBodies:
    async def test_an_absent_key(self, admin: Api):
        body = {"name": "x", "cifs_share": "y"}

        reply = await admin.post(PATH, json=body)

        assert told(reply) == refused(422, [fault("missing", ["body", "cifs_host"], "Field required", body)])

    async def test_no_body_at_all(self, admin: Api, resource: Resource):
        missing = fault("missing", ["body"], "Field required", None)

        assert told(await admin.post(resource.path)) == refused(422, [missing])
        assert told(await admin.patch(f"{resource.path}/{UNKNOWN}")) == refused(422, [missing])

    @pytest.mark.parametrize("body", [[], [1], "text", 7, True], ids=repr)
    async def test_a_body_that_is_no_object(self, admin: Api, resource: Resource, body: object):
        message = "Input should be a valid dictionary or object to extract fields from"

        reply = await admin.post(resource.path, json=body)

        assert told(reply) == refused(422, [fault("model_attributes_type", ["body"], message, body)])

    async def test_a_body_of_null(self, admin: Api, resource: Resource):
        assert places(await admin.post(resource.path, content=b"null", headers={"content-type": "application/json"})) == [
            ["body"]
        ]

    async def test_broken_json(self, admin: Api, resource: Resource):
        reply = await admin.post(resource.path, content=b"{bad", headers={"content-type": "application/json"})

        reason = "Expecting property name enclosed in double quotes"
        assert told(reply) == refused(422, [fault("json_invalid", ["body", 1], "JSON decode error", {}, error=reason)])

    async def test_a_charset_may_be_named(self, admin: Api):
        headers = {"content-type": "application/json; charset=utf-8"}

        assert (await admin.post(PATH, content=json.dumps(INSTRUMENT), headers=headers)).status_code == 201


class TestValues:
    async def test_a_uuid_in_the_body(self, admin: Api):
        reply = await admin.post(PATH, json={**INSTRUMENT, "service_account_id": NOT_A_UUID})

        assert told(reply) == refused(422, [uuid_fault("body", "service_account_id")])

    @pytest.mark.parametrize(("path", "parameter"), [("/api/files", "instrument_id"), ("/api/transfers", "file_id")])
    async def test_a_uuid_in_the_query(self, user: Api, path: str, parameter: str):
        reply = await user.get(path, params={parameter: NOT_A_UUID})

        assert told(reply) == refused(422, [uuid_fault("query", parameter)])

    async def test_an_enum(self, admin: Api):
        reply = await admin.post("/api/storage-locations", json={**STORAGE_LOCATIONS.minimal, "type": "ftp"})

        expected = "'posix', 's3', 'cifs' or 'nfs'"
        message = f"Input should be {expected}"
        assert told(reply) == refused(422, [fault("enum", ["body", "type"], message, "ftp", expected=expected)])

    @pytest.mark.parametrize("value", [7, True, 1.5, ["x"], {"a": 1}], ids=repr)
    async def test_a_string(self, admin: Api, value: object):
        reply = await admin.post(PATH, json={**INSTRUMENT, "name": value})

        assert told(reply) == refused(422, [fault("string_type", ["body", "name"], "Input should be a valid string", value)])

    @pytest.mark.parametrize("value", ["maybe", "", "2"])
    async def test_a_word_that_is_no_boolean(self, admin: Api, value: str):
        reply = await admin.post(PATH, json={**INSTRUMENT, "enabled": value})

        message = "Input should be a valid boolean, unable to interpret input"
        assert told(reply) == refused(422, [fault("bool_parsing", ["body", "enabled"], message, value)])

    @pytest.mark.parametrize(
        ("word", "meaning"),
        [
            *[(word, True) for word in (True, "yes", "true", "1", "on", "y", "t", "TRUE", 1)],
            *[(word, False) for word in (False, "no", "false", "0", "off", "n", "f", 0)],
        ],
    )
    async def test_the_usual_words_are_booleans(self, admin: Api, word: object, meaning: bool):
        assert (await INSTRUMENTS.create(admin, enabled=word))["enabled"] is meaning

    @pytest.mark.parametrize(("word", "count"), [("yes", 1), ("1", 1), ("off", 0)])
    async def test_in_queries_too(self, admin: Api, word: str, count: int):
        row = await INSTRUMENTS.create(admin)
        await admin.delete(f"{PATH}/{row['id']}")

        assert (await admin.get(PATH, params={"include_deleted": word})).json()["total"] == count

    async def test_a_word_that_is_none_in_a_query(self, admin: Api, resource: Resource):
        assert places(await admin.get(f"{resource.path}?include_deleted=maybe")) == [["query", "include_deleted"]]

    async def test_all_faults_are_reported_together(self, admin: Api):
        body = {"name": 7, "service_account_id": "abc", "transfer_adapter": "ftp", "enabled": "maybe"}

        reply = await admin.post(PATH, json=body)

        assert sorted(place[-1] for place in places(reply)) == [
            "cifs_host",
            "cifs_share",
            "enabled",
            "name",
            "service_account_id",
            "transfer_adapter",
        ]

    async def test_those_of_the_path_and_of_the_body_too(self, admin: Api):
        reply = await admin.patch(f"{PATH}/{NOT_A_UUID}", json={"name": 7})

        assert places(reply) == [["path", "instrument_id"], ["body", "name"]]

    async def test_an_empty_string_is_no_uuid(self, admin: Api):
        reply = await admin.post(PATH, json={**INSTRUMENT, "service_account_id": ""})

        assert places(reply) == [["body", "service_account_id"]]

    async def test_strings_may_be_empty(self, admin: Api):
        row = await INSTRUMENTS.create(admin, name="", description="", location="", cifs_host="")

        assert [row[name] for name in ("name", "description", "location", "cifs_host")] == ["", "", "", ""]

    async def test_strings_are_not_trimmed(self, admin: Api):
        assert (await INSTRUMENTS.create(admin, name="  a\t\n"))["name"] == "  a\t\n"


class TestPaging:
    LISTS = ("/api/instruments", "/api/storage-locations", "/api/schedules", "/api/files", "/api/transfers")

    @pytest.mark.parametrize("path", LISTS)
    @pytest.mark.parametrize("parameter", ["skip", "limit"])
    @pytest.mark.parametrize("value", ["abc", "", "0x1", "1e3"])
    async def test_an_integer(self, admin: Api, path: str, parameter: str, value: str):
        reply = await admin.get(path, params={parameter: value})

        message = "Input should be a valid integer, unable to parse string as an integer"
        assert told(reply) == refused(422, [fault("int_parsing", ["query", parameter], message, value)])

    @pytest.mark.parametrize("path", LISTS)
    @pytest.mark.parametrize(
        ("parameter", "value", "kind", "bound"),
        [
            ("limit", "501", "less_than_equal", {"le": 500}),
            ("limit", "0", "greater_than_equal", {"ge": 1}),
            ("limit", "-1", "greater_than_equal", {"ge": 1}),
            ("skip", "-1", "greater_than_equal", {"ge": 0}),
        ],
    )
    async def test_a_range(self, admin: Api, path: str, parameter: str, value: str, kind: str, bound: dict[str, int]):
        reply = await admin.get(path, params={parameter: value})

        words = {"less_than_equal": "less than or equal to", "greater_than_equal": "greater than or equal to"}
        message = f"Input should be {words[kind]} {next(iter(bound.values()))}"
        assert told(reply) == refused(422, [fault(kind, ["query", parameter], message, value, **bound)])

    @pytest.mark.parametrize("path", LISTS)
    async def test_both_are_reported_together(self, admin: Api, path: str):
        assert places(await admin.get(path, params={"skip": "-1", "limit": "x"})) == [["query", "skip"], ["query", "limit"]]

    @pytest.mark.parametrize("path", LISTS)
    @pytest.mark.parametrize("value", [2**31 - 1, 2**31, 2**63, 10**30])
    async def test_a_large_skip_is_past_the_end_or_refused(self, admin: Api, path: str, value: int):
        assert (await admin.get(path, params={"skip": value})).status_code in {200, 422}

    @pytest.mark.parametrize("resource", [INSTRUMENTS, STORAGE_LOCATIONS, SCHEDULES], ids=str)
    async def test_it_is_checked_after_the_token(self, anonymous: Api, resource: Resource):
        assert (await anonymous.get(f"{resource.path}?limit=x")).status_code == 401

    async def test_a_user_is_403_before_it_is_checked(self, user: Api):
        assert (await user.get("/api/schedules?limit=x")).status_code == 403


class TestReferences:
    """[FIX] An unknown foreign id is 422 and names the field; a known one works in a PATCH."""

    FIELDS = (
        (INSTRUMENTS, "service_account_id"),
        (SCHEDULES, "instrument_id"),
        (SCHEDULES, "default_storage_location_id"),
        (HOOKS, "instrument_id"),
    )

    @pytest.mark.parametrize(("resource", "field"), FIELDS, ids=str)
    async def test_an_unknown_id_in_a_create(self, admin: Api, resource: Resource, field: str):
        body = await resource.body(admin)

        reply = await admin.post(resource.path, json={**body, field: UNKNOWN})

        (problem,) = reply.json()["detail"]
        assert (reply.status_code, problem["loc"], problem["input"]) == (422, ["body", field], UNKNOWN)

    @pytest.mark.parametrize(("resource", "field"), FIELDS, ids=str)
    async def test_an_unknown_id_in_a_patch(self, admin: Api, resource: Resource, field: str):
        row = await resource.create(admin)

        reply = await admin.patch(f"{resource.path}/{row['id']}", json={field: UNKNOWN})

        (problem,) = reply.json()["detail"]
        assert (reply.status_code, problem["loc"], problem["input"]) == (422, ["body", field], UNKNOWN)
        assert told(await admin.get(f"{resource.path}/{row['id']}")) == (200, row)

    async def test_a_known_id_in_a_patch(self, admin: Api):
        instrument = await INSTRUMENTS.create(admin)
        account = await admin.made("/api/service-accounts", name="x", username="x", password="x")

        reply = await admin.patch(f"{PATH}/{instrument['id']}", json={"service_account_id": account["id"]})

        assert told(reply) == (200, {**instrument, "service_account_id": account["id"]})

    async def test_known_ids_in_a_patch_of_a_schedule(self, admin: Api):
        schedule = await SCHEDULES.create(admin)
        instrument, location = await INSTRUMENTS.create(admin), await STORAGE_LOCATIONS.create(admin)
        changes = {"instrument_id": instrument["id"], "default_storage_location_id": location["id"]}

        assert told(await admin.patch(f"/api/schedules/{schedule['id']}", json=changes)) == (200, {**schedule, **changes})

    async def test_a_referenced_row_may_be_deleted(self, admin: Api):
        schedule = await SCHEDULES.create(admin)

        assert (await admin.delete(f"{PATH}/{schedule['instrument_id']}")).status_code == 204
        location = f"/api/storage-locations/{schedule['default_storage_location_id']}"
        assert (await admin.delete(location)).status_code == 204
        assert told(await admin.get(f"/api/schedules/{schedule['id']}")) == (200, schedule)


LENGTHS = [
    *[(INSTRUMENTS, name, 255) for name in ("name", "location", "pid", "cifs_host", "cifs_share")],
    (INSTRUMENTS, "cifs_base_path", 1024),
    *[(HOOKS, name, 255) for name in ("name", "builtin_name")],
    (GROUPS, "name", 255),
    (PROJECTS, "name", 255),
    (STORAGE_LOCATIONS, "base_path", 1024),
]


class TestLengths:
    """[FIX] Text that is longer than its column is 422; so is a builtin's name that no builtin could have."""

    @pytest.mark.parametrize(("resource", "field", "longest"), LENGTHS, ids=str)
    async def test_the_longest_text_is_stored(self, admin: Api, resource: Resource, field: str, longest: int):
        assert (await resource.create(admin, **{field: "ü" * longest}))[field] == "ü" * longest

    @pytest.mark.parametrize(("resource", "field", "longest"), LENGTHS, ids=str)
    async def test_a_longer_one_is_refused(self, admin: Api, resource: Resource, field: str, longest: int):
        row = await resource.create(admin)
        text = "x" * (longest + 1)
        message = f"String should have at most {longest} characters"
        too_long = refused(422, [fault("string_too_long", ["body", field], message, text, max_length=longest)])

        assert told(await admin.post(resource.path, json={**await resource.body(admin), field: text})) == too_long
        assert told(await admin.patch(f"{resource.path}/{row['id']}", json={field: text})) == too_long

    async def test_a_cron_expression_of_100_characters(self, admin: Api):
        minutes = ",".join(["0", *["10"] * 30])  # 92 characters
        expression = f"{minutes} * * * *"
        assert len(expression) <= 100

        assert (await SCHEDULES.create(admin, cron_expression=expression))["cron_expression"] == expression

    async def test_a_longer_cron_expression(self, admin: Api):
        schedule = await SCHEDULES.create(admin)
        expression = f"{','.join(['10'] * 40)} * * * *"

        assert places(await admin.patch(f"/api/schedules/{schedule['id']}", json={"cron_expression": expression})) == [
            ["body", "cron_expression"]
        ]


CREATE_FIELDS = {
    "instruments": [*INSTRUMENT, *INSTRUMENTS.defaults],
    "service-accounts": ["name", "username", "password", "domain"],
    "storage-locations": ["name", "type", "base_path", "connection_config", "enabled"],
    "schedules": ["instrument_id", "default_storage_location_id", "cron_expression", "enabled"],
    "hooks": [*HOOKS.minimal, *HOOKS.defaults],
    "groups": ["name", "description"],
    "projects": ["name", "description"],
}


class TestNothingIsTooOdd:
    """[FIX] Never a 500 from client input: the client of these tests refuses one."""

    async def test_any_value_in_any_field(self, admin: Api, resource: Resource):
        row, body = await resource.create(admin), await resource.body(admin)

        for name in CREATE_FIELDS[str(resource)]:
            taken = {409} if resource.unique and name == "name" else set()
            for value in ODD:
                created = await send(admin, "POST", resource.path, {**resource.another(body), name: value})
                changed = await send(admin, "PATCH", f"{resource.path}/{row['id']}", {name: value})
                assert created.status_code in {201, 422}, (name, value)
                assert changed.status_code in {200, 422} | taken, (name, value)

    @pytest.mark.parametrize(
        "raw",
        [
            b"\xff",
            b'{"name": NaN}',
            b'{"name": "\xff"}',
            b"[" * 5000,
            b'{"a":' * 3000,
            b'"\\ud800"',
            b"\0",
            b" ",
            b'{"name": 1e999}',
        ],
        ids=lambda raw: raw[:12],
    )
    async def test_any_bytes(self, admin: Api, resource: Resource, raw: bytes):
        reply = await admin.post(resource.path, content=raw, headers={"content-type": "application/json"})

        assert all(place[0] == "body" for place in places(reply))

    @pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "image/png", ";", "a/b/c"])
    async def test_a_body_of_another_type(self, admin: Api, resource: Resource, content_type: str):
        body = json.dumps(await resource.body(admin))

        reply = await admin.post(resource.path, content=body, headers={"content-type": content_type})

        assert places(reply) == [["body"]]

    @pytest.mark.parametrize("text", ["%00", "%2F", "a" * 3000, "%20", "😀", "null", "0"])
    async def test_any_id(self, admin: Api, resource: Resource, text: str):
        assert places(await admin.get(f"{resource.path}/{text}")) == [["path", resource.parameter]]

    @pytest.mark.parametrize("text", ["%FF", "%ED%A0%80"])
    async def test_what_is_no_text_is_no_path(self, admin: Api, resource: Resource, text: str):
        assert told(await admin.get(f"{resource.path}/{text}")) == refused(404, "Not Found")

    @pytest.mark.parametrize(
        "query", ["skip=%00", "limit=%FF", "include_deleted=%ED%A0%80", "&&=&", "shape[]=array", "skip=1&skip=x"]
    )
    async def test_any_query(self, admin: Api, resource: Resource, query: str):
        assert (await admin.get(f"{resource.path}?{query}")).status_code in {200, 422}
