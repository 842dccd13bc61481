"""Personal tokens: what a person's programs sign in with, in every domain that the person is a member of.

A token is shown once and stored as a digest. Only people make and revoke tokens, and only their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, func, or_, select
from sqlalchemy.engine import RowMapping

from core.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from core.personal_tokens import digest_of, new_token
from core.policy import require_person
from core.secrets import Secret
from core.vocabulary import AuditAction, TokenScope
from resolvers import audit
from resolvers.context import RequestContext
from resolvers.inputs import checked
from storage.sql.database import Transaction
from storage.sql.tables import memberships, personal_tokens, users

LONGEST = timedelta(days=366)
MOST = 50
"""Of one person."""

_DOMAIN, _ENTITY = "platform", "personal_token"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPersonalToken:
    """A token to be made."""

    name: str
    expires_at: datetime
    scopes: Sequence[TokenScope]


@dataclass(frozen=True, slots=True)
class CreatedPersonalToken:
    """Its key, and the text that nobody can ask for again."""

    key: UUID
    token: Secret


async def create_personal_token(ctx: RequestContext, new: NewPersonalToken) -> CreatedPersonalToken:
    """Ends with the person's password, and with the person. Raises `Conflict` if they have too many."""
    actor = require_person(ctx.principals)
    ctx.effects.confidential = True
    values = _valid(new, ctx.clock())
    key = uuid4()
    token = new_token(key)
    async with ctx.sql.transaction() as transaction:
        now = ctx.clock()
        person = await _live(transaction, actor.subject)
        await _require_member(transaction, actor.subject, new.scopes)
        await _forget_ended(transaction, person, now)
        await _require_room(transaction, actor.subject)
        await transaction.insert(
            personal_tokens,
            id=key,
            user_id=actor.subject,
            digest=digest_of(token),
            credentials_version=person["credentials_version"],
            created_at=now,
            **values,
        )
        await audit.record(transaction, actor, AuditAction.CREATE, domain=_DOMAIN, entity=_ENTITY, key=key, at=now)
    return CreatedPersonalToken(key, token)


async def revoke_personal_token(ctx: RequestContext, key: UUID) -> UUID:
    """Refused from now on, by every server."""
    actor = require_person(ctx.principals)
    async with ctx.sql.transaction() as transaction:
        own = (personal_tokens.c.id == key, personal_tokens.c.user_id == actor.subject)
        if not await transaction.execute(delete(personal_tokens).where(*own)):
            raise NotFound("Personal token not found")
        transaction.announce(users, actor.subject, ctx.clock())  # ends subscriptions
        await audit.record(transaction, actor, AuditAction.DELETE, domain=_DOMAIN, entity=_ENTITY, key=key, at=ctx.clock())
    return key


def _valid(new: NewPersonalToken, now: datetime) -> dict[str, Any]:
    values = checked(personal_tokens, {"name": new.name})
    if not new.name.strip():
        raise InvalidInput("a name is needed, to tell the token from others", field="name", value=new.name)
    if new.expires_at <= now:
        raise InvalidInput("this is over already", field="expires_at", value=new.expires_at)
    if new.expires_at > now + LONGEST:
        raise InvalidInput("a token is good for a year at most", field="expires_at", value=new.expires_at)
    if not new.scopes:
        raise InvalidInput("say what the token is for", field="scopes", value=[])
    return values | {"expires_at": new.expires_at, "scopes": sorted({scope.value for scope in new.scopes})}


async def _live(transaction: Transaction, key: UUID) -> RowMapping:
    """The person, whose tokens nobody else changes meanwhile."""
    person = await transaction.get(users, key)
    if person is None or not person["is_active"] or person["deleted_at"] is not None:
        raise Unauthenticated
    return person


async def _require_member(transaction: Transaction, key: UUID, scopes: Sequence[TokenScope]) -> None:
    rows = await transaction.all(select(memberships.c.domain).where(memberships.c.user_id == key))
    missing = {scope.domain for scope in scopes} - {row["domain"] for row in rows}
    if missing:
        raise InvalidInput(f"you are no member of {', '.join(sorted(missing))}", field="scopes")


async def _forget_ended(transaction: Transaction, person: RowMapping, now: datetime) -> None:
    ended = or_(personal_tokens.c.expires_at <= now, personal_tokens.c.credentials_version != person["credentials_version"])
    await transaction.execute(delete(personal_tokens).where(personal_tokens.c.user_id == person["id"], ended))


async def _require_room(transaction: Transaction, key: UUID) -> None:
    count = select(func.count()).select_from(personal_tokens).where(personal_tokens.c.user_id == key)
    if await transaction.scalar(count) >= MOST:
        raise Conflict(f"nobody has more than {MOST} tokens: revoke one that is not needed")
