"""Somebody who holds a socket or a stream, for as long as the credentials prove who it is.

What a person may do changes in the feed like everything else: whoever is about to be told something is first made sure of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from starlette.requests import HTTPConnection

from app.subscriptions.feed import Feed
from app.wiring import Contexts
from core.deadlines import InTime
from core.errors import Timeout, Unavailable
from core.identity import Principals
from resolvers.context import RequestContext
from storage.sql.tables import users

MADE_SURE_EVERY = 60.0
"""Seconds. For what is changed in the database by hand, which no feed tells."""

RESULTS = 4
"""Of one client, that wait in memory until they are taken."""

_AGAIN = 0.5


class EndedError(Exception):
    """The session is over."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


def rights(principals: Principals) -> Hashable:
    """Whose they are and what they allow; not which credential proved it."""
    return frozenset((each.domain, each.subject, each.role, each.access, each.grants) for each in principals)


class Session:
    """Calls `ended` once, with the reason, when the credentials prove nobody any more, or somebody with other rights."""

    def __init__(
        self, contexts: Contexts, feed: Feed, connection: HTTPConnection, request_id: str, ended: Callable[[EndedError], None]
    ) -> None:
        self._contexts, self._feed, self._tell = contexts, feed, ended
        self._headers: Mapping[str, str] = connection.headers
        self._cookies: Mapping[str, str] = connection.cookies
        self._scope, self._request_id = connection.scope, request_id
        self.turns = asyncio.Semaphore(RESULTS)
        """For whatever is read only to be sent."""
        self._address = connection.client.host if connection.client else ""
        self.principals = Principals()
        self._unfollow: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._check: asyncio.Task[None] | None = None
        self._doubts = 0
        self._over: EndedError | None = None

    async def begin(self) -> None:
        """Find out who it is. Raises `EndedError` if the bearer token proves nobody."""
        self.principals = await self._authenticate()
        if not self.principals and "authorization" in self._headers:
            raise EndedError(4403, "Forbidden: the token is not valid, or has expired")
        self._contexts.rates.count(self._scope, self.principals, self._address)
        for subject in {str(each.subject) for each in self.principals}:
            self._unfollow.append(self._feed.follow((users.name, subject), self._doubt))
        self._set_timer()

    def count(self) -> None:
        """One more request of theirs. Raises `RateLimited` if there were too many."""
        self._contexts.rates.count({}, self.principals, self._address)

    def context(self) -> RequestContext:
        """For one operation."""
        return self._contexts.context(self.principals, self._request_id, self._address)

    @property
    def subject(self) -> UUID | None:
        """Who it is, as the log tells it."""
        return next((each.subject for each in self.principals), None)

    @property
    def in_doubt(self) -> bool:
        """Whether to be `sure` takes a moment, or is no longer possible."""
        return self._check is not None or self._over is not None

    async def sure(self) -> None:
        """Wait until nothing is in doubt. Raises `EndedError`."""
        while self._check is not None:
            await asyncio.wait({self._check})
        if self._over is not None:
            raise self._over

    async def renew(self) -> None:
        """Ask now, as every other request does. Raises `EndedError`."""
        self._doubt()
        await self.sure()

    def close(self) -> None:
        """Let go of everything."""
        for unfollow in self._unfollow:
            unfollow()
        self._unfollow.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._check is not None:
            self._check.cancel()

    def _doubt(self) -> None:
        if not self.principals or self._over is not None:
            return
        self._doubts += 1
        if self._check is None:
            self._check = asyncio.create_task(self._make_sure())

    async def _make_sure(self) -> None:
        try:
            while True:
                doubts = self._doubts
                try:
                    found = await self._authenticate()
                except (Unavailable, Timeout):  # a store that is down proves nothing
                    await asyncio.sleep(_AGAIN)
                    continue
                if not found:
                    return self._end(4401, "Unauthorized: the credentials are no longer valid")
                if rights(found) != rights(self.principals):
                    return self._end(4403, "Forbidden: your rights have changed")
                self.principals = found
                if doubts == self._doubts:
                    return None
        finally:
            self._check = None

    def _end(self, code: int, reason: str) -> None:
        self._over = EndedError(code, reason)
        self._tell(self._over)

    def _set_timer(self) -> None:
        if self.principals:
            wait = min(MADE_SURE_EVERY, self._seconds_left())
            self._timer = asyncio.get_running_loop().call_later(wait, self._ring)

    def _ring(self) -> None:
        if self._seconds_left() <= 0:
            self._end(4403, "Forbidden: the token has expired")
            return
        self._doubt()
        self._set_timer()

    def _seconds_left(self) -> float:
        ends = [each.expires_at for each in self.principals if each.expires_at is not None]
        now: datetime = self._contexts.clock()
        return min(((end - now).total_seconds() for end in ends), default=float("inf"))

    async def _authenticate(self) -> Principals:
        async with InTime(self._contexts.time_limit):
            return await self._contexts.schemes.authenticate(self._headers, self._cookies)


def with_bearer(connection: HTTPConnection, payload: Mapping[str, Any]) -> HTTPConnection:
    """The connection with the `Authorization` that a client put into its first message: browsers set no header on sockets."""
    given = next((value for name, value in payload.items() if name.lower() == "authorization"), None)
    if not isinstance(given, str):
        return connection
    headers = [(name, value) for name, value in connection.scope["headers"] if name != b"authorization"]
    headers.append((b"authorization", given.encode("latin-1", "replace")))
    return HTTPConnection({**connection.scope, "headers": headers})
