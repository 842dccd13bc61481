"""Items in Elasticsearch: a document each, an index for each lookup and for each time that it was cleared.

Declarations stay in the relational store, whose rows say which index is the one of now: what a clear or a deletion left is
reached by nobody, whether or not Elasticsearch could be told. Writers compare the sequence numbers of what they merge into.
"""

from __future__ import annotations

import logging

from sqlalchemy import select

from core.clock import utc_now
from core.errors import Conflict, NotFound, Unavailable
from core.lookups.declarations import Lookup
from storage.lookups.elasticsearch_documents import index_of
from storage.lookups.elasticsearch_queries import BY_ID, expired
from storage.lookups.elasticsearch_reading import AT_A_TIME
from storage.lookups.elasticsearch_server import Action, Gone
from storage.lookups.elasticsearch_uploading import Uploader
from storage.lookups.registry import forget, held_row, lookup_of, refill, unreached
from storage.sql.tables import lookups

log = logging.getLogger(__name__)


class ElasticsearchLookupStore(Uploader):
    """For the declarations in a database. The prefix keeps installations apart that share one Elasticsearch."""

    # --- whole lookups -----------------------------------------------------------------------------------------------

    async def create(self, lookup: Lookup) -> None:
        """Make its index. The declaration is there already, so a server that is down only means that the first write does it."""
        try:
            await self._ready(lookup)
        except (Unavailable, NotFound, Conflict) as error:
            log.warning("the index of the lookup %s is made later: %s", lookup.id, error.detail)

    async def drop(self, lookup: Lookup) -> None:
        """Remove its indexes. The declaration is gone already, so what cannot be removed now is left to `purge`."""
        try:
            for index in await self._server.notes(index_of(self._prefix, lookup, "*")):
                self._forget(index)
                await self._server.remove(index)
        except (Unavailable, Gone) as error:
            log.warning("the index of the lookup %s is removed later: %s", lookup.id, error)

    async def clear(self, lookup: Lookup) -> None:
        async with self._database.transaction() as transaction:
            await held_row(transaction, lookup.key)
        await self._server.version()  # while it does not answer, nothing is cleared
        async with self._database.transaction() as transaction:
            row = await held_row(transaction, lookup.key)
            await refill(transaction, lookup.key, utc_now())
        now = lookup_of(row)
        old = index_of(self._prefix, now, row["space"])
        try:
            await self._ready(now)
        except NotFound:
            log.info("the lookup %s was deleted while it was cleared", lookup.id)
        self._forget(old)
        await self._server.remove(old)

    async def redeclare(self, lookup: Lookup) -> None:
        try:
            await self._catch_up(lookup)
        except Unavailable as error:
            log.warning("items of the lookup %s are brought in line later: %s", lookup.id, error.detail)

    async def _catch_up(self, lookup: Lookup) -> None:
        """Rewrite all items, if fields were dropped."""
        while (row := await self._row(lookup)) is not None and row["behind"]:
            now = lookup_of(row)
            index = index_of(self._prefix, now, row["space"])
            body = {"query": {"match_all": {}}, "sort": BY_ID, "size": AT_A_TIME, "_source": False, "track_total_hits": False}
            async for hits in self._server.batches(index, body):  # to its end, unless something is raised
                await self._rewrite(now, index, [hit["_id"] for hit in hits])
            async with self._database.transaction() as transaction:
                last = await transaction.get(lookups, lookup.key)
                if last is not None and last["version"] == row["version"] and last["space"] == row["space"]:
                    await transaction.update(lookups, lookup.key, behind=False)

    async def purge(self) -> int:
        for row in await self._database.all(select(lookups).where(lookups.c.behind)):
            await self._catch_up(lookup_of(row))
        removed = 0
        notes = await self._server.notes(f"{self._prefix}*~~*.lkp")
        for row in await self._database.all(select(lookups)):
            index = index_of(self._prefix, lookup_of(row), row["space"])
            if index in notes:
                removed += await self._remove_expired(index)
        for space in await unreached(self._database):
            mark = {"prefix": self._prefix, "space": space["number"], "created_at": space["created_at"].isoformat()}
            for index in (name for name, note in notes.items() if mark.items() <= note.items()):
                counted = await self._server.search(index, {"size": 0, "track_total_hits": True})
                await self._server.remove(index)
                removed += int(counted["hits"]["total"]["value"])
            await forget(self._database, space["number"])
        return removed

    async def _remove_expired(self, index: str) -> int:
        """What somebody has written anew meanwhile stays."""
        removed = 0
        body = {"query": expired(self._now()), "sort": BY_ID, "size": AT_A_TIME, "_source": False, "seq_no_primary_term": True}
        async for hits in self._server.batches(index, body):
            results = await self._server.bulk(
                index, [Action(hit["_id"], None, (hit["_seq_no"], hit["_primary_term"])) for hit in hits]
            )
            removed += sum(not result.conflict for result in results)
        return removed
