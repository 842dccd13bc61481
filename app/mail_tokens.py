"""Tokens that are sent by mail: JWTs with an audience for each purpose, good for an hour. Contract streamweave §2."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import jwt

from app.tokens import ALGORITHM, NO_TOKEN, signed_claims
from core.clock import Clock, utc_now
from core.secrets import Secret
from resolvers.context import MailClaims, MailPurpose

LIFETIME = 3600


class SignedMailTokens:
    """The `resolvers.context.MailTokens` of the application. Signs with the first key; what older ones signed counts, too."""

    def __init__(self, keys: Sequence[bytes], clock: Clock = utc_now) -> None:
        self._keys = tuple(keys)
        self._clock = clock

    def issue(self, purpose: MailPurpose, claims: MailClaims) -> str:
        """Good for an hour, if what it is about stays as it is."""
        expires = int(self._clock().timestamp()) + LIFETIME
        said = {"sub": str(claims.subject), "aud": _audience(purpose), "exp": expires, "mark": claims.mark}
        return jwt.encode(said, self._keys[0], algorithm=ALGORITHM)

    def parse(self, purpose: MailPurpose, token: Secret) -> MailClaims | None:
        """Never raises: anybody may send anything."""
        try:
            said = signed_claims(token.reveal(), self._keys, _audience(purpose))
            claims, expires = MailClaims(UUID(said["sub"]), str(said["mark"])), float(said["exp"])
        except NO_TOKEN:
            return None
        return claims if expires > self._clock().timestamp() else None


def _audience(purpose: MailPurpose) -> str:
    return f"fastapi-users:{purpose}"
