"""Who may use which root field, and who sees which lookups (contract lmio-watcher §3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, true

from core.context import Context
from core.identity import LOOKUPS
from core.policy import SUPERUSER, Verb, resources
from engine.declare import About, Guard, Reach, Viewer
from resolvers.lookups import paths
from storage.sql.tables import lookups


def may(verb: Verb, resource: str) -> Guard:
    """Only for principals of the lookups domain whose credential is for that; which tenants, is asked with the tenant."""
    if resource not in resources(LOOKUPS):
        raise ValueError(f"policy has no rule for {resource!r}")

    def guard(ctx: Context) -> None:
        ctx.require(LOOKUPS, verb, resource)

    return guard


def about(verb: Verb, resource: str = paths.LOOKUP) -> About:
    """All that is asked before the rest of a call is read, of arguments or of those within one input object."""

    async def ask(ctx: Any, arguments: Mapping[str, Any]) -> None:
        given = arguments.get("input", arguments)
        if "lookupId" in given:
            await paths.found(ctx, given["tenant"], given["lookupId"], verb, resource)
        else:
            paths.enter(ctx, given["tenant"], verb, resource)

    return ask


def reached(verb: Verb) -> Reach:
    """The part of it that needs no store."""

    def ask(ctx: Any, arguments: Mapping[str, Any]) -> None:
        if "lookup_id" in arguments:
            paths.reach(ctx, arguments["tenant"], arguments["lookup_id"], verb)
        else:
            paths.enter(ctx, arguments["tenant"], verb)

    return ask


def readable_lookups(viewer: Viewer) -> ColumnElement[bool]:
    """All for superusers. Others: those of tenants in which they may read, and global ones if there is any such tenant."""
    role = viewer.role(LOOKUPS)
    if role is None:
        return false()
    if role == SUPERUSER:
        return true()
    own = viewer.reads_in(LOOKUPS, lookups.c.tenant)
    return or_(and_(lookups.c.tenant.is_not(None), own), and_(lookups.c.tenant.is_(None), viewer.reads_in(LOOKUPS)))
