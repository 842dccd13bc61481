"""Personal tokens as credentials: one statement finds the person and a principal in every domain that the token is for.

When a token was last used is written beside the request, at most once a minute, and no request waits for it.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Select, bindparam, or_, select, update

from app.auth import Credentials, Scheme, Schemes
from core.clock import Clock, utc_now
from core.errors import Unavailable
from core.identity import LOOKUPS, Grants, Principal, Principals
from core.lookups.grants import role_and_grants
from core.personal_tokens import PREFIX, PresentedToken, read_token
from core.sql import Row, Statement
from core.vocabulary import Access, TokenScope
from storage.sql.database import Database
from storage.sql.tables import memberships, personal_tokens, users
from storage.sql.types import read_time

log = logging.getLogger("switchyard")

NOTED_EVERY = timedelta(minutes=1)


class SchemesWithTokens(Schemes):
    """The schemes of the domains, and before them personal tokens, which are for all domains.

    A request that names a token gets what the token is for and no more, even if a cookie could do more.
    """

    def __init__(self, database: Database, schemes: Sequence[Scheme], clock: Clock = utc_now) -> None:
        super().__init__(database, schemes)
        self._database, self._clock = database, clock
        self._holder = Statement(_holder(), database.dialect, "authentication")
        self._noting: dict[UUID, asyncio.Task[None]] = {}

    async def find(self, credentials: Credentials) -> Principals:
        """A principal for each domain of the token; without a token that is good, whatever the schemes find."""
        bearer = credentials.bearer
        if bearer is not None and bearer.startswith(PREFIX):
            presented = read_token(bearer)
            found = await self._find(presented) if presented is not None else None
            if found:
                return Principals(found)
        return await super().find(credentials)

    async def settle(self) -> None:
        """Wait for what is still being written."""
        await asyncio.gather(*self._noting.values())

    async def _find(self, presented: PresentedToken) -> list[Principal]:
        now = self._clock()
        rows = await self._holder.fetch(self._database, token_id=presented.token_id, now=now, before=now - NOTED_EVERY)
        if not rows or not hmac.compare_digest(rows[0][0], presented.digest):
            return []
        if rows[0][1]:
            self._note_use(presented.token_id, now)
        return [principal for row in rows if (principal := _principal(row, str(presented.token_id))) is not None]

    def _note_use(self, token_id: UUID, now: datetime) -> None:
        """Unless that is under way."""
        if token_id not in self._noting:
            self._noting[token_id] = asyncio.create_task(self._write_use(token_id, now))

    async def _write_use(self, token_id: UUID, now: datetime) -> None:
        try:
            async with self._database.transaction() as transaction:
                due = (personal_tokens.c.id == token_id, _due(now - NOTED_EVERY))
                await transaction.execute(update(personal_tokens).where(*due).values(last_used_at=now))
        except Unavailable:
            log.warning("when personal token %s was last used could not be written", token_id)
        finally:
            del self._noting[token_id]


def _principal(row: Row, credential: str) -> Principal | None:
    """Of one domain that the person is a member of; None if the token is not for it."""
    _, _, scopes, user_id, email, domain, role, expires_at, granted_there = row
    granted = {scope.access for scope in map(TokenScope, orjson.loads(scopes)) if scope.domain == domain}
    if not granted:
        return None
    access = Access.WRITE if Access.WRITE in granted else Access.READ
    grants: Grants = ()
    if domain == LOOKUPS:
        try:
            role, grants = role_and_grants(orjson.loads(granted_there or "{}"))
        except ValueError:
            return None
    return Principal(domain, UUID(user_id), role, email, credential, access, read_time(expires_at), grants)


def _holder() -> Select[Any]:
    """The token and its person, once for each domain that the person is a member of, unless something ended the token."""
    return (
        select(
            personal_tokens.c.digest,
            _due(bindparam("before", type_=personal_tokens.c.last_used_at.type)).label("due"),
            personal_tokens.c.scopes,
            users.c.id,
            users.c.email,
            memberships.c.domain,
            memberships.c.role,
            personal_tokens.c.expires_at,
            memberships.c.grants,
        )
        .join(users, users.c.id == personal_tokens.c.user_id)
        .join(memberships, memberships.c.user_id == users.c.id)
        .where(
            personal_tokens.c.id == bindparam("token_id"),
            personal_tokens.c.expires_at > bindparam("now"),
            personal_tokens.c.credentials_version == users.c.credentials_version,
            users.c.is_active,
            users.c.deleted_at.is_(None),
        )
    )


def _due(before: Any) -> Any:
    return or_(personal_tokens.c.last_used_at.is_(None), personal_tokens.c.last_used_at <= before)
