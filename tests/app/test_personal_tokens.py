"""Personal tokens as credentials, in REST and GraphQL: whom they prove, what they are for, what ends them."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from graphql import OperationType
from sqlalchemy import select, update

from app.auth import COOKIE, InstrumentsScheme
from app.personal_tokens import SchemesWithTokens
from app.tokens import SignedTokens
from core.errors import Unavailable
from core.identity import INSTRUMENTS, Principal
from core.personal_tokens import digest_of, new_token
from core.vocabulary import Access, TokenScope
from resolvers.context import RequestContext
from resolvers.instruments.users import delete_user, restore_user
from storage.sql.opening import open_database
from storage.sql.tables import memberships, personal_tokens, users
from tests import postgres
from tests.conftest import PASSWORD, Caller, World
from tests.schema.test_policy import ANYBODY, LOOKUPS, NOWHERE, codes, question

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

FOR_ANYBODY = {
    "auth_jwt_login",
    "auth_cookie_login",
    "auth_register",
    "auth_forgot_password",
    "auth_reset_password",
    "auth_request_verify_token",
    "auth_verify",
}

CREATE = """mutation ($input: CreatePersonalTokenInput!) {
    createPersonalToken(input: $input) { token personalToken { localId name scopes expiresAt lastUsedAt } }
}"""
REVOKE = "mutation ($key: UUID!) { revokePersonalToken(input: {localId: $key}) { localId } }"
LIST = "{ personalTokens { totalCount nodes { localId name scopes lastUsedAt } } }"
ME = "{ me { email } }"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


async def made(caller: Caller, *scopes: str, name: str = "script") -> tuple[Caller, str]:
    """A caller with a new token, and the token's id."""
    given = {"name": name, "expiresAt": in_days(1), "scopes": list(scopes)}
    created = (await caller.ask(CREATE, {"input": given}))["data"]["createPersonalToken"]
    key = created["personalToken"]["localId"]
    return Caller(caller.app, bearer(created["token"]), caller.id, caller.email), key


async def refused(caller: Caller) -> None:
    """In REST and in GraphQL, as if there were no credential at all."""
    reply = await caller.request("GET", "/users/me")
    assert (reply.status_code, reply.json()) == (401, {"detail": "Unauthorized"})
    assert [error["extensions"] for error in (await caller.ask(ME))["errors"]] == [{"code": "UNAUTHENTICATED"}]


async def accepted(caller: Caller) -> None:
    assert (await caller.request("GET", "/users/me")).json()["email"] == caller.email
    assert await caller.ask(ME) == {"data": {"me": {"email": caller.email}}}


async def context_of(world: World, caller: Caller) -> RequestContext:
    headers = {name.lower(): value for name, value in caller.headers.items()}
    return world.parts.contexts.context(await world.parts.contexts.schemes.authenticate(headers, {}))


# --- the way of a token ------------------------------------------------------------------------------------------------


async def test_a_token_is_shown_once_and_works_until_it_is_revoked(world):
    owner = await world.person(f"{uuid4()}@example.org")
    expires = in_days(90)
    given = {"name": "nightly report", "expiresAt": expires, "scopes": ["INSTRUMENTS_READ"]}
    answer = await owner.ask(CREATE, {"input": given})

    created = answer["data"]["createPersonalToken"]
    key = created["personalToken"]["localId"]
    assert re.fullmatch("swy_[a-z2-7]{64}", created["token"])
    expected = {"localId": key, "name": "nightly report", "scopes": ["INSTRUMENTS_READ"], "lastUsedAt": None}
    assert created["personalToken"] == expected | {"expiresAt": expires.replace("+00:00", "Z")}
    assert await owner.ask(LIST) == {"data": {"personalTokens": {"totalCount": 1, "nodes": [expected]}}}

    holder = Caller(world.app, bearer(created["token"]), owner.id, owner.email)
    await accepted(holder)
    assert await owner.ask(REVOKE, {"key": key}) == {"data": {"revokePersonalToken": {"localId": key}}}
    await refused(holder)
    assert await owner.ask(LIST) == {"data": {"personalTokens": {"totalCount": 0, "nodes": []}}}
    (error,) = (await owner.ask(REVOKE, {"key": key}))["errors"]
    assert (error["message"], error["extensions"]) == ("Personal token not found", {"code": "NOT_FOUND"})


