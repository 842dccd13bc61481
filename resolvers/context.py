"""The request context as use cases see it: the stores and services behind the graph, typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from core.context import Context
from core.secrets import Keyring, Secret
from jobs.runner import Runner
from resolvers.attempts import AttemptBounds
from storage.sql.database import Database, Transaction


class Passwords(Protocol):
    """Password hashing, off the event loop."""

    async def hash(self, password: Secret) -> str:
        """A salted hash for storage."""

    async def verify(self, password: Secret, stored: str) -> tuple[bool, str | None]:
        """Whether it matches, and a new hash when the stored one is of an outdated kind. Takes its full time for `stored=""`."""


class Tokens(Protocol):
    """Signed access tokens of the instruments domain."""

    def issue(self, subject: UUID, credentials_version: int) -> str:
        """A new token."""

    async def revoke(self, transaction: Transaction, token_id: str) -> None:
        """Refuse the token with this id (`Principal.credential`) from now on. Revoking it twice is no error."""


class SessionCookie(Protocol):
    """Writes the `Set-Cookie` header of the instruments domain."""

    def __call__(self, token: str | None) -> str:
        """A header that sets the token, or removes it when there is none."""


@dataclass(frozen=True, slots=True)
class Services:
    """The application's composition, made once at start-up."""

    keyring: Keyring
    passwords: Passwords
    attempts: AttemptBounds
    tokens: Tokens
    session_cookie: SessionCookie
    runner: Runner
    allowed_roots: Sequence[Path]


@dataclass(slots=True, kw_only=True)
class RequestContext(Context):
    """`core.context.Context` with the types that the layers below the resolvers do not know."""

    sql: Database
    services: Services
    address: str = ""
    """Where the request comes from, as far as the proxies that are trusted tell; empty if it comes from nowhere."""
