"""Letters to people: sent behind their request, so that neither an answer nor its time tells who has an account."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sqlalchemy.engine import RowMapping

from core.identity import INSTRUMENTS, Principal
from core.vocabulary import Role
from resolvers.attempts import may_be_mailed
from resolvers.context import Letter, RequestContext
from resolvers.instruments.accounts import valid_email
from resolvers.instruments.sessions import can_sign_in, member_with

Compose = Callable[[RequestContext, RowMapping], Letter | None]


async def offer(ctx: RequestContext, email: str, compose: Compose) -> None:
    """A letter to whoever has that address and may sign in. Beyond the bounds, and without a mail server, there is none."""
    address = valid_email(email)
    if ctx.services.mail.enabled and await may_be_mailed(ctx, address):
        ctx.services.mail.later(partial(_composed, ctx, address, compose))


def reader(row: RowMapping) -> Principal:
    """Who proved to read what is sent to their address, for the audit log."""
    return Principal(INSTRUMENTS, row["id"], Role.USER, row["email"])


async def _composed(ctx: RequestContext, email: str, compose: Compose) -> Letter | None:
    user = await member_with(ctx, email)
    return compose(ctx, user) if user is not None and can_sign_in(user) else None
