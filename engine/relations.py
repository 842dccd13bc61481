"""Relations at work: from the keys of all parents of a level to their rows, in one statement per relation per level.

Statements are composed with SQLAlchemy Core once per shape (roles of the viewer, filters given, direction) and kept as text;
a client can ask for many shapes of one relation, so only the recent ones are kept.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    func,
    literal,
    literal_column,
    null,
    select,
    true,
    tuple_,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.util import ClauseAdapter
from sqlalchemy.types import TypeEngine

from core.context import Context
from core.errors import Forbidden, InvalidInput, NotFound
from core.sql import Row, Statement, fetch_all
from engine.connection import Page, Slice, page_of, slice_of
from engine.filters import Form, Terms, compose_filter, filter_values, orders, read_filter, read_terms
from engine.keyset import beyond, complete_order, decode_cursor, encode_cursor, fingerprint, is_stored_integer, sort_terms
from engine.kinds import Column, Many, One, Order, Stored, Viewer, viewer_values
from engine.recent import Recent

Question = tuple[Statement, Mapping[str, Any]]
"""A statement, and its values by name."""

MOST_STATEMENTS = 128
"""Of a relation that shares them with no other; they are composed again when they were forgotten."""


@dataclass(slots=True)
class Projection:
    """The columns that a level reads. Whoever needs one asks for its index in the row; last comes the parent's position."""

    columns: list[Column] = field(default_factory=list)

    def index(self, column: Column | ColumnElement[Any]) -> int:
        """Where the column stands in the row; asking twice reads it once."""
        wanted = column if isinstance(column, Column) else Column(column)
        for position, known in enumerate(self.columns):
            same = known.expression is wanted.expression and known.allowed is wanted.allowed
            if same and known.otherwise == wanted.otherwise:
                return position
        self.columns.append(wanted)
        return len(self.columns) - 1

    def select(self, viewer: Viewer, position: ColumnElement[Any] | None = None) -> Select[Any]:
        """The SELECT list: each column as this viewer may see it, then the parent's position, unless there is but one."""
        shown = [_shown(column, viewer) for column in self.columns]
        if position is not None or not shown:
            shown.append(_ONLY if position is None else position)
        return select(*(expression.label(f"c{index}") for index, expression in enumerate(shown)))


_ONLY: ColumnElement[int] = literal_column("0")
"""The position of the only parent."""


def _shown(column: Column, viewer: Viewer) -> ColumnElement[Any]:
    if column.allowed is None or column.allowed(viewer):
        return column.expression
    return null() if column.otherwise is None else literal(column.otherwise)


class Parents(NamedTuple):
    """The keys of a level's parents as a table, whatever their number: the text never changes."""

    table: FromClause
    position: ColumnElement[int]
    """From 0 on."""
    key: ColumnElement[Any]


def _parents(dialect: Dialect, kind: TypeEngine[Any]) -> Parents:
    """Their keys are of that type, bound as `keys`."""
    if dialect.name == "postgresql":
        keys = func.unnest(bindparam("keys", type_=ARRAY(kind)))
        table = keys.table_valued("value", with_ordinality="ordinality").render_derived(name="parents")
        return Parents(table, table.c.ordinality - literal_column("1"), table.c.value)
    table = func.json_each(bindparam("keys", type_=Text())).table_valued("key", "value", name="parents")
    return Parents(table, table.c.key, table.c.value)


def _keys(dialect: Dialect, keys: Sequence[Any]) -> Any:
    """The value of `keys`."""
    return keys if dialect.name == "postgresql" else orjson.dumps(keys, default=str).decode()


def _key_reader(kind: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any]:
    """From what may be a key (a Python value, a stored one, a client's text) to its stored form; None for what cannot be one."""
    if kind.python_type is UUID:
        return _stored_uuid
    small = dialect.name == "postgresql" and not isinstance(kind, BigInteger)
    return lambda key: None if isinstance(key, int) and not is_stored_integer(key, bits=32 if small else 64) else key


