"""Hooks: contract streamweave §7."""

from __future__ import annotations

from uuid import uuid4

import pytest

from core.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from core.vocabulary import HookImplementation, HookTrigger
from resolvers.instruments.hooks import (
    HookChanges,
    NewHook,
    create_hook,
    hook_builtins,
    update_hook,
)
from resolvers.instruments.instruments import NewInstrument, create_instrument
from resolvers.instruments.rows import HOOK, delete_row, restore_row
from storage.sql.tables import hooks

FILTER = NewHook(
    name="No temporary files",
    trigger=HookTrigger.PRE_TRANSFER,
    implementation=HookImplementation.BUILTIN,
    builtin_name="file_filter",
    config={"exclude_patterns": ["*.tmp"]},
)


async def test_create(admin, clock, row, audited, entry):
    key = await create_hook(admin, FILTER)

    assert await row(hooks, key) == {
        "id": key,
        "number": 1,
        "name": "No temporary files",
        "description": None,
        "trigger": HookTrigger.PRE_TRANSFER,
        "implementation": HookImplementation.BUILTIN,
        "builtin_name": "file_filter",
        "script_path": None,
        "webhook_url": None,
        "config": {"exclude_patterns": ["*.tmp"]},
        "instrument_id": None,
        "priority": 0,
        "enabled": True,
        "created_at": clock.now,
        "updated_at": clock.now,
        "deleted_at": None,
    }
    assert await audited() == [entry(admin, "create", "hook", key)]


async def test_numbers_tell_the_order(admin, row):
    keys = [await create_hook(admin, FILTER) for _ in range(3)]

    assert [(await row(hooks, key))["number"] for key in keys] == [1, 2, 3]


async def test_a_change(admin, clock, row):
    key = await create_hook(admin, FILTER)
    before = await row(hooks, key)
    later = clock.advance(minutes=1)

    await update_hook(admin, key, HookChanges(priority=-5, config=None))

    assert await row(hooks, key) == {**before, "priority": -5, "config": None, "updated_at": later}


async def test_the_address_of_a_webhook_is_neither_printed_nor_logged(admin, audited, entry):
    url = "https://hooks.example.org/s3cret"
    changes = HookChanges(webhook_url=url)
    key = await create_hook(admin, FILTER)

    await update_hook(admin, key, changes)

    assert (
        "s3cret"
        not in f"{changes}{NewHook(name='n', trigger=FILTER.trigger, implementation=FILTER.implementation, webhook_url=url)}"
    )
    hidden = {"webhook_url": {"before": "***", "after": "***"}}
    assert (await audited())[-1] == entry(admin, "update", "hook", key, hidden)


async def test_an_instrument_that_is_not_there(admin):
    key = await create_hook(admin, FILTER)

    with pytest.raises(InvalidInput, match="Instrument does not exist"):
        await update_hook(admin, key, HookChanges(instrument_id=uuid4()))


async def test_one_for_an_instrument(admin, row):
    instrument = await create_instrument(admin, NewInstrument(name="NMR", cifs_host="nas", cifs_share="data"))
    key = await create_hook(admin, FILTER)

    await update_hook(admin, key, HookChanges(instrument_id=instrument))

    assert (await row(hooks, key))["instrument_id"] == instrument


@pytest.mark.parametrize("priority", [True, 1.5, "1", 2**31, None])
async def test_a_priority_is_a_whole_number(admin, priority):
    with pytest.raises(InvalidInput):
        await create_hook(
            admin, NewHook(name="n", trigger=FILTER.trigger, implementation=FILTER.implementation, priority=priority)
        )


async def test_deleted_and_restored(admin, row):
    key = await create_hook(admin, FILTER)

    await delete_row(admin, HOOK, key)
    with pytest.raises(NotFound, match="Hook not found"):
        await update_hook(admin, key, HookChanges(priority=1))
    await restore_row(admin, HOOK, key)

    found = await row(hooks, key)
    assert (found["deleted_at"], found["enabled"]) == (None, False)
    with pytest.raises(NotFound, match="Deleted hook not found"):
        await restore_row(admin, HOOK, key)


async def test_only_admins(user, anonymous):
    for call in (
        lambda ctx: create_hook(ctx, FILTER),
        lambda ctx: delete_row(ctx, HOOK, uuid4()),
        lambda ctx: restore_row(ctx, HOOK, uuid4()),
    ):
        with pytest.raises(Forbidden):
            await call(user)
        with pytest.raises(Unauthenticated):
            await call(anonymous)


def test_builtins():
    assert [each.name for each in hook_builtins()] == ["file_filter", "metadata_enrichment", "access_assignment"]
