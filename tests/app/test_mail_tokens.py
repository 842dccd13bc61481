"""Tokens of mails: for one purpose, for an hour, and signed by us."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from uuid import UUID

import jwt
import pytest

from app.mail_tokens import SignedMailTokens
from core.secrets import Secret
from resolvers.context import MailClaims, MailPurpose

KEY, OTHER = b"k" * 32, b"o" * 32
CLAIMS = MailClaims(UUID(int=7), "1")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Clock:
    now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock) -> SignedMailTokens:
    return SignedMailTokens([KEY], clock)


@pytest.mark.parametrize("purpose", MailPurpose)
def test_a_token_says_what_it_was_made_for(tokens, purpose):
    token = tokens.issue(purpose, CLAIMS)

    assert tokens.parse(purpose, Secret(token)) == CLAIMS
    said = jwt.decode(token, options={"verify_signature": False})
    exp = int(NOON.timestamp()) + 3600
    assert said == {"sub": str(CLAIMS.subject), "aud": f"fastapi-users:{purpose}", "exp": exp, "mark": "1"}


def test_a_token_of_one_purpose_is_none_of_another(tokens):
    assert tokens.parse(MailPurpose.VERIFY, Secret(tokens.issue(MailPurpose.RESET, CLAIMS))) is None


def test_after_an_hour_it_is_none(tokens, clock):
    token = Secret(tokens.issue(MailPurpose.RESET, CLAIMS))
    clock.now += timedelta(minutes=59, seconds=59)
    assert tokens.parse(MailPurpose.RESET, token) == CLAIMS
    clock.now += timedelta(seconds=1)
    assert tokens.parse(MailPurpose.RESET, token) is None


def test_what_an_older_key_signed_counts_while_it_is_listed(tokens, clock):
    token = Secret(tokens.issue(MailPurpose.RESET, CLAIMS))
    assert SignedMailTokens([OTHER, KEY], clock).parse(MailPurpose.RESET, token) == CLAIMS
    assert SignedMailTokens([OTHER], clock).parse(MailPurpose.RESET, token) is None
    assert (
        tokens.parse(MailPurpose.RESET, Secret(SignedMailTokens([OTHER, KEY], clock).issue(MailPurpose.RESET, CLAIMS))) is None
    )


NESTED = base64.urlsafe_b64encode(b"[" * 100_000).decode().rstrip("=")


@pytest.mark.parametrize("text", ["", ".", "a.b.c", "\ud800", "ü.ü.ü", f"{NESTED}.{NESTED}.x", "x" * 10_000])
def test_what_is_no_token_is_none(tokens, text):
    assert tokens.parse(MailPurpose.RESET, Secret(text)) is None


@pytest.mark.parametrize(
    "claims",
    [{"sub": "x"}, {"sub": 7}, {"mark": None, "exp": "soon"}, {"exp": None}, {"aud": None}, {"sub": None}],
)
def test_other_claims_are_none(tokens, claims):
    whole = {"sub": str(UUID(int=7)), "aud": "fastapi-users:reset", "exp": 4e9, "mark": "1", **claims}
    said = {name: value for name, value in whole.items() if value is not None}
    token = jwt.encode(said, KEY, algorithm="HS256")
    assert tokens.parse(MailPurpose.RESET, Secret(token)) is None


def test_unsigned_tokens_are_none(tokens):
    said = {"sub": str(UUID(int=7)), "aud": "fastapi-users:reset", "exp": 4e9, "mark": "1"}
    assert tokens.parse(MailPurpose.RESET, Secret(jwt.encode(said, None, algorithm="none"))) is None
