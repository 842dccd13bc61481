"""The request context as use cases see it: the stores and services behind the graph, typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.context import Context
from core.identity import Principal
from core.secrets import Keyring, Secret
from jobs.runner import Runner
from storage.sql.database import Database


class Passwords(Protocol):
    """Password hashing, off the event loop."""

    async def hash(self, password: Secret) -> str:
        """A salted hash for storage."""

    async def verify(self, password: Secret, stored: str) -> tuple[bool, str | None]:
        """Whether it matches, and a new hash when the stored one is of an outdated kind. Takes its full time for `stored=""`."""


class Tokens(Protocol):
    """Signed access tokens of the instruments domain."""

    def issue(self, user: Principal, credentials_version: int) -> str:
        """A new token."""

    async def revoke(self, token: str) -> None:
        """Refuse this token from now on."""


@dataclass(frozen=True, slots=True)
class Services:
    """The application's composition, made once at start-up."""

    keyring: Keyring
    passwords: Passwords
    tokens: Tokens
    runner: Runner
    allowed_roots: Sequence[Path]
    cookie_secure: bool = True
    token_lifetime: int = 3600


@dataclass(slots=True, kw_only=True)
class RequestContext(Context):
    """`core.context.Context` with the types that the layers below the resolvers do not know."""

    sql: Database
    services: Services
