"""Signing in and out. Contract streamweave §2: every reason for not letting somebody in looks the same from outside."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.engine import RowMapping

from core.errors import Refused
from core.identity import INSTRUMENTS
from core.policy import Verb
from core.secrets import Secret
from resolvers.attempts import count_attempt, forgive_attempt
from resolvers.context import RequestContext
from storage.sql.database import Transaction
from storage.sql.tables import memberships, users


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in, and the token that proves it from now on."""

    user_id: UUID
    access_token: str = field(repr=False)


async def login(ctx: RequestContext, email: str, password: Secret, *, cookie: bool = False) -> SignedIn:
    """A new token; with `cookie`, the reply also sets it. Raises `Refused` for whatever reason, after the same time.

    Raises `RateLimited`, before it looks at the password, after too many that were wrong.
    """
    await count_attempt(ctx, email)
    user = await member_with(ctx, email)
    matches, upgraded = await ctx.services.passwords.verify(password, user["password_hash"] if user else "")
    if user is None or not matches or not can_sign_in(user):
        raise Refused("LOGIN_BAD_CREDENTIALS")
    async with ctx.sql.transaction() as transaction:
        await forgive_attempt(ctx, transaction, email)
        if upgraded is not None:
            await _replace_hash(transaction, user, upgraded)
    ctx.effects.confidential = True
    token = ctx.services.tokens.issue(user["id"], user["credentials_version"])
    if cookie:
        ctx.effects.header("Set-Cookie", ctx.services.session_cookie(token))
    return SignedIn(user["id"], token)


async def logout(ctx: RequestContext, *, cookie: bool = False) -> UUID:
    """Refuses the token that this request came with from now on; with `cookie`, the reply also removes it."""
    actor = ctx.require(INSTRUMENTS, Verb.UPDATE, "account")
    async with ctx.sql.transaction() as transaction:
        await ctx.services.tokens.revoke(transaction, actor.credential)
        transaction.announce(users, actor.subject, ctx.clock())  # ends subscriptions
    if cookie:
        ctx.effects.header("Set-Cookie", ctx.services.session_cookie(None))
    return actor.subject


async def member_with(ctx: RequestContext, email: str) -> RowMapping | None:
    """The person with that address, if a member of this domain: the others cost a password check, too, and find nothing."""
    if not email.isprintable():  # NUL and lone surrogates: no database can be asked for them
        return None
    return await ctx.sql.first(
        select(users)
        .join(memberships, (memberships.c.user_id == users.c.id) & (memberships.c.domain == INSTRUMENTS))
        .where(users.c.email_folded == email.casefold())
    )


def can_sign_in(user: RowMapping) -> bool:
    """With the right password: nobody has turned the person off."""
    return user["is_active"] and user["deleted_at"] is None


async def _replace_hash(transaction: Transaction, user: RowMapping, upgraded: str) -> None:
    """Unless the password was changed meanwhile."""
    unchanged = (users.c.id == user["id"], users.c.password_hash == user["password_hash"])
    await transaction.execute(update(users).where(*unchanged).values(password_hash=upgraded))
