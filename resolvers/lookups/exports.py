"""Items as CSV: all of them piece by piece, or a few (contract lmio-watcher §9.2, §9.3)."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from core.lookups.declarations import Lookup
from core.policy import Verb
from resolvers.context import RequestContext
from resolvers.lookups.csv_writing import SAMPLE, CsvWriter
from resolvers.lookups.paths import ITEM, found


async def export(ctx: RequestContext, tenant: str, lookup_id: str, *, expirations: bool = False) -> AsyncGenerator[str, None]:
    """The header, then the items by id, some of them at a time."""
    lookup, _ = await found(ctx, tenant, lookup_id, Verb.READ, ITEM)
    writer = CsvWriter(lookup.declaration, expirations=expirations)
    yield writer.header()
    async for items in ctx.services.lookups.store.walk(lookup):
        yield writer.rows(items)


async def sample(ctx: RequestContext, lookup: Lookup) -> str:
    """The header, and the first items."""
    writer = CsvWriter(lookup.declaration)
    return writer.header() + writer.rows(await ctx.services.lookups.store.page(lookup, limit=SAMPLE))
