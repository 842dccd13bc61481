"""Who may use what belongs to no domain, and which rows are theirs."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, false, or_

from core.context import Context
from core.errors import Unauthenticated
from core.identity import DOMAINS
from core.policy import require_person
from engine.declare import Viewer
from storage.sql.tables import personal_tokens, users


def anybody_known(ctx: Context) -> None:
    """For everybody with a credential, of whichever domain."""
    if not ctx.principals:
        raise Unauthenticated


def person(ctx: Context) -> None:
    """For those who signed in; a token is not enough."""
    require_person(ctx.principals)


def own_tokens(viewer: Viewer) -> ColumnElement[bool]:
    """One's own, unless a new password ended them."""
    known = [domain for domain in DOMAINS if viewer.role(domain) is not None]
    own = [personal_tokens.c.user_id == viewer.subject(domain, personal_tokens.c.user_id) for domain in known]
    current = exists().where(
        users.c.id == personal_tokens.c.user_id, users.c.credentials_version == personal_tokens.c.credentials_version
    )
    return and_(or_(false(), *own), current)
