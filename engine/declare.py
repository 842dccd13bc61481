"""How a schema says where its fields come from. There are four kinds: a column, a relation to one or many, a batch, a resolver.

A declaration is data on a Strawberry field: plans read it, and graphql-core resolves the same declaration when a plan refuses.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, TypeVar, dataclass_transform

import strawberry
from graphql import GraphQLField
from sqlalchemy import ColumnElement, Table
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.field import StrawberryField

from engine.constraints import Constraint
from engine.kinds import (
    DEFAULT_PAGE,
    LARGEST_PAGE,
    About,
    Argument,
    Batch,
    Choices,
    Column,
    GlobalId,
    Guard,
    Kind,
    Live,
    Many,
    One,
    Order,
    Pieces,
    Reach,
    Round,
    Some,
    Stored,
    Topic,
    Total,
    Viewer,
    Visible,
)

__all__ = [
    "INCLUDE_DELETED",
    "About",
    "Argument",
    "Guard",
    "Node",
    "Order",
    "Reach",
    "Round",
    "Topic",
    "Viewer",
    "Visible",
    "ascending",
    "batch",
    "column",
    "descending",
    "equals",
    "limited",
    "live",
    "lookup",
    "many",
    "node_lookup",
    "one",
    "own_row",
    "pieces",
    "resolver",
    "shared",
    "since",
    "some",
    "stored",
    "stream",
    "until",
    "within",
]

T = TypeVar("T", bound=type)

_KIND, _GUARD, _ABOUT = "switchyard.kind", "switchyard.guard", "switchyard.about"


# --- orders and filters -------------------------------------------------------------------------------------------------


def ascending(*columns: ColumnElement[Any]) -> tuple[Order, ...]:
    """Smallest first, nulls last."""
    return tuple(_order(column, descending=False) for column in columns)


def descending(*columns: ColumnElement[Any]) -> tuple[Order, ...]:
    """Largest first, nulls last."""
    return tuple(_order(column, descending=True) for column in columns)


def _order(column: ColumnElement[Any], *, descending: bool) -> Order:
    return Order(column, descending, nullable=bool(getattr(column, "nullable", True)))


INCLUDE_DELETED = Argument(bool | None, None, None, "Also what is deleted and can be restored.")
"""Declare it under the name `include_deleted`."""


def equals(column: ColumnElement[Any], annotation: Any, description: str) -> Argument:
    """Only rows whose column equals the argument."""
    return Argument(annotation | None, lambda value: column == value, column, description)


def since(column: ColumnElement[Any], description: str) -> Argument:
    """Only what happened on that day (in UTC) or later."""
    return Argument(date | None, lambda value: column >= value, column, description, convert=_first_moment)


def until(column: ColumnElement[Any], description: str) -> Argument:
    """Only what happened before the end of that day (in UTC)."""
    return Argument(date | None, lambda value: column <= value, column, description, convert=_last_moment)


def _first_moment(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _last_moment(day: date) -> datetime:
    return datetime.combine(day, time.max, UTC)


def within(
    kind: type,
    column: ColumnElement[Any],
    description: str,
    *,
    predicate: Callable[[ColumnElement[Any]], ColumnElement[bool]] | None = None,
) -> Argument:
    """Only rows of the row of that stored type, by its key: a must, and `NotFound` unless the viewer sees that row, live."""
    stored: Stored = kind.__stored__  # type: ignore[attr-defined]  # made by `stored`
    matches = predicate or (lambda value: column == value)
    return Argument(stored.key.type.python_type, matches, stored.key, description, stored)


# --- fields ------------------------------------------------------------------------------------------------------------


class Field(StrawberryField):
    """A Strawberry field that knows its kind and its guard. `engine.reference` gives those with a kind their resolver."""

    @property
    def kind(self) -> Kind | None:
        """How the value is found; None for a resolver or a plain attribute."""
        kind: Kind | None = self.metadata.get(_KIND)
        return kind

    @property
    def guard(self) -> Guard | None:
        """Who may use the field at all."""
        guard: Guard | None = self.metadata.get(_GUARD)
        return guard

    @property
    def about(self) -> About | None:
        """What is asked before the rest of the request is read."""
        about: About | None = self.metadata.get(_ABOUT)
        return about

    @property
    def is_basic_field(self) -> bool:
        return self.kind is None and self.guard is None and super().is_basic_field

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: Any) -> Any:
        if self.guard is not None:
            self.guard(info.context)
        return super().get_result(source, info, args, kwargs)


def _field(
    kind: Kind | None,
    description: str,
    *,
    guard: Guard | None = None,
    about: About | None = None,
    is_subscription: bool = False,
    arguments: Sequence[StrawberryArgument] = (),
    name: str | None = None,
) -> Any:
    field = Field(
        description=description,
        is_subscription=is_subscription,
        graphql_name=name,
        metadata={_KIND: kind, _GUARD: guard, _ABOUT: about},
    )
    field.arguments = list(arguments)
    field.init = field.repr = field.compare = False  # its value is looked up, never given
    return field


def column(
    expression: ColumnElement[Any],
    description: str,
    *,
    allowed: Callable[[Viewer], bool] | None = None,
    otherwise: Any = None,
    name: str | None = None,
) -> Any:
    """A leaf read from the type's row. `allowed` hides it from some viewers, who see `otherwise`."""
    return _field(Column(expression, allowed, otherwise), description, name=name)


