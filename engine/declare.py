"""How a type says where its fields come from. There are four kinds: a column, a relation to one or many, a batch, a resolver.

A declaration is data on a Strawberry field: plans read it, and graphql-core resolves the same declaration when a plan refuses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, TypeVar, dataclass_transform

import strawberry
from sqlalchemy import ColumnElement, Table, bindparam
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.field import StrawberryField

from core.context import Context
from core.identity import Principals
from engine.constraints import Constraint

T = TypeVar("T", bound=type)

Guard = Callable[[Context], object]
"""Raises `Unauthenticated` or `Forbidden` unless the request may use the field."""

DEFAULT_PAGE, LARGEST_PAGE = 25, 500


class Viewer:
    """Who looks, as row predicates see it: roles to branch on, ids only as bound values.

    A predicate is built once per combination of roles, so a person's id can never end up in cached SQL text.
    """

    def __init__(self, shape: Sequence[tuple[str, str]]) -> None:
        self._roles = dict(shape)

    def role(self, domain: str) -> str | None:
        """The role in that domain; None without a credential for it."""
        return self._roles.get(domain)

    def subject(self, domain: str, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """The viewer's own id in that domain, as a value to compare that column with."""
        return bindparam(f"viewer_{domain}", type_=column.type)


def viewer_values(principals: Principals) -> dict[str, object]:
    """The values for every `Viewer.subject`."""
    return {f"viewer_{principal.domain}": principal.subject for principal in principals}


Visible = Callable[[Viewer], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a type's rows live and who may see which of them."""

    table: Table
    visible: Visible
    noun: str
    live: ColumnElement[bool] | None

    @property
    def key(self) -> ColumnElement[Any]:
        """The table's one primary key column."""
        (key,) = self.table.primary_key.columns
        return key


@dataclass(frozen=True, slots=True)
class Order:
    """One sort term. Text sorts by code point on every database."""

    expression: ColumnElement[Any]
    descending: bool = False
    nullable: bool = False


def ascending(*columns: ColumnElement[Any]) -> tuple[Order, ...]:
    """Smallest first, nulls last."""
    return tuple(_order(column, descending=False) for column in columns)


def descending(*columns: ColumnElement[Any]) -> tuple[Order, ...]:
    """Largest first, nulls last."""
    return tuple(_order(column, descending=True) for column in columns)


def _order(column: ColumnElement[Any], *, descending: bool) -> Order:
    return Order(column, descending, nullable=bool(getattr(column, "nullable", True)))


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument that narrows a `many`: its predicate is added when a value is given (not null)."""

    annotation: Any
    predicate: Callable[[ColumnElement[Any]], ColumnElement[bool]] | None
    column: ColumnElement[Any] | None
    description: str


INCLUDE_DELETED = Argument(bool | None, None, None, "Also what is deleted and can be restored.")
"""Declare it under the name `include_deleted`."""


def equals(column: ColumnElement[Any], annotation: Any, description: str) -> Argument:
    """Only rows whose column equals the argument."""
    return Argument(annotation | None, lambda value: column == value, column, description)


# --- the kinds ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """A SQL expression of the type's table. `allowed` false: the unauthorised see `otherwise` instead."""

    expression: ColumnElement[Any]
    allowed: Callable[[Viewer], bool] | None = None
    otherwise: Any = None


@dataclass(frozen=True, slots=True)
class GlobalId:
    """The opaque `Node.id`, made from the type's name and its key."""


@dataclass(frozen=True, slots=True)
class One:
    """To one row: by a column of the parent's table, an attribute of the parent object, or an argument of the field."""

    column: ColumnElement[Any] | None = None
    attribute: str | None = None
    argument: str | None = None
    viewer: str | None = None
    """A domain: the viewer's own row in it."""
    live: bool = False
    """Whether a deleted row counts as missing; it does for lookups, not for edges."""
    allowed: Callable[[Viewer], bool] | None = None


@dataclass(frozen=True, slots=True)
class Many:
    """To many rows, a page at a time (or, for a stream, batch by batch) in a total order."""

    order: tuple[Order, ...]
    parent: ColumnElement[Any] | None = None
    """The column of the target that holds the parent's key; None at the root."""
    arguments: Mapping[str, Argument] = dataclass_field(default_factory=dict)
    largest_page: int = LARGEST_PAGE
    batch: int = 0
    """Rows per event, for a stream."""


@dataclass(frozen=True, slots=True)
class Batch:
    """An async function of all parents of the level: it gets rows of the columns it needs, returns one value for each."""

    load: Callable[[Context, Sequence[Sequence[Any]]], Awaitable[Sequence[Any]]]
    needs: tuple[ColumnElement[Any], ...]


Kind = Column | GlobalId | One | Many | Batch
_KIND, _GUARD = "switchyard.kind", "switchyard.guard"


class Field(StrawberryField):
    """A Strawberry field that knows its kind and its guard; graphql-core gets its value from `engine.reference`."""

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
    def is_basic_field(self) -> bool:
        return self.kind is None and self.guard is None and super().is_basic_field

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: Any) -> Any:
        if self.guard is not None:
            self.guard(info.context)
        if self.kind is not None:
            from engine.reference import resolve  # the reference needs the declarations, not the other way round

            return resolve(self, source, info, kwargs)
        return super().get_result(source, info, args, kwargs)


