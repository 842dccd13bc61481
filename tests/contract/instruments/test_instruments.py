"""Instruments: contract §3. What they share with other resources is in `test_conventions`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from storage.sql.tables import schedules
from tests.contract.instruments.resources import INSTRUMENTS, SCHEDULES
from tests.contract.support import NOT_A_UUID, UNKNOWN, UUID_PATTERN, Api, TickingClock, World, fault, refused, told, uuid_fault

PATH = "/api/instruments"
NO_SCHEDULES = "No active schedules configured for this instrument"
FULL: dict[str, Any] = {
    "name": "Titan Themis",
    "description": "Transmission electron microscope",
    "location": "Building B, room 015",
    "pid": "https://hdl.handle.net/21.T11998/0000-001A",
    "cifs_host": "tem.example.org:1445",
    "cifs_share": "export$",
    "cifs_base_path": "/data/raw/",
    "transfer_adapter": "rsync",
    "transfer_config": {"z": 1, "a": [1.0, None, True, "ü"], "large": 2**53 + 1, "nested": {"": {}}},
    "enabled": False,
}


class TestFields:
    async def test_all_of_them(self, admin: Api):
        account = await admin.made("/api/service-accounts", name="x", username="x", password="x")
        body = {**FULL, "service_account_id": account["id"]}

        row = await admin.made(PATH, **body)

        assert {name: row[name] for name in body} == body
        assert told(await admin.get(f"{PATH}/{row['id']}")) == (200, row)

    @pytest.mark.parametrize("field", FULL)
    async def test_each_can_be_changed_alone(self, admin: Api, clock: TickingClock, field: str):
        row = await INSTRUMENTS.create(admin)
        clock.advance(seconds=1)

        reply = await admin.patch(f"{PATH}/{row['id']}", json={field: FULL[field]})

        assert told(reply) == (200, {**row, field: FULL[field], "updated_at": "2026-11-21T00:29:28.495180Z"})

    @pytest.mark.parametrize("adapter", ["rclone", "globus", "rsync"])
    async def test_the_adapters(self, admin: Api, adapter: str):
        assert (await INSTRUMENTS.create(admin, transfer_adapter=adapter))["transfer_adapter"] == adapter

    @pytest.mark.parametrize("adapter", ["ftp", "", "RCLONE"])
    async def test_another_adapter(self, admin: Api, adapter: str):
        reply = await admin.post(PATH, json={**INSTRUMENTS.minimal, "transfer_adapter": adapter})

        expected = "'rclone', 'globus' or 'rsync'"
        problem = fault("enum", ["body", "transfer_adapter"], f"Input should be {expected}", adapter, expected=expected)
        assert told(reply) == refused(422, [problem])

    @pytest.mark.parametrize("config", [[], "text", 7, True], ids=repr)
    async def test_a_configuration_is_an_object(self, admin: Api, config: object):
        reply = await admin.post(PATH, json={**INSTRUMENTS.minimal, "transfer_config": config})

        problem = fault("dict_type", ["body", "transfer_config"], "Input should be a valid dictionary", config)
        assert told(reply) == refused(422, [problem])

    async def test_a_configuration_is_stored_as_given(self, admin: Api):
        row = await INSTRUMENTS.create(admin, transfer_config=FULL["transfer_config"])

        reply = await admin.get(f"{PATH}/{row['id']}")

        assert '"transfer_config":{"z":1,"a":[1.0,null,true,"ü"],"large":9007199254740993,"nested":{"":{}}}' in reply.text

    async def test_a_configuration_is_replaced_not_merged(self, admin: Api):
        row = await INSTRUMENTS.create(admin, transfer_config={"a": 1})

        assert (await admin.patch(f"{PATH}/{row['id']}", json={"transfer_config": {}})).json()["transfer_config"] == {}


class TestRoles:
    async def test_users_read_no_single_one(self, admin: Api, user: Api):
        row = await INSTRUMENTS.create(admin)

        assert told(await user.get(f"{PATH}/{row['id']}")) == refused(403, "Admin access required")


class TestHarvestNow:
    async def test_every_enabled_schedule_is_started(self, admin: Api):
        schedule = await SCHEDULES.create(admin)
        same = {name: schedule[name] for name in ("instrument_id", "default_storage_location_id", "cron_expression")}
        second = await admin.made("/api/schedules", **same)
        await admin.made("/api/schedules", **same, enabled=False)
        deleted = await admin.made("/api/schedules", **same)
        await admin.delete(f"/api/schedules/{deleted['id']}")
        await SCHEDULES.create(admin)  # of another instrument

        status, body = told(await admin.post(f"{PATH}/{schedule['instrument_id']}/harvest"))

        assert (status, list(body), body["errors"]) == (200, ["triggered", "errors"], [])
        assert sorted(each["schedule_id"] for each in body["triggered"]) == sorted([schedule["id"], second["id"]])
        assert [list(each) for each in body["triggered"]] == [["flow_run_id", "schedule_id"]] * 2
        runs = {each["flow_run_id"] for each in body["triggered"]}
        assert len(runs) == 2
        assert all(UUID_PATTERN.fullmatch(run) for run in runs)

    async def test_each_call_starts_anew(self, admin: Api):
        schedule = await SCHEDULES.create(admin)
        path = f"{PATH}/{schedule['instrument_id']}/harvest"

        first, second = [(await admin.post(path)).json()["triggered"][0]["flow_run_id"] for _ in range(2)]

        assert first != second

    async def test_without_schedules(self, admin: Api):
        row = await INSTRUMENTS.create(admin)

        assert told(await admin.post(f"{PATH}/{row['id']}/harvest")) == refused(400, NO_SCHEDULES)

    async def test_with_none_that_is_enabled(self, admin: Api):
        schedule = await SCHEDULES.create(admin, enabled=False)

        assert told(await admin.post(f"{PATH}/{schedule['instrument_id']}/harvest")) == refused(400, NO_SCHEDULES)

    async def test_with_none_that_can_be_started(self, world: World, admin: Api):
        schedule = await SCHEDULES.create(admin)
        await unregister(world, schedule["id"])

        reply = await admin.post(f"{PATH}/{schedule['instrument_id']}/harvest")

        assert told(reply) == refused(502, "No Prefect deployment configured")

    async def test_with_one_that_cannot(self, world: World, admin: Api, clock: TickingClock):
        broken = await SCHEDULES.create(admin)
        await unregister(world, broken["id"])
        clock.advance(seconds=1)
        same = {name: broken[name] for name in ("instrument_id", "default_storage_location_id", "cron_expression")}
        fine = await admin.made("/api/schedules", **same)

        status, body = told(await admin.post(f"{PATH}/{broken['instrument_id']}/harvest"))

        assert status == 200
        assert [each["schedule_id"] for each in body["triggered"]] == [fine["id"]]
        assert body["errors"] == [{"schedule_id": broken["id"], "error": "No Prefect deployment configured"}]

    async def test_while_the_engine_is_down(self, admin: Api, engine_down: None):
        schedule = await SCHEDULES.create(admin)

        reply = await admin.post(f"{PATH}/{schedule['instrument_id']}/harvest")

        assert told(reply) == refused(502, "Prefect server unavailable")

    async def test_an_unknown_or_deleted_instrument(self, admin: Api):
        row = await INSTRUMENTS.create(admin)
        await admin.delete(f"{PATH}/{row['id']}")

        for key in (UNKNOWN, row["id"]):
            assert told(await admin.post(f"{PATH}/{key}/harvest")) == refused(404, "Instrument not found")

    async def test_the_order_of_checks(self, anonymous: Api, user: Api, admin: Api):
        path = f"{PATH}/{NOT_A_UUID}/harvest"

        assert told(await anonymous.post(path)) == refused(401, "Unauthorized")
        assert told(await user.post(path)) == refused(403, "Admin access required")
        assert told(await admin.post(path)) == refused(422, [uuid_fault("path", "instrument_id")])


async def unregister(world: World, schedule: str) -> None:
    """As a schedule of the original may be whose engine was down."""
    async with world.parts.database.transaction() as transaction:
        await transaction.execute(update(schedules).where(schedules.c.id == UUID(schedule)).values(deployment_id=None))