def _stored_uuid(key: Any) -> str | None:
    try:
        return None if key is None else str(key if isinstance(key, UUID) else UUID(key))
    except ValueError:
        return None


def _weight(statement: Statement) -> int:
    return len(statement.text)


class OneRelation:
    """To one row by its key."""

    def __init__(
        self,
        stored: Stored,
        one: One,
        projection: Projection,
        dialect: Dialect,
        statements: Recent[Statement] | None = None,
        *,
        name: str = "",
    ) -> None:
        self.name = name
        self.stored, self.one, self.projection, self.dialect = stored, one, projection, dialect
        self._statements = Recent[Statement](MOST_STATEMENTS) if statements is None else statements
        self._key = stored.key if one.unique is None else one.unique
        self._stored_key = _key_reader(self._key.type, dialect)

    async def fetch(self, ctx: Context, keys: Sequence[Any]) -> list[Row | None]:
        """A row or None for each key (None stays None). Keys are Python values or stored ones."""
        if self.one.allowed is not None and not self.one.allowed(Viewer(ctx.principals.shape)):
            return [None] * len(keys)
        stored = {key: self._stored_key(key) for key in dict.fromkeys(keys)}  # many parents, few keys
        wanted = list(dict.fromkeys(key for key in stored.values() if key is not None))
        if not wanted:
            return [None] * len(keys)
        single = len(wanted) == 1
        statement = self.statement(ctx.principals.shape, single=single)
        given: dict[str, object] = {"key": wanted[0]} if single else {"keys": _keys(self.dialect, wanted)}
        rows = await statement.fetch(ctx.sql, **given, **viewer_values(ctx.principals))
        found: dict[Any, Row] = {wanted[0 if single else row[-1]]: row for row in rows}
        if self.one.denied is not None and len(found) < len(wanted):
            await self._refuse_hidden(ctx, [key for key in wanted if key not in found], self.one.denied)
        return [found.get(stored[key]) for key in keys]

    async def _refuse_hidden(self, ctx: Context, keys: Sequence[Any], words: str) -> None:
        """Raises `Forbidden` if one of the rows that the viewer does not see is there."""
        open_ = replace(self.stored, visible=lambda _: true())
        relation = OneRelation(open_, replace(self.one, denied=None), Projection(), self.dialect, name=self.name)
        if any(row is not None for row in await relation.fetch(ctx, keys)):
            raise Forbidden(words)

    def statement(self, shape: tuple[tuple[str, str], ...], *, single: bool) -> Statement:
        """By one key, or by all keys of a level."""
        return self._statements.remember(
            (self, shape, single),
            lambda: Statement(self._compose(Viewer(shape), single=single), self.dialect, self.name),
            weight=_weight,
        )

    def _compose(self, viewer: Viewer, *, single: bool) -> Select[Any]:
        stored = self.stored
        if single:
            selected = self.projection.select(viewer).select_from(stored.table)
            selected = selected.where(self._key == bindparam("key", type_=self._key.type))
        else:
            parents = _parents(self.dialect, self._key.type)
            selected = self.projection.select(viewer, parents.position)
            selected = selected.select_from(parents.table.join(stored.table, self._key == parents.key))
        if self.one.live and stored.live is not None:
            selected = selected.where(stored.live)
        return selected.where(stored.visible(viewer))


class Shape(NamedTuple):
    """All that decides the text of a statement."""

    viewer: tuple[tuple[str, str], ...]
    filters: tuple[str, ...] = ()
    deleted: bool = False
    chosen: Form | None = None
    terms: Terms = ()
    backward: bool = False
    nulls: tuple[bool, ...] | None = None
    offset: bool = False


class Asked(NamedTuple):
    """Which rows are asked for, in which order: the shape without its page, what is bound to it, and its name for cursors."""

    shape: Shape
    order: tuple[Order, ...]
    values: dict[str, Any]
    mark: str = ""