def _field(
    kind: Kind | None,
    description: str,
    *,
    guard: Guard | None = None,
    is_subscription: bool = False,
    arguments: Sequence[StrawberryArgument] = (),
    name: str | None = None,
) -> Any:
    field = Field(
        description=description,
        is_subscription=is_subscription,
        graphql_name=name,
        metadata={_KIND: kind, _GUARD: guard},
    )
    field.arguments = list(arguments)
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


def one(by: ColumnElement[Any] | str, description: str, *, allowed: Callable[[Viewer], bool] | None = None) -> Any:
    """An edge to the row whose key is in that column of the parent's row (or that attribute of a payload).

    Null when there is none, or when the viewer may not see it. Deleted rows are reached: history keeps its names.
    """
    if isinstance(by, str):
        return _field(One(attribute=by, allowed=allowed), description)
    return _field(One(column=by, allowed=allowed), description)


def lookup(
    annotation: Any,
    description: str,
    *,
    guard: Guard,
    argument: str = "local_id",
    argument_description: str = "The service's own id.",
) -> Any:
    """A root field: one live row by its key. Null when there is none, or when the viewer may not see it."""
    given = _argument(argument, annotation, argument_description)
    return _field(One(argument=argument, live=True), description, guard=guard, arguments=[given])


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
    guard: Guard | None = None,
    arguments: Mapping[str, Argument] | None = None,
    largest_page: int = LARGEST_PAGE,
) -> Any:
    """A connection: rows in that order, a page at a time; below a parent, those whose `parent` column holds its key."""
    kind = Many(order, parent, dict(arguments or {}), largest_page)
    return _field(kind, description, guard=guard, arguments=[*_page_arguments(kind), *_filters(kind)])


def stream(
    order: tuple[Order, ...],
    description: str,
    *,
    guard: Guard,
    arguments: Mapping[str, Argument] | None = None,
    batch: int = 1000,
) -> Any:
    """A row stream: a subscription that yields every row, in batches, and ends."""
    kind = Many(order, None, dict(arguments or {}), batch=batch)
    return _field(kind, description, guard=guard, arguments=_filters(kind), is_subscription=True)


def batch(
    load: Callable[[Context, Sequence[Sequence[Any]]], Awaitable[Sequence[Any]]],
    description: str,
    *,
    needs: Sequence[ColumnElement[Any]],
) -> Any:
    """A value computed for all parents of a level in one call, from the columns it needs of each."""
    return _field(Batch(load, tuple(needs)), description)


def resolver(description: str, *, guard: Guard | None = None) -> Callable[[Callable[..., Any]], Any]:
    """An ordinary resolver; on a root field, with its guard."""

    def decorate(function: Callable[..., Any]) -> Any:
        return Field(description=description, metadata={_GUARD: guard})(function)

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


def _page_arguments(kind: Many) -> list[StrawberryArgument]:
    page = Constraint(min=0, max=kind.largest_page)
    return [
        _argument(
            "first",
            int | None,
            f"How many, from the start (default {DEFAULT_PAGE}, at most {kind.largest_page}).",
            constraint=page,
        ),
        _argument("after", str | None, "Only what follows this cursor."),
        _argument("last", int | None, f"How many, from the end (at most {kind.largest_page}).", page),
        _argument("before", str | None, "Only what precedes this cursor."),
        _argument("offset", int | None, "How many to pass over; not together with a cursor.", Constraint(min=0)),
    ]


def _filters(kind: Many) -> list[StrawberryArgument]:
    return [_argument(name, given.annotation, given.description) for name, given in kind.arguments.items()]


# --- types -------------------------------------------------------------------------------------------------------------


@strawberry.interface(description="Anything that has a global id.")
class Node:
    """Relay's `Node`; every stored type is one."""

    id: strawberry.ID = _field(GlobalId(), "Opaque global id, for `node(id:)`.")


@dataclass_transform(kw_only_default=True)
def stored(table: Table, *, visible: Visible, noun: str | None = None) -> Callable[[T], T]:
    """Make a class an object type whose rows live in that table, visible where the predicate says so.

    The class docstring is the type's description. Rows with `deleted_at` set are left out of lists and lookups.
    """

    def decorate(cls: T) -> T:
        live = table.c.deleted_at.is_(None) if "deleted_at" in table.c else None
        cls.__stored__ = Stored(table, visible, noun or _noun(cls.__name__), live)  # type: ignore[attr-defined]
        return strawberry.type(cls, description=" ".join((cls.__doc__ or "").split()))

    return decorate


def _noun(name: str) -> str:
    """`StorageLocation` → `Storage location`."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
    return words[0].upper() + words[1:]


def stored_of(cls: object) -> Stored | None:
    """The declaration of a class made by `stored`."""
    found: Stored | None = getattr(cls, "__stored__", None)
    return found
