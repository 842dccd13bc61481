"""Storage locations: contract streamweave §5. What is stored of a config, and what a partial change makes of it."""

from __future__ import annotations

from uuid import uuid4

import orjson
import pytest

from core.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from core.vocabulary import StorageType
from resolvers.instruments.rows import STORAGE_LOCATION, delete_row, restore_row
from resolvers.instruments.storage_locations import (
    NewStorageLocation,
    StorageLocationChanges,
    create_storage_location,
    update_storage_location,
)
from storage.sql.tables import storage_locations

CIFS = {"host": "h", "share": "s", "username": "u", "password": "s3cret"}
MASKED = {**CIFS, "password": "****", "domain": None}
ARCHIVE = NewStorageLocation(name="Archive", type=StorageType.POSIX, base_path="/archive")
SHARE = NewStorageLocation(name="Share", type=StorageType.CIFS, base_path="lab", connection_config=CIFS)
HIDDEN = {"before": "***", "after": "***"}


@pytest.fixture
def stored(row, keyring):
    """A whole row with its secrets opened."""

    async def read(key) -> dict:
        found = await row(storage_locations, key)
        sealed = found.pop("secrets_sealed")
        return {**found, "secrets": sealed and orjson.loads(keyring.unseal(sealed).reveal())}

    return read


async def test_create(admin, clock, stored, audited, entry):
    key = await create_storage_location(admin, ARCHIVE)

    assert await stored(key) == {
        "id": key,
        "name": "Archive",
        "type": StorageType.POSIX,
        "base_path": "/archive",
        "connection_config": None,
        "secrets": None,
        "enabled": True,
        "created_at": clock.now,
        "updated_at": clock.now,
        "deleted_at": None,
    }
    assert await audited() == [entry(admin, "create", "storage_location", key)]


async def test_secrets_are_sealed_and_masked(admin, row, stored):
    key = await create_storage_location(admin, SHARE)

    found = await stored(key)
    assert (found["connection_config"], found["secrets"]) == (MASKED, {"password": "s3cret"})
    assert "s3cret" not in repr(await row(storage_locations, key))


async def test_inputs_do_not_print_the_config():
    assert "s3cret" not in repr(SHARE)
    assert "s3cret" not in repr(StorageLocationChanges(connection_config=CIFS))


async def test_an_incomplete_config_is_invalid_input(admin):
    with pytest.raises(InvalidInput) as refused:
        await create_storage_location(admin, NewStorageLocation(name="n", type=StorageType.NFS, base_path="/"))

    assert [problem.path for problem in refused.value.problems] == [("host",), ("export_path",)]


async def test_a_config_that_is_no_object_is_invalid_input(admin):
    with pytest.raises(InvalidInput) as refused:
        await create_storage_location(
            admin, NewStorageLocation(name="n", type=StorageType.POSIX, base_path="/", connection_config=[1])
        )

    assert refused.value.field == "connection_config"


async def test_a_base_path_has_at_most_1024_characters(admin):
    with pytest.raises(InvalidInput) as refused:
        await create_storage_location(admin, NewStorageLocation(name="n", type=StorageType.POSIX, base_path="/" * 1025))

    assert (refused.value.field, refused.value.problems[0].kind) == ("base_path", "string_too_long")


async def test_update_without_config_leaves_it(admin, clock, stored):
    key = await create_storage_location(admin, SHARE)
    before = await stored(key)
    clock.advance(minutes=1)

    await update_storage_location(admin, key, StorageLocationChanges(name="Other"))

    assert await stored(key) == {**before, "name": "Other", "updated_at": clock.now}


async def test_config_is_merged_key_by_key(admin, clock, stored):
    key = await create_storage_location(admin, SHARE)
    before = await stored(key)
    clock.advance(minutes=1)

    await update_storage_location(admin, key, StorageLocationChanges(connection_config={"host": "other", "x": 1}))

    assert await stored(key) == {**before, "connection_config": {**MASKED, "host": "other"}, "updated_at": clock.now}


async def test_a_masked_secret_is_kept(admin, clock, stored):
    key = await create_storage_location(admin, SHARE)
    before = await stored(key)
    clock.advance(minutes=1)

    await update_storage_location(admin, key, StorageLocationChanges(connection_config={"password": "****"}))

    assert await stored(key) == before


async def test_a_new_secret_replaces_the_old(admin, clock, stored):
    key = await create_storage_location(admin, SHARE)
    before = await stored(key)
    clock.advance(minutes=1)

    await update_storage_location(admin, key, StorageLocationChanges(connection_config={"password": "new"}))

    assert await stored(key) == {**before, "secrets": {"password": "new"}, "updated_at": clock.now}


async def test_a_null_config_leaves_it_as_it_was(admin, clock, stored):
    key = await create_storage_location(admin, SHARE)
    before = await stored(key)
    clock.advance(minutes=1)

    await update_storage_location(admin, key, StorageLocationChanges(connection_config=None))

    assert await stored(key) == before


async def test_another_type_alone_is_invalid_input(admin, stored):
    key = await create_storage_location(admin, SHARE)
    before = await stored(key)

    with pytest.raises(InvalidInput) as refused:
        await update_storage_location(admin, key, StorageLocationChanges(type=StorageType.POSIX))

    assert refused.value.field == "connection_config"
    assert await stored(key) == before


