"""Storage locations: contract §5. What they share with other resources is in `test_conventions`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.secrets import Secret
from storage.sql.tables import audit_log, storage_locations
from tests.contract.support import NOW, Api, TickingClock, World, fault, places, refused, told

PATH = "/api/storage-locations"
COMPLETE: dict[str, dict[str, Any]] = {
    "s3": {
        "bucket": "raw",
        "region": "eu-central-1",
        "access_key_id": "AKIA0",
        "secret_access_key": "sesame-s3",
        "endpoint_url": "https://s3.example.org",
    },
    "cifs": {"host": "nas", "share": "raw", "username": "svc", "password": "sesame-cifs", "domain": "LAB"},
    "nfs": {"host": "nas", "export_path": "/raw", "mount_options": "ro"},
}
OPTIONAL = {"s3": "endpoint_url", "cifs": "domain", "nfs": "mount_options"}
SECRET = {"s3": "secret_access_key", "cifs": "password"}
REQUIRED = [(kind, key) for kind, config in COMPLETE.items() for key in config if key != OPTIONAL[kind]]


def shown(kind: str, **others: Any) -> dict[str, Any]:
    """The complete configuration as it is read."""
    masked = {SECRET[kind]: "****"} if kind in SECRET else {}
    return {**COMPLETE[kind], **masked, **others}


async def create(admin: Api, kind: str, config: Any = None) -> dict[str, Any]:
    return await admin.made(PATH, name="x", type=kind, base_path="/x", connection_config=config or COMPLETE.get(kind))


async def secrets_of(world: World) -> dict[str, Any]:
    """What is stored encrypted: no route reads it."""
    (row,) = await world.rows(storage_locations)
    sealed = row["secrets_sealed"]
    if sealed is None:
        return {}
    opened: Secret = world.parts.services.keyring.unseal(sealed)
    return dict(json.loads(opened.reveal()))


async def test_a_new_one_in_full(admin: Api):
    config = {"host": "nas", "export_path": "/raw"}
    status, body = told(
        await admin.post(
            PATH, json={"name": "NAS", "type": "nfs", "base_path": "/mnt", "connection_config": config, "enabled": False}
        )
    )

    assert (status, body) == (
        201,
        {
            "id": body["id"],
            "name": "NAS",
            "type": "nfs",
            "connection_config": {"host": "nas", "export_path": "/raw", "mount_options": None},
            "base_path": "/mnt",
            "enabled": False,
            "created_at": NOW,
            "updated_at": NOW,
            "deleted_at": None,
        },
    )


@pytest.mark.parametrize("changes", [{"name": "n"}, {"base_path": "/y"}, {"enabled": False}], ids=str)
async def test_each_field_can_be_changed_alone(admin: Api, changes: dict[str, Any]):
    row = await create(admin, "s3")

    assert told(await admin.patch(f"{PATH}/{row['id']}", json=changes)) == (200, {**row, **changes})


async def test_users_read_no_single_one(admin: Api, user: Api):
    row = await create(admin, "posix")

    assert told(await user.get(f"{PATH}/{row['id']}")) == refused(403, "Admin access required")


class TestPosix:
    @pytest.mark.parametrize("config", [None, {}, {"anything": [1, {"a": None}], "password": "kept"}], ids=str)
    async def test_anything_is_kept_as_given(self, admin: Api, config: Any):
        row = await admin.made(PATH, name="x", type="posix", base_path="/x", connection_config=config)

        assert row["connection_config"] == config
        assert told(await admin.get(f"{PATH}/{row['id']}")) == (200, row)

    async def test_a_patch_merges(self, admin: Api):
        row = await create(admin, "posix", {"a": {"x": 1}, "b": 2})

        reply = await admin.patch(f"{PATH}/{row['id']}", json={"connection_config": {"a": {"y": 1}, "c": None}})

        assert reply.json()["connection_config"] == {"a": {"y": 1}, "b": 2, "c": None}

    async def test_a_patch_of_null_leaves_it(self, admin: Api):
        row = await create(admin, "posix", {"a": 1})

        assert told(await admin.patch(f"{PATH}/{row['id']}", json={"connection_config": None})) == (200, row)

    @pytest.mark.parametrize("config", [[], "text", 7], ids=repr)
    async def test_but_it_is_an_object(self, admin: Api, config: object):
        body = {"name": "x", "type": "posix", "base_path": "/x", "connection_config": config}

        problem = fault("dict_type", ["body", "connection_config"], "Input should be a valid dictionary", config)
        assert told(await admin.post(PATH, json=body)) == refused(422, [problem])


@pytest.mark.parametrize("kind", COMPLETE)
class TestTypes:
    async def test_a_complete_one(self, admin: Api, kind: str):
        row = await create(admin, kind)

        assert row["connection_config"] == shown(kind)
        assert told(await admin.get(f"{PATH}/{row['id']}")) == (200, row)
        assert (await admin.get(PATH)).json()["items"] == [row]

    async def test_unknown_keys_are_dropped(self, admin: Api, kind: str):
        row = await create(admin, kind, {**COMPLETE[kind], "colour": "blue", "Host": "other"})

        assert row["connection_config"] == shown(kind)

    async def test_an_optional_key_is_filled_with_null(self, admin: Api, kind: str):
        config = {key: value for key, value in COMPLETE[kind].items() if key != OPTIONAL[kind]}

        row = await create(admin, kind, config)

        assert row["connection_config"] == shown(kind, **{OPTIONAL[kind]: None})

    @pytest.mark.parametrize("config", [None, {}], ids=str)
    async def test_all_required_keys_are_named_together(self, admin: Api, kind: str, config: Any):
        body = {"name": "x", "type": kind, "base_path": "/x", "connection_config": config}

        reply = await admin.post(PATH, json=body)

        assert places(reply) == [["body", key] for each, key in REQUIRED if each == kind]

    async def test_a_patch_replaces_single_keys(self, admin: Api, kind: str, clock: TickingClock):
        row = await create(admin, kind)
        clock.advance(seconds=1)
        key = next(iter(COMPLETE[kind]))

        reply = await admin.patch(f"{PATH}/{row['id']}", json={"connection_config": {key: "other", "colour": "blue"}})

        later = "2026-11-21T00:29:28.495180Z"
        changed = {**row, "connection_config": shown(kind, **{key: "other"}), "updated_at": later}
        assert told(reply) == (200, changed)
        assert told(await admin.get(f"{PATH}/{row['id']}")) == (200, changed)

    async def test_a_patch_empties_an_optional_key(self, admin: Api, kind: str):
        row = await create(admin, kind)

        reply = await admin.patch(f"{PATH}/{row['id']}", json={"connection_config": {OPTIONAL[kind]: None}})

        assert reply.json()["connection_config"] == shown(kind, **{OPTIONAL[kind]: None})

    @pytest.mark.parametrize("config", [None, {}], ids=str)
    async def test_a_patch_of_nothing_leaves_it(self, admin: Api, kind: str, config: Any, world: World):
        row = await create(admin, kind)
        before = await secrets_of(world)

        assert told(await admin.patch(f"{PATH}/{row['id']}", json={"connection_config": config})) == (200, row)
        assert await secrets_of(world) == before

    async def test_the_type_with_a_complete_configuration(self, admin: Api, kind: str, world: World):
        row = await create(admin, kind)
        other = {key: f"new {key}" for key in COMPLETE[kind]}

        reply = await admin.patch(f"{PATH}/{row['id']}", json={"type": kind, "connection_config": other})

        masked = {SECRET[kind]: "****"} if kind in SECRET else {}
        assert told(reply) == (200, {**row, "connection_config": {**other, **masked}})
        assert await secrets_of(world) == {key: other[key] for key in masked}

    async def test_the_type_with_an_incomplete_configuration(self, admin: Api, kind: str):
        row = await create(admin, kind)
        first, *others = [key for each, key in REQUIRED if each == kind]

        reply = await admin.patch(f"{PATH}/{row['id']}", json={"type": kind, "connection_config": {first: "x"}})

        assert places(reply) == [["body", key] for key in others]
        assert told(await admin.get(f"{PATH}/{row['id']}")) == (200, row)

    async def test_the_same_type_alone_is_no_change(self, admin: Api, kind: str):
        row = await create(admin, kind)

        assert told(await admin.patch(f"{PATH}/{row['id']}", json={"type": kind})) == (200, row)

    async def test_another_type_alone_is_refused(self, admin: Api, kind: str):
        posix, row = await create(admin, "posix"), await create(admin, kind)

        for each, other in ((posix, kind), (row, "posix")):
            reply = await admin.patch(f"{PATH}/{each['id']}", json={"type": other})
            assert reply.status_code == 422
            assert all(place[0] == "body" for place in places(reply))
            assert told(await admin.get(f"{PATH}/{each['id']}")) == (200, each)

    async def test_another_type_with_its_configuration(self, admin: Api, kind: str):
        row = await create(admin, "posix", {"anything": 1})

        reply = await admin.patch(f"{PATH}/{row['id']}", json={"type": kind, "connection_config": COMPLETE[kind]})

        assert told(reply) == (200, {**row, "type": kind, "connection_config": shown(kind)})

    async def test_away_from_it_no_secret_stays(self, admin: Api, kind: str, world: World):
        row = await create(admin, kind)

        reply = await admin.patch(f"{PATH}/{row['id']}", json={"type": "posix", "connection_config": {"a": 1}})

        assert told(reply) == (200, {**row, "type": "posix", "connection_config": {"a": 1}})
        assert await secrets_of(world) == {}


@pytest.mark.parametrize(("kind", "key"), REQUIRED)
class TestRequiredKeys:
    async def test_one_that_is_missing(self, admin: Api, kind: str, key: str):
        config = {name: value for name, value in COMPLETE[kind].items() if name != key}
        body = {"name": "x", "type": kind, "base_path": "/x", "connection_config": config}

        status, reply = told(await admin.post(PATH, json=body))

        (problem,) = reply["detail"]
        assert (status, problem["type"], problem["loc"], problem["msg"]) == (422, "missing", ["body", key], "Field required")

    @pytest.mark.parametrize("value", [None, 7, []], ids=repr)
    async def test_one_that_is_no_text(self, admin: Api, kind: str, key: str, value: object):
        body = {"name": "x", "type": kind, "base_path": "/x", "connection_config": {**COMPLETE[kind], key: value}}

        assert places(await admin.post(PATH, json=body)) == [["body", key]]


@pytest.mark.parametrize("kind", SECRET)
class TestSecrets:
    async def test_the_mask_keeps_what_is_stored(self, admin: Api, kind: str, world: World):
        row = await create(admin, kind)

        reply = await admin.patch(f"{PATH}/{row['id']}", json={"connection_config": {**row["connection_config"]}})

        assert told(reply) == (200, row)
        assert await secrets_of(world) == {SECRET[kind]: COMPLETE[kind][SECRET[kind]]}

    async def test_anything_else_replaces_it(self, admin: Api, kind: str, world: World):
        row = await create(admin, kind)

        reply = await admin.patch(f"{PATH}/{row['id']}", json={"connection_config": {SECRET[kind]: "new-sesame"}})

        assert reply.json()["connection_config"] == shown(kind)
        assert await secrets_of(world) == {SECRET[kind]: "new-sesame"}

    async def test_another_key_leaves_it(self, admin: Api, kind: str, world: World):
        row = await create(admin, kind)
        key = next(iter(COMPLETE[kind]))

        await admin.patch(f"{PATH}/{row['id']}", json={"connection_config": {key: "other"}})

        assert await secrets_of(world) == {SECRET[kind]: COMPLETE[kind][SECRET[kind]]}

    async def test_the_mask_beside_the_same_type_keeps_it(self, admin: Api, kind: str, world: World):
        row = await create(admin, kind)

        reply = await admin.patch(f"{PATH}/{row['id']}", json={"type": kind, "connection_config": row["connection_config"]})

        assert told(reply) == (200, row)
        assert await secrets_of(world) == {SECRET[kind]: COMPLETE[kind][SECRET[kind]]}

    async def test_nothing_but_the_store_of_secrets_holds_it(self, admin: Api, user: Api, kind: str, world: World):
        body = {"name": "x", "type": kind, "base_path": "/on-disk", "connection_config": COMPLETE[kind]}
        created = await admin.post(PATH, json=body)
        path = f"{PATH}/{created.json()['id']}"
        changes = {"connection_config": {SECRET[kind]: "sesame-2"}}
        replies = [
            created,
            await admin.post(PATH, json={**body, "name": 7}),
            await admin.patch(path, json=changes),
            await admin.patch(path, json={**changes, "enabled": "maybe"}),
            await admin.patch(path, json={"connection_config": {SECRET[kind]: ["sesame-3"]}}),
            await admin.patch(path, json={"type": kind, **changes}),
            await admin.get(path),
            await admin.get(PATH),
            await user.get(PATH),
        ]

        stored = await world.stored_bytes()
        assert b"/on-disk" in stored
        assert b"sesame" not in stored
        assert "sesame" not in repr([dict(each) for each in await world.rows(audit_log)])
        for reply in [each for each in replies if each.status_code < 400]:
            assert "sesame" not in reply.text

    async def test_the_audit_log_hides_both_sides(self, admin: Api, kind: str, world: World):
        row = await create(admin, kind)
        await admin.patch(f"{PATH}/{row['id']}", json={"connection_config": {SECRET[kind]: "sesame-2"}})

        (entry,) = [each for each in await world.rows(audit_log) if each["action"].value == "update"]
        assert (entry["entity_type"], entry["changes"]) == (
            "storage_location",
            {"connection_config": {"before": "***", "after": "***"}},
        )
