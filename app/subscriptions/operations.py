"""Runs what a client asks over a connection that stays: queries and mutations once, row streams batch by batch, live ones on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator
from contextlib import AbstractContextManager, ExitStack, aclosing, contextmanager
from functools import partial

import orjson
from graphql import OperationType

from app.graphql_documents import Documents
from app.graphql_request import Asked, BadRequest
from app.observability import Exchange, Trace, watched
from app.subscriptions.feed import Feed
from app.subscriptions.payload import Payload, failed, payload_of, refused
from app.subscriptions.session import EndedError, Session, rights
from app.subscriptions.sharing import Deliver, Group, Stand
from core.errors import RateLimited, Timeout, TooLarge, Unavailable
from engine.operation import Following, Operation
from rest_compat.bodies import Bounds

_AGAIN = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before a look is made again that the store has failed."""

LOOKS = 8
"""Looks at a time: as many as a store has connections for reading."""

TURNS = 64
"""Everything else that runs at a time; the rest waits."""


class Operations:
    """Of all clients of this process."""

    def __init__(
        self,
        documents: Documents,
        feed: Feed,
        bounds: Bounds,
        *,
        most: int,
        ended: Callable[[Exchange], None] = lambda _: None,
        trace: Trace | None = None,
    ) -> None:
        self.feed = feed
        self._ended, self._trace = ended, trace
        self._documents, self._bounds = documents, bounds
        self._groups: dict[Hashable, Group] = {}
        self._looks, self._turns = asyncio.Semaphore(LOOKS), asyncio.Semaphore(TURNS)
        self._most = most
        self.open = 0
        """Operations that have not ended."""

    def watched(self, exchange: Exchange, *, logged: bool = True) -> AbstractContextManager[None]:
        """Entered while an operation runs that is no HTTP request."""
        exchange.trace = self._trace
        return watched(exchange, self._ended, logged=logged)

    async def run(
        self, asked: Asked, session: Session, exchange: Exchange, *, read_only: bool = False, deliver: Deliver | None = None
    ) -> AsyncGenerator[Payload, None]:
        """What the client gets, until the operation ends. Whatever keeps it from being executed is the last payload.

        With `deliver`, what a live subscription tells later on may be given to that instead.
        """
        ctx = session.context()
        if self.open >= self._most:
            error = RateLimited(f"more than {self._most} operations are open: try again in a moment")
            exchange.ended, exchange.refused = "refused", error.code.lower()
            yield failed(ctx, error)
            return
        self.open += 1
        try:
            async with aclosing(self._run(asked, session, exchange, read_only, deliver)) as payloads:
                async for payload in payloads:
                    yield payload
        except BadRequest as refused_request:
            yield Payload(orjson.dumps([refused_request.error]), refused=True)
        except (Unavailable, Timeout, TooLarge, RateLimited) as error:
            yield failed(ctx, error)
        finally:
            self.open -= 1

    async def _run(
        self, asked: Asked, session: Session, exchange: Exchange, read_only: bool, deliver: Deliver | None
    ) -> AsyncGenerator[Payload, None]:
        with ExitStack() as spans, _noted(exchange):
            operation, errors = self._documents.operation(asked)
            if operation is None:
                payload = refused(session.context(), errors)
                exchange.ended, exchange.refused = "refused", payload.reason
                yield payload
                return
            if operation.definition.operation is OperationType.MUTATION and read_only:
                raise BadRequest(405, "a mutation needs POST")
            known = self._documents.knows(asked)
            spans.enter_context(_span(exchange, operation, known=known))
            async with aclosing(self._executed(operation, asked, session, deliver, known=known)) as payloads:
                async for payload in payloads:
                    self._bounds.check_reply(payload.body)
                    if payload.refused:
                        exchange.ended, exchange.refused = "refused", payload.reason
                    else:
                        exchange.events += 1
                    yield payload

    async def _executed(
        self, operation: Operation, asked: Asked, session: Session, deliver: Deliver | None, *, known: bool
    ) -> AsyncGenerator[Payload, None]:
        ctx = session.context()
        kind = operation.definition.operation
        if kind is not OperationType.SUBSCRIPTION:
            async with session.turns:
                async with self._turns, ctx.in_time():
                    outcome = await operation.execute(ctx, asked.variables)
                yield payload_of(ctx, outcome)
            return
        following = operation.live(asked.variables)
        if following is None:
            rest = self._batches(operation, asked, session)
        else:
            rest = self._live(self._group(operation, following, asked, session, known=known), session, deliver)
        async with aclosing(rest):
            async for payload in rest:
                yield payload

    async def _batches(self, operation: Operation, asked: Asked, session: Session) -> AsyncGenerator[Payload, None]:
        """The next batch is read when the client has taken the one before."""
        ctx = session.context()
        outcomes = operation.stream(ctx, asked.variables)
        try:
            while True:
                async with session.turns:
                    async with self._turns, ctx.in_time():
                        outcome = await anext(outcomes, None)
                    if outcome is None:
                        return
                    await session.sure()
                    yield payload_of(ctx, outcome)
        finally:
            if isinstance(outcomes, AsyncGenerator):
                await outcomes.aclose()

    async def _live(self, group: Group, session: Session, deliver: Deliver | None) -> AsyncGenerator[Payload, None]:
        group.enter()
        try:
            async with session.context().in_time():
                await self.feed.listening()
            stand, failures = Stand(deliver=deliver), 0
            while True:
                generation = group.generation
                try:
                    seen = await group.look(stand.place)
                except (Unavailable, Timeout):
                    if stand.told is None:
                        raise
                    await asyncio.sleep(_AGAIN[min(failures, len(_AGAIN) - 1)])
                    failures += 1
                    continue
                failures = 0
                if stand.is_news(seen):
                    await session.sure()
                    yield Payload(seen.body or b"", seen.refused)
                stand.move(seen)
                if seen.ended:
                    return
                if not seen.more:
                    await group.stay(stand, generation)
        finally:
            group.leave()

    def _group(self, operation: Operation, following: Following, asked: Asked, session: Session, *, known: bool) -> Group:
        key = operation, orjson.dumps(asked.variables, option=orjson.OPT_SORT_KEYS), rights(session.principals)
        group = self._groups.get(key)
        if group is None:
            looking = partial(self._looking, operation, known=known)
            group = Group(self.feed, following, session.context, self._looks, looking, partial(self._groups.pop, key))
            self._groups[key] = group
        return group

    @contextmanager
    def _looking(self, operation: Operation, *, known: bool) -> Iterator[None]:
        """Entered while a look is made: for all who follow the same, so for no operation of theirs."""
        exchange = Exchange({"method": "LOOK", "path": "/graphql"})
        exchange.serves("graphql", "/graphql look")
        with self.watched(exchange, logged=False), _span(exchange, operation, known=known), _noted(exchange):
            yield


@contextmanager
def _noted(exchange: Exchange) -> Iterator[None]:
    """How it ends, unless that is known already."""
    ended = "failed"
    try:
        yield
        ended = "completed"
    except (asyncio.CancelledError, GeneratorExit):
        ended = "left"
        raise
    except EndedError:
        ended = "session over"
        raise
    except BadRequest:
        ended = "refused"
        raise
    finally:
        exchange.ended = exchange.ended or ended


@contextmanager
def _span(exchange: Exchange, operation: Operation, *, known: bool) -> Iterator[None]:
    """That of the operation. What ends it is told by the exchange: that a client leaves is no error."""
    span = exchange.executes(operation.definition, known=known)
    span.__enter__()
    try:
        yield
    finally:
        span.__exit__(None, None, None)
