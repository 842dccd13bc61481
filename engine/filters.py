"""What a client's `filter` and `orderBy` mean: a form, which decides the text of a statement, and values, which are bound to it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ARRAY, ColumnElement, Text, and_, any_, bindparam, false, func, or_, select, true
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from core.errors import Forbidden, InvalidInput
from engine.choices import MOST_CONDITIONS, MOST_LEVELS, MOST_VALUES
from engine.keyset import is_stored_integer
from engine.kinds import Choice, Choices, Order, Viewer

Form = tuple[Any, ...]
"""`(and|or|not, form, …)` or `(column, operator)`: hashable, and without a client's values."""

Terms = tuple[tuple[str, bool], ...]
"""Columns to sort by; true is descending."""


class Filter(NamedTuple):
    """A filter as it was given: its form, and its values in the order in which the form names their places."""

    form: Form
    values: tuple[Any, ...]


def read_filter(choices: Choices, given: Mapping[str, Any], viewer: Viewer) -> Filter:
    """Raises `InvalidInput` for what is too much, `Forbidden` for columns that are not the viewer's to know."""
    reader = _Reader(choices, viewer)
    return Filter(reader.all_of(given, 0), tuple(reader.values))


def read_terms(choices: Choices, given: Sequence[Mapping[str, Any]], viewer: Viewer) -> Terms:
    """Raises like `read_filter`; also for a column that is named twice."""
    terms = tuple((each["field"].value, each["direction"].value == "desc") for each in given)
    for name, _ in terms:
        _refuse_hidden(choices.columns[name], name, viewer)
    if len({name for name, _ in terms}) < len(terms):
        raise InvalidInput("names a field twice", field="order_by", value=[name for name, _ in terms])
    return terms


def orders(choices: Choices, terms: Terms) -> tuple[Order, ...]:
    """The terms of `complete_order`."""
    found = ((choices.columns[name].expression, descending) for name, descending in terms)
    return tuple(Order(column, down, nullable=bool(getattr(column, "nullable", True))) for column, down in found)


class _Reader:
    def __init__(self, choices: Choices, viewer: Viewer) -> None:
        self._columns, self._viewer = choices.columns, viewer
        self.values: list[Any] = []
        self._conditions = 0

    def all_of(self, given: Mapping[str, Any], level: int) -> Form:
        if level > MOST_LEVELS:
            raise InvalidInput(f"more than {MOST_LEVELS} levels of and, or, not", field="filter")
        return ("and", *(each for name, value in given.items() for each in self._part(name, value, level)))

    def _part(self, name: str, value: Any, level: int) -> Sequence[Form]:
        if name == "not":
            return [("not", self.all_of(value, level + 1))]
        if name in {"and", "or"}:
            return [(name, *(self.all_of(each, level + 1) for each in value))]
        column = self._columns[name]
        _refuse_hidden(column, name, self._viewer)
        return [self._condition(name, operator, operand) for operator, operand in value.items()]

    def _condition(self, name: str, operator: str, operand: Any) -> Form:
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            raise InvalidInput(f"more than {MOST_CONDITIONS} comparisons", field="filter")
        if operator == "isNull":
            return (name, "isNull" if operand else "isNotNull")
        if operator == "in" and len(operand) > MOST_VALUES:
            raise InvalidInput(f"{len(operand)} values; at most {MOST_VALUES} are compared", field=name)
        self.values += _bound(operator, operand, name)
        return (name, operator)


def _refuse_hidden(column: Choice, name: str, viewer: Viewer) -> None:
    """Which rows come back, and in which order, would tell what the column holds."""
    if column.allowed is not None and not column.allowed(viewer):
        raise Forbidden(f"{name} is not yours to filter or sort by")


def _bound(operator: str, operand: Any, name: str) -> list[Any]:
    if operator == "startsWith":
        return [_storable(operand, name), _behind(operand)]
    if operator == "contains":
        return [_folded(_storable(operand, name))]
    return [[_storable(each, name) for each in operand] if operator == "in" else _storable(operand, name)]


