"""A small world for use cases: a migrated database, an admin and a user, and services that write down what they are asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from core.errors import Unavailable
from core.identity import INSTRUMENTS, Principal, Principals
from core.secrets import Keyring, Secret
from jobs.runner import NewRun
from resolvers.attempts import AttemptBounds
from resolvers.context import Letter, MailClaims, MailPurpose, RequestContext, Services
from resolvers.lookups.services import LookupServices
from storage.lookups.sql import SqlLookupStore
from storage.sql.database import Database, Transaction
from storage.sql.tables import audit_log, memberships, users


@dataclass
class ManualClock:
    """Stands still until told otherwise."""

    now: datetime = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now


@dataclass
class RecordingRunner:
    """A `jobs.runner.Runner` that does nothing. `down` holds the instruments whose harvests cannot be started."""

    started: list[NewRun] = field(default_factory=list)
    registered: list[UUID] = field(default_factory=list)
    unregistered: list[UUID] = field(default_factory=list)
    down: bool = False
    down_for: set[UUID | None] = field(default_factory=set)

    async def start(self, transaction: Transaction, run: NewRun) -> UUID:
        if self.down or run.subject_id in self.down_for:
            raise Unavailable("connection refused")
        self.started.append(run)
        return uuid4()

    async def register(self, transaction: Transaction, schedule_id: UUID) -> UUID:
        self.registered.append(schedule_id)
        return uuid4()

    async def unregister(self, transaction: Transaction, deployment_id: UUID) -> None:
        self.unregistered.append(deployment_id)


class PlainLinks:
    """`resolvers.context.Downloads` that anybody can read."""

    def url(self, file: UUID, subject: UUID) -> str:
        return f"/download/{file}?for={subject}"


@dataclass
class PlainPasswords:
    """Hashes by a prefix; `old:` is the outdated kind. Remembers what was verified against what."""

    verified: list[tuple[str, str]] = field(default_factory=list)

    async def hash(self, password: Secret) -> str:
        return f"new:{password.reveal()}"

    async def verify(self, password: Secret, stored: str) -> tuple[bool, str | None]:
        self.verified.append((password.reveal(), stored))
        kind, _, text = stored.partition(":")
        matches = bool(stored) and text == password.reveal()
        return matches, f"new:{text}" if matches and kind == "old" else None


@dataclass
class NumberedTokens:
    """Tokens that say whose they are."""

    revoked: list[str] = field(default_factory=list)

    def issue(self, subject: UUID, credentials_version: int) -> str:
        return f"token of {subject} version {credentials_version}"

    async def revoke(self, transaction: Transaction, token_id: str) -> None:
        self.revoked.append(token_id)


@dataclass
class Letterbox:
    """Keeps what is to be composed until it is emptied."""

    enabled: bool = True
    asked: list[Callable[[], Awaitable[Letter | None]]] = field(default_factory=list)

    def link(self, page: str, token: str) -> str:
        return f"https://switchyard.example.org/{page}?token={token}"

    def later(self, compose: Callable[[], Awaitable[Letter | None]]) -> None:
        self.asked.append(compose)

    async def letters(self) -> list[Letter]:
        """What is sent, now that the requests are over."""
        composed = [await compose() for compose in self.asked]
        self.asked.clear()
        return [letter for letter in composed if letter is not None]


class ReadableMailTokens:
    """Tokens that say everything, in plain."""

    def issue(self, purpose: MailPurpose, claims: MailClaims) -> str:
        return f"{purpose}|{claims.subject}|{claims.mark}"

    def parse(self, purpose: MailPurpose, token: Secret) -> MailClaims | None:
        said, _, rest = token.reveal().partition("|")
        subject, _, mark = rest.partition("|")
        return MailClaims(UUID(subject), mark) if said == purpose else None


def session_cookie(token: str | None) -> str:
    return f"streamweave_auth={token or ''}"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def runner() -> RecordingRunner:
    return RecordingRunner()


@pytest.fixture
def passwords() -> PlainPasswords:
    return PlainPasswords()


@pytest.fixture
def tokens() -> NumberedTokens:
    return NumberedTokens()


@pytest.fixture
def letterbox() -> Letterbox:
    return Letterbox()


@pytest.fixture
def keyring() -> Keyring:
    return Keyring([b"k" * 32])


@pytest.fixture
def context(
    database: Database,
    clock: ManualClock,
    runner: RecordingRunner,
    passwords: PlainPasswords,
    tokens: NumberedTokens,
    letterbox: Letterbox,
    keyring: Keyring,
    tmp_path: Path,
) -> Callable[..., RequestContext]:
    """Makes the context of a request from its principal."""
    services = Services(
        keyring=keyring,
        passwords=passwords,
        attempts=AttemptBounds(b"k" * 32, per_account=3, per_address=5, window=timedelta(minutes=15)),
        mail=letterbox,
        mail_attempts=AttemptBounds(b"m" * 32, per_account=2, per_address=4, window=timedelta(hours=1)),
        mail_tokens=ReadableMailTokens(),
        tokens=tokens,
        session_cookie=session_cookie,
        runner=runner,
        allowed_roots=(),
        downloads=PlainLinks(),
        lookups=LookupServices(SqlLookupStore(database, lambda: clock().timestamp()), tmp_path),
    )

    def of(principal: Principal | None = None, address: str = "") -> RequestContext:
        principals = Principals([principal] if principal else [])
        return RequestContext(sql=database, services=services, clock=clock, principals=principals, address=address)

    return of


@pytest.fixture
def person(database: Database, clock: ManualClock) -> Callable[..., Awaitable[Principal]]:
    """Stores somebody, and returns them as a principal."""

    async def store(email: str, role: str = "user", *, domains: tuple[str, ...] = (INSTRUMENTS,), **columns: Any) -> Principal:
        key = uuid4()
        row = {
            "id": key,
            "email": email,
            "email_folded": email.casefold(),
            "username": None,
            "password_hash": "new:correct horse",
            "credentials_version": 1,
            "is_active": True,
            "is_superuser": False,
            "is_verified": False,
            "created_at": clock.now,
            "updated_at": clock.now,
        }
        async with database.transaction() as transaction:
            await transaction.insert(users, **row | columns)
            for domain in domains:
                await transaction.insert(memberships, user_id=key, domain=domain, role=role, created_at=clock.now)
        return Principal(INSTRUMENTS, key, role, email, f"token-{email}")

    return store


@pytest.fixture
async def admin(context: Any, person: Any) -> RequestContext:
    return context(await person("Ada@example.org", "admin"))


@pytest.fixture
async def user(context: Any, person: Any) -> RequestContext:
    return context(await person("bob@example.org"))


@pytest.fixture
def anonymous(context: Any) -> RequestContext:
    return context()


@pytest.fixture
def row(database: Database) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Reads a whole row, whatever its state."""

    async def read(table: Any, key: UUID) -> dict[str, Any]:
        found = await database.first(select(table).where(table.c.id == key))
        assert found is not None
        return dict(found)

    return read


@pytest.fixture
def audited(database: Database) -> Callable[[], Awaitable[list[dict[str, Any]]]]:
    """The audit log so far, oldest first."""
    shown = [column for column in audit_log.c if column.name not in {"id", "number"}]

    async def read() -> list[dict[str, Any]]:
        return [dict(found) for found in await database.all(select(*shown).order_by(audit_log.c.number))]

    return read


@pytest.fixture
def entry(clock: ManualClock) -> Callable[..., dict[str, Any]]:
    """An audit row as it should be."""

    def of(ctx: RequestContext, action: str, entity: str, key: UUID, changes: Any = None) -> dict[str, Any]:
        actor = ctx.principals.of(INSTRUMENTS)
        return {
            "domain": INSTRUMENTS,
            "entity_type": entity,
            "entity_id": key,
            "action": action,
            "actor_id": actor.subject if actor else None,
            "actor_email": actor.email if actor else None,
            "changes": changes,
            "created_at": clock.now,
        }

    return of
