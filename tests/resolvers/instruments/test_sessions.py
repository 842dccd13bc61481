"""Signing in and out: contract streamweave §2."""

from __future__ import annotations

import pytest

from core.errors import Refused, Unauthenticated
from core.identity import INSTRUMENTS
from core.secrets import Secret
from resolvers.instruments.sessions import SignedIn, login, logout
from storage.sql.tables import users

PASSWORD = Secret("correct horse")


@pytest.mark.parametrize("email", ["eve@example.org", "EVE@Example.ORG"])
async def test_login_gives_a_token_for_the_current_credentials(anonymous, person, email):
    eve = await person("Eve@example.org", credentials_version=3)

    assert await login(anonymous, email, PASSWORD) == SignedIn(eve.subject, f"token of {eve.subject} version 3")
    assert anonymous.effects.headers == []


async def test_login_can_set_the_cookie(anonymous, person):
    eve = await person("eve@example.org")

    await login(anonymous, "eve@example.org", PASSWORD, cookie=True)

    assert anonymous.effects.headers == [("Set-Cookie", f"streamweave_auth=token of {eve.subject} version 1")]


async def test_tokens_are_not_printed(anonymous, person):
    await person("eve@example.org")

    assert "token of" not in repr(await login(anonymous, "eve@example.org", PASSWORD))


async def refused(ctx, email: str, password: str = "correct horse") -> None:
    with pytest.raises(Refused) as refusal:
        await login(ctx, email, Secret(password), cookie=True)
    assert (str(refusal.value), refusal.value.field, refusal.value.explanation) == ("LOGIN_BAD_CREDENTIALS", None, None)
    assert ctx.effects.headers == []


async def test_a_wrong_password_is_refused(anonymous, person):
    await person("eve@example.org")

    await refused(anonymous, "eve@example.org", "wrong")


async def test_an_unknown_address_is_refused_after_a_check_that_takes_as_long(anonymous, passwords):
    await refused(anonymous, "nobody@example.org")

    assert passwords.verified == [("correct horse", "")]


@pytest.mark.parametrize("email", ["", "e\0ve@example.org", "\ud800@example.org"])
async def test_what_cannot_be_an_address_is_unknown(anonymous, passwords, email):
    await refused(anonymous, email)

    assert passwords.verified == [("correct horse", "")]


@pytest.mark.parametrize("state", ["inactive", "deleted"])
async def test_who_may_not_log_in_is_refused_after_the_check(anonymous, person, passwords, clock, state):
    await person("eve@example.org", **{"inactive": {"is_active": False}, "deleted": {"deleted_at": clock.now}}[state])

    await refused(anonymous, "eve@example.org")

    assert passwords.verified == [("correct horse", "new:correct horse")]


@pytest.mark.parametrize("domains", [("replication",), ()])
async def test_who_is_no_member_is_unknown(anonymous, person, passwords, domains):
    await person("eve@example.org", domains=domains)

    await refused(anonymous, "eve@example.org")

    assert passwords.verified == [("correct horse", "")]


async def test_an_outdated_hash_is_replaced_and_nothing_else(anonymous, person, row, audited):
    eve = await person("eve@example.org", password_hash="old:correct horse")
    before = await row(users, eve.subject)

    await login(anonymous, "eve@example.org", PASSWORD)

    assert await row(users, eve.subject) == {**before, "password_hash": "new:correct horse"}
    assert await audited() == []


async def test_a_refused_login_replaces_nothing(anonymous, person, row):
    eve = await person("eve@example.org", password_hash="old:correct horse", is_active=False)

    await refused(anonymous, "eve@example.org")

    assert (await row(users, eve.subject))["password_hash"] == "old:correct horse"


async def test_logout_revokes_the_token_of_the_request(user, tokens):
    assert await logout(user) == user.principals.of(INSTRUMENTS).subject

    assert tokens.revoked == ["token-bob@example.org"]
    assert user.effects.headers == []


async def test_logout_can_remove_the_cookie(user):
    await logout(user, cookie=True)

    assert user.effects.headers == [("Set-Cookie", "streamweave_auth=")]


async def test_logout_needs_somebody(anonymous):
    with pytest.raises(Unauthenticated, match=r"^Unauthorized$"):
        await logout(anonymous, cookie=True)
    assert anonymous.effects.headers == []
