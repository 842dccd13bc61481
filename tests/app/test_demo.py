"""The demonstration: what it sets, what it registers, and that a second start changes nothing."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from app.bootstrap import create_first_admin
from app.cli import cli, first_admin
from app.demo import EMAIL, INSTRUMENTS_OF_THE_DEMO, PASSWORD, SAMPLES, TENANT, load_demo, prepare_demo
from app.settings import Settings
from app.wiring import assemble
from core.identity import LOOKUPS
from core.policy import ACCESS, EDIT, MEMBER
from jobs.acquisitions import Acquisitions
from storage.lookups.registry import lookup_of
from storage.sql.tables import audit_log, instruments, lookups, schedules, storage_locations

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("environment")]

ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture
async def parts():
    parts = await assemble(prepare_demo(Settings(), private=True))
    await create_first_admin(parts.database, parts.passwords, first_admin(parts.settings))
    yield parts
    await parts.close()


async def stored(parts, table):
    return [dict(row) for row in await parts.database.all(table.select())]


def test_settings_of_a_demonstration():
    settings = prepare_demo(Settings(), private=True)
    assert (settings.admin_email, settings.admin_password, settings.cookie_secure) == (EMAIL, SecretStr(PASSWORD), False)


def test_who_can_be_reached_by_others_has_no_password_that_everybody_knows():
    assert prepare_demo(Settings(), private=False).admin_password is None


def test_what_is_set_stays(environment):
    environment.setenv("ADMIN_EMAIL", "ada@example.org")
    environment.setenv("ADMIN_PASSWORD", "correct horse")
    environment.setenv("COOKIE_SECURE", "true")
    environment.setenv("SWITCHYARD_LOOKUPS_JWT_SECRET", "the secret of an issuer that there is")
    for private in (True, False):
        assert prepare_demo(Settings(), private=private) == Settings()


async def test_what_is_registered(parts, tmp_path):
    await load_demo(parts, ADDRESS)
    root = tmp_path / "data" / "files" / "demo"
    found = await stored(parts, instruments)
    assert [row["name"] for row in found] == [name for name, *_ in INSTRUMENTS_OF_THE_DEMO]
    for row, (_, folder, *_, config) in zip(found, INSTRUMENTS_OF_THE_DEMO, strict=True):
        assert (row["cifs_host"], row["cifs_share"]) == ("file:", str(root / "instruments" / folder))
        assert row["transfer_config"] == config
        assert bool(Acquisitions.of(config)) is (folder == "nmr-bruker")
        originals, copies = [
            sorted(path.relative_to(top) for path in top.rglob("*"))
            for top in (SAMPLES / folder, root / "instruments" / folder)
        ]
        assert copies == originals != []
    (location,) = await stored(parts, storage_locations)
    assert location["base_path"] == str(root / "archive")
    assert (root / "archive").is_dir()
    fired = await stored(parts, schedules)
    assert {row["instrument_id"] for row in fired} == {row["id"] for row in found}
    assert {(row["cron_expression"], row["enabled"], row["default_storage_location_id"]) for row in fired} == {
        ("* * * * *", True, location["id"])
    }
    audited = [row for row in await stored(parts, audit_log) if row["entity_type"] not in {"user", "lookup"}]
    assert (len(audited), {row["actor_email"] for row in audited}) == (10, {EMAIL})


async def test_loading_it_twice_changes_nothing(parts):
    first = await load_demo(parts, ADDRESS)
    before = [await stored(parts, table) for table in (instruments, schedules, storage_locations, audit_log)]
    assert await load_demo(parts, ADDRESS) == first
    assert [await stored(parts, table) for table in (instruments, schedules, storage_locations, audit_log)] == before


async def test_the_greeting_says_what_works(parts):
    text = await load_demo(parts, ADDRESS)
    assert f"{EMAIL}  /  {PASSWORD}" in text
    for path in ("/graphiql", "/docs", "/redoc", "/auth/jwt/login", "/api/instruments"):
        assert f"{ADDRESS}{path}" in text


async def test_the_greeting_does_not_show_a_password_of_ones_own(environment):
    environment.setenv("ADMIN_PASSWORD", "correct horse")
    parts = await assemble(prepare_demo(Settings(), private=True))
    try:
        text = await load_demo(parts, ADDRESS)
    finally:
        await parts.close()
    assert "correct horse" not in text
    assert PASSWORD not in text


async def test_nothing_is_registered_without_an_admin(environment):
    parts = await assemble(prepare_demo(Settings(), private=True))
    try:
        await load_demo(parts, ADDRESS)
        assert await stored(parts, instruments) == []
    finally:
        await parts.close()


async def test_lookups_of_the_demonstration(parts):
    for _ in range(2):
        greeting = await load_demo(parts, ADDRESS)
    found = [lookup_of(row) for row in await parts.database.all(lookups.select().order_by(lookups.c.lookup_id))]
    counts = {each.id: await parts.services.lookups.store.count(each) for each in found}
    assert counts == {"countries.standard": 252, "ipgeo.standard": 2398, "macvendors": 5000, "samples.standard": 10}
    assert "switchyard lookup-token standard --demo" in greeting


async def test_the_token_that_is_told_reads_them(parts, tmp_path):
    token = CliRunner().invoke(cli, ["lookup-token", TENANT, "--demo", "--data-dir", str(parts.settings.data_dir)])
    principals = await parts.contexts.schemes.authenticate({"authorization": f"Bearer {token.stdout.strip()}"}, {})
    principal = principals.of(LOOKUPS)
    assert (principal.role, principal.grants) == (MEMBER, ((TENANT, frozenset({ACCESS, EDIT})),))


def test_without_a_secret_there_are_no_tokens(tmp_path):
    refused = CliRunner().invoke(cli, ["lookup-token", TENANT, "--data-dir", str(tmp_path)])
    assert (refused.exit_code, refused.stderr) == (
        1,
        "switchyard: set SWITCHYARD_LOOKUPS_JWT_SECRET, with which the server checks tokens of lookups\n",
    )
