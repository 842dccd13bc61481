"""Access tokens of the instruments domain: JWTs signed with HS256. Contract streamweave §2.

A token also carries what ends it early: its own id, and the version of the credentials that it was issued for.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import jwt
from sqlalchemy import delete, or_

from core.clock import Clock, utc_now
from engine.recent import Recent
from storage.sql.database import Transaction
from storage.sql.tables import revoked_tokens

ALGORITHM = "HS256"
AUDIENCE = "fastapi-users:auth"  # clients and proxies of the original service check it

MOST_VERIFIED = 4096
"""Tokens whose signature is not checked again; each is some hundred bytes."""


NO_TOKEN = (jwt.InvalidTokenError, ValueError, TypeError, KeyError, RecursionError)
"""What comes of reading something else as a token; the last, of a header that is nested without end."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token that we signed says."""

    subject: UUID
    token_id: str
    credentials_version: int


class SignedTokens:
    """The `resolvers.context.Tokens` of the application. Signs with the first key; what older ones signed counts, too."""

    def __init__(self, key: bytes, *older: bytes, lifetime: int, clock: Clock = utc_now) -> None:
        self._keys = (key, *older)
        self._lifetime = lifetime
        self._clock = clock
        self._verified: Recent[tuple[Claims, float]] = Recent(MOST_VERIFIED)

    def issue(self, subject: UUID, credentials_version: int) -> str:
        """A token that is good from now on for the lifetime of the settings."""
        expires = int(self._clock().timestamp()) + self._lifetime
        claims = {
            "sub": str(subject),
            "aud": [AUDIENCE],
            "exp": expires,
            "jti": f"{expires}-{secrets.token_hex(16)}",  # tells a revocation how long it has to be remembered
            "ver": credentials_version,
        }
        return jwt.encode(claims, self._keys[0], algorithm=ALGORITHM)

    def parse(self, token: str) -> Claims | None:
        """Its claims, if we signed it and it has not expired. Never raises: other schemes' tokens come here, too.

        What can change is asked each time: here the clock, and by `app.auth` the database. A signature stays what it is.
        """
        try:
            digest = hashlib.sha256(token.encode()).digest()  # so that no token lies in memory
            claims, expires = self._verified.remember(digest, lambda: self._verify(token))
        except NO_TOKEN:
            return None
        return claims if expires > self._clock().timestamp() else None

    async def revoke(self, transaction: Transaction, token_id: str) -> None:
        """Refuse it from now on, and forget those that have expired meanwhile."""
        await transaction.lock("revoked tokens")
        expired = revoked_tokens.c.expires_at <= self._clock()
        await transaction.execute(delete(revoked_tokens).where(or_(expired, revoked_tokens.c.token_id == token_id)))
        await transaction.insert(revoked_tokens, token_id=token_id, expires_at=expiry(token_id))

    def _verify(self, token: str) -> tuple[Claims, float]:
        """And when it expires, which is for our own clock to judge, where pyjwt would ask the machine's; without leeway."""
        claims = signed_claims(token, self._keys, AUDIENCE)
        return Claims(UUID(claims["sub"]), str(claims["jti"]), int(claims["ver"])), float(claims["exp"])


def signed_claims(token: str, keys: Sequence[bytes], audience: str) -> dict[str, Any]:
    """What it says, if one of the keys signed it for that audience; whether it has expired is not asked.

    Raises one of `NO_TOKEN`.
    """
    options: Any = {"verify_exp": False, "require": ["exp"]}
    *others, last = keys
    for key in others:
        with suppress(jwt.InvalidSignatureError):
            return dict(jwt.decode(token, key, algorithms=[ALGORITHM], audience=audience, options=options))
    return dict(jwt.decode(token, last, algorithms=[ALGORITHM], audience=audience, options=options))


def expiry(token_id: str) -> datetime:
    """When the token with that id ends."""
    return datetime.fromtimestamp(int(token_id.partition("-")[0]), UTC)
