"""Lookup: a named table of a tenant, or of all tenants (contract lmio-watcher §5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import strawberry
from sqlalchemy import ColumnElement

from core.context import Context
from core.lookups.declarations import Declaration
from core.lookups.declarations import Lookup as Declared
from core.lookups.items import Stats
from core.vocabulary import ValueType
from engine.connection import Connection
from engine.declare import Node, batch, column, stored
from engine.kinds import Asked
from engine.scalars import JSON, Long
from resolvers.context import RequestContext
from resolvers.lookups import exports
from resolvers.lookups.reading import COLUMNS, lookup_from
from schema.lookups.access import readable_lookups
from schema.lookups.lookup_item import LookupItem
from schema.lookups.pages import (
    GEOPOINT,
    LARGEST_PAGE,
    MOST_VALUES,
    LookupOrder,
    LookupValue,
    for_each,
    matching_items,
    one_item,
    page_of_items,
)
from storage.sql.tables import lookups

strawberry.enum(ValueType, name="LookupValueType", description="What a key part or a field of a lookup holds.")


@strawberry.type(description="One part of a lookup's key.")
class LookupKey:
    """An item has a value for each."""

    name: str = strawberry.field(description="What it is called.")
    type: ValueType = strawberry.field(description="What it holds.")


@strawberry.type(description="A field of a lookup's items.")
class LookupField:
    """An item may have a value for it."""

    name: str = strawberry.field(description="What it is called.")
    type: ValueType = strawberry.field(description="What it holds.")
    more: JSON = strawberry.field(description="What clients keep there: labels, defaults.")


@strawberry.type(description="How much a lookup holds.")
class LookupStats:
    """Without what has expired."""

    items: Long = strawberry.field(description="Items.")
    expiring: Long = strawberry.field(description="Of these, how many expire some day.")
    bytes: Long = strawberry.field(description="Bytes of keys, fields and search text, roughly as they are stored.")


async def _declared_keys(_: Context, rows: Sequence[Sequence[Any]]) -> list[Any]:
    return [lookup_from(row).declaration.keys for row in rows]


async def _declared_fields(_: Context, rows: Sequence[Sequence[Any]]) -> list[Any]:
    return [
        [LookupField(name=each.name, type=each.type, more=dict(each.more)) for each in lookup_from(row).declaration.fields]
        for row in rows
    ]


async def _schemas(_: Context, rows: Sequence[Sequence[Any]]) -> list[Any]:
    return [_schema(lookup_from(row).declaration) for row in rows]


def _schema(declaration: Declaration) -> dict[str, Any]:
    """As the vendor's library has it."""
    return {
        "define": {"type": declaration.type, "name": declaration.name, "group": declaration.group},
        "keys": [{"name": key.name, "type": key.type.value} for key in declaration.keys],
        "fields": {each.name: {"type": each.type.value, **each.more} for each in declaration.fields},
    }


async def _seconds(_: Context, rows: Sequence[Sequence[Any]]) -> list[int]:
    return [int(datetime.fromisoformat(stored).timestamp()) for (stored,) in rows]


async def stats(ctx: RequestContext, lookup: Declared, _: Asked) -> Stats:
    """Counted now."""
    return await ctx.services.lookups.store.stats(lookup)


async def sample(ctx: RequestContext, lookup: Declared, _: Asked) -> str:
    """A few."""
    return await exports.sample(ctx, lookup)


def _seconds_of(time: ColumnElement[Any], what: str) -> Any:
    return batch(_seconds, f"When it {what}, in seconds since 1970.", needs=[time])


@stored(lookups, visible=readable_lookups)
class Lookup(Node):
    """A named table with typed keys and fields, by which other systems enrich what they process."""

    local_id: str = column(lookups.c.lookup_id, "Its id: `NAME.TENANT`, or `NAME` when it is global.")
    name: str = column(lookups.c.name, "Name within the tenant.")
    label: str = column(lookups.c.label, "What people call it.")
    group: str | None = column(lookups.c.group_name, "Lookups of one group are searched together by enrichers.")
    type: str = column(lookups.c.type, "What kind of table it is: `lookup/string`, `lookup/ipaddressrange` and so on.")
    is_global: bool = column(lookups.c.is_global, "Whether it belongs to all tenants.")
    tenant: str | None = column(lookups.c.tenant, "The tenant that it belongs to; null when it is global.")
    keys: list[LookupKey] = batch(_declared_keys, "The parts of its key.", needs=COLUMNS)
    key_list: JSON = column(lookups.c["keys"], "The same as an array of objects with `name` and `type`.")
    fields: list[LookupField] = batch(_declared_fields, "Its fields, in order.", needs=COLUMNS)
    field_map: JSON = column(lookups.c.fields, "The same as an object: `type` and what clients keep there, by name.")
    schema: JSON = batch(_schemas, "Definition, keys and fields as the vendor's library has them.", needs=COLUMNS)
    description_title: str | None = column(lookups.c.description_title, "Title of its description.")
    description_content: str | None = column(lookups.c.description_content, "Its description.")
    default_expiration: Long | None = column(lookups.c.default_expiration, "How long new items live, in seconds.")
    feed_path: str | None = column(lookups.c.feed_path, "Kept for clients.")
    created_at: datetime = column(lookups.c.created_at, "When it was declared.")
    created_seconds: Long = _seconds_of(lookups.c.created_at, "was declared")
    modified_at: datetime = column(lookups.c.updated_at, "When its declaration was last changed.")
    modified_seconds: Long = _seconds_of(lookups.c.updated_at, "was last changed")
    version: int = column(lookups.c.version, "Grows with each change.")
    stats: LookupStats | None = batch(for_each(stats), "How much it holds.", needs=COLUMNS)
    sample: str | None = batch(for_each(sample), "Its first items as CSV.", needs=COLUMNS)
    item: LookupItem | None = batch(
        for_each(one_item),
        "One item; null if there is none, or none any more.",
        needs=COLUMNS,
        arguments={"item_id": (str, "Its id.")} | GEOPOINT,
    )
    match: list[LookupItem | None] | None = batch(
        for_each(matching_items),
        f"The item that each value leads to, by key or, where items are ranges, by address; at most {MOST_VALUES} at a time. "
        "Null where there is none, or the value does not fit.",
        needs=COLUMNS,
        arguments={"values": (list[str], "As text; parts of a key as in CSV: `a,b`, or a JSON array.")} | GEOPOINT,
    )
    items: Connection[LookupItem] | None = batch(
        for_each(page_of_items),
        "Its items, by id unless an order is given.",
        needs=COLUMNS,
        arguments={
            "text": (str | None, "Only items that have this in a key part, their id or a text field, whatever its case."),
            "where": (LookupValue | None, "Only items that have this value."),
            "order_by": (list[LookupOrder] | None, "Sorted by these in turn, then by id."),
        }
        | GEOPOINT,
        largest_page=LARGEST_PAGE,
    )
