"""Items of lookups as they are asked for: by id, by value, page by page. One call to the store for each lookup of a level."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import strawberry

from core.errors import DomainError, InvalidInput
from core.lookups.declarations import Lookup
from core.lookups.items import Equal, Item, Query, place_of, type_of
from core.lookups.values import KINDS
from core.sql import Row
from core.vocabulary import ValueType
from engine.choices import SortDirection
from engine.connection import Page, page_of, slice_of
from engine.declare import limited
from engine.keyset import encode_cursor, fingerprint, read_cursor
from engine.kinds import Asked
from resolvers.context import RequestContext
from resolvers.lookups.queries import equal_to, sort_terms
from resolvers.lookups.reading import keys_from, lookup_from
from schema.lookups.lookup_item import GeopointForm, ShownItem

LARGEST_PAGE = 10_000
MOST_VALUES = 1_000
"""That are looked for at a time."""

NOTHING = Asked({})

GEOPOINT: dict[str, tuple[Any, str]] = {"geopoint": (GeopointForm | None, "How places are written (default: packed).")}


@strawberry.input(description="A term to sort items by. Items without the value come last in both directions.")
class LookupOrder:
    """Terms that are not declared are left out."""

    field: str = limited("A declared field, the name of a key part, `_id` or `_exp`.")
    direction: SortDirection = limited("Which way.", default=SortDirection.ASC)


@strawberry.input(description="A value that items have, in any of its spellings.")
class LookupValue:
    """Compared exactly."""

    field: str = limited("A declared field, the name of a key part, or `_id`.")
    value: str = limited("As text, like a cell of a CSV file.")


def form_of(asked: Asked) -> GeopointForm:
    """How places are written."""
    return asked.arguments.get("geopoint") or GeopointForm.PACKED


def for_each(load: Callable[[RequestContext, Lookup, Asked], Awaitable[Any]]) -> Callable[..., Awaitable[list[Any]]]:
    """A batch of lookups, each of which may fail for itself."""

    async def load_all(ctx: RequestContext, rows: Sequence[Row], asked: Asked = NOTHING) -> list[Any]:
        found: list[Any] = []
        for row in rows:
            try:
                found.append(await load(ctx, lookup_from(row), asked))
            except DomainError as error:
                found.append(error)
        return found

    load_all.__qualname__ = load.__qualname__
    return load_all


async def one_item(ctx: RequestContext, lookup: Lookup, asked: Asked) -> ShownItem | None:
    """By its id."""
    (item,) = await ctx.services.lookups.store.get(lookup, [asked.arguments["item_id"]])
    return None if item is None else ShownItem(item, lookup, form_of(asked))


async def matching_items(ctx: RequestContext, lookup: Lookup, asked: Asked) -> list[ShownItem | None]:
    """For each value the item that it leads to."""
    values: Sequence[str] = asked.arguments["values"]
    if len(values) > MOST_VALUES:
        raise InvalidInput(f"{len(values)} values; at most {MOST_VALUES} are looked for", field="values")
    return await items_for(ctx, lookup, values, form_of(asked))


async def items_for(
    ctx: RequestContext, lookup: Lookup, values: Sequence[str | None], form: GeopointForm
) -> list[ShownItem | None]:
    """For each value the item that it leads to, in one call to the store; null leads to none."""
    distinct = list(dict.fromkeys(value for value in values if value is not None))
    keys = {value: key for value, key in zip(distinct, keys_from(lookup, distinct), strict=True) if key is not None}
    found = await ctx.services.lookups.store.find(lookup, list(keys.values())) if keys else []
    items: dict[str | None, ShownItem] = {
        value: ShownItem(item, lookup, form) for value, item in zip(keys, found, strict=True) if item is not None
    }
    return [items.get(value) for value in values]


async def page_of_items(ctx: RequestContext, lookup: Lookup, asked: Asked) -> Page:
    """One page, and how many there are in all, as far as it is asked for."""
    store, form = ctx.services.lookups.store, form_of(asked)
    wanted = slice_of(asked.arguments, LARGEST_PAGE)
    query = _query(lookup, asked)
    sorts = () if query is None else query.sorts
    mark = fingerprint("items", lookup.key, repr(query))
    if wanted.cursor is not None:
        fits = [*(partial(_fits, _kind(lookup, sort.name)) for sort in sorts), partial(_fits, ValueType.STR)]
        wanted = replace(wanted, place=tuple(read_cursor(wanted.cursor, mark, fits, wanted.cursor_argument)))
    found: list[Item] = []
    if query is not None and asked.rows:
        found = await store.page(
            lookup,
            query,
            limit=wanted.size + asked.more,
            offset=wanted.offset,
            place=wanted.place,
            backward=wanted.backward,
        )
    total = None
    if asked.total:
        total = 0 if query is None else await store.count(lookup, query)
    read = found[::-1] if wanted.backward else found

    def cursor(shown: ShownItem) -> str:
        return encode_cursor(mark, place_of(shown.item, lookup.declaration, sorts))

    return page_of([ShownItem(item, lookup, form) for item in read], wanted, cursor, total)


def _query(lookup: Lookup, asked: Asked) -> Query | None:
    """None where nothing can be found."""
    declaration, where = lookup.declaration, asked.arguments.get("where")
    equals: tuple[Equal, ...] = ()
    if where is not None:
        equal = equal_to(declaration, where["field"], where["value"])
        if equal is None:
            return None
        equals = (equal,)
    order = asked.arguments.get("order_by") or ()
    sorts = sort_terms(declaration, [(each["field"], _direction(each.get("direction"))) for each in order])
    return Query(asked.arguments.get("text") or "", equals, sorts)


def _direction(given: Any) -> str:
    return "d" if given is SortDirection.DESC else "a"


def _kind(lookup: Lookup, name: str) -> ValueType:
    kind = type_of(lookup.declaration, name)
    assert kind is not None, "what is not declared is no term"
    return kind


def _fits(kind: ValueType, value: object) -> bool:
    """Whether an item could have that value."""
    if value is None:
        return True
    try:
        return KINDS[kind].from_json(value) == value
    except ValueError:
        return False
