"""The kinds of fields as plain data: where a value is stored, who may see it, in which order lists come.

`engine.declare` makes them for a schema; plans and the reference read them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Table, Text, bindparam, func, literal

from core.context import Context
from core.identity import Principals
from core.policy import readable_tenants

Guard = Callable[[Context], object]
"""Raises `Unauthenticated` or `Forbidden` unless the request may use the field."""

About = Callable[[Context, Mapping[str, Any]], Awaitable[object]]
"""Raises unless what those arguments of a root field name is there and may be used: as far as they are known, as JSON."""

Reach = Callable[[Context, Mapping[str, Any]], object]
"""Raises unless the request may use the field with these arguments."""

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

    def reads_in(self, domain: str, tenant: ColumnElement[str] | None = None) -> ColumnElement[bool]:
        """Whether the viewer may read in that tenant; without one, in any. Any number of tenants is one bound text."""
        own = bindparam(f"tenants_{domain}", type_=Text())
        if tenant is None:
            return own != ""
        return func.replace(own, literal("\n") + tenant + literal("\n"), "") != own


def viewer_values(principals: Principals) -> dict[str, object]:
    """The values for every `Viewer.subject` and `Viewer.reads_in`."""
    values: dict[str, object] = {f"viewer_{each.domain}": each.subject for each in principals}
    values.update({f"tenants_{each.domain}": listed(readable_tenants(each)) for each in principals})
    return values


def listed(names: Iterable[str]) -> str:
    """As one text, in which each stands between two line breaks."""
    return "".join(f"\n{name}\n" for name in names)


Visible = Callable[[Viewer], ColumnElement[bool]]

Total = Callable[[Viewer], ColumnElement[int] | None]
"""How many rows are visible, where that can be told faster than by looking at each; None where it cannot."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a type's rows live and who may see which of them."""

    table: Table
    visible: Visible
    noun: str
    live: ColumnElement[bool] | None
    total: Total | None = None

    @property
    def key(self) -> ColumnElement[Any]:
        """The table's one primary key column. Rows with several are reached by lists only."""
        (key,) = self.keys
        return key

    @property
    def keys(self) -> tuple[ColumnElement[Any], ...]:
        """The table's primary key columns."""
        return tuple(self.table.primary_key.columns)


@dataclass(frozen=True, slots=True)
class Order:
    """One sort term. Text sorts by code point on every database."""

    expression: ColumnElement[Any]
    descending: bool = False
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument that narrows a `many`: its predicate is added when a value is given (not null)."""

    annotation: Any
    predicate: Callable[[ColumnElement[Any]], ColumnElement[bool]] | None
    column: ColumnElement[Any] | None
    description: str
    within: Stored | None = None
    """The value is the key of a row of that type, which the viewer has to see: else the list is `NotFound`, not empty."""
    convert: Callable[[Any], Any] | None = None
    """From the argument to what is compared, where these differ."""


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
    """To one row: by a column of the parent's table, an attribute of the parent object, or an argument of the field.

    To one row of an abstract type by a column that holds `Type:key`.
    """

    column: ColumnElement[Any] | None = None
    attribute: str | None = None
    argument: str | None = None
    unique: ColumnElement[Any] | None = None
    """The target's column that holds what is looked up; its key, if it is not said."""
    viewer: str | None = None
    """A domain: the viewer's own row in it."""
    live: bool = False
    """Whether a deleted row counts as missing; it does for lookups, not for edges."""
    denied: str | None = None
    """What to tell who asks for a row that is there and not for them; None: the same as of one that is not there."""
    reach: Reach | None = None
    """What is asked about the arguments of a root field, beyond its guard."""
    allowed: Callable[[Viewer], bool] | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A column that clients may filter a list by. Where `allowed` is false, they may not: answers would tell what it holds."""

    expression: ColumnElement[Any]
    annotation: Any
    description: str
    sortable: bool = True
    allowed: Callable[[Viewer], bool] | None = None


@dataclass(frozen=True, slots=True)
class Choices:
    """What clients may filter and sort a list by: columns by their GraphQL names, and the inputs that name them."""

    columns: Mapping[str, Choice]
    filter: Any
    order: Any


@dataclass(frozen=True, slots=True)
class Many:
    """To many rows, a page at a time (or, for a stream, batch by batch) in a total order."""

    order: tuple[Order, ...]
    parent: ColumnElement[Any] | None = None
    """The column of the target that holds the parent's key; None at the root."""
    related: Callable[[ColumnElement[Any]], ColumnElement[bool]] | None = None
    """Which rows belong to the parent with that key, where no column of theirs says so; `parent` is then that key's column."""
    arguments: Mapping[str, Argument] = dataclass_field(default_factory=dict)
    largest_page: int = LARGEST_PAGE
    batch: int = 0
    """Rows per event, for a stream."""
    choices: Choices | None = None
    reach: Reach | None = None
    """What is asked about the arguments of a root field, beyond its guard."""


@dataclass(frozen=True, slots=True)
class Batch:
    """An async function of all parents of the level: it gets rows of the columns it needs, returns one value for each.

    A field with arguments has it called with what is asked, too. Where the values are pages, `largest_page` bounds them.
    An exception among the values is the error of its parent's field.
    """

    load: Callable[..., Awaitable[Sequence[Any]]]
    needs: tuple[ColumnElement[Any], ...]
    has_arguments: bool = False
    largest_page: int = 0


class Asked(NamedTuple):
    """What a batch is asked for: arguments, and what of a page is wanted."""

    arguments: Mapping[str, Any]
    rows: bool = True
    more: bool = True
    total: bool = True


@dataclass(frozen=True, slots=True)
class Pieces:
    """A stream of values that a store yields one after another: a subscription that ends with them."""

    generate: Callable[[Context, Mapping[str, Any]], AsyncGenerator[Any, None]]


@dataclass(frozen=True, slots=True)
class Some:
    """To the rows whose keys an attribute of the parent object holds, in that order; those that nobody sees are left out.

    To rows of an abstract type by a column that holds `Type:key`, one a line.
    """

    attribute: str = ""
    column: ColumnElement[Any] | None = None


Topic = tuple[str, str]
"""What can be followed: the name of a table and the key of a row."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one look of a live subscription has found: see `engine.live.Look`."""

    value: Any
    place: Hashable
    ended: bool = False
    more: bool = False


@dataclass(frozen=True, slots=True)
class Live:
    """An async function that looks what is new since a place, and what to watch for knowing when to ask it again."""

    look: Callable[[Any, Mapping[str, Any], Any], Awaitable[Round]]
    topic: Callable[[Mapping[str, Any]], Topic]


Kind = Column | GlobalId | One | Some | Many | Batch | Live | Pieces
