"""Uploads of CSV files (contract lmio-watcher §9.1)."""

from __future__ import annotations

from core.lookups.declarations import Lookup
from core.policy import Verb
from core.uploads import Upload
from resolvers.context import RequestContext
from resolvers.lookups.csv_reading import checked_delimiter
from resolvers.lookups.lookups import note
from resolvers.lookups.paths import ITEM, found
from resolvers.lookups.uploading import Uploaded, upload


async def upload_items(
    ctx: RequestContext, tenant: str, lookup_id: str, file: Upload, delimiter: str | None = None
) -> tuple[Lookup, Uploaded]:
    """Merge every row of the file; none of them if one is wrong. It may take long, as long as there is progress."""
    lookup, actor = await found(ctx, tenant, lookup_id, Verb.UPDATE, ITEM)
    services = ctx.services.lookups
    uploaded = await upload(
        services.store,
        lookup,
        file.reader(),
        services.folder,
        delimiter=checked_delimiter(delimiter),
        longest_cell=services.longest_cell,
        chunk=services.chunk,
        progress=ctx.renew,
    )
    await note(ctx, actor, lookup, "items uploaded", uploaded.count)
    return lookup, uploaded
