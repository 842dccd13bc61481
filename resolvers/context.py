"""The request context as use cases see it: the stores and services behind the graph, typed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol
from uuid import UUID

from core.context import Context
from core.secrets import Keyring, Secret
from jobs.runner import Runner
from resolvers.attempts import AttemptBounds
from resolvers.lookups.services import LookupServices
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


class MailPurpose(StrEnum):
    """What somebody may do who got a mail."""

    RESET = "reset"
    VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class MailClaims:
    """What the token of a mail says: who got it, and what has to be as it was for the token to count."""

    subject: UUID
    mark: str


class MailTokens(Protocol):
    """Signed tokens that are sent by mail and good for an hour, each for one purpose."""

    def issue(self, purpose: MailPurpose, claims: MailClaims) -> str:
        """A new token."""

    def parse(self, purpose: MailPurpose, token: Secret) -> MailClaims | None:
        """Its claims, if we signed it for that purpose and it has not expired."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail to one person."""

    to: str
    subject: str
    text: str = field(repr=False)


class Mail(Protocol):
    """Sends letters, when the request that asked for them is over. What is not sent yet is lost when the process dies."""

    @property
    def enabled(self) -> bool:
        """Whether there is a mail server at all."""

    def link(self, page: str, token: str) -> str:
        """Where a person finds that page of the web client."""

    def later(self, compose: Callable[[], Awaitable[Letter | None]]) -> None:
        """Compose a letter and send it, if there is one. Never waits, never raises."""


class Downloads(Protocol):
    """Links to the content of files, for minutes."""

    def url(self, file: UUID, subject: UUID) -> str:
        """Where that person finds it, unless the right to it is lost meanwhile; the path and query of a URL."""


@dataclass(frozen=True, slots=True)
class Services:
    """The application's composition, made once at start-up."""

    keyring: Keyring
    passwords: Passwords
    attempts: AttemptBounds
    mail: Mail
    mail_attempts: AttemptBounds
    mail_tokens: MailTokens
    tokens: Tokens
    session_cookie: SessionCookie
    runner: Runner
    allowed_roots: Sequence[Path]
    downloads: Downloads
    lookups: LookupServices


@dataclass(slots=True, kw_only=True)
class RequestContext(Context):
    """`core.context.Context` with the types that the layers below the resolvers do not know."""

    sql: Database
    services: Services
    address: str = ""
    """Where the request comes from, as far as the proxies that are trusted tell; empty if it comes from nowhere."""
