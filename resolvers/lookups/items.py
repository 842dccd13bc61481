"""Writing and deleting single items (contract lmio-watcher §6.3)."""

from __future__ import annotations

from core.lookups.declarations import Lookup
from core.lookups.ids import id_of
from core.policy import Verb
from resolvers.context import RequestContext
from resolvers.lookups.bodies import new_item, read_body
from resolvers.lookups.lookups import note
from resolvers.lookups.paths import ITEM, found


async def write_item(ctx: RequestContext, tenant: str, lookup_id: str, body: object) -> tuple[Lookup, str]:
    """Make the item that the body's key names, or merge into it; its id."""
    lookup, actor = await found(ctx, tenant, lookup_id, Verb.CREATE, ITEM)
    change = new_item(lookup.declaration, body)
    await ctx.services.lookups.store.write(lookup, [change])
    await note(ctx, actor, lookup, "item written", change.id)
    return lookup, change.id


async def update_item(ctx: RequestContext, tenant: str, lookup_id: str, item_id: str, body: object) -> tuple[Lookup, str]:
    """Merge into an item that is there; its id, another one if the body has other keys.

    Raises `NotFound` without the item, `Conflict` where another has that id.
    """
    lookup, actor = await found(ctx, tenant, lookup_id, Verb.UPDATE, ITEM)
    given = read_body(lookup.declaration, body)
    new_id = item_id if given.keys is None else id_of(lookup.declaration, given.keys)
    await ctx.services.lookups.store.update(lookup, item_id, given.change(new_id))
    await note(ctx, actor, lookup, "item updated", new_id)
    return lookup, new_id


async def delete_item(ctx: RequestContext, tenant: str, lookup_id: str, item_id: str) -> Lookup:
    """Raises `NotFound` without the item."""
    lookup, actor = await found(ctx, tenant, lookup_id, Verb.DELETE, ITEM)
    await ctx.services.lookups.store.delete(lookup, item_id)
    await note(ctx, actor, lookup, "item deleted", item_id)
    return lookup