def shared(description: str) -> Any:
    """A field of an interface: each of its types says where the value is."""
    return _field(None, description)


def one(by: ColumnElement[Any] | str, description: str, *, allowed: Callable[[Viewer], bool] | None = None) -> Any:
    """An edge to the row whose key is in that column of the parent's row (or that attribute of a payload).

    Null when there is none, or when the viewer may not see it. Deleted rows are reached: history keeps its names.
    """
    if isinstance(by, str):
        return _field(One(attribute=by, allowed=allowed), description)
    return _field(One(column=by, allowed=allowed), description)


def some(by: ColumnElement[Any] | str, description: str) -> Any:
    """Edges to the rows whose keys that attribute of a payload lists, in its order; without those that the viewer may not see.

    To an abstract type by a column of `Type:key`, one a line; at most as many as `DEFAULT_PAGE`, which is what a list costs.
    """
    return _field(Some(attribute=by) if isinstance(by, str) else Some(column=by), description)


def lookup(
    annotation: Any,
    description: str,
    *,
    guard: Guard,
    argument: str = "local_id",
    argument_description: str = "The service's own id.",
    unique: ColumnElement[Any] | None = None,
    denied: str | None = None,
    reach: Reach | None = None,
    beside: Mapping[str, tuple[Any, str]] | None = None,
    about: About | None = None,
) -> Any:
    """A root field: one live row by its key, or another unique column. Null when there is none, or none that the viewer may see.

    With `denied` the latter is `Forbidden`, in these words: for rows whose existence is no secret.
    `reach` may ask more of the arguments, and of others `beside` the key.
    """
    given = [_argument(argument, annotation, argument_description), *_told(beside)]
    kind = One(argument=argument, unique=unique, live=True, denied=denied, reach=reach)
    return _field(kind, description, guard=guard, about=about, arguments=given)


def own_row(domain: str, description: str, *, guard: Guard) -> Any:
    """A root field: the row of whoever asks, as a member of that domain."""
    return _field(One(viewer=domain, live=True), description, guard=guard)


def node_lookup(description: str, *, guard: Guard) -> Any:
    """The root field `node(id:)`: one live row of any stored type, by its global id."""
    given = _argument("id", strawberry.ID, "A global id.")
    return _field(One(argument="id", live=True), description, guard=guard, arguments=[given])


