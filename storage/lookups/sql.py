"""Items in the relational store: a row each, with trigrams of its texts where the database has them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, bindparam, cast, delete, func, insert, select, update
from sqlalchemy import text as sql
from sqlalchemy.engine import Dialect

from core.clock import utc_now
from core.errors import Conflict, NotFound, Unavailable
from core.lookups.declarations import Lookup
from core.lookups.ids import id_of
from core.lookups.items import EVERYTHING, Change, Item, Place, Query, Stats
from core.lookups.values import KINDS, Value
from core.sql import Row, Statement
from storage.lookups.finding import among, by_address, by_id, by_key, wanted
from storage.lookups.protocol import CHUNK
from storage.lookups.ranges import BITS, number_of, path
from storage.lookups.registry import forget, held_row, lookup_of, refill, unreached
from storage.lookups.rows import COLUMNS, Rows, merge_all, stored_time
from storage.lookups.statements import Asked, Statements, asked, counted, in_lookup
from storage.lookups.trigrams import Trigrams
from storage.sql.database import Database, Transaction
from storage.sql.tables import lookup_items, lookups

log = logging.getLogger(__name__)

AT_A_TIME = 1_000
"""Items that are removed or rewritten in one transaction: others want to write, too."""

MANY = 10_000
"""Rows of an upload after which PostgreSQL's statistics are made anew. It takes half a second, however many there are."""

ADDRESSES = 50
"""That are looked for in one statement; each is as many probes as it has bits."""

_I = lookup_items.c


_COLUMNS = [_I[name] for name in COLUMNS]

_WRITTEN = (*COLUMNS, "key_id", "range_node", "search_text")

_ADD = insert(lookup_items).inline().values({name: bindparam(name) for name in ("space", *_WRITTEN)})
_REWRITE = update(lookup_items).where(_I.number == bindparam("stored")).values({name: bindparam(name) for name in _WRITTEN})


