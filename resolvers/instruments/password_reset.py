"""A new password for who forgot it: asked for by address, chosen with the token of a mail. Contract streamweave §2."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.engine import RowMapping

from core.errors import Refused
from core.secrets import Secret
from resolvers.attempts import forget_attempts
from resolvers.context import Letter, MailClaims, MailPurpose, RequestContext
from resolvers.inputs import checked
from resolvers.instruments.accounts import require_long_enough
from resolvers.instruments.letters import offer, reader
from resolvers.instruments.rows import USER, change
from storage.sql.tables import users

_TEXT = """Somebody asked for a new password for {email}. To choose one, open this page within an hour:

{link}

If that was not you, there is nothing to do: the password stays what it is.
"""


async def request_password_reset(ctx: RequestContext, email: str) -> None:
    """By mail. The answer is the same whether or not somebody has that address."""
    await offer(ctx, email, _letter)


async def reset_password(ctx: RequestContext, token: Secret, password: Secret) -> UUID:
    """Ends every session of the person, and the token. Raises `Refused` for one that does not count, or no longer."""
    checked(users, {"password": password})
    claims = ctx.services.mail_tokens.parse(MailPurpose.RESET, token)
    if claims is None or await ctx.sql.first(select(users.c.id).where(_as_claimed(claims))) is None:
        raise Refused("RESET_PASSWORD_BAD_TOKEN")
    require_long_enough(password, "RESET_PASSWORD_INVALID_PASSWORD")
    password_hash = await ctx.services.passwords.hash(password)
    async with change(ctx, None) as changing:
        row: RowMapping | None = await changing.tx.first(select(users).where(_as_claimed(claims)).with_for_update())
        if row is None:  # another was faster
            raise Refused("RESET_PASSWORD_BAD_TOKEN")
        columns = {"password_hash": password_hash, "credentials_version": row["credentials_version"] + 1}
        await changing.by(reader(row)).update(USER, row, {"password": password}, columns)
        await forget_attempts(ctx, changing.tx, row["email"])
    return claims.subject


def _as_claimed(claims: MailClaims) -> ColumnElement[bool]:
    """A member who may sign in, with the password that there was when the token was sent."""
    assert USER.scope is not None, "people are of several domains"
    version = int(claims.mark)
    state = (users.c.is_active, users.c.deleted_at.is_(None), users.c.credentials_version == version)
    return and_(users.c.id == claims.subject, *state, USER.scope)


def _letter(ctx: RequestContext, user: RowMapping) -> Letter:
    claims = MailClaims(user["id"], str(user["credentials_version"]))
    link = ctx.services.mail.link("reset-password", ctx.services.mail_tokens.issue(MailPurpose.RESET, claims))
    return Letter(user["email"], "Switchyard: a new password", _TEXT.format(email=user["email"], link=link))
