"""Who a request comes from; and around it: password hashes, the session cookie, the first admin. Contract streamweave §2."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher
from sqlalchemy import select, update

from app.auth import HttpOnlyCookie, InstrumentsScheme, Schemes
from app.bootstrap import CreatedAdmin, FirstAdmin, create_first_admin
from app.passwords import THREADS, HashedPasswords
from app.tokens import SignedTokens
from core.errors import Unavailable
from core.identity import INSTRUMENTS, Principal
from core.secrets import Secret
from storage.sql.tables import audit_log, memberships, users

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock():
    return lambda: NOW


@pytest.fixture
def tokens(clock) -> SignedTokens:
    return SignedTokens(b"k" * 32, lifetime=3600, clock=clock)


async def store(database, email="Ada@example.org", role="admin", domain=INSTRUMENTS, **columns) -> UUID:
    key = uuid4()
    row = {
        "id": key,
        "email": email,
        "email_folded": email.casefold(),
        "password_hash": "",
        "credentials_version": 1,
        "is_active": True,
        "is_superuser": False,
        "is_verified": False,
        "created_at": NOW,
        "updated_at": NOW,
    }
    async with database.transaction() as transaction:
        await transaction.insert(users, **row | columns)
        await transaction.insert(memberships, user_id=key, domain=domain, role=role, created_at=NOW)
    return key


class CountingStore:
    """The database, and how often it was asked."""

    def __init__(self, database) -> None:
        self._database = database
        self.dialect = database.dialect
        self.statements = Counter()

    async def fetch(self, text, values):
        self.statements[text] += 1
        return await self._database.fetch(text, values)


@pytest.fixture
def sql(database) -> CountingStore:
    return CountingStore(database)


@pytest.fixture
def schemes(sql, tokens) -> Schemes:
    return Schemes(sql, [InstrumentsScheme(tokens, sql)])


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


class TestSchemes:
    async def test_a_bearer_token_proves_a_principal_with_one_statement(self, database, schemes, tokens, sql):
        key = await store(database)
        token = tokens.issue(key, 1)

        principals = await schemes.authenticate(bearer(token), {})

        claims = tokens.parse(token)
        assert list(principals) == [Principal(INSTRUMENTS, key, "admin", "Ada@example.org", claims.token_id)]
        assert sql.statements.total() == 1

    async def test_a_cookie_does_too(self, database, schemes, tokens):
        key = await store(database, role="user")

        principals = await schemes.authenticate({}, {"streamweave_auth": tokens.issue(key, 1)})

        assert [(principal.subject, principal.role) for principal in principals] == [(key, "user")]

    async def test_the_bearer_comes_before_the_cookie(self, database, schemes, tokens, sql):
        first, second = await store(database), await store(database, email="bob@example.org")

        principals = await schemes.authenticate(bearer(tokens.issue(first, 1)), {"streamweave_auth": tokens.issue(second, 1)})

        assert [principal.subject for principal in principals] == [first]
        assert sql.statements.total() == 1

    async def test_a_bearer_that_is_not_ours_leaves_the_cookie_its_say(self, database, schemes, tokens, sql):
        key = await store(database)

        principals = await schemes.authenticate(bearer("foreign"), {"streamweave_auth": tokens.issue(key, 1)})

        assert [principal.subject for principal in principals] == [key]
        assert sql.statements.total() == 1

    @pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
    async def test_the_word_bearer_is_read_in_any_case(self, database, schemes, tokens, scheme):
        key = await store(database)

        assert await schemes.authenticate({"authorization": f"{scheme} {tokens.issue(key, 1)}"}, {})

    @pytest.mark.parametrize(
        ("headers", "cookies"),
        [
            ({}, {}),
            ({"authorization": ""}, {}),
            ({"authorization": "Bearer"}, {}),
            ({"authorization": "Bearer "}, {}),
            ({"authorization": "Bearer foreign"}, {"streamweave_auth": "", "other": "x"}),
            ({"authorization": "Basic YTpi"}, {}),
        ],
        ids=str,
    )
    async def test_without_a_token_of_ours_nobody_asks_the_database(self, schemes, sql, headers, cookies):
        assert not await schemes.authenticate(headers, cookies)
        assert sql.statements.total() == 0

    async def test_a_token_under_another_scheme_is_none(self, database, schemes, tokens):
        token = tokens.issue(await store(database), 1)

        assert not await schemes.authenticate({"authorization": f"Basic {token}"}, {})
        assert not await schemes.authenticate({"authorization": token}, {})

    @pytest.mark.parametrize("columns", [{"is_active": False}, {"deleted_at": NOW}, {"credentials_version": 2}], ids=str)
    async def test_who_may_not_log_in_now_is_nobody(self, database, schemes, tokens, columns):
        token = tokens.issue(await store(database, **columns), 1)

        assert not await schemes.authenticate(bearer(token), {})

    async def test_an_unknown_user_is_nobody(self, schemes, tokens):
        assert not await schemes.authenticate(bearer(tokens.issue(uuid4(), 1)), {})

    async def test_a_member_of_another_domain_is_nobody_here(self, database, schemes, tokens):
        token = tokens.issue(await store(database, domain="replication"), 1)

        assert not await schemes.authenticate(bearer(token), {})

    async def test_a_revoked_token_is_none_and_others_of_its_holder_stay(self, database, schemes, tokens):
        key = await store(database)
        token, other = tokens.issue(key, 1), tokens.issue(key, 1)
        async with database.transaction() as transaction:
            await tokens.revoke(transaction, tokens.parse(token).token_id)

        assert not await schemes.authenticate(bearer(token), {})
        assert await schemes.authenticate(bearer(other), {})

    async def test_a_changed_role_counts_at_once(self, database, schemes, tokens):
        key = await store(database)
        token = tokens.issue(key, 1)
        async with database.transaction() as transaction:
            await transaction.execute(update(memberships).values(role="user"))

        assert [principal.role for principal in await schemes.authenticate(bearer(token), {})] == ["user"]

    async def test_schemes_do_not_veto_each_other(self, sql):
        class Found:
            async def principal(self, credentials, sql):
                return Principal("lookups", UUID(int=1), "user")

        class NotFound:
            async def principal(self, credentials, sql):
                return None

        principals = await Schemes(sql, [NotFound(), Found(), NotFound()]).authenticate({}, {})

        assert [principal.domain for principal in principals] == ["lookups"]


class TestSessionCookie:
    def test_it_is_written_as_documented(self):
        assert HttpOnlyCookie(3600, secure=False)("a.b.c") == (
            "streamweave_auth=a.b.c; HttpOnly; Max-Age=3600; Path=/; SameSite=lax"
        )

    def test_it_is_secure_unless_settings_say_otherwise(self):
        assert HttpOnlyCookie(60)("a.b.c") == "streamweave_auth=a.b.c; HttpOnly; Max-Age=60; Path=/; SameSite=lax; Secure"

    def test_it_is_removed_by_an_expired_one(self):
        assert HttpOnlyCookie(3600)(None) == ('streamweave_auth=""; HttpOnly; Max-Age=0; Path=/; SameSite=lax; Secure')


FAST = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def passwords():
    passwords = HashedPasswords(FAST)
    yield passwords
    passwords.close()


class TestPasswords:
    async def test_hashes_are_argon2_and_salted(self, passwords):
        first, second = [await passwords.hash(Secret("correct horse")) for _ in range(2)]

        assert first.startswith("$argon2id$")
        assert first != second

    async def test_a_password_matches_its_own_hash_only(self, passwords):
        stored = await passwords.hash(Secret("correct horse"))

        assert await passwords.verify(Secret("correct horse"), stored) == (True, None)
        assert await passwords.verify(Secret("battery staple"), stored) == (False, None)

    async def test_bcrypt_hashes_are_accepted_and_replaced(self, passwords):
        matches, upgraded = await passwords.verify(Secret("correct horse"), BcryptHasher(rounds=4).hash("correct horse"))

        assert matches
        assert await passwords.verify(Secret("correct horse"), upgraded) == (True, None)

    async def test_a_wrong_password_replaces_no_bcrypt_hash(self, passwords):
        assert await passwords.verify(Secret("wrong"), BcryptHasher(rounds=4).hash("right")) == (False, None)

    async def test_a_long_password_matches_the_bcrypt_hash_that_was_made_of_its_beginning(self, passwords):
        stored = BcryptHasher(rounds=4).hash("x" * 72)

        matches, upgraded = await passwords.verify(Secret("x" * 100), stored)

        assert matches
        assert await passwords.verify(Secret("x" * 72), upgraded) == (False, None)

    async def test_a_weaker_argon2_hash_is_replaced(self, passwords):
        stored = await passwords.hash(Secret("correct horse"))
        stronger = HashedPasswords(Argon2Hasher(time_cost=2, memory_cost=8, parallelism=1))

        matches, upgraded = await stronger.verify(Secret("correct horse"), stored)

        stronger.close()
        assert matches
        assert "t=2" in upgraded

    @pytest.mark.parametrize("stored", ["", "!", "plain text"])
    async def test_what_is_no_hash_matches_nothing_and_costs_a_check(self, stored):
        class Counting(Argon2Hasher):
            checks = 0

            def verify(self, password, hash):  # noqa: A002  # the protocol's name
                self.checks += 1
                return super().verify(password, hash)

        hasher = Counting(time_cost=1, memory_cost=8, parallelism=1)
        passwords = HashedPasswords(hasher)

        assert await passwords.verify(Secret(stored), stored) == (False, None)
        passwords.close()
        assert hasher.checks == 1

    async def test_odd_texts_can_be_compared(self, passwords):
        stored = await passwords.hash(Secret("correct horse"))

        for odd in ("", "\0", "\ud800", "ü" * 5000):
            assert await passwords.verify(Secret(odd), stored) == (False, None)
            assert await passwords.verify(Secret(odd), BcryptHasher(rounds=4).hash("x")) == (False, None)

    async def test_hashing_leaves_the_event_loop_alone(self):
        class Watching(Argon2Hasher):
            threads: set[str]

            def hash(self, password, *, salt=None):
                self.threads = {threading.current_thread().name}
                return super().hash(password, salt=salt)

        hasher = Watching(time_cost=1, memory_cost=8, parallelism=1)
        passwords = HashedPasswords(hasher)
        await passwords.hash(Secret("x"))
        passwords.close()

        assert hasher.threads == {"passwords_0"}

    async def test_no_more_passwords_wait_than_there_is_room_for(self):
        class Waiting(Argon2Hasher):
            def hash(self, password, *, salt=None):
                gate.wait(10)
                return super().hash(password, salt=salt)

        gate = threading.Event()
        gate.set()
        passwords = HashedPasswords(Waiting(time_cost=1, memory_cost=8, parallelism=1), queue=3)
        gate.clear()
        under_way = [asyncio.create_task(passwords.hash(Secret("x"))) for _ in range(THREADS + 3)]
        await asyncio.sleep(0)

        with pytest.raises(Unavailable, match=r"^too many passwords are waiting for their check: try again in a moment$"):
            await passwords.hash(Secret("x"))

        gate.set()
        await asyncio.gather(*under_way)
        assert (await passwords.hash(Secret("x"))).startswith("$argon2id$")
        passwords.close()


CONFIGURED = FirstAdmin(email="Root@example.org", username="root", password=Secret("from settings"))


async def people(database) -> list[dict]:
    return [dict(row) for row in await database.all(select(users).order_by(users.c.number))]


class TestFirstAdmin:
    async def test_it_is_created_from_settings(self, database, passwords, clock):
        assert await create_first_admin(database, passwords, CONFIGURED, clock) == CreatedAdmin("Root@example.org")

        (root,) = await people(database)
        password_hash = root.pop("password_hash")
        assert root == {
            "id": root["id"],
            "number": 1,
            "email": "Root@example.org",
            "email_folded": "root@example.org",
            "username": "root",
            "credentials_version": 1,
            "is_active": True,
            "is_superuser": True,
            "is_verified": False,
            "created_at": NOW,
            "updated_at": NOW,
            "deleted_at": None,
        }
        assert await passwords.verify(Secret("from settings"), password_hash) == (True, None)
        (member,) = await database.all(select(memberships))
        assert (member["user_id"], member["domain"], member["role"]) == (root["id"], INSTRUMENTS, "admin")

    async def test_it_is_audited_as_nobodys_doing(self, database, passwords, clock):
        await create_first_admin(database, passwords, CONFIGURED, clock)

        (entry,) = await database.all(select(audit_log))
        assert (entry["entity_type"], entry["action"], entry["actor_id"]) == ("user", "create", None)

    async def test_it_gets_a_password_when_there_is_no_admin_and_no_setting(self, database, passwords):
        created = await create_first_admin(database, passwords, FirstAdmin())

        (admin,) = await people(database)
        assert (admin["email"], admin["username"]) == ("admin@localhost", "admin")
        assert len(created.password.reveal()) >= 20
        assert created.password.reveal() not in repr(created)
        assert await passwords.verify(created.password, admin["password_hash"]) == (True, None)

    async def test_an_address_without_a_password_gets_one(self, database, passwords):
        created = await create_first_admin(database, passwords, FirstAdmin(email="root@example.org"))

        assert created.email == "root@example.org"
        assert created.password is not None

    async def test_an_empty_password_is_none(self, database, passwords):
        settings = FirstAdmin(email="root@example.org", password=Secret(""))

        assert (await create_first_admin(database, passwords, settings)).password is not None

    async def test_a_second_start_changes_nothing(self, database, passwords):
        for settings in (CONFIGURED, FirstAdmin()):
            await create_first_admin(database, passwords, settings)
            before = await people(database)

            assert await create_first_admin(database, passwords, settings) is None
            assert await people(database) == before

    async def test_an_existing_user_is_left_as_it_is(self, database, passwords):
        await store(database)
        await store(database, email="ROOT@example.org", role="user")
        before = await people(database)

        assert await create_first_admin(database, passwords, CONFIGURED) is None
        assert await people(database) == before

    async def test_there_is_an_admin_even_if_somebody_else_has_the_address(self, database, passwords):
        await store(database, email="ROOT@example.org", role="user")

        assert await create_first_admin(database, passwords, CONFIGURED) == CreatedAdmin("admin@localhost")
        assert [person["email"] for person in await people(database)] == ["ROOT@example.org", "admin@localhost"]

    async def test_the_admin_of_the_settings_is_created_beside_another(self, database, passwords):
        await store(database)

        assert await create_first_admin(database, passwords, CONFIGURED) == CreatedAdmin("Root@example.org")

    async def test_nobody_is_made_up_beside_another_admin(self, database, passwords):
        await store(database)

        assert await create_first_admin(database, passwords, FirstAdmin()) is None
        assert await create_first_admin(database, passwords, FirstAdmin(email="new@example.org")) is None

    @pytest.mark.parametrize(
        "columns", [{"role": "user"}, {"is_active": False}, {"deleted_at": NOW}, {"domain": "replication"}], ids=str
    )
    async def test_who_cannot_act_as_admin_is_none(self, database, passwords, columns):
        await store(database, **columns)

        assert (await create_first_admin(database, passwords, FirstAdmin())).password is not None

    async def test_a_taken_username_is_left_to_whoever_has_it(self, database, passwords):
        await store(database, username="root", role="user")

        await create_first_admin(database, passwords, CONFIGURED)

        assert [person["username"] for person in await people(database)] == ["root", None]
