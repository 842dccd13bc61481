"""Access tokens: contract streamweave §2. What we did not sign, or what has expired, is simply no token of ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from app.tokens import Claims, SignedTokens
from storage.sql.tables import revoked_tokens

KEY = b"k" * 32
SUBJECT = UUID("61b08ff4-4e91-44b0-9276-07254109da6d")


class Clock:
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock) -> SignedTokens:
    return SignedTokens(KEY, lifetime=3600, clock=clock)


def signed(clock, key=KEY, algorithm="HS256", **otherwise) -> str:
    """A token like ours, except for some claims; those given as None are left out."""
    expires = int(clock().timestamp()) + 60
    claims = {"sub": str(SUBJECT), "aud": ["fastapi-users:auth"], "exp": expires, "jti": f"{expires}-0", "ver": 1} | otherwise
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, key, algorithm=algorithm)


def claims_of(token: str) -> dict:
    return jwt.decode(token, options={"verify_signature": False})


def test_a_token_has_the_documented_claims(tokens, clock):
    token = tokens.issue(SUBJECT, 3)

    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    claims = claims_of(token)
    token_id = claims.pop("jti")
    expires = int(clock().timestamp()) + 3600
    assert claims == {"sub": str(SUBJECT), "aud": ["fastapi-users:auth"], "exp": expires, "ver": 3}
    assert tokens.parse(token) == Claims(SUBJECT, token_id, 3)


def test_two_tokens_have_two_ids(tokens):
    first, second = (claims_of(tokens.issue(SUBJECT, 1))["jti"] for _ in range(2))

    assert first != second


def test_a_token_lives_exactly_as_long_as_it_says(tokens, clock):
    token = tokens.issue(SUBJECT, 1)

    clock.now += timedelta(seconds=3599)
    assert tokens.parse(token) is not None
    clock.now += timedelta(seconds=1)
    assert tokens.parse(token) is None


def test_the_helper_of_this_test_makes_tokens_like_ours(tokens, clock):
    assert tokens.parse(signed(clock)) is not None


@pytest.mark.parametrize(
    "otherwise",
    [
        {"key": b"x" * 32},
        {"algorithm": "HS512", "key": KEY * 2},
        {"algorithm": "none", "key": None},
        {"aud": ["another"]},
        {"aud": None},
        {"exp": None},
        {"exp": "tomorrow"},
        {"sub": None},
        {"sub": "42"},
        {"jti": None},
        {"ver": None},
        {"ver": "first"},
        {"nbf": 2**40},
    ],
    ids=str,
)
def test_what_is_not_ours_is_no_token(tokens, clock, otherwise):
    assert tokens.parse(signed(clock, **otherwise)) is None


def test_what_an_older_key_signed_counts_while_it_is_listed(tokens, clock):
    token, newer = tokens.issue(SUBJECT, 3), b"n" * 32

    rotated = SignedTokens(newer, KEY, lifetime=3600, clock=clock)
    assert rotated.parse(token) == tokens.parse(token)
    assert SignedTokens(newer, lifetime=3600, clock=clock).parse(token) is None
    assert tokens.parse(rotated.issue(SUBJECT, 3)) is None, "what is new is signed with the newest"


def test_an_older_key_prolongs_nothing(tokens, clock):
    token = tokens.issue(SUBJECT, 3)
    clock.now += timedelta(seconds=3600)

    assert SignedTokens(b"n" * 32, KEY, lifetime=3600, clock=clock).parse(token) is None


def test_a_changed_token_is_no_token(tokens):
    head, _, signature = tokens.issue(SUBJECT, 1).split(".")
    payload = tokens.issue(UUID(int=1), 1).split(".")[1]

    assert tokens.parse(f"{head}.{payload}.{signature}") is None


@given(st.text() | st.builds(lambda *parts: ".".join(parts), *[st.text('abAB09-_={}[]"', max_size=20)] * 3))
def test_no_text_makes_it_raise(text):
    assert SignedTokens(KEY, lifetime=1).parse(text) is None


@pytest.mark.parametrize(
    "text", ["", ".", "..", "\ud800", "W1tb" * 20_000 + ".e30.e30"], ids=["", ".", "..", "surrogate", "deep"]
)
def test_awkward_texts_are_no_token(tokens, text):
    assert tokens.parse(text) is None


async def revoke(database, tokens, token: str) -> None:
    async with database.transaction() as transaction:
        await tokens.revoke(transaction, claims_of(token)["jti"])


async def revoked(database) -> dict:
    return {row["token_id"]: row["expires_at"] for row in await database.all(select(revoked_tokens))}


async def test_a_revocation_is_remembered_until_the_token_expires(database, tokens, clock):
    token = tokens.issue(SUBJECT, 1)

    await revoke(database, tokens, token)

    assert await revoked(database) == {claims_of(token)["jti"]: clock.now + timedelta(seconds=3600)}


async def test_a_revocation_does_not_depend_on_the_lifetime_of_today(database, clock):
    token = SignedTokens(KEY, lifetime=86_400, clock=clock).issue(SUBJECT, 1)

    await revoke(database, SignedTokens(KEY, lifetime=60, clock=clock), token)

    assert await revoked(database) == {claims_of(token)["jti"]: clock.now + timedelta(days=1)}


async def test_revoking_twice_is_no_error(database, tokens):
    token = tokens.issue(SUBJECT, 1)

    await revoke(database, tokens, token)
    await revoke(database, tokens, token)

    assert len(await revoked(database)) == 1


async def test_revocations_of_expired_tokens_are_forgotten(database, tokens, clock):
    await revoke(database, tokens, tokens.issue(SUBJECT, 1))
    clock.now += timedelta(seconds=3600)
    later = tokens.issue(SUBJECT, 1)

    await revoke(database, tokens, later)

    assert list(await revoked(database)) == [claims_of(later)["jti"]]


def test_a_signature_is_checked_once_and_the_clock_each_time(tokens, clock, monkeypatch):
    token = tokens.issue(SUBJECT, 1)
    claims = tokens.parse(token)
    monkeypatch.delattr(jwt, "decode")

    assert tokens.parse(token) == claims
    clock.now += timedelta(seconds=3600)
    assert tokens.parse(token) is None


def test_what_was_refused_is_looked_at_again(tokens, clock):
    early = signed(clock, nbf=int(clock().timestamp()) + 10**9)

    assert [tokens.parse(early), tokens.parse(early)] == [None, None]
    assert len(tokens._verified) == 0


def test_no_token_is_kept_in_memory(tokens):
    token = tokens.issue(SUBJECT, 1)
    tokens.parse(token)

    assert token not in repr(vars(tokens._verified))