async def test_the_graphs_core_shows_the_same(world):
    """By graphql-core, which runs what holds introspection, and by a plan."""
    owner = await world.person(f"{uuid4()}@example.org")
    await made(owner, "INSTRUMENTS_WRITE", "INSTRUMENTS_READ")
    planned = await owner.ask(LIST)
    assert planned["data"]["personalTokens"]["nodes"][0]["scopes"] == ["INSTRUMENTS_READ", "INSTRUMENTS_WRITE"]
    executed = await owner.ask(LIST.replace("{", "{ __schema { __typename } ", 1))
    assert executed["data"]["personalTokens"] == planned["data"]["personalTokens"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"expiresAt": in_days(-1)}, "expiresAt"),
        ({"expiresAt": in_days(400)}, "expiresAt"),
        ({"scopes": []}, "scopes"),
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "input.name"),
    ],
)
async def test_mistakes_name_their_field(world, changes, field):
    given = {"name": "script", "expiresAt": in_days(1), "scopes": ["INSTRUMENTS_READ"]}
    (error,) = (await world.user.ask(CREATE, {"input": given | changes}))["errors"]
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("INVALID_INPUT", field)


async def test_everybody_sees_their_own(world):
    ada, bob = [await world.person(f"{uuid4()}@example.org", role) for role in ("admin", "user")]
    _, key = await made(bob, "INSTRUMENTS_READ")
    assert (await ada.ask(LIST))["data"]["personalTokens"] == {"totalCount": 0, "nodes": []}
    query = "{ personalTokens { nodes { id } } }"
    (node,) = (await bob.ask(query))["data"]["personalTokens"]["nodes"]
    find = "query ($id: ID!) { node(id: $id) { id } }"
    assert await bob.ask(find, node) == {"data": {"node": node}}
    assert await ada.ask(find, node) == {"data": {"node": None}}
    assert (await ada.ask(REVOKE, {"key": key}))["errors"][0]["extensions"]["code"] == "NOT_FOUND"


# --- what a token is for -----------------------------------------------------------------------------------------------


async def test_a_token_for_reading_reads_what_its_owner_reads(world):
    for owner, count in ((world.admin, 200), (world.user, 403)):
        reader, _ = await made(owner, "INSTRUMENTS_READ")
        await accepted(reader)
        assert (await reader.request("GET", "/api/service-accounts")).status_code == count
        assert (await reader.request("GET", "/api/instruments")).status_code == 200


@pytest.mark.slow
async def test_a_token_for_reading_changes_nothing_in_graphql(world):
    reader, _ = await made(world.admin, "INSTRUMENTS_READ")
    schema = world.parts.graph.schema
    found = {}
    for name in schema.type_map["Mutation"].fields:
        query = question(schema, "Mutation", name)
        found[name] = await codes(world, reader, query)
        if name not in ANYBODY and "$file" not in query:
            (error,) = (await reader.ask(query))["errors"]
            refused = "UNAUTHENTICATED" if name in LOOKUPS else "FORBIDDEN"
            assert (error["extensions"]["code"], error["path"]) == (refused, [name])
    assert found == {
        name: set() if name in ANYBODY else {"UNAUTHENTICATED" if name in LOOKUPS else "FORBIDDEN"} for name in found
    }


async def test_a_token_for_reading_changes_nothing_in_rest(world):
    reader, _ = await made(world.admin, "INSTRUMENTS_READ")
    asked = Counter()
    for endpoint in world.parts.shim.endpoints:
        declared = endpoint.declared
        if declared.kind is not OperationType.MUTATION or declared.name in FOR_ANYBODY:
            continue
        path = re.sub(r"\{\w+\}", NOWHERE, str(declared.template))
        reply = await reader.request(declared.rest.method, path, json={})
        if declared.dialect.name == "lookups":  # which knows no such tokens
            assert (reply.status_code, reply.json()["result"]) == (401, "NOT-AUTHORIZED"), declared.name
            continue
        assert (reply.status_code, reply.json()) == (403, {"detail": "This token may not do that"}), declared.name
        asked[declared.rest.method] += 1
    assert asked >= Counter({"POST": 12, "PATCH": 5, "DELETE": 4})


async def test_a_token_for_writing_does_what_its_owner_does_but_for_the_owners_account(world):
    writer, _ = await made(world.admin, "INSTRUMENTS_WRITE")
    new = {"name": "by a token", "username": "u", "password": "hunter2hunter2"}
    reply = await writer.request("POST", "/api/service-accounts", json=new)
    assert reply.status_code == 201
    account = reply.json()["id"]
    assert (await writer.request("DELETE", f"/api/service-accounts/{account}")).status_code == 204

    schema = world.parts.graph.schema
    fields = {root: set(schema.type_map[root].fields) for root in ("Query", "Mutation")}
    forbidden = {
        name
        for root, names in fields.items()
        for name in names
        if await codes(world, writer, question(schema, root, name)) == {"FORBIDDEN"}
    }
    assert forbidden == {
        "logout",
        "updateMe",
        "updateUser",
        "revealServiceAccountPassword",
        "createPersonalToken",
        "revokePersonalToken",
        "personalTokens",
    }


