"""Access tokens of the instruments domain: JWTs signed with HS256. Contract streamweave §2.

A token also carries what ends it early: its own id, and the version of the credentials that it was issued for.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import jwt
from sqlalchemy import delete, or_

from core.clock import Clock, utc_now
from storage.sql.database import Transaction
from storage.sql.tables import revoked_tokens

ALGORITHM = "HS256"
AUDIENCE = "fastapi-users:auth"  # clients and proxies of the original service check it


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token that we signed says."""

    subject: UUID
    token_id: str
    credentials_version: int


class SignedTokens:
    """The `resolvers.context.Tokens` of the application."""

    def __init__(self, key: bytes, *, lifetime: int, clock: Clock = utc_now) -> None:
        self._key = key
        self._lifetime = lifetime
        self._clock = clock

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
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)

    def parse(self, token: str) -> Claims | None:
        """Its claims, if we signed it and it has not expired. Never raises: other schemes' tokens come here, too."""
        try:
            claims = jwt.decode(
                token, self._key, algorithms=[ALGORITHM], audience=AUDIENCE, options={"verify_exp": False, "require": ["exp"]}
            )
            return self._unexpired(claims)
        except (jwt.InvalidTokenError, ValueError, TypeError, KeyError):
            return None

    async def revoke(self, transaction: Transaction, token_id: str) -> None:
        """Refuse it from now on, and forget those that have expired meanwhile."""
        expired = revoked_tokens.c.expires_at <= self._clock()
        await transaction.execute(delete(revoked_tokens).where(or_(expired, revoked_tokens.c.token_id == token_id)))
        await transaction.insert(revoked_tokens, token_id=token_id, expires_at=_expiry(token_id))

    def _unexpired(self, claims: dict[str, Any]) -> Claims | None:
        """By our own clock, where pyjwt would ask the machine's; without leeway."""
        if not claims["exp"] > self._clock().timestamp():
            return None
        return Claims(UUID(claims["sub"]), str(claims["jti"]), int(claims["ver"]))


def _expiry(token_id: str) -> datetime:
    return datetime.fromtimestamp(int(token_id.partition("-")[0]), UTC)
