"""Who is asking: credentials of a request become principals, one scheme per domain.

What a scheme does not recognise is no credential to it and never vetoes another; nothing here refuses a request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Protocol

from sqlalchemy import Select, bindparam, exists, select

from app.tokens import Claims, SignedTokens, expiry
from core.identity import INSTRUMENTS, Principal, Principals
from core.sql import SqlStore, Statement
from storage.sql.tables import memberships, revoked_tokens, users

COOKIE = "streamweave_auth"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request carries that a scheme may recognise."""

    bearer: str | None = field(default=None, repr=False)
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Credentials:
        """From headers (whose names are found in any case) and cookies."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return cls(token.strip() if scheme.lower() == "bearer" else None, cookies)


class Scheme(Protocol):
    """One way to prove who one is, to one domain."""

    async def principal(self, credentials: Credentials, sql: SqlStore) -> Principal | None:
        """Whom the credentials prove; None for whatever this scheme does not recognise."""


class Schemes:
    """All schemes of the server, tried independently."""

    def __init__(self, sql: SqlStore, schemes: Sequence[Scheme]) -> None:
        self._sql = sql
        self._schemes = tuple(schemes)

    async def authenticate(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Principals:
        """One principal for each scheme that recognises a credential."""
        return await self.find(Credentials.of(headers, cookies))

    async def find(self, credentials: Credentials) -> Principals:
        """Whom the credentials prove."""
        found = [await scheme.principal(credentials, self._sql) for scheme in self._schemes]
        return Principals(principal for principal in found if principal is not None)


class InstrumentsScheme:
    """A bearer token of the instruments domain, or the same in its cookie. One statement per request that carries one."""

    def __init__(self, tokens: SignedTokens, sql: SqlStore) -> None:
        self._tokens = tokens
        self._holder = Statement(_holder(), sql.dialect, "authentication")

    async def principal(self, credentials: Credentials, sql: SqlStore) -> Principal | None:
        for token in (credentials.bearer, credentials.cookies.get(COOKIE)):
            claims = self._tokens.parse(token) if token else None
            principal = await self._find(claims, sql) if claims else None
            if principal is not None:
                return principal
        return None

    async def _find(self, claims: Claims, sql: SqlStore) -> Principal | None:
        rows = await self._holder.fetch(
            sql, subject=claims.subject, version=claims.credentials_version, token_id=claims.token_id
        )
        if not rows:
            return None
        role, email = rows[0]
        return Principal(INSTRUMENTS, claims.subject, role, email, claims.token_id, expires_at=expiry(claims.token_id))


@dataclass(frozen=True, slots=True)
class HttpOnlyCookie:
    """The `resolvers.context.SessionCookie` of the application."""

    lifetime: int
    secure: bool = True

    def __call__(self, token: str | None) -> str:
        """`streamweave_auth=…; HttpOnly; Max-Age=3600; Path=/; SameSite=lax`, and `Secure` unless settings say otherwise."""
        cookie: SimpleCookie = SimpleCookie({COOKIE: token or ""})
        cookie[COOKIE].update({"path": "/", "samesite": "lax"})
        cookie[COOKIE]["max-age"] = self.lifetime if token else 0
        cookie[COOKIE]["httponly"] = True
        cookie[COOKIE]["secure"] = self.secure
        return cookie[COOKIE].OutputString()


def holder_of() -> Select[str, str]:
    """Role and email of a member who may sign in, by `subject`."""
    return (
        select(memberships.c.role, users.c.email)
        .join(memberships, (memberships.c.user_id == users.c.id) & (memberships.c.domain == INSTRUMENTS))
        .where(users.c.id == bindparam("subject"), users.c.is_active, users.c.deleted_at.is_(None))
    )


def _holder() -> Select[str, str]:
    """Of whom a token was issued to, unless something ended it: contract streamweave §2."""
    revoked = exists().where(revoked_tokens.c.token_id == bindparam("token_id"))
    return holder_of().where(users.c.credentials_version == bindparam("version"), ~revoked)
