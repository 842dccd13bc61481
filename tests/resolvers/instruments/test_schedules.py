"""Schedules and harvests by hand: contract streamweave §6, and §3 for "harvest now"."""

from __future__ import annotations

from uuid import uuid4

import pytest

from core.errors import Forbidden, InvalidInput, NotFound, Refused, Unauthenticated, Unavailable
from core.vocabulary import StorageType
from resolvers.instruments.instruments import (
    InstrumentChanges,
    NewInstrument,
    create_instrument,
    update_instrument,
)
from resolvers.instruments.rows import INSTRUMENT, STORAGE_LOCATION, delete_row
from resolvers.instruments.schedules import (
    Harvest,
    NewSchedule,
    NotTriggered,
    ScheduleChanges,
    Triggered,
    create_schedule,
    delete_schedule,
    harvest_instrument,
    restore_schedule,
    trigger_schedule,
    update_schedule,
)
from resolvers.instruments.storage_locations import (
    NewStorageLocation,
    create_storage_location,
)
from storage.sql.tables import schedules

NIGHTLY = "0 3 * * *"


@pytest.fixture
async def instrument(admin):
    return await create_instrument(admin, NewInstrument(name="Microscope", cifs_host="nas", cifs_share="data"))


@pytest.fixture
async def archive(admin):
    return await create_storage_location(
        admin, NewStorageLocation(name="Archive", type=StorageType.POSIX, base_path="/archive")
    )


@pytest.fixture
def new(instrument, archive):
    """A schedule of that instrument, with some fields otherwise."""

    def schedule(**otherwise) -> NewSchedule:
        given = {"instrument_id": instrument, "default_storage_location_id": archive, "cron_expression": NIGHTLY}
        return NewSchedule(**given | otherwise)

    return schedule


async def test_create_registers_a_deployment(admin, new, instrument, archive, clock, row, runner, audited, entry):
    key = await create_schedule(admin, new())

    stored = await row(schedules, key)
    assert stored.pop("deployment_id") is not None
    assert stored == {
        "id": key,
        "instrument_id": instrument,
        "default_storage_location_id": archive,
        "cron_expression": NIGHTLY,
        "enabled": True,
        "created_at": clock.now,
        "updated_at": clock.now,
        "deleted_at": None,
    }
    assert runner.registered == [key]
    assert (await audited())[-1] == entry(admin, "create", "schedule", key)


async def test_each_schedule_has_a_deployment_of_its_own(admin, new, row):
    first, second = [await row(schedules, await create_schedule(admin, new())) for _ in range(2)]

    assert first["deployment_id"] != second["deployment_id"]


@pytest.mark.parametrize("cron", ["", "nonsense", "* * * *", "61 * * * *", "0 3 * * * *"])
async def test_nonsense_cron_is_invalid_input(admin, new, cron):
    with pytest.raises(InvalidInput) as refused:
        await create_schedule(admin, new(cron_expression=cron))

    assert refused.value.field == "cron_expression"


async def test_cron_has_at_most_100_characters(admin, new):
    with pytest.raises(InvalidInput) as refused:
        await create_schedule(admin, new(cron_expression="0 " * 51))

    assert refused.value.problems[0].kind == "string_too_long"


@pytest.mark.parametrize("field", ["instrument_id", "default_storage_location_id"])
async def test_unknown_references_are_invalid_input(admin, new, field, runner):
    with pytest.raises(InvalidInput) as refused:
        await create_schedule(admin, new(**{field: uuid4()}))

    assert refused.value.field == field
    assert runner.registered == []


async def test_deleted_references_are_invalid_input(admin, new, archive):
    await delete_row(admin, STORAGE_LOCATION, archive)

    with pytest.raises(InvalidInput, match="Storage location does not exist"):
        await create_schedule(admin, new())


