"""What is asked of every call before its own arguments are looked at, in this order (contract lmio-watcher §3.2)."""

from __future__ import annotations

import re

from core.errors import Forbidden, NotFound, Refused, Unauthenticated
from core.identity import LOOKUPS, Principal
from core.lookups.declarations import Lookup, belongs
from core.policy import SUPERUSER, Verb, may_enter, may_in
from resolvers.context import RequestContext
from storage.lookups import registry

LOOKUP, ITEM = "lookup", "lookup item"

FOREIGN = "TENANT-NO-ACCESS"

_TENANT = re.compile(r"[a-z][a-z0-9._-]{2,31}")
"""What a superuser may call a tenant, where no list says which there are."""


def enter(ctx: RequestContext, tenant: str, verb: Verb, resource: str = LOOKUP) -> Principal:
    """Rows 2 to 5. Raises `NotFound` for an unknown tenant, `Unauthenticated`, or `Forbidden`."""
    known = ctx.services.lookups.tenants
    if known is not None and tenant not in known:
        raise NotFound("Tenant not found.")
    principal = ctx.principals.of(LOOKUPS)
    if principal is None:
        raise Unauthenticated
    unheard_of = known is None and principal.role == SUPERUSER and not _TENANT.fullmatch(tenant)
    if unheard_of or not may_enter(principal, tenant) or not may_in(principal, tenant, verb, resource):
        raise Forbidden("Forbidden")
    return principal


def reach(ctx: RequestContext, tenant: str, lookup_id: str, verb: Verb, resource: str = LOOKUP) -> Principal:
    """Rows 2 to 6: as `enter`, and `Refused` for the id of another tenant's lookup, whether or not there is one."""
    principal = enter(ctx, tenant, verb, resource)
    if not belongs(lookup_id, tenant):
        raise Refused(FOREIGN, explanation="this id is not one of the tenant's")
    return principal


async def found(
    ctx: RequestContext, tenant: str, lookup_id: str, verb: Verb, resource: str = LOOKUP
) -> tuple[Lookup, Principal]:
    """Rows 2 to 8: as `reach`, and `NotFound`, or `Forbidden` for a global lookup that is not the caller's to change."""
    principal = reach(ctx, tenant, lookup_id, verb, resource)
    lookup = await registry.find(ctx.sql, lookup_id)
    if lookup is None:
        raise NotFound("Lookup not found")
    require_global(principal, tenant, lookup.tenant, verb)
    return lookup, principal


def require_global(principal: Principal, tenant: str, owner: str | None, verb: Verb) -> None:
    """Row 8: to change what belongs to all tenants takes more."""
    if not may_in(principal, tenant, verb, LOOKUP, for_all=owner is None):
        raise Forbidden("Forbidden")