class SqlLookupStore:
    """In the tables `lookup_items` and `lookup_spaces`. A lookup's items are those of its space; a clear gives it another."""

    def __init__(self, database: Database, now: Callable[[], float] = lambda: utc_now().timestamp()) -> None:
        self._database, self._now = database, now
        self._statements, self._trigrams = Statements(database.dialect), Trigrams(database.dialect.name)
        self._add, self._rewrite = (Statement(each, database.dialect, "lookup_items") for each in (_ADD, _REWRITE))

    # --- reading ---------------------------------------------------------------------------------------------------------

    async def get(self, lookup: Lookup, ids: Sequence[str]) -> list[Item | None]:
        found = {row[0]: row for row in await self._fetch(lookup, by_id, list(dict.fromkeys(ids)))}
        rows = Rows(lookup)
        return [rows.item(found[item_id]) if item_id in found else None for item_id in ids]

    async def find(self, lookup: Lookup, keys: Sequence[Sequence[Value]]) -> list[Item | None]:
        if lookup.declaration.has_ranges:
            return await self._find_ranges(lookup, [str(address) for (address,) in keys])
        ids, rows = [id_of(lookup.declaration, key) for key in keys], Rows(lookup)
        found = {row[-1]: row for row in await self._fetch(lookup, by_key, list(dict.fromkeys(ids)))}
        return [rows.item(found[key_id][:-1]) if key_id in found else None for key_id in ids]

    async def _find_ranges(self, lookup: Lookup, addresses: Sequence[str]) -> list[Item | None]:
        kind = lookup.declaration.keys[0].type
        sortable, rows, found = KINDS[kind].sortable, Rows(lookup), {}
        numbers = {key: number_of(key) for key in (str(sortable(address)) for address in addresses)}
        values = list(numbers)
        for begin in range(0, len(values), ADDRESSES):
            some = values[begin : begin + ADDRESSES]
            probes = [(value, node) for value in some for node in path(numbers[value], BITS[kind])]
            for row in await self._fetch(lookup, by_address, probes):
                found[row[-1]] = rows.item(row[:-1])
        return [found.get(str(sortable(address))) for address in addresses]

    async def page(
        self,
        lookup: Lookup,
        query: Query = EVERYTHING,
        *,
        limit: int,
        offset: int = 0,
        place: Place | None = None,
        backward: bool = False,
    ) -> list[Item]:
        found = await self._ask(asked(lookup, query, self._now(), place=place, backward=backward), limit=limit, offset=offset)
        rows = Rows(lookup)
        items = [rows.item(row) for row in found]
        return items[::-1] if backward else items

    async def count(self, lookup: Lookup, query: Query = EVERYTHING) -> int:
        ((number,),) = await self._ask(counted(lookup, query, self._now()))
        return int(number)

    async def walk(self, lookup: Lookup, *, batch: int = 1_000) -> AsyncIterator[list[Item]]:
        place: Place | None = None
        while items := await self.page(lookup, limit=batch, place=place):
            yield items
            place = (items[-1].id,)

    async def stats(self, lookup: Lookup) -> Stats:
        size = sum((func.length(cast(_I[name], Text)) for name in ("keys", "fields", "search_text")), func.length(_I.item_id))
        counts = select(func.count(), func.count(_I.expires_at), func.coalesce(func.sum(size), 0)).where(*in_lookup())
        statement = Statement(counts, self._database.dialect, "lookup_items")
        ((items, expiring, bytes_),) = await statement.fetch(self._database, lookup=lookup.key, now=stored_time(self._now()))
        return Stats(int(items), int(expiring), int(bytes_))

    # --- writing ---------------------------------------------------------------------------------------------------------

    async def write(self, lookup: Lookup, changes: Sequence[Change]) -> None:
        assert len(changes) <= CHUNK, "a transaction is bounded"
        rows, now = Rows(lookup), self._now()
        async with self._database.transaction() as transaction:
            space = await self._hold(transaction, lookup)
            these = self._with_ids(space, [change.id for change in changes])
            stored = await self._stored(transaction, these)
            new, old = await asyncio.to_thread(_prepare, rows, space, stored, changes, now)
            if old:
                await self._trigrams.forget(transaction, *these)
                await transaction.execute_many(self._rewrite, old)
                await self._trigrams.learn(transaction, self._numbered(row["stored"] for row in old))
            newest = await self._trigrams.newest(transaction)
            await transaction.execute_many(self._add, new)
            await self._trigrams.learn(transaction, _I.number > newest)

    async def upload(self, lookup: Lookup, chunks: AsyncIterator[Sequence[Change]]) -> None:
        count = 0
        async for changes in chunks:
            await self.write(lookup, changes)
            count += len(changes)
        if count >= MANY and self._database.dialect.name == "postgresql":
            await self._analyze()

    async def _analyze(self) -> None:
        """PostgreSQL does so by itself, within a minute; until then it reads a page of a large lookup as if that were small."""
        try:
            async with self._database.transaction() as transaction:
                await transaction.execute(sql("ANALYZE (SKIP_LOCKED) lookup_items"))
        except Unavailable as error:
            log.warning("the items of lookups are analyzed later: %s", error.detail)

    async def update(self, lookup: Lookup, item_id: str, change: Change) -> None:
        rows, now = Rows(lookup), self._now()
        async with self._database.transaction() as transaction:
            space = await self._hold(transaction, lookup)
            both = self._with_ids(space, [item_id, change.id])
            stored = await self._stored(transaction, both)
            live = {each: row for each, row in stored.items() if _is_live(row[4], now)}
            if item_id not in live:
                raise NotFound(f"there is no item {item_id}")
            if change.id != item_id and change.id in live:
                raise Conflict(f"there is an item {change.id} already", field="keys")
            number, *columns = live[item_id]
            await self._trigrams.forget(transaction, *both)
            if change.id != item_id and change.id in stored:
                await transaction.execute(delete(lookup_items).where(_I.number == stored[change.id][0]))
            row = rows.row(rows.merged(rows.item_of(columns), change, now))
            await transaction.execute_many(self._rewrite, [row | {"stored": number}])
            await self._trigrams.learn(transaction, _I.number == number)

    async def delete(self, lookup: Lookup, item_id: str) -> None:
        async with self._database.transaction() as transaction:
            this = self._with_ids(await self._hold(transaction, lookup), [item_id])
            stored = await self._stored(transaction, this)
            if item_id not in stored or not _is_live(stored[item_id][4], self._now()):
                raise NotFound(f"there is no item {item_id}")
            await self._trigrams.forget(transaction, *this)
            await transaction.execute(delete(lookup_items).where(*this))

    # --- whole lookups ---------------------------------------------------------------------------------------------------

    async def create(self, lookup: Lookup) -> None:
        """Its space was made with its row."""

    async def drop(self, lookup: Lookup) -> None:
        """Nobody reaches the items any more; `purge` removes them."""

    async def clear(self, lookup: Lookup) -> None:
        async with self._database.transaction() as transaction:
            await held_row(transaction, lookup.key)
            await refill(transaction, lookup.key, utc_now())

    async def redeclare(self, lookup: Lookup) -> None:
        last = 0
        while True:
            async with self._database.transaction() as transaction:
                row = await transaction.get(lookups, lookup.key)
                if row is None or not row["behind"]:
                    return
                page = select(_I.number, *_COLUMNS).where(_I.space == row["space"], _I.number > last).order_by(_I.number)
                found = await transaction.all(page.limit(AT_A_TIME))
                rows = Rows(lookup_of(row))
                items = [(each["number"], rows.item_of(tuple(each.values())[1:])) for each in found]
                if items:
                    these = self._numbered(number for number, _ in items)
                    await self._trigrams.forget(transaction, these)
                    await transaction.execute_many(
                        self._rewrite, [rows.row(item) | {"stored": number} for number, item in items]
                    )
                    await self._trigrams.learn(transaction, these)
                    last = items[-1][0]
                if len(items) < AT_A_TIME:
                    await transaction.update(lookups, lookup.key, behind=False)
                    return

    async def purge(self) -> int:
        for row in await self._database.all(select(lookups).where(lookups.c.behind)):
            await self.redeclare(lookup_of(row))
        removed = await self._remove(_I.expires_at <= stored_time(self._now()))
        for space in await unreached(self._database):
            removed += await self._remove(_I.space == space["number"])
            await forget(self._database, space["number"])
        return removed

    async def _remove(self, which: ColumnElement[bool]) -> int:
        """In transactions of bounded size, of which others wait for none long."""
        some = select(_I.number).where(which).limit(AT_A_TIME).with_for_update(skip_locked=True)
        removed = 0
        while await self._database.first(select(_I.number).where(which).limit(1)) is not None:
            async with self._database.transaction() as transaction:
                numbers = [row["number"] for row in await transaction.all(some)]
                these = self._numbered(numbers)
                await self._trigrams.forget(transaction, these)
                await transaction.execute(delete(lookup_items).where(these))
            removed += len(numbers)
            if not numbers:  # another process removes them
                break
        return removed

    # --- statements ------------------------------------------------------------------------------------------------------

    async def _ask(self, question: Asked, **more: object) -> list[Row]:
        return await self._statements.of(question.shape).fetch(self._database, **question.values, **more)

    async def _fetch(self, lookup: Lookup, composed: Callable[[Dialect], Select[Any]], values: Sequence[Any]) -> list[Row]:
        if not values:
            return []
        statement = self._statements.finding(composed)
        return await statement.fetch(self._database, lookup=lookup.key, now=stored_time(self._now()), wanted=wanted(values))

    async def _hold(self, transaction: Transaction, lookup: Lookup) -> int:
        """The lookup's space, into which nobody else writes until the end."""
        row = await held_row(transaction, lookup.key)
        now = lookup_of(row)
        if now.slots != lookup.slots or now.declaration.key_types != lookup.declaration.key_types:
            raise Conflict("the lookup's keys or fields were changed in the meantime: try again")
        return int(row["space"])

    async def _stored(self, transaction: Transaction, which: Sequence[ColumnElement[bool]]) -> Mapping[str, Sequence[Any]]:
        """By id: the number, then the columns of an item."""
        found = await transaction.all(select(_I.number, *_COLUMNS).where(*which))
        return {row["item_id"]: tuple(row.values()) for row in found}

    def _with_ids(self, space: int, ids: Iterable[str]) -> tuple[ColumnElement[bool], ...]:
        return (_I.space == space, among(_I.item_id, self._database.dialect, list(dict.fromkeys(ids))))

    def _numbered(self, numbers: Iterable[int]) -> ColumnElement[bool]:
        return _I.number.in_(list(numbers))


def _is_live(expires_at: int | None, now: float) -> bool:
    return expires_at is None or expires_at > stored_time(now)


def _prepare(
    rows: Rows, space: int, stored: Mapping[str, Sequence[Any]], changes: Sequence[Change], now: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows to add, and rows to put in the place of others. What has expired is replaced."""
    live = {item_id: rows.item_of(row[1:]) for item_id, row in stored.items() if _is_live(row[4], now)}
    made = merge_all(rows, live, changes, now)
    new = [rows.row(item) for item_id, item in made.items() if item_id not in stored]
    for row in new:
        row["space"] = space
    return new, [rows.row(item) | {"stored": stored[item_id][0]} for item_id, item in made.items() if item_id in stored]
