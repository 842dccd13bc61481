"""Assembly: what a start opens, builds and refuses; who a request comes from; what is closed at the end."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
from uuid import uuid4

import pytest
from sqlalchemy import select

from app.settings import Settings
from app.wiring import RESERVED, assemble, check_operations, limits_of
from core.errors import Unavailable
from core.identity import ANONYMOUS, INSTRUMENTS
from core.secrets import Secret, UndecipherableSecretError
from engine.limits import Limits
from rest_compat.mistakes import DocumentErrors
from storage.sql.migrate import current_revision, newest_revision
from storage.sql.tables import service_accounts

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("environment")]

SEAL = (
    'mutation { createServiceAccount(input: {name: "n", username: "u", password: "hunter2"}) { serviceAccount { localId } } }'
)


async def test_a_start_on_an_empty_folder(tmp_path):
    parts = await assemble(Settings())
    try:
        assert await current_revision(parts.database) == newest_revision()
        assert {path.name for path in (tmp_path / "data").iterdir()} >= {"switchyard.db", "secret-key"}
        assert parts.services.allowed_roots == (tmp_path / "data" / "files",)
    finally:
        await parts.close()
    assert not (tmp_path / "data" / "switchyard.db-wal").exists(), "every connection is closed"


async def test_several_starts_at_once():
    """In one process, as near to each other as can be; processes are started in `test_server`."""
    started = await asyncio.gather(*[assemble(Settings()) for _ in range(2)])
    try:
        tokens = started[0].services.tokens
        token = tokens.issue(uuid4(), 1)
        assert all(parts.services.tokens.parse(token) for parts in started), "they share the secret"
    finally:
        for parts in started:
            await parts.close()


@pytest.mark.parametrize(
    "broken", ["app.wiring.keyring", "app.wiring.build_schema", "app.wiring.rest_shim", "app.wiring.migrate"]
)
async def test_what_fails_leaves_nothing_open(monkeypatch, broken, tmp_path):
    def fail(*_):
        raise RuntimeError(broken)

    monkeypatch.setattr(broken, fail)
    with pytest.raises(RuntimeError, match=broken):
        await assemble(Settings())
    assert not (tmp_path / "data" / "switchyard.db-wal").exists()


async def test_a_broken_operation_stops_the_start(monkeypatch, tmp_path):
    (tmp_path / "operations" / "instruments").mkdir(parents=True)
    (tmp_path / "operations" / "instruments" / "x.graphql").write_text("query x { nothing }")
    monkeypatch.setattr("app.wiring.OPERATIONS", tmp_path / "operations")
    with pytest.raises(DocumentErrors, match=r"x\.graphql:1:"):
        await assemble(Settings())
    with pytest.raises(DocumentErrors, match=r"x\.graphql:1:"):
        check_operations()


async def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "x.db").write_bytes(b"no database" * 100)
    with pytest.raises(Unavailable, match=r"x\.db cannot be opened"):
        await assemble(Settings(DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path / 'x.db'}"))


def test_checking_operations_reads_no_setting_and_opens_nothing(environment, tmp_path):
    environment.setenv("SECRET_KEY", "change-me")
    assert len(check_operations().routes) == 111
    assert list(tmp_path.iterdir()) == []


def test_list_shape_is_a_setting():
    for shape, alternate in (("envelope", False), ("array", True)):
        shim = check_operations(Settings(SWITCHYARD_LIST_SHAPE=shape))
        endpoint = shim.resolve("GET", "/api/instruments")
        assert (endpoint.declared.name == "instruments_array") is alternate


def test_limits_are_settings():
    assert limits_of(Settings()) == Limits()
    given = Settings(
        SWITCHYARD_DOCUMENT_CHARACTERS=1,
        SWITCHYARD_DOCUMENT_TOKENS=2,
        SWITCHYARD_DOCUMENT_DEPTH=3,
        SWITCHYARD_DOCUMENT_ALIASES=4,
        SWITCHYARD_NODE_BUDGET=5,
    )
    assert limits_of(given) == Limits(characters=1, tokens=2, depth=3, aliases=4, nodes=5)


def test_reserved_segments():
    names = (
        "api auth users login signup logout graphql graphiql health docs redoc swagger openapi openapi.json schema.graphql schema.json "
        "metrics static start download assets favicon.ico internal telemetry-id"
    )
    assert set(names.split()) == RESERVED


async def test_who_a_request_comes_from(world):
    for caller, shape in (
        (world.anonymous, ()),
        (world.user, ((INSTRUMENTS, "user"),)),
        (world.admin, ((INSTRUMENTS, "admin"),)),
    ):
        headers = {name.lower(): value for name, value in caller.headers.items()}
        principals = await world.parts.contexts.schemes.authenticate(headers, {})
        assert principals.shape == shape


def test_a_context_for_the_program_itself(world):
    ctx = world.parts.contexts.context(ANONYMOUS)
    assert (ctx.request_id, ctx.principals.shape, ctx.sql) == ("-", (), world.parts.database)
    assert ctx.services is world.parts.services
    assert ctx.effects.headers == []


async def test_what_an_old_key_sealed_is_read_while_that_key_is_listed(assembled):
    async with assembled(SECRET_KEY="first" * 8) as world:
        assert "errors" not in await world.admin.ask(SEAL)
    new = {"SECRET_KEY": "second" * 8}

    async def read(**settings: str) -> Secret:
        parts = await assemble(Settings(SWITCHYARD_DATA_DIR=world.parts.settings.data_dir, **settings))
        try:
            row = await parts.database.first(select(service_accounts.c.password_sealed))
            return parts.services.keyring.unseal(row["password_sealed"])
        finally:
            await parts.close()

    assert await read(**new, SWITCHYARD_OLD_SECRET_KEYS="first" * 8) == Secret("hunter2")
    with pytest.raises(UndecipherableSecretError, match="no key with id"):
        await read(**new)


async def test_nothing_secret_is_stored_in_clear(assembled, tmp_path):
    async with assembled(SWITCHYARD_ENCRYPTION_KEY=base64.urlsafe_b64encode(b"k" * 32).decode()) as world:
        await world.admin.ask(SEAL)
    for file in (tmp_path / "data").rglob("*"):
        assert b"hunter2" not in file.read_bytes(), file
        assert b"correct horse" not in file.read_bytes(), file
    with sqlite3.connect(tmp_path / "data" / "switchyard.db") as connection:
        assert connection.execute("select count(*) from service_accounts").fetchone() == (1,)
    connection.close()


async def test_how_many_documents_are_kept_is_a_setting(assembled):
    async with assembled(SWITCHYARD_DOCUMENT_CACHE=10) as world:
        for number in range(20):
            await world.anonymous.ask(f"{{ a{number}: __typename }}")
        assert len(world.parts.graph._documents) == len(world.parts.graph._operations) == 10


INTROSPECT = '{ __type(name: "Query") { name } }'


async def test_introspection_can_be_turned_on_in_production(assembled):
    async with assembled(SWITCHYARD_PROFILE="production", SWITCHYARD_INTROSPECTION="on") as world:
        assert await world.anonymous.ask(INTROSPECT) == {"data": {"__type": {"name": "Query"}}}
        for path in ("/graphiql", "/schema.graphql"):
            assert (await world.anonymous.request("GET", path)).status_code == 200


async def test_introspection_can_be_turned_off_in_development(assembled):
    async with assembled(SWITCHYARD_INTROSPECTION="off") as world:
        (error,) = (await world.anonymous.ask(INTROSPECT))["errors"]
        assert error["extensions"]["code"] == "NOT_SUPPORTED"


def test_a_trusted_document_that_would_be_refused_is_found_beforehand(environment, tmp_path):
    (tmp_path / "types.graphql").write_text("{ __schema { types { name } } }")
    settings = {"SWITCHYARD_TRUSTED_DOCUMENTS": tmp_path, "SWITCHYARD_PROFILE": "production"}
    with pytest.raises(ValueError, match=r"types\.graphql: introspection is turned off on this server$"):
        check_operations(Settings(**settings))
    check_operations(Settings(**settings, SWITCHYARD_INTROSPECTION="on"))