async def test_a_user_does_not_become_an_admin_by_a_token(world):
    writer, _ = await made(world.user, "INSTRUMENTS_WRITE")
    reply = await writer.request("POST", "/api/service-accounts", json={})
    assert (reply.status_code, reply.json()) == (403, {"detail": "Admin access required"})


async def test_an_admins_token_makes_no_admins(world):
    """Whoever found it could sign in as one from then on."""
    writer, _ = await made(world.admin, "INSTRUMENTS_WRITE")
    new = {"email": f"{uuid4()}@example.org", "password": PASSWORD, "role": "admin"}
    for caller, role in ((writer, "user"), (world.admin, "admin")):
        reply = await caller.request("POST", "/auth/register", json=new | {"email": f"{uuid4()}@example.org"})
        assert (reply.status_code, reply.json()["role"]) == (201, role)


async def test_a_request_that_names_a_token_gets_no_more_by_a_cookie(world):
    reader, _ = await made(world.admin, "INSTRUMENTS_READ")
    cookie = {"Cookie": f"{COOKIE}={world.admin.headers['Authorization'].partition(' ')[2]}"}
    reply = await reader.request("POST", "/api/service-accounts", json={}, headers=cookie)
    assert reply.status_code == 403


# --- what ends it ------------------------------------------------------------------------------------------------------


async def test_a_new_password_ends_it(world):
    owner = await world.person(f"{uuid4()}@example.org")
    holder, _ = await made(owner, "INSTRUMENTS_READ")
    reply = await owner.request("PATCH", "/users/me", json={"password": "battery staple"})
    assert reply.status_code == 200
    await refused(holder)
    login = {"username": owner.email, "password": "battery staple"}
    token = (await world.anonymous.request("POST", "/auth/jwt/login", data=login)).json()["access_token"]
    again = Caller(world.app, bearer(token))
    assert (await again.ask(LIST))["data"]["personalTokens"] == {"totalCount": 0, "nodes": []}


async def test_deletion_ends_it_for_good(world):
    owner = await world.person(f"{uuid4()}@example.org")
    holder, _ = await made(owner, "INSTRUMENTS_READ")
    await delete_user(await context_of(world, world.admin), owner.id)
    await refused(holder)
    await restore_user(await context_of(world, world.admin), owner.id)
    await refused(holder)


async def test_nobody_uses_it_while_the_person_is_deactivated(world):
    owner = await world.person(f"{uuid4()}@example.org")
    holder, _ = await made(owner, "INSTRUMENTS_READ")
    async with world.parts.database.transaction() as transaction:
        await transaction.update(users, owner.id, is_active=False)
    await refused(holder)
    async with world.parts.database.transaction() as transaction:
        await transaction.update(users, owner.id, is_active=True)
    await accepted(holder)


async def test_whoever_leaves_a_domain_loses_it_there(world):
    owner = await world.person(f"{uuid4()}@example.org")
    holder, _ = await made(owner, "INSTRUMENTS_READ")
    async with world.parts.database.transaction() as transaction:
        await transaction.execute(update(memberships).where(memberships.c.user_id == owner.id).values(domain="replication"))
    await refused(holder)


async def test_a_new_role_counts_at_once(world):
    owner = await world.person(f"{uuid4()}@example.org", "admin")
    holder, _ = await made(owner, "INSTRUMENTS_READ")
    assert (await holder.request("GET", "/api/service-accounts")).status_code == 200
    async with world.parts.database.transaction() as transaction:
        await transaction.execute(update(memberships).where(memberships.c.user_id == owner.id).values(role="user"))
    assert (await holder.request("GET", "/api/service-accounts")).status_code == 403


async def test_what_is_no_token_is_no_credential(world):
    for text in ("swy_", "swy_x", new_token(uuid4()).reveal(), "swy_" + "a" * 64, "swy_" + "ä" * 8):
        caller = Caller(world.app, {"Authorization": f"Bearer {text}".encode()})
        await refused(caller)


# --- the scheme, on every database -------------------------------------------------------------------------------------


