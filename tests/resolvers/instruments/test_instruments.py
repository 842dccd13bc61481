"""Instruments: contract streamweave §3, and the rules for all soft-deleted rows with it."""

from __future__ import annotations

from uuid import uuid4

import pytest

from core.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from core.secrets import Secret
from core.vocabulary import TransferAdapter
from resolvers.instruments.instruments import (
    InstrumentChanges,
    NewInstrument,
    create_instrument,
    host_of,
    update_instrument,
)
from resolvers.instruments.rows import INSTRUMENT, SERVICE_ACCOUNT, delete_row, restore_row
from resolvers.instruments.service_accounts import NewServiceAccount, create_service_account
from storage.sql.tables import instruments

MICROSCOPE = NewInstrument(name="Microscope", cifs_host="nas", cifs_share="data")


@pytest.fixture
async def account(admin):
    return await create_service_account(admin, NewServiceAccount(name="reader", username="r", password=Secret("p")))


async def test_create_fills_what_is_not_given(admin, clock, row):
    key = await create_instrument(admin, MICROSCOPE)

    assert await row(instruments, key) == {
        "id": key,
        "name": "Microscope",
        "description": None,
        "location": None,
        "pid": None,
        "cifs_host": "nas",
        "cifs_share": "data",
        "cifs_base_path": None,
        "service_account_id": None,
        "transfer_adapter": TransferAdapter.RCLONE,
        "transfer_config": None,
        "enabled": True,
        "last_harvested_at": None,
        "created_at": clock.now,
        "updated_at": clock.now,
        "deleted_at": None,
    }


async def test_create_stores_everything_given(admin, account, clock, row):
    given = {
        "name": "Größe",
        "description": "d",
        "location": "l",
        "pid": "p",
        "cifs_host": "h:1445",
        "cifs_share": "s",
        "cifs_base_path": "/b/",
        "service_account_id": account,
        "transfer_adapter": TransferAdapter.GLOBUS,
        "transfer_config": {"z": 1, "a": {"b": None}},
        "enabled": False,
    }

    key = await create_instrument(admin, NewInstrument(**given))

    stored = await row(instruments, key)
    assert {name: stored[name] for name in given} == given
    assert list(stored["transfer_config"]) == ["z", "a"]


async def test_create_is_audited_without_changes(admin, audited, entry):
    key = await create_instrument(admin, MICROSCOPE)

    assert await audited() == [entry(admin, "create", "instrument", key)]


async def test_names_need_not_be_unique(admin):
    assert await create_instrument(admin, MICROSCOPE) != await create_instrument(admin, MICROSCOPE)


async def test_an_unknown_service_account_is_invalid_input_and_nothing_is_stored(admin, audited):
    with pytest.raises(InvalidInput, match="Service account does not exist") as refused:
        await create_instrument(admin, NewInstrument(name="a", cifs_host="b", cifs_share="c", service_account_id=uuid4()))

    assert refused.value.field == "service_account_id"
    assert await audited() == []


async def test_text_longer_than_its_column_is_invalid_input(admin):
    with pytest.raises(InvalidInput) as refused:
        await create_instrument(admin, NewInstrument(name="x" * 256, cifs_host="h", cifs_share="s"))

    assert (refused.value.field, refused.value.problems[0].kind) == ("name", "string_too_long")


async def test_update_changes_only_what_is_given(admin, clock, row):
    key = await create_instrument(admin, MICROSCOPE)
    before = await row(instruments, key)
    clock.advance(minutes=1)

    assert await update_instrument(admin, key, InstrumentChanges(name="Telescope", enabled=False)) == key

    assert await row(instruments, key) == {**before, "name": "Telescope", "enabled": False, "updated_at": clock.now}


async def test_update_sets_null(admin, row):
    key = await create_instrument(admin, NewInstrument(name="a", cifs_host="b", cifs_share="c", description="d"))

    await update_instrument(admin, key, InstrumentChanges(description=None))

    assert (await row(instruments, key))["description"] is None


async def test_update_is_audited_key_by_key(admin, account, clock, audited, entry):
    key = await create_instrument(admin, MICROSCOPE)
    clock.advance(minutes=1)

    await update_instrument(admin, key, InstrumentChanges(name="Microscope", service_account_id=account))

    changes = {
        "name": {"before": "Microscope", "after": "Microscope"},
        "service_account_id": {"before": None, "after": str(account)},
    }
    assert (await audited())[-1] == entry(admin, "update", "instrument", key, changes)


async def test_an_empty_update_leaves_no_trace(admin, clock, row, audited):
    key = await create_instrument(admin, MICROSCOPE)
    before, log = await row(instruments, key), await audited()
    clock.advance(minutes=1)

    assert await update_instrument(admin, key, InstrumentChanges()) == key

    assert await row(instruments, key) == before
    assert await audited() == log


