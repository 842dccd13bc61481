"""How types of other domains lead from a value of theirs to the item of a lookup: a field `lookupItem`, by a line in each.

What may be read of lookups is as in their own domain. It is asked once for a level, and so is the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement

from core.policy import Verb
from core.sql import Row
from engine.declare import batch
from engine.kinds import Asked
from resolvers.context import RequestContext
from resolvers.lookups import paths
from schema.lookups.access import may
from schema.lookups.lookup_item import ShownItem
from schema.lookups.pages import GEOPOINT, form_of, items_for
from schema.lookups.queries import ID, TENANT

Value = Callable[[Any, Mapping[str, Any]], str | None]
"""From what is stored in the column, and the arguments of the field, to what is looked up: text, as a cell of a CSV file has it."""


def enrichment(
    column: ColumnElement[Any],
    value: Value,
    description: str,
    *,
    arguments: Mapping[str, tuple[Any, str]] | None = None,
) -> Any:
    """A field of type `LookupItem | None`: the item that a value of the row leads to, by key or, where items are ranges, by address.

    Null where the value is null or does not fit, and where there is no item. A lookup that is not there, or not for whoever
    asks, is an error, as it is for `lookup` and the changes of lookups.
    """

    async def lookup_items(ctx: RequestContext, rows: Sequence[Row], asked: Asked) -> list[ShownItem | None]:
        given = asked.arguments
        lookup, _ = await paths.found(ctx, given["tenant"], given["lookup_id"], Verb.READ, paths.ITEM)
        return await items_for(ctx, lookup, [value(stored, given) for (stored,) in rows], form_of(asked))

    return batch(
        lookup_items,
        description,
        needs=[column],
        guard=may(Verb.READ, paths.ITEM),
        arguments={"tenant": (str, TENANT), "lookup_id": (str, ID)} | dict(arguments or {}) | GEOPOINT,
    )