@pytest.fixture(params=postgres.BOTH)
def url(request, migrated, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{shutil.copy(migrated, tmp_path / 'switchyard.db')}"
        return
    with postgres.cloned() as url:
        yield url


@pytest.fixture
async def database(url):
    database = await open_database(url)
    yield database
    await database.close()


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def schemes(database, clock):
    tokens = SignedTokens(b"k" * 32, lifetime=3600, clock=clock)
    schemes = SchemesWithTokens(database, [InstrumentsScheme(tokens, database)], clock)
    yield schemes
    await schemes.settle()


async def store(database, scopes, domains=(INSTRUMENTS,), **columns) -> tuple[UUID, UUID, str]:
    """A person, a token of theirs and its text."""
    person, key = uuid4(), uuid4()
    token = new_token(key)
    row = {
        "id": person,
        "email": "Ada@example.org",
        "email_folded": "ada@example.org",
        "password_hash": "",
        "credentials_version": 1,
        "is_active": True,
        "is_superuser": False,
        "is_verified": False,
        "created_at": NOW,
        "updated_at": NOW,
    }
    kept = {
        "id": key,
        "user_id": person,
        "name": "script",
        "digest": digest_of(token),
        "scopes": [scope.value for scope in scopes],
        "credentials_version": 1,
        "created_at": NOW,
        "expires_at": NOW + timedelta(days=1),
    }
    async with database.transaction() as transaction:
        await transaction.insert(users, **row)
        for domain in domains:
            await transaction.insert(memberships, user_id=person, domain=domain, role="admin", created_at=NOW)
        await transaction.insert(personal_tokens, **(kept | columns))
    return person, key, token.reveal()


async def principals(schemes, token: str) -> list[Principal]:
    return list(await schemes.authenticate({"authorization": f"bearer {token}"}, {}))


async def last_used(database, key) -> datetime | None:
    row = await database.first(select(personal_tokens.c.last_used_at).where(personal_tokens.c.id == key))
    return row["last_used_at"]


@pytest.mark.parametrize(
    ("scopes", "access"),
    [
        ([TokenScope.INSTRUMENTS_READ], Access.READ),
        ([TokenScope.INSTRUMENTS_WRITE], Access.WRITE),
        (list(TokenScope), Access.WRITE),
    ],
)
async def test_a_principal_in_each_domain_that_the_token_is_for(database, schemes, scopes, access):
    person, key, token = await store(database, scopes, domains=(INSTRUMENTS, "replication"))
    assert await principals(schemes, token) == [Principal(INSTRUMENTS, person, "admin", "Ada@example.org", str(key), access)]


async def test_one_statement(database, schemes, monkeypatch):
    _, _, token = await store(database, [TokenScope.INSTRUMENTS_READ], last_used_at=NOW)
    statements = []
    fetch = database.fetch

    async def counting(text, values):
        statements.append(text)
        return await fetch(text, values)

    monkeypatch.setattr(database, "fetch", counting)
    assert len(await principals(schemes, token)) == 1
    assert len(statements) == 1


@pytest.mark.parametrize("ended", [{"credentials_version": 2}, {"expires_at": NOW}, {"digest": "0" * 64}])
async def test_what_has_ended_or_is_another_secret(database, schemes, ended):
    _, key, token = await store(database, [TokenScope.INSTRUMENTS_READ], **ended)
    assert await principals(schemes, token) == []
    await schemes.settle()
    assert await last_used(database, key) is None


async def test_it_ends_when_its_time_has_come(database, schemes, clock):
    _, _, token = await store(database, [TokenScope.INSTRUMENTS_READ])
    clock.now = NOW + timedelta(days=1) - timedelta(microseconds=1)
    assert len(await principals(schemes, token)) == 1
    clock.now = NOW + timedelta(days=1)
    assert await principals(schemes, token) == []


async def test_when_it_was_used_is_written_once_a_minute(database, schemes, clock):
    _, key, token = await store(database, [TokenScope.INSTRUMENTS_READ])
    for seconds, noted in ((0, 0), (30, 0), (59, 0), (60, 60), (61, 60)):
        clock.now = NOW + timedelta(seconds=seconds)
        assert len(await principals(schemes, token)) == 1
        await schemes.settle()
        assert await last_used(database, key) == NOW + timedelta(seconds=noted)


async def test_nobody_waits_for_that(database, schemes):
    """Not even while something else writes; and of many requests one writes it."""
    _, key, token = await store(database, [TokenScope.INSTRUMENTS_READ])
    async with database.transaction() as transaction:
        await transaction.get(personal_tokens, key)
        found = await asyncio.wait_for(asyncio.gather(*[principals(schemes, token) for _ in range(20)]), 5)
        assert [len(each) for each in found] == [1] * 20
        assert len(schemes._noting) == 1
    await schemes.settle()
    assert await last_used(database, key) == NOW
    assert schemes._noting == {}


async def test_a_database_that_does_not_take_it_spoils_nothing(database, schemes, monkeypatch, caplog):
    _, key, token = await store(database, [TokenScope.INSTRUMENTS_READ])

    def full():
        raise Unavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(database, "transaction", full)
        assert len(await principals(schemes, token)) == 1
        await schemes.settle()
    assert [record.getMessage() for record in caplog.records if record.name == "switchyard"] == [
        f"when personal token {key} was last used could not be written"
    ]
    assert len(await principals(schemes, token)) == 1
    await schemes.settle()
    assert await last_used(database, key) == NOW
