"""Schedules: contract §6. What they share with other resources is in `test_conventions`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from storage.sql.tables import runs, schedules
from tests.contract.instruments.resources import SCHEDULES
from tests.contract.support import (
    NOT_A_UUID,
    NOW,
    UNKNOWN,
    UUID_PATTERN,
    Api,
    TickingClock,
    World,
    fault,
    places,
    refused,
    told,
    uuid_fault,
)

PATH = "/api/schedules"
NO_DEPLOYMENT = "Schedule has no Prefect deployment — cannot trigger harvest"


async def test_a_new_one_in_full(admin: Api):
    body = await SCHEDULES.body(admin)

    status, row = told(await admin.post(PATH, json={**body, "enabled": False}))

    assert (status, row) == (
        201,
        {
            "id": row["id"],
            "instrument_id": body["instrument_id"],
            "default_storage_location_id": body["default_storage_location_id"],
            "cron_expression": "*/15 * * * *",
            "prefect_deployment_id": row["prefect_deployment_id"],
            "enabled": False,
            "created_at": NOW,
            "updated_at": NOW,
            "deleted_at": None,
        },
    )


@pytest.mark.parametrize("field", ["instrument_id", "default_storage_location_id", "cron_expression"])
async def test_a_required_field_that_is_missing(admin: Api, field: str):
    body = {name: value for name, value in (await SCHEDULES.body(admin)).items() if name != field}

    assert told(await admin.post(PATH, json=body)) == refused(422, [fault("missing", ["body", field], "Field required", body)])


@pytest.mark.parametrize("field", ["instrument_id", "default_storage_location_id"])
async def test_a_reference_that_is_no_uuid(admin: Api, field: str):
    reply = await admin.post(PATH, json={**await SCHEDULES.body(admin), field: NOT_A_UUID})

    assert told(reply) == refused(422, [uuid_fault("body", field)])


class TestCron:
    @pytest.mark.parametrize(
        "expression",
        ["* * * * *", "0 5 * * 1", "*/5 0-6,18-23 1,15 * 1-5", "0 0 29 2 *", "30 4 * JAN-MAR MON", "0 0 1 1 0", "0 0 * * 7"],
    )
    async def test_five_fields(self, admin: Api, expression: str):
        assert (await SCHEDULES.create(admin, cron_expression=expression))["cron_expression"] == expression

    @pytest.mark.parametrize(
        "expression",
        ["", "nonsense", "* * * *", "* * * * * *", "61 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8",
         "*/0 * * * *", "a b c d e", "@daily", "0 0 31 2 *", "5-1 * * * *", "* * * * *\0", "\U0001f600 * * * *"],
    )  # fmt: skip
    async def test_nonsense_is_refused(self, admin: Api, expression: str):
        row = await SCHEDULES.create(admin)

        created = await admin.post(PATH, json={**await SCHEDULES.body(admin), "cron_expression": expression})
        changed = await admin.patch(f"{PATH}/{row['id']}", json={"cron_expression": expression})

        assert places(created) == places(changed) == [["body", "cron_expression"]]
        assert told(await admin.get(f"{PATH}/{row['id']}")) == (200, row)


class TestDeployment:
    async def test_each_schedule_has_its_own(self, admin: Api):
        first = await SCHEDULES.create(admin)
        same = {name: first[name] for name in ("instrument_id", "default_storage_location_id", "cron_expression")}
        second = await admin.made(PATH, **same)

        deployments = [first["prefect_deployment_id"], second["prefect_deployment_id"]]
        assert all(UUID_PATTERN.fullmatch(each) for each in deployments)
        assert deployments[0] != deployments[1]

    async def test_deleting_one_leaves_the_other(self, admin: Api):
        first = await SCHEDULES.create(admin)
        same = {name: first[name] for name in ("instrument_id", "default_storage_location_id", "cron_expression")}
        second = await admin.made(PATH, **same)

        await admin.delete(f"{PATH}/{first['id']}")

        assert told(await admin.get(f"{PATH}/{second['id']}")) == (200, second)
        assert (await admin.post(f"{PATH}/{second['id']}/trigger")).status_code == 200

    @pytest.mark.parametrize("changes", [{"cron_expression": "0 1 * * *"}, {"enabled": False}], ids=str)
    async def test_a_change_keeps_it(self, admin: Api, clock: TickingClock, changes: dict[str, Any]):
        row = await SCHEDULES.create(admin)
        clock.advance(seconds=1)

        reply = await admin.patch(f"{PATH}/{row['id']}", json=changes)

        assert told(reply) == (200, {**row, **changes, "updated_at": "2026-11-21T00:29:28.495180Z"})

    async def test_a_restored_schedule_is_registered_again(self, admin: Api):
        row = await SCHEDULES.create(admin)
        await admin.delete(f"{PATH}/{row['id']}")

        status, restored = told(await admin.post(f"{PATH}/{row['id']}/restore"))

        assert (status, restored["enabled"]) == (200, False)
        assert UUID_PATTERN.fullmatch(restored["prefect_deployment_id"])
        assert (await admin.post(f"{PATH}/{row['id']}/trigger")).status_code == 200


class TestTrigger:
    async def test_the_reply(self, admin: Api):
        row = await SCHEDULES.create(admin)

        status, body = told(await admin.post(f"{PATH}/{row['id']}/trigger"))

        assert (status, body) == (200, {"flow_run_id": body["flow_run_id"], "schedule_id": row["id"]})
        assert list(body) == ["flow_run_id", "schedule_id"]
        assert UUID_PATTERN.fullmatch(body["flow_run_id"])

    async def test_it_returns_before_the_harvest_begins(self, world: World, admin: Api):
        row = await SCHEDULES.create(admin)

        body = (await admin.post(f"{PATH}/{row['id']}/trigger")).json()

        (run,) = await world.rows(runs)
        assert (str(run["id"]), run["state"].value, run["started_at"]) == (body["flow_run_id"], "queued", None)

    async def test_a_new_id_per_call(self, admin: Api):
        row = await SCHEDULES.create(admin)

        ids = {(await admin.post(f"{PATH}/{row['id']}/trigger")).json()["flow_run_id"] for _ in range(3)}

        assert len(ids) == 3

    async def test_it_works_on_a_disabled_schedule(self, admin: Api):
        row = await SCHEDULES.create(admin, enabled=False)

        assert (await admin.post(f"{PATH}/{row['id']}/trigger")).json()["schedule_id"] == row["id"]
        assert told(await admin.get(f"{PATH}/{row['id']}")) == (200, row)

    async def test_it_works_on_a_disabled_instrument(self, admin: Api):
        row = await SCHEDULES.create(admin)
        await admin.patch(f"/api/instruments/{row['instrument_id']}", json={"enabled": False})

        assert (await admin.post(f"{PATH}/{row['id']}/trigger")).status_code == 200

    async def test_an_unknown_or_deleted_schedule(self, admin: Api):
        row = await SCHEDULES.create(admin)
        await admin.delete(f"{PATH}/{row['id']}")

        for key in (UNKNOWN, row["id"]):
            assert told(await admin.post(f"{PATH}/{key}/trigger")) == refused(404, "Schedule not found")

    async def test_one_without_a_deployment(self, world: World, admin: Api):
        row = await SCHEDULES.create(admin)
        async with world.parts.database.transaction() as transaction:
            await transaction.execute(update(schedules).where(schedules.c.id == UUID(row["id"])).values(deployment_id=None))

        assert (await admin.get(f"{PATH}/{row['id']}")).json()["prefect_deployment_id"] is None
        assert told(await admin.post(f"{PATH}/{row['id']}/trigger")) == refused(400, NO_DEPLOYMENT)

    async def test_while_the_engine_is_down(self, admin: Api, engine_down: None):
        row = await SCHEDULES.create(admin)

        reply = await admin.post(f"{PATH}/{row['id']}/trigger")

        assert told(reply) == refused(502, "Failed to trigger harvest — Prefect server may be unavailable")

    async def test_the_order_of_checks(self, anonymous: Api, user: Api, admin: Api):
        path = f"{PATH}/{NOT_A_UUID}/trigger"

        assert told(await anonymous.post(path)) == refused(401, "Unauthorized")
        assert told(await user.post(path)) == refused(403, "Admin access required")
        assert told(await admin.post(path)) == refused(422, [uuid_fault("path", "schedule_id")])
