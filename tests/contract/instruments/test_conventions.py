"""What all managed resources have in common: contract §1, and §3 "Soft delete"."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.contract.instruments.resources import INSTRUMENTS, RESOURCES, SCHEDULES, Resource
from tests.contract.support import (
    NOT_A_UUID,
    NOW,
    UNKNOWN,
    UUID_PATTERN,
    Api,
    TickingClock,
    places,
    refused,
    told,
    uuid_fault,
)

LATER = "2026-11-21T00:29:28.495180Z"
NULLABLE = {
    "instruments": ["description", "location", "pid", "cifs_base_path", "service_account_id", "transfer_config"],
    "service-accounts": ["domain"],
    "hooks": ["description", "builtin_name", "script_path", "webhook_url", "config", "instrument_id"],
    "groups": ["description"],
    "projects": ["description"],
}
NOT_NULLABLE = {
    "instruments": ["name", "cifs_host", "cifs_share", "transfer_adapter", "enabled"],
    "service-accounts": ["name", "username", "password"],
    "storage-locations": ["name", "type", "base_path", "enabled"],
    "schedules": ["instrument_id", "default_storage_location_id", "cron_expression", "enabled"],
    "hooks": ["name", "trigger", "implementation", "priority", "enabled"],
    "groups": ["name"],
    "projects": ["name"],
}


def fields(table: dict[str, list[str]]) -> list[Any]:
    by_name = {str(resource): resource for resource in RESOURCES}
    return [pytest.param(by_name[name], field, id=f"{name}-{field}") for name, many in table.items() for field in many]


def without_engine_ids(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in {"id", "prefect_deployment_id"}}


class TestCreate:
    async def test_a_minimal_body_is_answered_with_every_field(self, admin: Api, resource: Resource):
        body = await resource.body(admin)

        status, row = told(await admin.post(resource.path, json=body))

        assert status == 201
        assert without_engine_ids(row) == resource.read(body, NOW)

    async def test_the_id_is_a_version_4_uuid(self, admin: Api, resource: Resource):
        assert UUID_PATTERN.fullmatch((await resource.create(admin))["id"])

    async def test_a_fraction_of_zero_is_absent(self, admin: Api, resource: Resource, clock: TickingClock):
        clock.now = datetime(2026, 11, 21, tzinfo=UTC)

        assert (await resource.create(admin))["created_at"] == "2026-11-21T00:00:00Z"

    async def test_a_fraction_has_six_digits(self, admin: Api, resource: Resource, clock: TickingClock):
        clock.now = datetime(2026, 11, 21, 0, 0, 0, 500_000, tzinfo=UTC)

        assert (await resource.create(admin))["created_at"] == "2026-11-21T00:00:00.500000Z"

    async def test_unknown_and_read_only_keys_are_ignored(self, admin: Api, resource: Resource):
        body = await resource.body(admin)
        extra = {
            "id": UNKNOWN,
            "created_at": "2001-01-01T00:00:00Z",
            "updated_at": 7,
            "deleted_at": "2001-01-01T00:00:00Z",
            "last_harvested_at": "2001-01-01T00:00:00Z",
            "prefect_deployment_id": UNKNOWN,
            "no such key": {"a": [1]},
        }

        status, row = told(await admin.post(resource.path, json={**body, **extra}))

        assert status == 201
        assert row["id"] != UNKNOWN
        assert row.get("prefect_deployment_id") != UNKNOWN
        assert without_engine_ids(row) == resource.read(body, NOW)

    async def test_unknown_query_parameters_are_ignored(self, admin: Api, resource: Resource):
        assert (await admin.post(f"{resource.path}?colour=blue", json=await resource.body(admin))).status_code == 201

    @pytest.mark.parametrize("resource", [each for each in RESOURCES if not each.unique], ids=str)
    async def test_equal_rows_are_no_conflict(self, admin: Api, resource: Resource):
        body = await resource.body(admin)

        first, second = await admin.made(resource.path, **body), await admin.made(resource.path, **body)

        assert first["id"] != second["id"]


class TestRead:
    async def test_it_is_what_the_create_returned(self, admin: Api, resource: Resource):
        row = await resource.create(admin)

        assert told(await admin.get(f"{resource.path}/{row['id']}")) == (200, row)

    async def test_an_id_in_upper_case_is_the_same_id(self, admin: Api, resource: Resource):
        row = await resource.create(admin)

        assert told(await admin.get(f"{resource.path}/{row['id'].upper()}")) == (200, row)

    @pytest.mark.parametrize("resource", [each for each in RESOURCES if each is not SCHEDULES], ids=str)
    async def test_text_is_utf_8_and_compact(self, admin: Api, resource: Resource):
        row = await resource.create(admin, **{resource.text: "Größe, 測量"})

        reply = await admin.get(f"{resource.path}/{row['id']}")

        assert reply.headers["content-type"] == "application/json"
        assert f'"{resource.text}":"Größe, 測量",' in reply.content.decode()


class TestPatch:
    async def test_an_empty_one_changes_nothing(self, admin: Api, resource: Resource, clock: TickingClock):
        row = await resource.create(admin)
        clock.advance(seconds=1)

        assert told(await admin.patch(f"{resource.path}/{row['id']}", json={})) == (200, row)
        assert told(await admin.get(f"{resource.path}/{row['id']}")) == (200, row)

    async def test_unknown_and_read_only_keys_change_nothing(self, admin: Api, resource: Resource, clock: TickingClock):
        row = await resource.create(admin)
        clock.advance(seconds=1)
        ignored = {"id": UNKNOWN, "created_at": None, "updated_at": "x", "deleted_at": LATER, "no such key": 1}

        assert told(await admin.patch(f"{resource.path}/{row['id']}", json=ignored)) == (200, row)

    async def test_only_what_is_sent_changes(self, admin: Api, resource: Resource, clock: TickingClock):
        row = await resource.create(admin)
        clock.advance(seconds=1)
        changed = {**row, resource.text: "0 5 * * 1", "updated_at": LATER}

        assert told(await admin.patch(f"{resource.path}/{row['id']}", json={resource.text: "0 5 * * 1"})) == (200, changed)
        assert told(await admin.get(f"{resource.path}/{row['id']}")) == (200, changed)

    async def test_what_stays_as_it_was_is_no_change(self, admin: Api, resource: Resource, clock: TickingClock):
        row = await resource.create(admin)
        clock.advance(seconds=1)

        same = {resource.text: row[resource.text]}

        assert told(await admin.patch(f"{resource.path}/{row['id']}", json=same)) == (200, row)

    @pytest.mark.parametrize(("resource", "field"), fields(NULLABLE))
    async def test_null_is_stored_where_it_is_allowed(self, admin: Api, resource: Resource, field: str):
        account = await admin.made("/api/service-accounts", name="x", username="x", password="x")
        values = {"service_account_id": account["id"], "transfer_config": {"a": 1}, "config": {"a": 1}}
        if field == "instrument_id":
            values[field] = (await INSTRUMENTS.create(admin))["id"]
        row = await resource.create(admin, **{field: values.get(field, "text")})
        assert row[field] is not None

        assert told(await admin.patch(f"{resource.path}/{row['id']}", json={field: None})) == (200, {**row, field: None})

    @pytest.mark.parametrize(("resource", "field"), fields(NOT_NULLABLE))
    async def test_null_is_refused_where_it_is_not(self, admin: Api, resource: Resource, field: str):
        row = await resource.create(admin)

        status, body = told(await admin.patch(f"{resource.path}/{row['id']}", json={field: None}))

        assert status == 422
        assert [(each["loc"], each["input"]) for each in body["detail"]] == [(["body", field], None)]
        assert told(await admin.get(f"{resource.path}/{row['id']}")) == (200, row)

    async def test_a_wrong_field_keeps_the_others_from_being_stored(self, admin: Api, resource: Resource):
        row = await resource.create(admin)
        wrong = {"enabled": "maybe"} if resource.can_be_disabled else dict.fromkeys(resource.defaults, 7)

        reply = await admin.patch(f"{resource.path}/{row['id']}", json={resource.text: "0 5 * * 1", **wrong})

        assert places(reply) == [["body", field] for field in wrong]
        assert told(await admin.get(f"{resource.path}/{row['id']}")) == (200, row)


class TestDelete:
    async def test_it_is_204_without_a_body(self, admin: Api, resource: Resource):
        row = await resource.create(admin)

        reply = await admin.delete(f"{resource.path}/{row['id']}")

        assert (reply.status_code, reply.content) == (204, b"")
        assert "content-type" not in reply.headers

    @pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
    async def test_afterwards_it_is_not_found(self, admin: Api, resource: Resource, method: str):
        row = await resource.create(admin)
        await admin.delete(f"{resource.path}/{row['id']}")

        reply = await admin.request(method, f"{resource.path}/{row['id']}", json={} if method == "PATCH" else None)

        assert told(reply) == refused(404, resource.not_found)

    async def test_lists_leave_it_out_unless_asked(self, admin: Api, resource: Resource, clock: TickingClock):
        row, other = await resource.create(admin), await resource.create(admin)
        clock.advance(seconds=1)
        await admin.delete(f"{resource.path}/{row['id']}")

        live = (await admin.get(resource.path)).json()
        every = (await admin.get(f"{resource.path}?include_deleted=true")).json()

        assert (live["items"] if resource.enveloped else live) == [other]
        deleted = {**row, "deleted_at": LATER, "updated_at": LATER}
        if resource.can_be_disabled:
            deleted["enabled"] = False
        found = every["items"] if resource.enveloped else every
        shown = {each["id"]: without_engine_ids(each) for each in found}
        assert shown == {row["id"]: without_engine_ids(deleted), other["id"]: without_engine_ids(other)}


class TestRestore:
    async def test_it_returns_the_row_disabled(self, admin: Api, resource: Resource, clock: TickingClock):
        row = await resource.create(admin)
        await admin.delete(f"{resource.path}/{row['id']}")
        clock.advance(seconds=1)

        status, restored = told(await admin.post(f"{resource.path}/{row['id']}/restore"))

        expected = {**row, "updated_at": LATER} | ({"enabled": False} if resource.can_be_disabled else {})
        assert (status, without_engine_ids(restored)) == (200, without_engine_ids(expected))
        assert told(await admin.get(f"{resource.path}/{row['id']}")) == (200, restored)

    async def test_a_live_row_is_no_deleted_one(self, admin: Api, resource: Resource):
        row = await resource.create(admin)

        assert told(await admin.post(f"{resource.path}/{row['id']}/restore")) == refused(404, resource.deleted_not_found)

    async def test_an_unknown_row_is_no_deleted_one(self, admin: Api, resource: Resource):
        assert told(await admin.post(f"{resource.path}/{UNKNOWN}/restore")) == refused(404, resource.deleted_not_found)


CALLS = [
    ("GET", "/{id}", None),
    ("PATCH", "/{id}", {"name": 7, "cron_expression": 7}),
    ("DELETE", "/{id}", None),
    ("POST", "/{id}/restore", None),
]
CREATE_AND_CALLS = [("POST", "", {}), *CALLS]


class TestOrderOfChecks:
    """Token, role, validation, existence."""

    @pytest.mark.parametrize(("method", "path", "body"), CREATE_AND_CALLS)
    async def test_anonymous_is_401_whatever_is_asked(
        self, anonymous: Api, resource: Resource, method: str, path: str, body: object
    ):
        reply = await anonymous.request(method, resource.path + path.format(id=NOT_A_UUID), json=body)

        assert told(reply) == refused(401, "Unauthorized")

    @pytest.mark.parametrize(("method", "path", "body"), CREATE_AND_CALLS)
    async def test_a_user_is_403_whatever_is_asked(self, user: Api, resource: Resource, method: str, path: str, body: object):
        reply = await user.request(method, resource.path + path.format(id=NOT_A_UUID), json=body)

        assert told(reply) == refused(403, "Admin access required")

    @pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in CALLS])
    async def test_a_bad_id_is_422(self, admin: Api, resource: Resource, method: str, path: str):
        body = {} if method == "PATCH" else None
        reply = await admin.request(method, resource.path + path.format(id=NOT_A_UUID), json=body)

        assert told(reply) == refused(422, [uuid_fault("path", resource.parameter)])

    async def test_a_bad_body_is_422_before_an_unknown_id_is_404(self, admin: Api, resource: Resource):
        reply = await admin.patch(f"{resource.path}/{UNKNOWN}", json={resource.text: 7})

        assert reply.status_code == 422

    @pytest.mark.parametrize(("method", "body"), [("GET", None), ("PATCH", {}), ("DELETE", None)])
    async def test_an_unknown_id_is_404(self, admin: Api, resource: Resource, method: str, body: object):
        reply = await admin.request(method, f"{resource.path}/{UNKNOWN}", json=body)

        assert told(reply) == refused(404, resource.not_found)

    async def test_broken_json_of_a_user_is_403(self, user: Api, resource: Resource):
        assert told(await user.post(resource.path, content=b"{bad")) == refused(403, "Admin access required")


class TestRouting:
    @pytest.mark.parametrize(
        ("method", "path"), [("GET", ""), ("POST", ""), ("GET", f"/{UNKNOWN}"), ("POST", f"/{UNKNOWN}/restore")]
    )
    async def test_a_trailing_slash_redirects(self, anonymous: Api, resource: Resource, method: str, path: str):
        reply = await anonymous.request(method, f"{resource.path}{path}/?skip=1&x=a%20b")

        location = urlsplit(reply.headers["location"])
        assert (reply.status_code, location.path, location.query) == (307, resource.path + path, "skip=1&x=a%20b")

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("PUT", "", {"GET", "POST"}),
            ("DELETE", "", {"GET", "POST"}),
            ("PUT", f"/{UNKNOWN}", {"GET", "PATCH", "DELETE"}),
            ("POST", f"/{UNKNOWN}", {"GET", "PATCH", "DELETE"}),
            ("GET", f"/{UNKNOWN}/restore", {"POST"}),
        ],
    )
    async def test_a_wrong_method_is_405(self, anonymous: Api, resource: Resource, method: str, path: str, allowed: set[str]):
        reply = await anonymous.request(method, resource.path + path)

        assert told(reply) == refused(405, "Method Not Allowed")
        assert set(reply.headers["allow"].split(", ")) - {"HEAD"} == allowed

    @pytest.mark.parametrize("path", ["/api/nothing", "/api", "/auth/nothing", "/users/nothing/at/all", "/users", "/api/a/b/c"])
    async def test_an_unknown_path_is_404(self, anonymous: Api, path: str):
        assert told(await anonymous.get(path)) == refused(404, "Not Found")

    async def test_there_are_no_cors_headers(self, admin: Api, resource: Resource):
        reply = await admin.get(resource.path, headers={"Origin": "https://elsewhere.example.org"})

        assert not [name for name in reply.headers if name.startswith("access-control-")]


async def test_every_write_of_a_row_tells_it_in_full(admin: Api, resource: Resource):
    """Create, read, change, restore and list answer with the same keys in the same order."""
    row = await resource.create(admin)
    path = f"{resource.path}/{row['id']}"
    changed = (await admin.patch(path, json={})).json()
    listed = (await admin.get(resource.path)).json()
    await admin.delete(path)
    restored = (await admin.post(f"{path}/restore")).json()

    first = (listed["items"] if resource.enveloped else listed)[0]
    assert list(row) == list(changed) == list(first) == list(restored)