def many(
    order: tuple[Order, ...],
    description: str,
    *,
    parent: ColumnElement[Any] | None = None,
    related: Callable[[ColumnElement[Any]], ColumnElement[bool]] | None = None,
    guard: Guard | None = None,
    arguments: Mapping[str, Argument] | None = None,
    largest_page: int = LARGEST_PAGE,
    choices: Choices | None = None,
    reach: Reach | None = None,
    about: About | None = None,
) -> Any:
    """A connection: rows in that order, a page at a time; below a parent, those whose `parent` column holds its key.

    Where the rows have no such column, `related` says which belong to a key, and `parent` is the column of that key.
    `choices` are what clients may filter by, and sort by in place of that order.
    """
    kind = Many(order, parent, related, dict(arguments or {}), largest_page, choices=choices, reach=reach)
    given = [*_page_arguments(largest_page), *_filters(kind), *_chosen(choices)]
    return _field(kind, description, guard=guard, about=about, arguments=given)


def stream(
    order: tuple[Order, ...],
    description: str,
    *,
    guard: Guard,
    arguments: Mapping[str, Argument] | None = None,
    batch: int = 200,
) -> Any:
    """A row stream: a subscription that yields every row, in batches, and ends.

    Small batches, because others wait while a driver's thread makes rows: it gives Python's lock away only when it is done.
    """
    kind = Many(order, arguments=dict(arguments or {}), batch=batch)
    return _field(kind, description, guard=guard, arguments=_filters(kind), is_subscription=True)


def live(
    look: Callable[[Any, Mapping[str, Any], Any], Awaitable[Round]],
    description: str,
    *,
    topic: Callable[[Mapping[str, Any]], Topic],
    guard: Guard,
    arguments: Mapping[str, tuple[Any, str]],
) -> Any:
    """A subscription that looks again whenever the topic has changed. Arguments are told by annotation and description."""
    return _field(Live(look, topic), description, guard=guard, arguments=_told(arguments), is_subscription=True)


def pieces(
    generate: Callable[[Any, Mapping[str, Any]], AsyncGenerator[Any, None]],
    description: str,
    *,
    guard: Guard,
    arguments: Mapping[str, tuple[Any, str]],
    about: About | None = None,
) -> Any:
    """A subscription that ends with the values which a store yields: for what is no row of a table."""
    return _field(Pieces(generate), description, guard=guard, about=about, arguments=_told(arguments), is_subscription=True)


def batch(
    load: Callable[..., Awaitable[Sequence[Any]]],
    description: str,
    *,
    needs: Sequence[ColumnElement[Any]],
    guard: Guard | None = None,
    arguments: Mapping[str, tuple[Any, str]] | None = None,
    largest_page: int = 0,
) -> Any:
    """A value computed for all parents of a level in one call, from the columns it needs of each.

    With arguments (told by annotation and description) `load` gets `Asked` as well. With a largest page the values are
    pages of what no table holds, made by `engine.connection.page_of`, and the arguments of pages are among those.
    """
    given = [*(_page_arguments(largest_page) if largest_page else ()), *_told(arguments)]
    return _field(Batch(load, tuple(needs), bool(given), largest_page), description, guard=guard, arguments=given)


