"""Declaring, changing and deleting lookups (contract lmio-watcher §5)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from core.errors import Conflict
from core.identity import LOOKUPS, Principal
from core.lookups.declarations import Declaration, Lookup
from core.policy import Verb
from core.vocabulary import AuditAction
from resolvers import audit
from resolvers.context import RequestContext
from resolvers.lookups.declarations import changed, declared, needs_no_items
from resolvers.lookups.paths import enter, found, require_global
from storage.lookups import registry
from storage.sql.database import Transaction
from storage.sql.tables import lookups

_ENTITY = "lookup"


async def create_lookup(ctx: RequestContext, tenant: str, body: object) -> Lookup:
    """Raises `InvalidInput` for what is no declaration, `Conflict` for an id that is taken."""
    actor = enter(ctx, tenant, Verb.CREATE)
    declaration = declared(body)
    require_global(actor, tenant, None if declaration.is_global else tenant, Verb.CREATE)
    async with ctx.sql.transaction() as transaction:
        at = ctx.clock()
        lookup = await registry.add(transaction, declaration, tenant, at)
        await _log(transaction, actor, AuditAction.CREATE, lookup, at)
    await ctx.services.lookups.store.create(lookup)
    return lookup


async def update_lookup(ctx: RequestContext, tenant: str, lookup_id: str, body: object) -> Lookup:
    """With the attributes that are given. Raises `Conflict` for what is possible only without items."""
    store = ctx.services.lookups.store
    lookup, actor = await found(ctx, tenant, lookup_id, Verb.UPDATE)
    async with ctx.sql.transaction() as transaction:
        held, at = await registry.held(transaction, lookup.key), ctx.clock()
        declaration = changed(held.declaration, body)
        reason = needs_no_items(held.declaration, declaration)
        if reason is not None and await store.count(held):
            raise Conflict(reason)
        new = await registry.change(transaction, held, declaration, at)
        await _log(transaction, actor, AuditAction.UPDATE, held, at, _between(held.declaration, declaration))
    await store.redeclare(new)
    return new


async def delete_lookup(ctx: RequestContext, tenant: str, lookup_id: str) -> UUID:
    """With all of its items."""
    lookup, actor = await found(ctx, tenant, lookup_id, Verb.DELETE)
    async with ctx.sql.transaction() as transaction:
        held, at = await registry.held(transaction, lookup.key), ctx.clock()
        await registry.remove(transaction, held)
        await _log(transaction, actor, AuditAction.DELETE, held, at)
    await ctx.services.lookups.store.drop(held)
    return held.key


async def clear_lookup(ctx: RequestContext, tenant: str, lookup_id: str) -> Lookup:
    """The declaration stays."""
    lookup, actor = await found(ctx, tenant, lookup_id, Verb.DELETE)
    await ctx.services.lookups.store.clear(lookup)
    await note(ctx, actor, lookup, "items", "cleared")
    return lookup


async def note(ctx: RequestContext, actor: Principal, lookup: Lookup, what: str, value: object) -> None:
    """Log what happened to items, which may live in another store: afterwards, in a transaction of its own."""
    async with ctx.sql.transaction() as transaction:
        await _log(transaction, actor, AuditAction.UPDATE, lookup, ctx.clock(), audit.noted(what, value))


async def _log(
    transaction: Transaction,
    actor: Principal,
    action: AuditAction,
    lookup: Lookup,
    at: datetime,
    changes: audit.Changes | None = None,
) -> None:
    transaction.announce(lookups, lookup.key, at, action)
    await audit.record(transaction, actor, action, domain=LOOKUPS, entity=_ENTITY, key=lookup.key, at=at, changes=changes)


def _between(before: Declaration, after: Declaration) -> audit.Changes:
    """What differs, as a client reads declarations."""
    old, new = described(before), described(after)
    return {name: {"before": old[name], "after": new[name]} for name in old if old[name] != new[name]}


def described(declaration: Declaration) -> dict[str, Any]:
    """As JSON, without what follows from the id."""
    return {
        "label": declaration.label,
        "group": declaration.group,
        "type": declaration.type,
        "keys": [{"name": key.name, "type": key.type.value} for key in declaration.keys],
        "fields": {each.name: {"type": each.type.value, **each.more} for each in declaration.fields},
        "description_title": declaration.description_title,
        "description_content": declaration.description_content,
        "default_expiration": declaration.default_expiration,
        "feed_path": declaration.feed_path,
    }
