"""Counting attempts to sign in: per account and per network address, on every database."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from core.errors import RateLimited, Refused
from core.secrets import Secret
from resolvers.attempts import AttemptBounds
from resolvers.instruments.sessions import login
from storage.sql.opening import open_database
from storage.sql.tables import login_attempts

PER_ACCOUNT, PER_ADDRESS, WINDOW = 3, 5, timedelta(minutes=15)
"""As the fixtures have them."""


@pytest.fixture
def attempt(context):
    """One attempt: `in`, `wrong`, or for how many seconds nobody may try."""

    async def attempt(email: str, password: str = "wrong", address: str = "") -> str | int:
        ctx, refusal = context(address=address), ""
        try:
            await login(ctx, email, Secret(password))
        except (Refused, RateLimited) as error:
            refusal = str(error)
        if refusal in {"", "LOGIN_BAD_CREDENTIALS"}:
            assert ctx.effects.headers == []
            return "wrong" if refusal else "in"
        ((name, seconds),) = ctx.effects.headers
        assert (name, refusal) == ("Retry-After", f"Too many failed sign-ins: try again in {seconds} seconds")
        return int(seconds)

    return attempt


@pytest.fixture
def right(attempt):
    async def right(email: str, address: str = "") -> str | int:
        return await attempt(email, "correct horse", address)

    return right


@pytest.mark.parametrize("email", ["eve@example.org", "nobody@example.org", "\ud800\0"])
async def test_an_account_is_closed_after_too_many(attempt, right, person, email):
    await person("eve@example.org")
    assert [await attempt(email) for _ in range(PER_ACCOUNT + 1)] == ["wrong"] * PER_ACCOUNT + [900]
    assert await right("other@example.org") == "wrong"


async def test_the_right_password_does_not_open_it(attempt, right, person, passwords):
    await person("eve@example.org")
    for _ in range(PER_ACCOUNT):
        await attempt("eve@example.org")
    passwords.verified.clear()
    assert await right("eve@example.org") == 900
    assert passwords.verified == []


@pytest.mark.parametrize("email", ["EVE@example.org", "eVe@Example.Org"])
async def test_case_makes_no_other_account(attempt, email):
    for _ in range(PER_ACCOUNT):
        await attempt("eve@example.org")
    assert await attempt(email) == 900


async def test_it_opens_a_window_after_the_first_attempt_however_often_one_tries(attempt, right, person, clock):
    await person("eve@example.org")
    await attempt("eve@example.org")
    clock.advance(minutes=10)
    assert [await attempt("eve@example.org") for _ in range(4)] == ["wrong", "wrong", 300, 300]
    clock.advance(minutes=4, seconds=59.5)
    assert await right("eve@example.org") == 1
    clock.advance(seconds=0.5)
    assert await right("eve@example.org") == "in"


async def test_success_forgets_what_failed(attempt, right, person):
    await person("eve@example.org")
    for _ in range(3):
        assert [await attempt("eve@example.org") for _ in range(PER_ACCOUNT - 1)] == ["wrong"] * (PER_ACCOUNT - 1)
        assert await right("eve@example.org") == "in"


async def test_an_address_is_closed_after_too_many_accounts(attempt, right, person):
    await person("eve@example.org")
    names = [f"{number}@example.org" for number in range(PER_ADDRESS + 1)]
    assert [await attempt(name, address="192.0.2.1") for name in names] == ["wrong"] * PER_ADDRESS + [900]
    assert await right("eve@example.org", "192.0.2.1") == 900
    assert await right("eve@example.org", "192.0.2.2") == "in"


async def test_success_does_not_open_an_address(attempt, right, person):
    """Whoever has an account could otherwise guess at those of others for ever; who only signs in is not charged."""
    await person("eve@example.org")
    answers = []
    for number in range(PER_ADDRESS):
        answers += [await attempt(f"{number}@example.org", address="192.0.2.1")]
        answers += [await right("eve@example.org", "192.0.2.1")]
    assert answers == ["wrong", "in"] * (PER_ADDRESS - 1) + ["wrong", 900]


async def test_one_network_is_one_address(attempt):
    for number in range(PER_ADDRESS):
        await attempt(f"{number}@example.org", address=f"2001:db8:1:2::{number}")
    assert await attempt("a@example.org", address="2001:db8:1:2:ffff::1") == 900
    assert await attempt("a@example.org", address="2001:db8:1:3::1") == "wrong"


async def test_guesses_at_the_same_time_are_counted_before_they_are_checked(attempt, passwords):
    answers = await asyncio.gather(*(attempt("eve@example.org", address="192.0.2.1") for _ in range(20)))
    assert sorted(answers, key=str) == [900] * 17 + ["wrong"] * 3
    assert len(passwords.verified) == PER_ACCOUNT


async def test_several_servers_count_together(attempt, database_url, context):
    """And so does one that was started again."""
    for _ in range(PER_ACCOUNT):
        await attempt("eve@example.org")
    other = await open_database(database_url)
    try:
        ctx = context()
        ctx.sql = other
        with pytest.raises(RateLimited):
            await login(ctx, "eve@example.org", Secret("wrong"))
    finally:
        await other.close()


async def test_signing_in_at_the_same_time(right, person):
    """Different people from one address, in both orders of what they are counted by: nobody waits for ever."""
    names = [f"{number}@example.org" for number in range(PER_ADDRESS)]
    for name in names:
        await person(name)
    for _ in range(3):
        assert await asyncio.gather(*(right(name, "192.0.2.1") for name in names)) == ["in"] * PER_ADDRESS


async def test_neither_people_nor_addresses_are_stored(attempt, database):
    await attempt("eve@example.org", address="192.0.2.1")
    rows = await database.all(select(login_attempts))
    assert [row["count"] for row in rows] == [1, 1]
    assert all(len(row["who"]) == 64 for row in rows)
    assert "eve" not in str(rows)
    assert "192" not in str(rows)


async def test_what_has_ended_is_removed(attempt, right, person, database, clock):
    await person("eve@example.org")
    for number in range(PER_ADDRESS):
        await attempt(f"{number}@example.org", address="192.0.2.1")
    clock.advance(minutes=15)
    await attempt("eve@example.org")
    assert [(row["count"], row["ends_at"]) for row in await database.all(select(login_attempts))] == [(1, clock.now + WINDOW)]
    await right("eve@example.org")
    assert await database.all(select(login_attempts)) == []


@pytest.mark.parametrize(("account", "address"), [(0, 2), (2, 0), (0, 0)])
async def test_nothing_is_no_bound(account, address):
    bounds = AttemptBounds(b"k" * 32, per_account=account, per_address=address, window=WINDOW)
    assert sorted(bounds.of("eve@example.org", "192.0.2.1").values()) == sorted({account, address} - {0})