def resolver(
    description: str, *, guard: Guard | None = None, about: About | None = None
) -> Callable[[Callable[..., Any]], Any]:
    """An ordinary resolver; on a root field, with its guard.

    `about` is asked by transports that know early what a call is about. The resolver sees to the same: others do not ask it.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        return Field(description=description, metadata={_GUARD: guard, _ABOUT: about})(function)

    return decorate


def limited(description: str, *, default: Any = strawberry.UNSET, **bounds: Any) -> Any:
    """An input field with bounds beyond its type (`max_length`, `nullable`, …) that GraphQL, REST and OpenAPI all keep."""
    directives = [Constraint(**bounds).directive()] if bounds else []
    options = {} if default is strawberry.UNSET else {"default": default}
    return strawberry.field(description=description, directives=directives, **options)


# --- arguments ---------------------------------------------------------------------------------------------------------


def _argument(name: str, annotation: Any, description: str, constraint: Constraint | None = None) -> StrawberryArgument:
    return StrawberryArgument(
        python_name=name,
        graphql_name=None,
        description=description,
        type_annotation=StrawberryAnnotation(annotation),
        directives=[constraint.directive()] if constraint else [],
    )


def _told(arguments: Mapping[str, tuple[Any, str]] | None) -> list[StrawberryArgument]:
    return [_argument(name, annotation, text) for name, (annotation, text) in (arguments or {}).items()]


def _page_arguments(largest: int) -> list[StrawberryArgument]:
    page = Constraint(min=0, max=largest)
    return [
        _argument(
            "first",
            int | None,
            f"How many, from the start (default {DEFAULT_PAGE}, at most {largest}).",
            constraint=page,
        ),
        _argument("after", str | None, "Only what follows this cursor."),
        _argument("last", int | None, f"How many, from the end (at most {largest}).", page),
        _argument("before", str | None, "Only what precedes this cursor."),
        _argument("offset", int | None, "How many to pass over; not together with a cursor.", Constraint(min=0)),
    ]


def _filters(kind: Many) -> list[StrawberryArgument]:
    return [_argument(name, given.annotation, given.description) for name, given in kind.arguments.items()]


def _chosen(choices: Choices | None) -> list[StrawberryArgument]:
    if choices is None:
        return []
    return [
        _argument("filter", choices.filter | None, "Only rows of which this holds."),
        _argument("order_by", list[choices.order] | None, "Sorted by these in turn, in place of the list's own order."),  # type: ignore[name-defined]
    ]


# --- types -------------------------------------------------------------------------------------------------------------


@strawberry.interface(description="Anything that has a global id.")
class Node:
    """Relay's `Node`; every stored type is one."""

    id: strawberry.ID = _field(GlobalId(), "Opaque global id, for `node(id:)`.")


@dataclass_transform(kw_only_default=True)
def stored(table: Table, *, visible: Visible, noun: str | None = None, total: Total | None = None) -> Callable[[T], T]:
    """Make a class an object type whose rows live in that table, visible where the predicate says so.

    `total` counts them for a whole list, where that is faster than asking `visible` of every row.
    The class docstring is the type's description. Rows with `deleted_at` set are left out of lists and lookups.
    """

    def decorate(cls: T) -> T:
        live = table.c.deleted_at.is_(None) if "deleted_at" in table.c else None
        cls.__stored__ = Stored(table, visible, noun or _noun(cls.__name__), live, total)  # type: ignore[attr-defined]  # made here
        return strawberry.type(cls, description=" ".join((cls.__doc__ or "").split()))

    return decorate


def _noun(name: str) -> str:
    """`StorageLocation` → `Storage location`."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
    return words[0].upper() + words[1:]


# --- reading a built schema --------------------------------------------------------------------------------------------


def definition_of(field: GraphQLField) -> Any:
    """The Strawberry field behind a GraphQL field; None for introspection."""
    return (field.extensions or {}).get("strawberry-definition")


def kind_of(field: GraphQLField) -> Kind | None:
    """The kind behind a GraphQL field; None for a resolver or a plain attribute."""
    definition = definition_of(field)
    return definition.kind if isinstance(definition, Field) else None


def guard_of(field: GraphQLField) -> Guard | None:
    """The guard behind a GraphQL field."""
    definition = definition_of(field)
    return definition.guard if isinstance(definition, Field) else None


def about_of(field: GraphQLField) -> About | None:
    """What is asked before the rest of the request is read."""
    definition = definition_of(field)
    return definition.about if isinstance(definition, Field) else None


def stored_type(kind: Any) -> Stored | None:
    """The declaration behind a GraphQL object type."""
    origin = getattr((kind.extensions or {}).get("strawberry-definition"), "origin", None)
    found: Stored | None = getattr(origin, "__stored__", None)
    return found
