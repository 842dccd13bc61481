"""What clients may filter and sort lists by: declared columns become the input types of `filter` and `orderBy`.

`engine.filters` reads what is given for them.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import strawberry
from sqlalchemy import ColumnElement
from strawberry.annotation import StrawberryAnnotation
from strawberry.utils.str_converters import to_camel_case

from engine.constraints import Constraint
from engine.kinds import Choice, Choices, Viewer
from engine.scalars import Long

MOST_CONDITIONS, MOST_LEVELS, MOST_VALUES, LONGEST_TEXT = 20, 4, 100, 2048
"""Of one filter: comparisons, `and`/`or`/`not` within each other, values of an `in`, characters of a text."""


@strawberry.enum(description="Which way to sort.")
class SortDirection(enum.Enum):
    """Nulls come last in both."""

    ASC = strawberry.enum_value("asc", description="Smallest first, nulls last.")
    DESC = strawberry.enum_value("desc", description="Largest first, nulls last.")


class _Operand(NamedTuple):
    """One operator of a comparison: its name, whether it takes a list, its description."""

    name: str
    many: bool
    description: str


_SAME = (
    _Operand("eq", many=False, description="Equal."),
    _Operand("in_", many=True, description=f"Equal to one of these, at most {MOST_VALUES}."),
)
_ORDERED = (
    _Operand("lt", many=False, description="Less."),
    _Operand("lte", many=False, description="Less or equal."),
    _Operand("gt", many=False, description="Greater."),
    _Operand("gte", many=False, description="Greater or equal."),
)
_TEXT = (
    _Operand("starts_with", many=False, description="Begins with this, upper and lower case as they are."),
    _Operand("contains", many=False, description="Holds this somewhere, whatever the case of A to Z. No index helps."),
)
_PLAIN: dict[Any, tuple[str, tuple[_Operand, ...]]] = {
    str: ("Text", (*_SAME, *_TEXT)),
    UUID: ("UUID", _SAME),
    int: ("Int", (*_SAME, *_ORDERED)),
    Long: ("Long", (*_SAME, *_ORDERED)),
    float: ("Float", (*_SAME, *_ORDERED)),
    datetime: ("DateTime", (*_SAME, *_ORDERED)),
    bool: ("Boolean", _SAME[:1]),
}


def choice(
    expression: ColumnElement[Any],
    annotation: Any,
    description: str,
    *,
    sortable: bool = True,
    allowed: Callable[[Viewer], bool] | None = None,
) -> Choice:
    """A column to filter by and, unless it is said otherwise, to sort by."""
    return Choice(expression, annotation, description, sortable, allowed)


def choices(name: str, columns: Mapping[str, Choice]) -> Choices:
    """For lists of that type. Makes the inputs `<name>Filter` and `<name>Order`."""
    by_name = {to_camel_case(attribute): column for attribute, column in columns.items()}
    return Choices(by_name, _filter(name, columns), _order(name, columns))


def _filter(name: str, columns: Mapping[str, Choice]) -> Any:
    fields = {attribute: (_comparison(column.annotation), column.description) for attribute, column in columns.items()}
    combined = {
        "and_": "All of these hold.",
        "or_": "At least one of these holds; none does of an empty list.",
        "not_": "This does not hold (nothing that is compared with null holds).",
    }
    made = _input(
        f"{name}Filter",
        f"Which rows: all that is said must hold. At most {MOST_CONDITIONS} comparisons, {MOST_LEVELS} levels of `and`, `or`, `not`.",
        {**fields, **{attribute: (Any, text) for attribute, text in combined.items()}},
    )
    for field in made.__strawberry_definition__.fields:  # they are of the type itself, which is there only now
        if field.python_name in combined:
            field.type_annotation = StrawberryAnnotation((made if field.python_name == "not_" else list[made]) | None)  # type: ignore[valid-type]
    return made


def _order(name: str, columns: Mapping[str, Choice]) -> Any:
    members = {
        attribute.upper(): strawberry.enum_value(to_camel_case(attribute), description=column.description)
        for attribute, column in columns.items()
        if column.sortable
    }
    made_enum: Any = enum.Enum(f"{name}OrderField", members)  # type: ignore[misc]  # its members are known here
    by = strawberry.enum(made_enum, description="What to sort by.")
    made = type(
        f"{name}Order",
        (),
        {
            "__annotations__": {"field": by, "direction": SortDirection},
            "field": strawberry.field(description="What to sort by."),
            "direction": strawberry.field(description="Which way.", default=SortDirection.ASC),
        },
    )
    return strawberry.input(made, description="One term of an order; later terms decide where earlier ones are equal.")


@cache
def _comparison(annotation: Any) -> Any:
    """The input with the operators that fit the type; one for all columns of that type."""
    is_enum = isinstance(annotation, type) and issubclass(annotation, enum.Enum)
    name, operands = (annotation.__name__, _SAME) if is_enum else _PLAIN[annotation]
    fields = {each.name: (list[annotation] if each.many else annotation, each.description) for each in operands}
    fields["is_null"] = (bool, "Whether there is no value.")
    return _input(f"{name}Filter", "How a value compares: all that is said must hold.", fields)


def _input(name: str, description: str, fields: Mapping[str, tuple[Any, str]]) -> Any:
    """Fields that may be left out, but are never null."""
    made = type(
        name,
        (),
        {
            "__annotations__": {attribute: annotation | None for attribute, (annotation, _) in fields.items()},
            **{attribute: _field(attribute, *told) for attribute, told in fields.items()},
        },
    )
    return strawberry.input(made, description=description)


def _field(attribute: str, annotation: Any, description: str) -> Any:
    longest = LONGEST_TEXT if annotation is str else None
    shortest = 1 if attribute in {"starts_with", "contains"} else None
    return strawberry.field(
        name=to_camel_case(attribute.removesuffix("_")),
        description=description,
        default=strawberry.UNSET,
        directives=[Constraint(nullable=False, min_length=shortest, max_length=longest).directive()],
    )