def _storable(value: Any, name: str) -> Any:
    if isinstance(value, int) and not is_stored_integer(value):
        raise InvalidInput("beyond what is stored: integers have 64 bits", field=name, value=value)
    if isinstance(value, str) and "\0" in value:
        raise InvalidInput("text may not contain the character U+0000", field=name)
    return value.value if isinstance(value, enum.Enum) else value


_LAST, _SURROGATES = chr(0x10FFFF), range(0xD800, 0xE000)


def _behind(prefix: str) -> str:
    """The first text, by code points, that is behind all that begin so."""
    kept = prefix.rstrip(_LAST)
    if not kept:
        return prefix + _LAST
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)


_FOLDING = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def _folded(text: str) -> str:
    """As `lower` of both databases folds it, which in the `C` collation knows A to Z only."""
    return text.translate(_FOLDING)


# --- composing ---------------------------------------------------------------------------------------------------------


def compose_filter(choices: Choices, form: Form, dialect: Dialect) -> ColumnElement[bool]:
    """The predicate; its values are bound as `choice_0`, `choice_1` and so on."""
    return _Composer(choices, dialect).of(form)


def filter_values(found: Filter, choices: Choices, dialect: Dialect) -> dict[str, Any]:
    """What to bind."""
    listed = _lists(found.form, choices)
    return {
        f"choice_{place}": _stored_list(value, listed[place], dialect) if place in listed else value
        for place, value in enumerate(found.values)
    }


def _lists(form: Form, choices: Choices) -> dict[int, TypeEngine[Any]]:
    """The places that hold lists, with the types of their columns."""
    found: dict[int, TypeEngine[Any]] = {}
    place = 0
    for name, operator in _conditions(form):
        if operator == "in":
            found[place] = choices.columns[name].expression.type
        place += _PLACES.get(operator, 1)
    return found


_PLACES = {"isNull": 0, "isNotNull": 0, "startsWith": 2}


def _conditions(form: Form) -> list[Form]:
    if form[0] in {"and", "or", "not"}:
        return [each for part in form[1:] for each in _conditions(part)]
    return [form]


def _stored_list(values: list[Any], kind: TypeEngine[Any], dialect: Dialect) -> Any:
    """PostgreSQL has arrays; SQLite reads the stored forms from JSON, so that the text is the same for any number of them."""
    if dialect.name == "postgresql":
        return values
    store = kind.dialect_impl(dialect).bind_processor(dialect)
    return orjson.dumps(values if store is None else [store(value) for value in values]).decode()


class _Composer:
    def __init__(self, choices: Choices, dialect: Dialect) -> None:
        self._columns, self._dialect, self._places = choices.columns, dialect, 0

    def of(self, form: Form) -> ColumnElement[bool]:
        match form:
            case ("and", *parts):
                return and_(true(), *map(self.of, parts))
            case ("or", *parts):
                return or_(false(), *map(self.of, parts))
            case ("not", part):
                return self.of(part).is_not(true())  # so that null does not hold in either
        name, operator = form
        return self._condition(self._columns[name].expression, operator)

    def _condition(self, column: ColumnElement[Any], operator: str) -> ColumnElement[bool]:
        match operator:
            case "isNull":
                return column.is_(None)
            case "isNotNull":
                return column.is_not(None)
            case "in":
                return self._in(column)
            case "startsWith":
                return and_(column >= self._next(column.type), column < self._next(column.type))
            case "contains":
                position: ColumnElement[int] = _position(self._dialect)(func.lower(column), self._next(Text()))
                return position > 0
        return _COMPARISONS[operator](column, self._next(column.type))

    def _in(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        if self._dialect.name == "postgresql":
            return column == any_(self._next(ARRAY(column.type)))
        values = func.json_each(self._next(Text())).table_valued("value", name=f"values_{self._places}")
        return column.in_(select(values.c.value))

    def _next(self, kind: TypeEngine[Any]) -> ColumnElement[Any]:
        self._places += 1
        return bindparam(f"choice_{self._places - 1}", type_=kind)


_COMPARISONS: dict[str, Callable[[ColumnElement[Any], ColumnElement[Any]], ColumnElement[bool]]] = {
    "eq": lambda column, value: column == value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
}


def _position(dialect: Dialect) -> Any:
    return func.strpos if dialect.name == "postgresql" else func.instr
