"""Remembers changes by their client's key: reserved before, marked within the change's own transaction, answered after.

A request takes its key by a row. The first transaction that changes anything marks the row in the same commit, so a process
that dies leaves either a key that may be used again or the knowledge that the change was made.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Executable, and_, delete, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError

from core.context import Context
from core.errors import Conflict, InvalidInput
from core.vocabulary import KeyState
from rest_compat.once import Keyed
from rest_compat.reply import Reply
from storage.sql.database import Database, Transaction
from storage.sql.tables import idempotency_keys

log = logging.getLogger("switchyard")

KEPT = timedelta(hours=24)
LARGEST = 256 * 2**10
"""Of a reply that is kept, in bytes."""
ENDING = timedelta(seconds=30)
"""Beyond the time of an operation, until somebody else may take over what has changed nothing."""
NO_LIMIT = 300.0
"""Seconds that stand for the time of an operation that has no bound."""

_ROW = idempotency_keys.c


@dataclass(frozen=True, slots=True)
class _Hold:
    """A request's hold on its key."""

    name: str
    request: str
    holder: UUID

    @property
    def mine(self) -> ColumnElement[bool]:
        """The row, as long as nobody else has taken it over."""
        return and_(_ROW.name == self.name, _ROW.holder == self.holder)


class Idempotency:
    """The `rest_compat.once.Once` of the application. Names and requests are stored as keyed hashes."""

    def __init__(self, database: Database, secret: bytes) -> None:
        self._database, self._secret = database, secret

    async def __call__(self, ctx: Context, keyed: Keyed, make: Callable[[], Awaitable[Reply]]) -> Reply:
        """Raises `InvalidInput` for a key of another request, `Conflict` while it is held or if its reply is not kept."""
        people = sorted(f"{each.domain} {each.subject} {each.access or 'all'}" for each in ctx.principals)
        hold = _Hold(self._hash([people, keyed.operation, keyed.key]), self._hash(keyed.asked), uuid4())
        kept = await self._take(ctx, hold)
        if kept is not None:
            return kept
        ctx.sql = cast("Database", _Marking(cast("Database", ctx.sql), hold))
        try:
            reply = await make()
        except Exception:  # whatever it is, the key is free again before it is told
            await self._settle(ctx, hold, None)
            raise
        keeps = reply.status < 500 and len(reply.body) <= LARGEST and not ctx.effects.confidential
        await self._settle(ctx, hold, reply if keeps else None)
        return reply

    def _hash(self, value: Any) -> str:
        text = json.dumps(value, sort_keys=True, default=str, separators=(",", ":"))
        return hmac.new(self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    async def _take(self, ctx: Context, hold: _Hold) -> Reply | None:
        """The reply that is kept; None if the key is this request's from now on."""
        now = ctx.clock()
        until = now + timedelta(seconds=ctx.time_limit or NO_LIMIT) + ENDING
        for _ in range(2):
            if await self._reserved(hold, now, until):
                return None
            row = await self._database.first(select(idempotency_keys).where(_ROW.name == hold.name))
            if row is not None and row["expires_at"] > now:
                return await self._found(ctx, hold, row, now, until)
            await self._write(delete(idempotency_keys).where(_ROW.name == hold.name, _ROW.expires_at <= now))
        raise _under_way(ctx)

    async def _reserved(self, hold: _Hold, now: datetime, until: datetime) -> bool:
        row = {"name": hold.name, "request": hold.request, "holder": hold.holder, "state": KeyState.HELD}
        try:
            async with self._database.transaction() as transaction:
                await transaction.insert(idempotency_keys, **row, held_until=until, expires_at=now + KEPT)
        except IntegrityError:
            return False
        return True

    async def _found(self, ctx: Context, hold: _Hold, row: RowMapping, now: datetime, until: datetime) -> Reply | None:
        if not hmac.compare_digest(row["request"], hold.request):
            raise InvalidInput("This Idempotency-Key was used for another request: a new request needs a new key")
        if row["state"] is KeyState.ANSWERED:
            headers = tuple((name, value) for name, value in row["headers"])
            return Reply(row["status"], row["body"].encode(), (*headers, ("idempotent-replayed", "true")))
        if row["held_until"] > now:
            raise _under_way(ctx)
        if row["state"] is KeyState.CHANGED:
            raise Conflict("The change under this Idempotency-Key was made, and its reply was not kept: look at what is stored")
        theirs = and_(_ROW.name == hold.name, _ROW.holder == row["holder"], _ROW.state == KeyState.HELD)
        if not await self._write(update(idempotency_keys).where(theirs).values(holder=hold.holder, held_until=until)):
            raise _under_way(ctx)
        return None

    async def _settle(self, ctx: Context, hold: _Hold, reply: Reply | None) -> None:
        """What changed nothing gives its key back. If this cannot be written, the key is held until its time is over."""
        answer: dict[str, Any] = {"held_until": ctx.clock()}
        if reply is not None:
            answer |= {"state": KeyState.ANSWERED, "status": reply.status, "headers": [list(each) for each in reply.headers]}
            answer["body"] = reply.body.decode()
        try:
            if not await self._write(delete(idempotency_keys).where(hold.mine, _ROW.state == KeyState.HELD)):
                await self._write(update(idempotency_keys).where(hold.mine).values(**answer))
        except Exception:  # whatever it is, the change is made and its reply is sent
            log.exception("the reply under an Idempotency-Key could not be kept, request %s", ctx.request_id)

    async def _write(self, statement: Executable) -> int:
        async with self._database.transaction() as transaction:
            return await transaction.execute(statement)


def _under_way(ctx: Context) -> Conflict:
    ctx.effects.header("Retry-After", "1")
    return Conflict("A request with this Idempotency-Key is under way: ask again in a moment")


class _Marking:
    """The database, whose transactions say on their key's row that something was changed. Who lost the key changes nothing."""

    def __init__(self, database: Database, hold: _Hold) -> None:
        self._database, self._hold = database, hold

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._database.transaction() as transaction:
            marked = update(idempotency_keys).where(self._hold.mine).values(state=KeyState.CHANGED)
            if not await transaction.execute(marked):
                raise Conflict("Another request has taken this Idempotency-Key over")
            yield transaction