async def test_update_keeps_the_deployment(admin, new, clock, row, runner, audited, entry):
    key = await create_schedule(admin, new())
    before = await row(schedules, key)
    clock.advance(minutes=1)

    assert await update_schedule(admin, key, ScheduleChanges(cron_expression="5 4 * * 1", enabled=False)) == key

    assert await row(schedules, key) == {
        **before,
        "cron_expression": "5 4 * * 1",
        "enabled": False,
        "updated_at": clock.now,
    }
    assert (runner.registered, runner.unregistered) == ([key], [])
    changes = {
        "cron_expression": {"before": NIGHTLY, "after": "5 4 * * 1"},
        "enabled": {"before": True, "after": False},
    }
    assert (await audited())[-1] == entry(admin, "update", "schedule", key, changes)


async def test_update_moves_to_another_instrument(admin, new, row):
    key = await create_schedule(admin, new())
    other = await create_instrument(admin, NewInstrument(name="Other", cifs_host="nas", cifs_share="data"))

    await update_schedule(admin, key, ScheduleChanges(instrument_id=other))

    assert (await row(schedules, key))["instrument_id"] == other


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cron_expression", "nonsense"),
        ("cron_expression", None),
        ("instrument_id", None),
        ("instrument_id", uuid4()),
        ("enabled", None),
    ],
)
async def test_update_refuses_what_create_refuses(admin, new, field, value):
    key = await create_schedule(admin, new())

    with pytest.raises(InvalidInput) as refused:
        await update_schedule(admin, key, ScheduleChanges(**{field: value}))

    assert refused.value.field == field


async def test_delete_removes_the_deployment(admin, new, clock, row, runner, audited, entry):
    key = await create_schedule(admin, new())
    before = await row(schedules, key)
    clock.advance(minutes=1)

    assert await delete_schedule(admin, key) == key

    assert await row(schedules, key) == {
        **before,
        "enabled": False,
        "deployment_id": None,
        "deleted_at": clock.now,
        "updated_at": clock.now,
    }
    assert runner.unregistered == [before["deployment_id"]]
    assert (await audited())[-1] == entry(admin, "delete", "schedule", key)


async def test_restore_registers_again_and_leaves_it_disabled(admin, new, clock, row, runner):
    key = await create_schedule(admin, new())
    before = await row(schedules, key)
    await delete_schedule(admin, key)
    clock.advance(minutes=1)

    assert await restore_schedule(admin, key) == key

    stored = await row(schedules, key)
    assert stored["deployment_id"] is not None
    assert {**stored, "deployment_id": None} == {
        **before,
        "enabled": False,
        "deployment_id": None,
        "updated_at": clock.now,
    }
    assert runner.registered == [key, key]


async def test_trigger_starts_a_run_and_is_audited(admin, new, runner, instrument, audited, entry):
    key = await create_schedule(admin, new())

    triggered = await trigger_schedule(admin, key)

    (run,) = runner.started
    assert triggered.schedule_id == key
    assert (run.subject_id, run.target_id) == (key, instrument)
    noted = {"triggered_run": {"before": None, "after": str(triggered.run_id)}}
    assert (await audited())[-1] == entry(admin, "update", "schedule", key, noted)


async def test_trigger_works_on_disabled_schedules_and_instruments(admin, new, instrument, runner):
    key = await create_schedule(admin, new(enabled=False))
    await update_instrument(admin, instrument, InstrumentChanges(enabled=False))

    first, second = await trigger_schedule(admin, key), await trigger_schedule(admin, key)

    assert first.run_id != second.run_id
    assert len(runner.started) == 2


async def test_trigger_needs_a_live_instrument(admin, new, instrument):
    key = await create_schedule(admin, new())
    await delete_row(admin, INSTRUMENT, instrument)

    with pytest.raises(NotFound, match=r"^Instrument not found$"):
        await trigger_schedule(admin, key)


async def test_trigger_needs_a_deployment(admin, new, database):
    key = await create_schedule(admin, new())
    async with database.transaction() as transaction:
        await transaction.update(schedules, key, deployment_id=None)

    with pytest.raises(Refused, match=r"^Schedule has no Prefect deployment — cannot trigger harvest$"):
        await trigger_schedule(admin, key)


