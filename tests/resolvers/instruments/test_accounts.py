"""Registration and self-service: contract streamweave §2."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from core.errors import InvalidInput, Refused, Unauthenticated
from core.identity import INSTRUMENTS
from core.secrets import Secret
from core.vocabulary import Role
from resolvers.instruments.accounts import (
    AccountChanges,
    NewAccount,
    register,
    update_me,
)
from storage.sql.tables import memberships, users

EVE = NewAccount(email="Eve@Example.org", password=Secret("long enough"))


@pytest.fixture
def membership(database):
    async def read(key) -> list[dict]:
        return [dict(row) for row in await database.all(select(memberships).where(memberships.c.user_id == key))]

    return read


async def test_register(anonymous, clock, row, membership, audited, entry):
    key = await register(anonymous, EVE)

    assert await row(users, key) == {
        "id": key,
        "number": 1,
        "email": "Eve@example.org",
        "email_folded": "eve@example.org",
        "username": None,
        "password_hash": "new:long enough",
        "credentials_version": 1,
        "is_active": True,
        "is_superuser": False,
        "is_verified": False,
        "created_at": clock.now,
        "updated_at": clock.now,
        "deleted_at": None,
    }
    assert await membership(key) == [
        {"user_id": key, "domain": INSTRUMENTS, "role": "user", "grants": None, "created_at": clock.now}
    ]
    assert await audited() == [entry(anonymous, "create", "user", key)]


@pytest.mark.parametrize(("who", "role"), [("anonymous", "user"), ("user", "user"), ("admin", "admin")])
async def test_only_an_admin_decides_about_roles(who, role, admin, user, anonymous, membership):
    ctx = {"admin": admin, "user": user, "anonymous": anonymous}[who]

    key = await register(ctx, NewAccount(email="eve@example.org", password=Secret("long enough"), role=Role.ADMIN))

    assert [member["role"] for member in await membership(key)] == [role]


async def test_an_admin_registers_users_unless_told_otherwise(admin, membership, audited, entry):
    key = await register(admin, EVE)

    assert [member["role"] for member in await membership(key)] == ["user"]
    assert await audited() == [entry(admin, "create", "user", key)]


@pytest.mark.parametrize("email", ["Eve@Example.org", "eve@example.org", "EVE@EXAMPLE.ORG"])
async def test_an_address_is_registered_once_in_whatever_case(anonymous, email):
    await register(anonymous, EVE)

    with pytest.raises(Refused, match=r"^REGISTER_USER_ALREADY_EXISTS$"):
        await register(anonymous, NewAccount(email=email, password=Secret("long enough")))


@pytest.mark.parametrize("domains", [(INSTRUMENTS,), ("replication",), ()])
async def test_an_address_stays_taken_by_deleted_users_and_members_of_other_domains(anonymous, person, clock, domains):
    await person("eve@example.org", domains=domains, deleted_at=clock.now)

    with pytest.raises(Refused, match=r"^REGISTER_USER_ALREADY_EXISTS$"):
        await register(anonymous, EVE)


@pytest.mark.parametrize("password", ["", "1234567"])
async def test_short_passwords_are_refused_with_an_explanation(anonymous, password):
    with pytest.raises(Refused, match=r"^REGISTER_INVALID_PASSWORD$") as refused:
        await register(anonymous, NewAccount(email="eve@example.org", password=Secret(password)))

    assert refused.value.explanation == "Password should be at least 8 characters"


@pytest.mark.parametrize("email", ["", "eve", "eve@", "@example.org", "eve@example.org\n", "e\0ve@example.org", None])
async def test_bad_addresses_are_invalid_input(anonymous, email):
    with pytest.raises(InvalidInput) as refused:
        await register(anonymous, NewAccount(email=email, password=Secret("long enough")))

    assert refused.value.field == "email"
    assert not isinstance(refused.value, Refused)


async def test_a_bad_address_is_explained_as_pydantic_would(anonymous):
    with pytest.raises(InvalidInput) as refused:
        await register(anonymous, NewAccount(email="eve", password=Secret("long enough")))

    (problem,) = refused.value.problems
    assert (problem.kind, problem.value) == ("value_error", "eve")
    assert problem.message == "value is not a valid email address: An email address must have an @-sign."


async def test_update_me_changes_the_address(user, clock, row, audited, entry):
    me = user.principals.of(INSTRUMENTS).subject
    before = await row(users, me)
    clock.advance(minutes=1)

    assert await update_me(user, AccountChanges(email="Robert@example.org")) == me

    assert await row(users, me) == {
        **before,
        "email": "Robert@example.org",
        "email_folded": "robert@example.org",
        "updated_at": clock.now,
    }
    changes = {"email": {"before": "bob@example.org", "after": "Robert@example.org"}}
    assert await audited() == [entry(user, "update", "user", me, changes)]


async def test_a_new_address_is_unverified(context, person, row):
    verified = await person("eve@example.org", is_verified=True)

    await update_me(context(verified), AccountChanges(email="eve@example.net"))

    assert (await row(users, verified.subject))["is_verified"] is False


async def test_the_old_address_is_no_change_even_if_it_would_not_be_accepted_today(context, person, row, clock):
    verified = await person("root@localhost", is_verified=True)
    before = await row(users, verified.subject)
    clock.advance(minutes=1)

    await update_me(context(verified), AccountChanges(email="root@localhost"))

    assert await row(users, verified.subject) == before


async def test_one_may_change_the_case_of_ones_own_address(user, row):
    me = await update_me(user, AccountChanges(email="BOB@example.org"))

    assert (await row(users, me))["email"] == "BOB@example.org"


async def test_a_taken_address_is_refused(admin, user):
    with pytest.raises(Refused, match=r"^UPDATE_USER_EMAIL_ALREADY_EXISTS$"):
        await update_me(user, AccountChanges(email="ADA@example.org"))


async def test_a_new_password_ends_older_tokens_and_is_hidden_in_the_log(user, clock, row, audited, entry):
    me = user.principals.of(INSTRUMENTS).subject
    before = await row(users, me)
    clock.advance(minutes=1)

    await update_me(user, AccountChanges(password=Secret("battery staple")))

    assert await row(users, me) == {
        **before,
        "password_hash": "new:battery staple",
        "credentials_version": 2,
        "updated_at": clock.now,
    }
    assert await audited() == [entry(user, "update", "user", me, {"password": {"before": "***", "after": "***"}})]


async def test_a_short_new_password_is_refused(user):
    with pytest.raises(Refused, match=r"^UPDATE_USER_INVALID_PASSWORD$") as refused:
        await update_me(user, AccountChanges(password=Secret("short")))

    assert refused.value.explanation == "Password should be at least 8 characters"


@pytest.mark.parametrize("field", ["email", "password"])
async def test_neither_can_be_null(user, field):
    with pytest.raises(InvalidInput) as refused:
        await update_me(user, AccountChanges(**{field: None}))

    assert refused.value.field == field


async def test_an_empty_update_leaves_no_trace(user, clock, row, audited):
    before = await row(users, user.principals.of(INSTRUMENTS).subject)
    clock.advance(minutes=1)

    await update_me(user, AccountChanges())

    assert await row(users, before["id"]) == before
    assert await audited() == []


async def test_update_me_needs_somebody(anonymous):
    with pytest.raises(Unauthenticated, match=r"^Unauthorized$"):
        await update_me(anonymous, AccountChanges())
