"""Every stored secret is sealed with the newest key: all of them, in batches, whatever is interrupted or damaged."""

from __future__ import annotations

import asyncio
import base64
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Text, select
from typer.testing import CliRunner

from app import cli, rotation
from app.rotation import SEALED, Rotation, rotate_secrets
from core.secrets import Keyring, Secret
from storage.sql.database import Database
from storage.sql.opening import open_database
from storage.sql.tables import metadata, service_accounts, storage_locations
from tests.postgres import BOTH, cloned

OLD, NEW = Keyring([b"o" * 32]), Keyring([b"n" * 32, b"o" * 32])
TIMES = {"created_at": datetime(2026, 11, 21, tzinfo=UTC), "updated_at": datetime(2026, 11, 21, tzinfo=UTC)}


@pytest.fixture(params=BOTH)
def url(request, migrated, tmp_path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{shutil.copy(migrated, tmp_path / 'switchyard.db')}"
        return
    with cloned() as url:
        yield url


@pytest.fixture
async def database(url) -> AsyncIterator[Database]:
    database = await open_database(url)
    yield database
    await database.close()


async def account(database: Database, sealed: str, **columns) -> UUID:
    key = uuid4()
    async with database.transaction() as tx:
        await tx.insert(service_accounts, id=key, name="a", username="u", password_sealed=sealed, **TIMES, **columns)
    return key


async def location(database: Database, sealed: str | None) -> UUID:
    key = uuid4()
    row = {"name": "l", "type": "s3", "base_path": "x", "connection_config": {}, "enabled": True, "secrets_sealed": sealed}
    async with database.transaction() as tx:
        await tx.insert(storage_locations, id=key, **row, **TIMES)
    return key


async def stored(database: Database, column, key: UUID) -> str:
    found = await database.first(select(column.label("sealed")).where(column.table.c.id == key))
    assert found is not None
    return found["sealed"]


async def test_every_secret_is_sealed_again(database):
    keys = {
        await account(database, OLD.seal(Secret("one"))): service_accounts.c.password_sealed,
        await account(database, OLD.seal(Secret("two")), deleted_at=TIMES["created_at"]): service_accounts.c.password_sealed,
        await location(database, OLD.seal(Secret("three"))): storage_locations.c.secrets_sealed,
    }
    await location(database, None)

    assert await rotate_secrets(database, NEW) == Rotation(sealed=3)

    found = [await stored(database, column, key) for key, column in keys.items()]
    assert all(sealed.startswith(NEW.current) for sealed in found)
    assert [NEW.unseal(sealed).reveal() for sealed in found] == ["one", "two", "three"]


async def test_what_is_sealed_with_the_newest_key_stays(database):
    sealed = NEW.seal(Secret("one"))
    key = await account(database, sealed)

    assert await rotate_secrets(database, NEW) == Rotation()
    assert await stored(database, service_accounts.c.password_sealed, key) == sealed


async def test_no_other_column_changes(database):
    key = await account(database, OLD.seal(Secret("one")))
    before = dict(await database.first(select(service_accounts).where(service_accounts.c.id == key)) or {})

    await rotate_secrets(database, NEW)

    after = dict(await database.first(select(service_accounts).where(service_accounts.c.id == key)) or {})
    assert before | {"password_sealed": None} == after | {"password_sealed": None}


async def test_it_goes_on_where_it_was_interrupted(database, monkeypatch):
    monkeypatch.setattr(rotation, "BATCH", 2)
    for number in range(5):
        await account(database, OLD.seal(Secret(str(number))))
    sealing, done = rotation._seal, []

    async def interrupted(*arguments) -> None:
        if done:
            raise KeyboardInterrupt
        await sealing(*arguments)
        done.append(1)

    monkeypatch.setattr(rotation, "_seal", interrupted)
    with pytest.raises(KeyboardInterrupt):
        await rotate_secrets(database, NEW)
    rows = await database.all(select(service_accounts.c.password_sealed))
    assert sum(row["password_sealed"].startswith(NEW.current) for row in rows) == 2
    assert {NEW.unseal(row["password_sealed"]).reveal() for row in rows} == set("01234")

    monkeypatch.setattr(rotation, "_seal", sealing)
    assert await rotate_secrets(database, NEW) == Rotation(sealed=3)


async def test_a_secret_that_changes_meanwhile_stays_as_it_is_then(database, monkeypatch):
    key = await account(database, OLD.seal(Secret("one")))
    sealing = rotation._seal

    async def overtaken(*arguments) -> None:
        async with database.transaction() as tx:
            await tx.update(service_accounts, key, password_sealed=OLD.seal(Secret("two")))
        await sealing(*arguments)

    monkeypatch.setattr(rotation, "_seal", overtaken)
    await rotate_secrets(database, NEW)

    assert NEW.unseal(await stored(database, service_accounts.c.password_sealed, key)) == Secret("two")


async def test_what_no_key_opens_is_named_and_in_nobodys_way(database):
    lost = await account(database, Keyring([b"x" * 32]).seal(Secret("lost")))
    damaged = await location(database, OLD.seal(Secret("three"))[:-4] + "AAAA")
    await account(database, OLD.seal(Secret("one")))

    done = await rotate_secrets(database, NEW)

    assert (done.sealed, len(done.unreadable)) == (1, 2)
    assert done.unreadable[0].startswith(f"service_accounts {lost}: no key with id ")
    assert done.unreadable[1] == f"storage_locations {damaged}: the stored secret is damaged"


def test_every_sealed_column_is_known():
    named = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if column.name.endswith("_sealed") and isinstance(column.type, Text)
    }
    assert {f"{column.table.name}.{column.name}" for column in SEALED} == named


# --- the command -----------------------------------------------------------------------------------------------------------


def encoded(letter: bytes) -> str:
    return base64.urlsafe_b64encode(letter * 32).decode()


@pytest.mark.slow
async def test_the_command(database, url, environment):
    await account(database, OLD.seal(Secret("one")))
    environment.setenv("SWITCHYARD_DATABASE_URL", url)
    environment.setenv("SWITCHYARD_ENCRYPTION_KEY", encoded(b"n"))
    commands = CliRunner()

    def run():
        return commands.invoke(cli.cli, ["rotate-secrets"])

    failed = await in_thread(run)
    assert (failed.exit_code, failed.stdout) == (1, "0 secrets were sealed with the newest key.\n")
    assert failed.stderr.startswith("switchyard: these cannot be read with any key of the settings:\n  service_accounts ")

    environment.setenv("SWITCHYARD_OLD_ENCRYPTION_KEYS", encoded(b"o"))
    done = await in_thread(run)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "1 secrets were sealed with the newest key.\n", "")

    environment.delenv("SWITCHYARD_OLD_ENCRYPTION_KEYS")
    again = await in_thread(run)
    assert (again.exit_code, again.stdout) == (0, "0 secrets were sealed with the newest key.\n")


async def in_thread(work):
    """The command has an event loop of its own."""
    return await asyncio.to_thread(work)