class ManyRelation:
    """To pages of rows, for all parents of a level at once, or at the root."""

    def __init__(
        self,
        name: str,
        stored: Stored,
        many: Many,
        projection: Projection,
        dialect: Dialect,
        statements: Recent[Statement] | None = None,
    ) -> None:
        self.name, self.stored, self.many, self.projection, self.dialect = name, stored, many, projection, dialect
        self.order = complete_order(many.order, *stored.keys)
        self._within = [
            (
                argument,
                OneRelation(declared.within, One(live=True), Projection(), dialect, statements, name=f"{name} {argument}"),
            )
            for argument, declared in many.arguments.items()
            if declared.within is not None
        ]
        self._marks: list[tuple[ColumnElement[Any], int]] | None = None
        self._statements = Recent[Statement](MOST_STATEMENTS) if statements is None else statements

    def with_cursors(self, *, sorted_by_client: bool = False) -> None:
        """Also read what cursors are made of; when clients choose the order, of any order."""
        choices = self.many.choices
        columns = [term.expression for term in self.order]
        if sorted_by_client and choices is not None:
            columns += [column.expression for column in choices.columns.values() if column.sortable]
        self._marks = [(column, self.projection.index(column)) for column in columns]

    async def pages(
        self,
        ctx: Context,
        keys: Sequence[Any] | None,
        arguments: Mapping[str, Any],
        *,
        rows: bool = True,
        more: bool = True,
        count: bool = False,
    ) -> list[Page]:
        """One page per parent key (at the root: `keys` is None, one page). `rows`, `more` and `count`: what is wanted of it."""
        with_cursors = self._marks is not None or arguments.get("after") is not None or arguments.get("before") is not None
        asked = self._asked(ctx, arguments, with_mark=with_cursors)
        wanted = self._slice(arguments, asked)
        await self._require_within(ctx, arguments)
        positions, unique = _unique(keys)
        questions = [self._rows(unique, asked, wanted, wanted.size + more)] if rows else []
        questions += [self._totals(unique, asked)] if count else []
        answers = iter(await fetch_all(ctx.sql, questions))
        found = _by_parent(next(answers), unique) if rows else {}
        totals = {row[0]: row[1] for row in next(answers)} if count else {}
        pages = [
            self._page(found.get(position, []), wanted, asked, totals.get(position, 0 if count else None))
            for position in range(len(unique) if unique is not None else 1)
        ]
        return [pages[position] for position in positions]

    def _rows(self, keys: Sequence[Any] | None, asked: Asked, wanted: Slice, limit: int) -> Question:
        nulls = None if wanted.place is None else tuple(value is None for value in wanted.place)
        shape = asked.shape._replace(backward=wanted.backward, nulls=nulls, offset=wanted.offset > 0)
        values = {"limit": limit, "offset": wanted.offset, **self._values(keys, asked)}
        values.update({f"place_{index}": value for index, value in enumerate(wanted.place or ())})
        return self.statement("rows", shape), values

    def _totals(self, keys: Sequence[Any] | None, asked: Asked) -> Question:
        return self.statement("count", asked.shape._replace(terms=())), self._values(keys, asked)

    async def batches(self, ctx: Context, arguments: Mapping[str, Any]) -> AsyncGenerator[list[Row], None]:
        """Every row, batch by batch; nothing for an empty list. Rows that come or go meanwhile shift no other."""
        assert self._marks is not None, "a stream goes on from the place of its last row"
        await self._require_within(ctx, arguments)
        place: tuple[Any, ...] | None = None
        asked = self._asked(ctx, arguments)
        while True:
            wanted = Slice(self.many.batch, 0, backward=False, place=place)
            statement, values = self._rows(None, asked, wanted, wanted.size)
            rows = await statement.fetch(ctx.sql, **values)
            if rows:
                yield rows
            if len(rows) < self.many.batch:
                return
            place = self._place(rows[-1], asked)

    async def _require_within(self, ctx: Context, arguments: Mapping[str, Any]) -> None:
        """Raises `NotFound` where a list of something that is not there is asked for, and what `reach` raises."""
        if self.many.reach is not None:
            self.many.reach(ctx, arguments)
        for name, relation in self._within:
            if await relation.fetch(ctx, [arguments[name]]) == [None]:
                raise NotFound(f"{relation.stored.noun} not found")

    def statement(self, what: str, shape: Shape) -> Statement:
        """The statement for that shape (`rows` or `count`), composed when it is first needed."""
        compose = self._compose_rows if what == "rows" else self._compose_count
        name = f"{self.name} {what}"
        return self._statements.remember(
            (self, what, shape), lambda: Statement(compose(shape), self.dialect, name), weight=_weight
        )

    # --- composing ---------------------------------------------------------------------------------------------------

    def _compose_rows(self, shape: Shape) -> Select[Any]:
        viewer = Viewer(shape.viewer)
        if self.many.parent is None:
            selected = self.projection.select(viewer).select_from(self.stored.table)
            return self._page_of(selected, shape, lambda clause: clause)
        parents, other = _parents(self.dialect, self.many.parent.type), self.stored.table.alias("page")
        adapt = ClauseAdapter(other).traverse
        page = select(*(adapt(key).label(f"key{index}") for index, key in enumerate(self.stored.keys)))
        page = self._page_of(page.where(adapt(self._of_parent(parents.key))), shape, adapt).correlate(parents.table)
        selected = self.projection.select(viewer, parents.position)
        selected = selected.select_from(self._each_page(parents, page))
        return selected.order_by(parents.position, *sort_terms(self._order(shape.terms), backward=shape.backward))

    def _each_page(self, parents: Parents, page: Select[Any]) -> FromClause:
        """The rows of each parent's page. SQLite has no LATERAL; PostgreSQL would look into every row for IN."""
        if self.dialect.name != "postgresql":
            return parents.table.join(self.stored.table, _row(self.stored.keys).in_(page))
        found = page.lateral("found")
        same = [key == found.c[f"key{index}"] for index, key in enumerate(self.stored.keys)]
        return parents.table.join(found, true()).join(self.stored.table, and_(*same))

    def _of_parent(self, key: ColumnElement[Any]) -> ColumnElement[bool]:
        """Which rows belong to the parent with that key."""
        assert self.many.parent is not None, "asked below a parent only"
        if self.many.related is None:
            return self.many.parent == key
        # By name: in a subquery of the predicate, a column would bring its table along.
        return self.many.related(literal_column("parents.value", self.many.parent.type))

    def _page_of(self, selected: Select[Any], shape: Shape, adapt: Callable[[Any], Any]) -> Select[Any]:
        conditions, order = self._conditions(shape), self._order(shape.terms)
        if shape.nulls is not None:
            conditions.append(beyond(order, shape.nulls, self.dialect, backward=shape.backward))
        selected = selected.where(*(adapt(condition) for condition in conditions))
        selected = selected.order_by(*(adapt(term) for term in sort_terms(order, backward=shape.backward)))
        selected = selected.limit(bindparam("limit", type_=Integer()))
        return selected.offset(bindparam("offset", type_=Integer())) if shape.offset else selected

    def _compose_count(self, shape: Shape) -> Any:
        total = None if self._narrows(shape) or self.stored.total is None else self.stored.total(Viewer(shape.viewer))
        if total is not None:
            return select(_ONLY, total)
        conditions = self._conditions(shape)
        if self.many.parent is None:
            return select(_ONLY, func.count()).select_from(self.stored.table).where(*conditions)
        parents = _parents(self.dialect, self.many.parent.type)
        counted = select(func.count()).select_from(self.stored.table)
        counted = counted.where(self._of_parent(parents.key), *conditions).correlate(parents.table)
        return select(parents.position, counted.scalar_subquery())

    def _narrows(self, shape: Shape) -> bool:
        """Whether fewer rows are asked for than the viewer sees."""
        narrowed = self.many.parent is not None or bool(shape.filters) or shape.chosen is not None
        return narrowed or self.stored.live is not None

    def _conditions(self, shape: Shape) -> list[ColumnElement[bool]]:
        conditions = [self.stored.visible(Viewer(shape.viewer))]
        if self.stored.live is not None and not shape.deleted:
            conditions.append(self.stored.live)
        for name in shape.filters:
            argument = self.many.arguments[name]
            assert argument.column is not None
            assert argument.predicate is not None
            conditions.append(argument.predicate(bindparam(f"filter_{name}", type_=argument.column.type)))
        if shape.chosen is not None:
            assert self.many.choices is not None
            conditions.append(compose_filter(self.many.choices, shape.chosen, self.dialect))
        return conditions

    def _order(self, terms: Terms) -> tuple[Order, ...]:
        if not terms:
            return self.order
        assert self.many.choices is not None
        return complete_order(orders(self.many.choices, terms), *self.stored.keys)

    # --- arguments ---------------------------------------------------------------------------------------------------

    def _given(self, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(
            name
            for name, declared in self.many.arguments.items()
            if declared.predicate is not None and arguments.get(name) is not None
        )

    def _asked(self, ctx: Context, arguments: Mapping[str, Any], *, with_mark: bool = False) -> Asked:
        given, deleted = self._given(arguments), bool(arguments.get("include_deleted"))
        values: dict[str, Any] = viewer_values(ctx.principals)
        values.update({f"filter_{name}": self._compared(name, arguments[name]) for name in given})
        shape = Shape(ctx.principals.shape, given, deleted)
        told: list[Any] = [[(name, arguments[name]) for name in given], deleted]
        choices = self.many.choices
        if choices is not None and arguments.get("filter"):
            found = read_filter(choices, arguments["filter"], Viewer(shape.viewer))
            shape = shape._replace(chosen=found.form)
            values.update(filter_values(found, choices, self.dialect))
            told += found
        if choices is not None and arguments.get("order_by"):
            shape = shape._replace(terms=read_terms(choices, arguments["order_by"], Viewer(shape.viewer)))
            told += shape.terms
        return Asked(shape, self._order(shape.terms), values, fingerprint(self.name, *told) if with_mark else "")

    def _compared(self, name: str, value: Any) -> Any:
        convert = self.many.arguments[name].convert
        return _storable(value, name) if convert is None else convert(value)

    def _values(self, keys: Sequence[Any] | None, asked: Asked) -> dict[str, Any]:
        return asked.values if keys is None else {**asked.values, "keys": _keys(self.dialect, keys)}

    def _slice(self, arguments: Mapping[str, Any], asked: Asked) -> Slice:
        wanted = slice_of(arguments, self.many.largest_page)
        if wanted.cursor is None:
            return wanted
        return replace(wanted, place=tuple(decode_cursor(wanted.cursor, asked.mark, asked.order, wanted.cursor_argument)))

    def _page(self, rows: Sequence[Row], wanted: Slice, asked: Asked, total: int | None) -> Page:
        return page_of(rows, wanted, lambda row: self._cursor(row, asked), total)

    def _cursor(self, row: Row, asked: Asked) -> str:
        return encode_cursor(asked.mark, self._place(row, asked))

    def _place(self, row: Row, asked: Asked) -> tuple[Any, ...]:
        """The row's own values of the order's terms."""
        assert self._marks is not None
        return tuple(next(row[index] for column, index in self._marks if column is term.expression) for term in asked.order)


def _row(columns: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    """What tells a row: its key, or its keys together."""
    return columns[0] if len(columns) == 1 else tuple_(*columns)


def _by_parent(rows: list[Row], keys: Sequence[Any] | None) -> Mapping[int, list[Row]]:
    """By the position of the parent, which is last in a row; without keys there is but one."""
    if keys is None:
        return {0: rows}
    grouped: dict[int, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row[-1], []).append(row)
    return grouped


def _unique(keys: Sequence[Any] | None) -> tuple[Sequence[int], list[Any] | None]:
    """For each parent the position of its page, and the distinct keys."""
    if keys is None:
        return (0,), None
    positions: dict[Any, int] = {}
    return [positions.setdefault(key, len(positions)) for key in keys], list(positions)


def _storable(value: Any, name: str) -> Any:
    if isinstance(value, int) and not is_stored_integer(value):
        raise InvalidInput("beyond what is stored: integers have 64 bits", field=name, value=value)
    return value