async def test_another_type_with_an_incomplete_config_is_invalid_input(admin):
    key = await create_storage_location(admin, SHARE)

    with pytest.raises(InvalidInput) as refused:
        await update_storage_location(admin, key, StorageLocationChanges(type=StorageType.NFS, connection_config={"host": "h"}))

    assert [problem.path for problem in refused.value.problems] == [("export_path",)]


async def test_another_type_with_a_complete_config_leaves_nothing_of_the_old(admin, clock, stored):
    key = await create_storage_location(admin, SHARE)
    before = await stored(key)
    clock.advance(minutes=1)
    config = {"host": "h", "export_path": "/e"}

    await update_storage_location(admin, key, StorageLocationChanges(type=StorageType.NFS, connection_config=config))

    assert await stored(key) == {
        **before,
        "type": StorageType.NFS,
        "connection_config": {**config, "mount_options": None},
        "secrets": None,
        "updated_at": clock.now,
    }


async def test_another_type_takes_no_mask_for_its_secret(admin):
    key = await create_storage_location(admin, SHARE)
    config = {"bucket": "b", "region": "r", "access_key_id": "k", "secret_access_key": "****"}

    with pytest.raises(InvalidInput) as refused:
        await update_storage_location(admin, key, StorageLocationChanges(type=StorageType.S3, connection_config=config))

    assert refused.value.field == "secret_access_key"


async def test_posix_without_a_config_replaces_another_type(admin, stored):
    key = await create_storage_location(admin, SHARE)

    await update_storage_location(admin, key, StorageLocationChanges(type=StorageType.POSIX, connection_config=None))

    found = await stored(key)
    assert (found["type"], found["connection_config"], found["secrets"]) == (StorageType.POSIX, None, None)


async def test_a_form_sends_the_same_type_with_a_masked_config(admin, clock, stored):
    key = await create_storage_location(admin, SHARE)
    before = await stored(key)
    clock.advance(minutes=1)

    await update_storage_location(admin, key, StorageLocationChanges(type=StorageType.CIFS, connection_config=MASKED))

    assert await stored(key) == before


async def test_the_same_type_with_an_incomplete_config_is_invalid_input(admin):
    key = await create_storage_location(admin, SHARE)

    with pytest.raises(InvalidInput) as refused:
        await update_storage_location(
            admin, key, StorageLocationChanges(type=StorageType.CIFS, connection_config={"host": "h"})
        )

    assert [problem.path[0] for problem in refused.value.problems] == ["share", "username", "password"]


async def test_the_same_type_alone_changes_nothing(admin, clock, stored):
    key = await create_storage_location(admin, SHARE)
    before = await stored(key)
    clock.advance(minutes=1)

    await update_storage_location(admin, key, StorageLocationChanges(type=StorageType.CIFS))

    assert await stored(key) == before


async def test_configs_are_hidden_in_the_log(admin, audited, entry):
    key = await create_storage_location(admin, SHARE)

    await update_storage_location(admin, key, StorageLocationChanges(name="Share", connection_config={"password": "x"}))

    changes = {"name": {"before": "Share", "after": "Share"}, "connection_config": HIDDEN}
    assert (await audited())[-1] == entry(admin, "update", "storage_location", key, changes)


async def test_delete_and_restore(admin, clock, stored, audited, entry):
    key = await create_storage_location(admin, SHARE)
    before = await stored(key)
    clock.advance(minutes=1)

    assert await delete_row(admin, STORAGE_LOCATION, key) == key
    assert await stored(key) == {**before, "enabled": False, "deleted_at": clock.now, "updated_at": clock.now}
    assert (await audited())[-1] == entry(admin, "delete", "storage_location", key)

    clock.advance(minutes=1)
    assert await restore_row(admin, STORAGE_LOCATION, key) == key
    assert await stored(key) == {**before, "enabled": False, "updated_at": clock.now}
    assert (await audited())[-1] == entry(admin, "restore", "storage_location", key)


async def test_what_is_not_there_is_not_found(admin):
    key = await create_storage_location(admin, ARCHIVE)
    with pytest.raises(NotFound, match=r"^Deleted storage location not found$"):
        await restore_row(admin, STORAGE_LOCATION, key)

    await delete_row(admin, STORAGE_LOCATION, key)
    for call in (
        update_storage_location(admin, key, StorageLocationChanges()),
        delete_row(admin, STORAGE_LOCATION, key),
    ):
        with pytest.raises(NotFound, match=r"^Storage location not found$"):
            await call


CALLS = {
    "create": lambda ctx: create_storage_location(ctx, ARCHIVE),
    "update": lambda ctx: update_storage_location(ctx, uuid4(), StorageLocationChanges()),
    "delete": lambda ctx: delete_row(ctx, STORAGE_LOCATION, uuid4()),
    "restore": lambda ctx: restore_row(ctx, STORAGE_LOCATION, uuid4()),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_for_admins_only(call, user, anonymous):
    with pytest.raises(Unauthenticated, match=r"^Unauthorized$"):
        await call(anonymous)
    with pytest.raises(Forbidden, match=r"^Admin access required$"):
        await call(user)
