"""The domain's root fields for reading."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from typing import Any

import strawberry
from sqlalchemy import or_

from core.lookups.folding import fold
from core.policy import Verb
from engine.choices import choice, choices
from engine.connection import Connection
from engine.declare import Argument, ascending, lookup, many, pieces
from resolvers.lookups.exports import export
from resolvers.lookups.paths import ITEM, LOOKUP
from schema.lookups.access import about, may, reached
from schema.lookups.lookup import Lookup
from schema.lookups.pages import LARGEST_PAGE
from storage.sql.tables import lookups

BY_ID = ascending(lookups.c.lookup_id)

TENANT = "The tenant in whose name you ask."
ID = "`NAME.TENANT`, or `NAME` when it is global."

_ESCAPE = "\\"


def _pattern(text: str) -> str:
    folded = fold(text.strip())
    for special in (_ESCAPE, "%", "_"):
        folded = folded.replace(special, _ESCAPE + special)
    return f"%{folded}%"


LISTED = {
    "tenant": Argument(
        str, lambda tenant: or_(lookups.c.tenant == tenant, lookups.c.tenant.is_(None)), lookups.c.tenant, TENANT
    ),
    "text": Argument(
        str | None,
        lambda text: lookups.c.search_text.like(text, escape=_ESCAPE),
        lookups.c.search_text,
        "Only lookups that have this in id, name, label, group, descriptions or default expiration, whatever its case.",
        convert=_pattern,
    ),
}

# `LookupOrder` is that of a lookup's items.
DECLARATION_CHOICES = choices(
    "LookupDeclaration",
    {
        "name": choice(lookups.c.name, str, "Name within the tenant."),
        "label": choice(lookups.c.label, str, "What people call it."),
        "group": choice(lookups.c.group_name, str, "The group that it is searched with."),
        "type": choice(lookups.c.type, str, "What kind of table it is."),
        "is_global": choice(lookups.c.is_global, bool, "Whether it belongs to all tenants.", sortable=False),
        "created_at": choice(lookups.c.created_at, datetime, "When it was declared."),
        "modified_at": choice(lookups.c.updated_at, datetime, "When its declaration was last changed."),
    },
)


def _csv(ctx: Any, arguments: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    return export(ctx, arguments["tenant"], arguments["lookup_id"], expirations=bool(arguments.get("expirations")))


@strawberry.type
class LookupsQuery:
    """By tenant."""

    lookup: Lookup | None = lookup(
        str,
        "A lookup of the tenant, or a global one.",
        guard=may(Verb.READ, LOOKUP),
        argument="lookup_id",
        argument_description=ID,
        unique=lookups.c.lookup_id,
        reach=reached(Verb.READ),
        beside={"tenant": (str, TENANT)},
        about=about(Verb.READ),
    )
    lookups: Connection[Lookup] | None = many(
        BY_ID,
        "Lookups of the tenant and global ones, by id.",
        guard=may(Verb.LIST, LOOKUP),
        arguments=LISTED,
        largest_page=LARGEST_PAGE,
        choices=DECLARATION_CHOICES,
        reach=reached(Verb.LIST),
        about=about(Verb.LIST),
    )


@strawberry.type
class LookupsSubscription:
    """By tenant."""

    lookup_csv: str = pieces(
        _csv,
        "All items of a lookup as CSV, piece by piece; the first is the header.",
        guard=may(Verb.READ, ITEM),
        arguments={
            "tenant": (str, TENANT),
            "lookup_id": (str, "Which lookup."),
            "expirations": (bool | None, "Also when items expire, in a last column `_exp`."),
        },
        about=about(Verb.READ, ITEM),
    )