async def test_an_update_to_the_same_values_leaves_the_time_of_change(admin, clock, row):
    key = await create_instrument(admin, MICROSCOPE)
    before = await row(instruments, key)
    clock.advance(minutes=1)

    await update_instrument(admin, key, InstrumentChanges(name="Microscope"))

    assert await row(instruments, key) == before


async def test_json_that_python_holds_for_equal_is_a_change(admin, row):
    key = await create_instrument(
        admin, NewInstrument(name="a", cifs_host="b", cifs_share="c", transfer_config={"checkers": 1})
    )

    await update_instrument(admin, key, InstrumentChanges(transfer_config={"checkers": True}))

    assert (await row(instruments, key))["transfer_config"]["checkers"] is True


async def test_null_for_a_required_field_is_invalid_input_before_existence_is_asked(admin):
    with pytest.raises(InvalidInput) as refused:
        await update_instrument(admin, uuid4(), InstrumentChanges(name=None))

    assert refused.value.field == "name"


async def test_update_refuses_an_unknown_service_account(admin):
    key = await create_instrument(admin, MICROSCOPE)

    with pytest.raises(InvalidInput) as refused:
        await update_instrument(admin, key, InstrumentChanges(service_account_id=uuid4()))

    assert refused.value.field == "service_account_id"


async def test_a_form_may_send_back_a_reference_that_was_deleted_meanwhile(admin, account, row):
    key = await create_instrument(admin, NewInstrument(name="a", cifs_host="b", cifs_share="c", service_account_id=account))
    await delete_row(admin, SERVICE_ACCOUNT, account)

    await update_instrument(admin, key, InstrumentChanges(name="z", service_account_id=account))

    stored = await row(instruments, key)
    assert (stored["name"], stored["service_account_id"]) == ("z", account)


async def test_delete_hides_and_disables(admin, clock, row, audited, entry):
    key = await create_instrument(admin, MICROSCOPE)
    before = await row(instruments, key)
    clock.advance(minutes=1)

    assert await delete_row(admin, INSTRUMENT, key) == key

    assert await row(instruments, key) == {
        **before,
        "enabled": False,
        "deleted_at": clock.now,
        "updated_at": clock.now,
    }
    assert (await audited())[-1] == entry(admin, "delete", "instrument", key)


async def test_a_deleted_instrument_is_not_found(admin):
    key = await create_instrument(admin, MICROSCOPE)
    await delete_row(admin, INSTRUMENT, key)

    with pytest.raises(NotFound, match=r"^Instrument not found$"):
        await update_instrument(admin, key, InstrumentChanges(name="x"))
    with pytest.raises(NotFound, match=r"^Instrument not found$"):
        await update_instrument(admin, key, InstrumentChanges())
    with pytest.raises(NotFound, match=r"^Instrument not found$"):
        await delete_row(admin, INSTRUMENT, key)


async def test_restore_leaves_it_disabled(admin, clock, row, audited, entry):
    key = await create_instrument(admin, MICROSCOPE)
    before = await row(instruments, key)
    await delete_row(admin, INSTRUMENT, key)
    clock.advance(minutes=1)

    assert await restore_row(admin, INSTRUMENT, key) == key

    assert await row(instruments, key) == {**before, "enabled": False, "updated_at": clock.now}
    assert (await audited())[-1] == entry(admin, "restore", "instrument", key)


async def test_what_is_not_deleted_cannot_be_restored(admin):
    key = await create_instrument(admin, MICROSCOPE)

    for other in (key, uuid4()):
        with pytest.raises(NotFound, match=r"^Deleted instrument not found$"):
            await restore_row(admin, INSTRUMENT, other)


CALLS = {
    "create": lambda ctx: create_instrument(ctx, NewInstrument(name="x" * 999, cifs_host="", cifs_share="")),
    "update": lambda ctx: update_instrument(ctx, uuid4(), InstrumentChanges(name=None)),
    "delete": lambda ctx: delete_row(ctx, INSTRUMENT, uuid4()),
    "restore": lambda ctx: restore_row(ctx, INSTRUMENT, uuid4()),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_who_may_not_is_told_so_before_anything_else(call, user, anonymous):
    with pytest.raises(Unauthenticated, match=r"^Unauthorized$"):
        await call(anonymous)
    with pytest.raises(Forbidden, match=r"^Admin access required$"):
        await call(user)


@pytest.mark.parametrize(
    ("cifs_host", "host"),
    [
        (" nas.example.org:4450 ", "nas.example.org"),
        ("10.0.0.7", "10.0.0.7"),
        ("[2001:db8::7]:445", "2001:db8::7"),
        ("file:", None),
        ("file://", None),
        ("nas:99999", None),
        ("", None),
    ],
)
def test_the_host_of_an_address(cifs_host, host):
    assert host_of(cifs_host) == host
