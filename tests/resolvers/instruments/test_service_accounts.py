"""Service accounts: contract streamweave §4. The password goes in sealed and comes out on request only."""

from __future__ import annotations

from uuid import uuid4

import pytest

from core.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from core.secrets import Secret
from resolvers.instruments.rows import SERVICE_ACCOUNT, delete_row, restore_row
from resolvers.instruments.service_accounts import (
    NewServiceAccount,
    ServiceAccountChanges,
    create_service_account,
    reveal_password,
    update_service_account,
)
from storage.sql.tables import service_accounts

READER = NewServiceAccount(name="Reader", username="reader", password=Secret("s3cret"))


async def test_create_seals_the_password(admin, clock, row, keyring):
    key = await create_service_account(admin, READER)

    stored = await row(service_accounts, key)
    sealed = stored.pop("password_sealed")
    assert stored == {
        "id": key,
        "name": "Reader",
        "domain": None,
        "username": "reader",
        "created_at": clock.now,
        "updated_at": clock.now,
        "deleted_at": None,
    }
    assert "s3cret" not in sealed
    assert keyring.unseal(sealed) == Secret("s3cret")


async def test_inputs_do_not_print_the_password():
    assert "s3cret" not in repr(READER)
    assert "s3cret" not in repr(ServiceAccountChanges(password=Secret("s3cret")))


async def test_update_changes_only_what_is_given(admin, clock, row):
    key = await create_service_account(admin, READER)
    before = await row(service_accounts, key)
    clock.advance(minutes=1)

    await update_service_account(admin, key, ServiceAccountChanges(domain="LAB"))

    assert await row(service_accounts, key) == {**before, "domain": "LAB", "updated_at": clock.now}


async def test_a_new_password_is_sealed_and_hidden_in_the_log(admin, audited, entry):
    key = await create_service_account(admin, READER)

    await update_service_account(admin, key, ServiceAccountChanges(password=Secret("another")))

    assert await reveal_password(admin, key) == Secret("another")
    changes = {"password": {"before": "***", "after": "***"}}
    assert (await audited())[1] == entry(admin, "update", "service_account", key, changes)


async def test_revealing_is_audited(admin, audited, entry):
    key = await create_service_account(admin, READER)

    assert await reveal_password(admin, key) == Secret("s3cret")

    revealed = {"password_revealed": {"before": None, "after": True}}
    assert await audited() == [
        entry(admin, "create", "service_account", key),
        entry(admin, "update", "service_account", key, revealed),
    ]


async def test_null_is_no_password(admin):
    key = await create_service_account(admin, READER)

    with pytest.raises(InvalidInput) as refused:
        await update_service_account(admin, key, ServiceAccountChanges(password=None))

    assert refused.value.field == "password"


async def test_delete_and_restore(admin, clock, row, audited, entry):
    key = await create_service_account(admin, READER)
    before = await row(service_accounts, key)
    clock.advance(minutes=1)

    assert await delete_row(admin, SERVICE_ACCOUNT, key) == key
    assert await row(service_accounts, key) == {**before, "deleted_at": clock.now, "updated_at": clock.now}
    assert (await audited())[-1] == entry(admin, "delete", "service_account", key)

    clock.advance(minutes=1)
    assert await restore_row(admin, SERVICE_ACCOUNT, key) == key
    assert await row(service_accounts, key) == {**before, "updated_at": clock.now}


async def test_a_deleted_account_is_not_found(admin):
    key = await create_service_account(admin, READER)
    await delete_row(admin, SERVICE_ACCOUNT, key)

    for call in (
        update_service_account(admin, key, ServiceAccountChanges()),
        delete_row(admin, SERVICE_ACCOUNT, key),
        reveal_password(admin, key),
    ):
        with pytest.raises(NotFound, match=r"^Service account not found$"):
            await call


async def test_a_live_account_cannot_be_restored(admin):
    key = await create_service_account(admin, READER)

    with pytest.raises(NotFound, match=r"^Deleted service account not found$"):
        await restore_row(admin, SERVICE_ACCOUNT, key)


CALLS = {
    "create": lambda ctx: create_service_account(ctx, READER),
    "update": lambda ctx: update_service_account(ctx, uuid4(), ServiceAccountChanges()),
    "delete": lambda ctx: delete_row(ctx, SERVICE_ACCOUNT, uuid4()),
    "restore": lambda ctx: restore_row(ctx, SERVICE_ACCOUNT, uuid4()),
    "reveal": lambda ctx: reveal_password(ctx, uuid4()),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_for_admins_only(call, user, anonymous):
    with pytest.raises(Unauthenticated, match=r"^Unauthorized$"):
        await call(anonymous)
    with pytest.raises(Forbidden, match=r"^Admin access required$"):
        await call(user)
