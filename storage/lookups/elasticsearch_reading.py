"""Reading items from Elasticsearch. The database says in which index they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from sqlalchemy import select

from core.clock import utc_now
from core.lookups.declarations import Lookup
from core.lookups.ids import id_of
from core.lookups.items import EVERYTHING, Item, Place, Query, Stats
from core.lookups.values import Value
from storage.lookups.elasticsearch_documents import (
    NOT_READ,
    Documents,
    in_range,
    index_of,
    key_part,
    shortened,
)
from storage.lookups.elasticsearch_queries import BY_ID, among, matching, order, place_in
from storage.lookups.elasticsearch_server import WINDOW, Server
from storage.sql.database import Database
from storage.sql.tables import lookups

AT_A_TIME = 1_000
"""Items that are removed or rewritten, and keys that are looked for, in one request."""

ADDRESSES = 100
"""That are looked for in one request."""


class Reader:
    """Of all lookups."""

    def __init__(
        self,
        server: Server,
        database: Database,
        now: Callable[[], float] = lambda: utc_now().timestamp(),
        prefix: str = "",
    ) -> None:
        self._server, self._database, self._now, self._prefix = server, database, now, prefix
        self._declared: set[tuple[str, tuple[int, ...]]] = set()

    # --- reading -----------------------------------------------------------------------------------------------------

    async def get(self, lookup: Lookup, ids: Sequence[str]) -> list[Item | None]:
        index = await self._index(lookup)
        if index is None or not ids:
            return [None for _ in ids]
        now, documents = self._now(), Documents(lookup)
        found: dict[str, Item] = {}
        wanted = list(dict.fromkeys(ids))
        for begin in range(0, len(wanted), AT_A_TIME):
            for hit in await self._server.get(index, wanted[begin : begin + AT_A_TIME], without=NOT_READ):
                item = documents.item(hit["_source"])
                if is_live(item, now):
                    found[item.id] = item
        return [found.get(item_id) for item_id in ids]

    async def find(self, lookup: Lookup, keys: Sequence[Sequence[Value]]) -> list[Item | None]:
        index = await self._index(lookup)
        if index is None:
            return [None for _ in keys]
        if lookup.declaration.has_ranges:
            return await self._find_ranges(lookup, index, [str(address) for (address,) in keys])
        ids, documents = [shortened(id_of(lookup.declaration, key)) for key in keys], Documents(lookup)
        found: dict[str, Item] = {}
        wanted = list(dict.fromkeys(ids))
        for begin in range(0, len(wanted), AT_A_TIME):
            some = wanted[begin : begin + AT_A_TIME]
            query = among([{"terms": {"_key": some}}], self._now())
            body = _read({"query": query, "sort": BY_ID, "size": len(some), "collapse": {"field": "_key"}})
            for hit in (await self._server.search(index, body))["hits"]["hits"]:
                found[hit["_source"]["_key"]] = documents.item(hit["_source"])
        return [found.get(key_id) for key_id in ids]

    async def _find_ranges(self, lookup: Lookup, index: str, addresses: Sequence[str]) -> list[Item | None]:
        kind, documents, now = lookup.declaration.keys[0].type, Documents(lookup), self._now()
        narrowest = [{key_part(0): {"order": "desc", "unmapped_type": "keyword"}}]
        narrowest += [{key_part(1): {"order": "asc", "unmapped_type": "keyword"}}, *BY_ID]  # type: ignore[list-item]  # as Elasticsearch has it
        found: list[Item | None] = []
        for begin in range(0, len(addresses), ADDRESSES):
            bodies = [
                _read({"query": among([{"term": {"_range": in_range(kind, each)}}], now), "sort": narrowest, "size": 1})
                for each in addresses[begin : begin + ADDRESSES]
            ]
            each_found = await self._server.search_each(index, bodies)
            found += [documents.item(hits[0]["_source"]) if hits else None for hits in each_found]
        return found

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
        index = await self._index(lookup)
        if index is None or limit <= 0:
            return []
        body: dict[str, Any] = {
            "query": matching(lookup, query, self._now()),
            "sort": order(lookup, query, backward=backward),
            "track_total_hits": False,
        }
        after = None if place is None else place_in(lookup, query, place)
        hits = await self._hits(index, body, after, offset, limit)
        items = _items(Documents(lookup), hits)
        return items[::-1] if backward else items

    async def _hits(
        self, index: str, body: dict[str, Any], after: list[Any] | None, offset: int, limit: int
    ) -> list[Mapping[str, Any]]:
        if offset + limit <= WINDOW and (after is None or offset == 0):
            more: dict[str, Any] = {"from": offset} if after is None else {"search_after": after}
            return list((await self._server.search(index, _read(body | more | {"size": limit})))["hits"]["hits"])
        found: list[Mapping[str, Any]] = []
        async with aclosing(self._server.batches(index, _read(body | {"size": min(limit, WINDOW)}), after, offset)) as batches:
            async for hits in batches:
                found += hits
                if len(found) >= limit:
                    break
        return found[:limit]

    async def count(self, lookup: Lookup, query: Query = EVERYTHING) -> int:
        index = await self._index(lookup)
        if index is None:
            return 0
        body = {"query": matching(lookup, query, self._now()), "size": 0, "track_total_hits": True}
        return int((await self._server.search(index, body))["hits"]["total"]["value"])

    async def walk(self, lookup: Lookup, *, batch: int = 1_000) -> AsyncIterator[list[Item]]:
        index = await self._index(lookup)
        if index is None:
            return
        documents = Documents(lookup)
        body = _read({"query": among([], self._now()), "sort": BY_ID, "size": batch, "track_total_hits": False})
        async with aclosing(self._server.batches(index, body)) as batches:
            async for hits in batches:
                yield await asyncio.to_thread(_items, documents, hits)

    async def stats(self, lookup: Lookup) -> Stats:
        index = await self._index(lookup)
        if index is None:
            return Stats(0, 0, 0)
        sums = {"expiring": {"value_count": {"field": "_exp"}}, "bytes": {"sum": {"field": "_size"}}}
        body = {"query": among([], self._now()), "size": 0, "track_total_hits": True, "aggs": sums}
        found = await self._server.search(index, body)
        total = int(found["hits"]["total"]["value"])
        if not total:
            return Stats(0, 0, 0)
        return Stats(total, int(found["aggregations"]["expiring"]["value"]), int(found["aggregations"]["bytes"]["value"]))

    async def _index(self, lookup: Lookup) -> str | None:
        """Where a reader looks; None when the lookup is gone."""
        row = await self._database.first(select(lookups.c.space).where(lookups.c.id == lookup.key))
        return None if row is None else index_of(self._prefix, lookup, row["space"])


def _read(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"_source": {"excludes": list(NOT_READ)}}


def _items(documents: Documents, hits: Sequence[Mapping[str, Any]]) -> list[Item]:
    return [documents.item(hit["_source"]) for hit in hits]


def is_live(item: Item, now: float) -> bool:
    """Whether it has not expired."""
    return item.expires_at is None or item.expires_at > now
