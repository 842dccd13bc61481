"""Writing items to Elasticsearch: read, merge, write on condition that nothing came between; again where something did."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import select

from core.errors import Conflict, NotFound, Unavailable
from core.lookups.declarations import Lookup
from core.lookups.items import Change, Item
from storage.lookups.elasticsearch_documents import (
    NOT_READ,
    Documents,
    alias_of,
    index_of,
    properties,
    settings_and_mappings,
)
from storage.lookups.elasticsearch_reading import Reader, is_live
from storage.lookups.elasticsearch_server import Action, Gone, Portion, portions
from storage.lookups.protocol import CHUNK
from storage.lookups.registry import lookup_of
from storage.lookups.rows import Rows, merge_all
from storage.sql.tables import lookup_spaces, lookups

TEMPLATE = "switchyard-lookups"

ATTEMPTS = 60
"""Of a write that others are in the way of; in each, one of them gets on."""


class Stored(NamedTuple):
    """An item as it was read, which may have expired, and by what a writer knows that it is still the same."""

    item: Item
    at: tuple[int, int]


Prepare = Callable[[Mapping[str, Stored], Sequence[str]], Iterable[Action]]


class Writer(Reader):
    """Of all lookups."""

    # --- writing -----------------------------------------------------------------------------------------------------

    async def write(self, lookup: Lookup, changes: Sequence[Change]) -> None:
        await self._change(lookup, *self._merging(lookup, changes))

    def _merging(self, lookup: Lookup, changes: Sequence[Change]) -> tuple[list[str], Prepare]:
        """The ids, and what these changes make of the items with some of them."""
        assert len(changes) <= CHUNK, "a request is bounded"
        by_id: dict[str, list[Change]] = {}
        for change in changes:
            by_id.setdefault(change.id, []).append(change)
        documents, rows, now = Documents(lookup), Rows(lookup), self._now()

        def prepare(stored: Mapping[str, Stored], ids: Sequence[str]) -> Iterator[Action]:
            live = {each: found.item for each, found in stored.items() if is_live(found.item, now)}
            made = merge_all(rows, live, [change for each in ids for change in by_id[each]], now)
            return (_put(documents, item, stored.get(each)) for each, item in made.items())  # one in memory at a time

        return list(by_id), prepare

    async def update(self, lookup: Lookup, item_id: str, change: Change) -> None:
        documents, rows, now = Documents(lookup), Rows(lookup), self._now()
        if change.id != item_id:
            await self._move(lookup, item_id, change)
            return

        def prepare(stored: Mapping[str, Stored], _: Sequence[str]) -> list[Action]:
            old = _live(stored, item_id, now)
            return [_put(documents, rows.merged(old.item, change, now), old)]

        await self._change(lookup, [item_id], prepare)

    async def _move(self, lookup: Lookup, item_id: str, change: Change) -> None:
        """Give an item another id. First the new document, then the old one goes: if the server dies between, none is lost.

        Searches see both at once: only the second step shows what was done.
        """
        documents, rows, now = Documents(lookup), Rows(lookup), self._now()
        for _ in range(ATTEMPTS):
            index = await self._ready(lookup)
            try:
                stored = await self._stored(documents, index, [item_id, change.id])
                old, there = _live(stored, item_id, now), stored.get(change.id)
                if there is not None and is_live(there.item, now):
                    raise Conflict(f"there is an item {change.id} already", field="keys")
                new = _put(documents, rows.merged(old.item, change, now), there)
                (made,) = await self._server.bulk(index, [new], refresh=False)
                if not made.conflict:
                    (gone,) = await self._server.bulk(index, [Action(item_id, None, old.at)])
                    if not gone.conflict:
                        await self._settle(lookup, [change.id])
                        return
                    await self._server.bulk(index, [Action(change.id, None, made.at)])  # somebody changed the old one
            except Gone:
                self._forget(index)
            await _pause()
        raise _crowded()

    async def delete(self, lookup: Lookup, item_id: str) -> None:
        now = self._now()
        await self._change(lookup, [item_id], lambda stored, _: [Action(item_id, None, _live(stored, item_id, now).at)])

    async def _change(self, lookup: Lookup, ids: Sequence[str], prepare: Prepare, *, refresh: bool = True) -> None:
        """Read, prepare, write what is still as it was read; again for the rest."""
        documents, todo = Documents(lookup), list(ids)
        for _ in range(ATTEMPTS):
            index = await self._ready(lookup)
            try:
                todo = await self._attempt(documents, index, todo, prepare, refresh=refresh)
            except Gone:  # it was cleared, or nobody has made the index yet
                self._forget(index)
                todo = list(ids)
            if not todo:
                await self._settle(lookup, ids)
                return
            await _pause()
        raise _crowded()

    async def _attempt(
        self, documents: Documents, index: str, ids: Sequence[str], prepare: Prepare, *, refresh: bool = True
    ) -> list[str]:
        """The ids for which somebody else came first."""
        stored = await self._stored(documents, index, ids)
        return await self._send(index, await asyncio.to_thread(lambda: portions(prepare(stored, ids))), refresh=refresh)

    async def _send(self, index: str, some: Sequence[Portion], *, refresh: bool) -> list[str]:
        results = await self._server.send(index, some, refresh=refresh)
        ids = [each for portion in some for each in portion.ids]
        return [item_id for item_id, result in zip(ids, results, strict=True) if result.conflict]

    async def _settle(self, lookup: Lookup, ids: Sequence[str]) -> None:
        """Nothing is locked while items are written. If fields went meanwhile, so must go what was just written of them."""
        row = await self._row(lookup)
        if row is None:
            raise NotFound("the lookup does not exist")
        now = lookup_of(row)
        if now.slots != lookup.slots:
            await self._rewrite(now, index_of(self._prefix, now, row["space"]), ids)

    async def _rewrite(self, lookup: Lookup, index: str, ids: Sequence[str]) -> None:
        """As the lookup is declared now; what is gone stays so."""
        documents, todo = Documents(lookup), list(ids)

        def prepare(stored: Mapping[str, Stored], _: Sequence[str]) -> list[Action]:
            return [_put(documents, found.item, found) for found in stored.values()]

        try:
            await self._server.declare(index, properties(lookup))
            while todo:
                todo = await self._attempt(documents, index, todo, prepare)
        except Gone:
            return

    # --- where items are ---------------------------------------------------------------------------------------------

    async def _row(self, lookup: Lookup) -> Mapping[Any, Any] | None:
        return await self._database.first(select(lookups).where(lookups.c.id == lookup.key))

    async def _ready(self, lookup: Lookup) -> str:
        """Where a writer writes: an index that is there and knows all fields."""
        of_space = select(lookups, lookup_spaces.c.created_at.label("since"))
        joined = of_space.join(lookup_spaces, lookup_spaces.c.number == lookups.c.space)
        row = await self._database.first(joined.where(lookups.c.id == lookup.key))
        if row is None:
            raise NotFound("the lookup does not exist")
        now = lookup_of(row)
        if now.slots != lookup.slots or now.declaration.key_types != lookup.declaration.key_types:
            raise Conflict("the lookup's keys or fields were changed in the meantime: try again")
        index = index_of(self._prefix, now, row["space"])
        if (index, now.slots) in self._declared:
            return index
        try:
            await self._server.declare(index, properties(now))
        except Gone:
            note = {"prefix": self._prefix, "space": row["space"], "created_at": row["since"].isoformat()}
            await self._make(now, index, note)
        self._declared.add((index, now.slots))
        return index

    async def _make(self, lookup: Lookup, index: str, note: Mapping[str, Any]) -> None:
        kind = await self._server.put_template(TEMPLATE, _template)
        body = settings_and_mappings(kind)
        body["mappings"]["properties"] |= properties(lookup)
        body["mappings"]["_meta"] = dict(note)
        await self._server.make(index, body | {"aliases": {alias_of(self._prefix, lookup.id): {}}})
        await self._server.declare(index, properties(lookup))

    def _forget(self, index: str) -> None:
        self._declared = {each for each in self._declared if each[0] != index}

    async def _stored(self, documents: Documents, index: str, ids: Sequence[str]) -> dict[str, Stored]:
        found = await self._server.get(index, ids, without=NOT_READ)
        return {hit["_id"]: Stored(documents.item(hit["_source"]), (hit["_seq_no"], hit["_primary_term"])) for hit in found}


def _template(kind: str) -> dict[str, Any]:
    """Bulk requests must not make an index by themselves: it would not know its fields."""
    return {"index_patterns": ["*.lkp"], "priority": 400, "allow_auto_create": False, "template": settings_and_mappings(kind)}


def _put(documents: Documents, item: Item, there: Stored | None) -> Action:
    return Action(item.id, documents.document(item), None if there is None else there.at)


def _live(stored: Mapping[str, Stored], item_id: str, now: float) -> Stored:
    found = stored.get(item_id)
    if found is None or not is_live(found.item, now):
        raise NotFound(f"there is no item {item_id}")
    return found


async def _pause() -> None:
    """So that those who are in each other's way do not meet again."""
    await asyncio.sleep(random.uniform(0.005, 0.05))  # noqa: S311  # no secret


def _crowded() -> Unavailable:
    return Unavailable("too many change the same items at once: try again")
