"""Attempts to prove a password, and wishes for a mail: counted per account and per network address, for a window of time.

The counts are in the database, so that all servers share them and a restart forgets none. Who is counted is a keyed hash.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

from sqlalchemy import Select, Update, delete, select, update
from sqlalchemy.engine import RowMapping

from core.errors import RateLimited
from core.network import network_of
from storage.sql.database import Transaction
from storage.sql.tables import login_attempts

if TYPE_CHECKING:
    from resolvers.context import RequestContext

RETRY_AFTER = "Retry-After"

_FORGOTTEN_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class AttemptBounds:
    """How many attempts may fail within a window; 0 for any number."""

    key: bytes = field(repr=False)
    per_account: int
    per_address: int
    window: timedelta

    def of(self, account: str, address: str) -> dict[str, int]:
        """Who is counted, and up to how many; in an order that all transactions take."""
        counted = [("account", account.casefold(), self.per_account), ("address", network_of(address), self.per_address)]
        return dict(sorted((self._hash(f"{kind} {name}"), bound) for kind, name, bound in counted if bound and name))

    def _hash(self, text: str) -> str:
        return hmac.new(self.key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


async def count_attempt(ctx: RequestContext, account: str) -> None:
    """Count one that is about to be checked. Raises `RateLimited` if there were too many: then it must not be checked.

    The same for every reason, and whether or not there is such an account.
    """
    seconds = await _count(ctx, ctx.services.attempts, account)
    if seconds:
        if all(name != RETRY_AFTER for name, _ in ctx.effects.headers):  # one operation may sign in more than once
            ctx.effects.header(RETRY_AFTER, str(seconds))
        raise RateLimited(f"Too many failed sign-ins: try again in {seconds} seconds")


async def may_be_mailed(ctx: RequestContext, account: str) -> bool:
    """Count a mail to that address, unless there were too many."""
    return not await _count(ctx, ctx.services.mail_attempts, account)


async def _count(ctx: RequestContext, counted: AttemptBounds, account: str) -> int:
    """For how many seconds there is no room for another; 0 if this one was counted.

    A count begins with the first attempt and ends with the window; what is refused is not counted and prolongs nothing.
    """
    bounds = counted.of(account, ctx.address)
    now = ctx.clock()
    if seconds := _wait(bounds, await ctx.sql.all(_counts(bounds, now)), now):  # cheap for who keeps on trying
        return seconds
    async with ctx.sql.transaction() as transaction:
        await _lock(transaction, bounds)
        running = await transaction.all(_counts(bounds, now))
        if seconds := _wait(bounds, running, now):
            return seconds
        counts = {row["who"]: row["count"] for row in running}
        for who in bounds:
            if who in counts:
                await transaction.execute(_now_at(who, counts[who] + 1))
            else:
                await transaction.execute(delete(login_attempts).where(login_attempts.c.who == who))
                await transaction.insert(login_attempts, who=who, count=1, ends_at=now + counted.window)
        await _forget(transaction, now)
    return 0


async def forgive_attempt(ctx: RequestContext, transaction: Transaction, account: str) -> None:
    """It was right: the account's count ends, and the network address is not charged for it."""
    bounds = ctx.services.attempts.of(account, ctx.address)
    own = ctx.services.attempts.of(account, "")
    await _lock(transaction, bounds)
    await transaction.execute(delete(login_attempts).where(login_attempts.c.who.in_(own)))
    for row in await transaction.all(_counts(bounds, ctx.clock())):
        await transaction.execute(_now_at(row["who"], max(row["count"] - 1, 0)))


async def forget_attempts(ctx: RequestContext, transaction: Transaction, account: str) -> None:
    """The password is another one: the account's count ends."""
    own = ctx.services.attempts.of(account, "")
    await _lock(transaction, own)
    await transaction.execute(delete(login_attempts).where(login_attempts.c.who.in_(own)))


async def _lock(transaction: Transaction, bounds: Iterable[str]) -> None:
    for who in bounds:
        await transaction.lock(f"login {who}")


def _counts(bounds: Iterable[str], now: datetime) -> Select[tuple[str, int, datetime]]:
    return select(login_attempts).where(login_attempts.c.who.in_(bounds), login_attempts.c.ends_at > now)


def _now_at(who: str, count: int) -> Update:
    return update(login_attempts).where(login_attempts.c.who == who).values(count=count)


def _wait(bounds: dict[str, int], running: Sequence[RowMapping], now: datetime) -> int:
    """For how many seconds somebody is beyond a bound."""
    ends = [row["ends_at"] for row in running if row["count"] >= bounds[row["who"]]]
    return ceil((max(ends) - now).total_seconds()) if ends else 0


async def _forget(transaction: Transaction, now: datetime) -> None:
    """Counts that have ended; those that another transaction holds are left to a later one, which waits for nobody either."""
    ended = select(login_attempts.c.who).where(login_attempts.c.ends_at <= now).limit(_FORGOTTEN_AT_ONCE)
    found = [row["who"] for row in await transaction.all(ended.with_for_update(skip_locked=True))]
    if found:
        await transaction.execute(delete(login_attempts).where(login_attempts.c.who.in_(found)))
