"""Verified addresses: whoever got a mail there says so with its token. Contract streamweave §2."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.engine import RowMapping

from core.errors import Refused
from core.secrets import Secret
from resolvers.context import Letter, MailClaims, MailPurpose, RequestContext
from resolvers.instruments.letters import offer, reader
from resolvers.instruments.rows import USER, change
from resolvers.instruments.sessions import can_sign_in
from storage.sql.tables import users

_TEXT = """To confirm that {email} is your address, open this page within an hour:

{link}

If you have no account there, there is nothing to do.
"""


async def request_verification(ctx: RequestContext, email: str) -> None:
    """By mail. The answer is the same whether or not somebody has that address, and whether it was verified already."""
    await offer(ctx, email, _letter)


async def verify_email(ctx: RequestContext, token: Secret) -> UUID:
    """Raises `Refused` for a token that does not count, and when there is nothing left to verify."""
    claims = ctx.services.mail_tokens.parse(MailPurpose.VERIFY, token)
    if claims is None:
        raise Refused("VERIFY_USER_BAD_TOKEN")
    assert USER.scope is not None, "people are of several domains"
    async with change(ctx, None) as changing:
        found = select(users).where(users.c.id == claims.subject, users.c.email == claims.mark, USER.scope)
        row = await changing.tx.first(found.with_for_update())
        if row is None or not can_sign_in(row):
            raise Refused("VERIFY_USER_BAD_TOKEN")
        if row["is_verified"]:
            raise Refused("VERIFY_USER_ALREADY_VERIFIED")
        await changing.by(reader(row)).update(USER, row, {"is_verified": True})
    return claims.subject


def _letter(ctx: RequestContext, user: RowMapping) -> Letter | None:
    if user["is_verified"]:
        return None
    claims = MailClaims(user["id"], user["email"])
    link = ctx.services.mail.link("verify-email", ctx.services.mail_tokens.issue(MailPurpose.VERIFY, claims))
    return Letter(user["email"], "Switchyard: your address", _TEXT.format(email=user["email"], link=link))