async def test_trigger_tells_when_the_engine_is_down(admin, new, runner, audited):
    key = await create_schedule(admin, new())
    log = await audited()
    runner.down = True

    with pytest.raises(Unavailable, match=r"^Failed to trigger harvest — Prefect server may be unavailable$") as refused:
        await trigger_schedule(admin, key)

    assert str(refused.value.__cause__) == "connection refused"
    assert await audited() == log


async def test_what_is_not_there_is_not_found(admin, new):
    key = await create_schedule(admin, new())
    with pytest.raises(NotFound, match=r"^Deleted schedule not found$"):
        await restore_schedule(admin, key)

    await delete_schedule(admin, key)
    for call in (
        update_schedule(admin, key, ScheduleChanges()),
        delete_schedule(admin, key),
        trigger_schedule(admin, key),
    ):
        with pytest.raises(NotFound, match=r"^Schedule not found$"):
            await call


async def test_harvest_now_starts_every_live_enabled_schedule(admin, new, instrument, clock, runner):
    first = await create_schedule(admin, new())
    clock.advance(seconds=1)
    second = await create_schedule(admin, new())
    await create_schedule(admin, new(enabled=False))
    await delete_schedule(admin, await create_schedule(admin, new()))

    harvest = await harvest_instrument(admin, instrument)

    assert [triggered.schedule_id for triggered in harvest.triggered] == [first, second]
    assert [run.subject_id for run in runner.started] == [first, second]
    assert (harvest.instrument_id, harvest.errors) == (instrument, ())


async def test_harvest_now_tells_what_failed_beside_what_started(admin, new, instrument, clock, runner, database):
    started, down, unregistered = [await create_schedule(admin, new(cron_expression=f"{n} * * * *")) for n in range(3)]
    runner.down_for = {down}
    async with database.transaction() as transaction:
        await transaction.update(schedules, unregistered, deployment_id=None)

    harvest = await harvest_instrument(admin, instrument)

    assert isinstance(harvest, Harvest)
    assert [type(triggered) for triggered in harvest.triggered] == [Triggered]
    assert harvest.triggered[0].schedule_id == started
    assert set(harvest.errors) == {
        NotTriggered(down, "Prefect server unavailable"),
        NotTriggered(unregistered, "No Prefect deployment configured"),
    }


async def test_harvest_now_fails_with_the_first_error_if_all_do(admin, new, instrument, runner):
    await create_schedule(admin, new())
    runner.down = True

    with pytest.raises(Unavailable, match=r"^Prefect server unavailable$"):
        await harvest_instrument(admin, instrument)


async def test_harvest_now_needs_an_active_schedule(admin, new, instrument):
    await create_schedule(admin, new(enabled=False))

    with pytest.raises(Refused, match=r"^No active schedules configured for this instrument$"):
        await harvest_instrument(admin, instrument)


async def test_harvest_now_needs_a_live_instrument(admin, instrument):
    await delete_row(admin, INSTRUMENT, instrument)

    with pytest.raises(NotFound, match=r"^Instrument not found$"):
        await harvest_instrument(admin, instrument)


CALLS = {
    "create": lambda ctx: create_schedule(
        ctx, NewSchedule(instrument_id=uuid4(), default_storage_location_id=uuid4(), cron_expression="x")
    ),
    "update": lambda ctx: update_schedule(ctx, uuid4(), ScheduleChanges()),
    "delete": lambda ctx: delete_schedule(ctx, uuid4()),
    "restore": lambda ctx: restore_schedule(ctx, uuid4()),
    "trigger": lambda ctx: trigger_schedule(ctx, uuid4()),
    "harvest": lambda ctx: harvest_instrument(ctx, uuid4()),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_for_admins_only(call, user, anonymous):
    with pytest.raises(Unauthenticated, match=r"^Unauthorized$"):
        await call(anonymous)
    with pytest.raises(Forbidden, match=r"^Admin access required$"):
        await call(user)
