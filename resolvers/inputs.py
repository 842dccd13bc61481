"""What use cases are given: fields that may be absent, and the checks that a table's columns imply.

The graph's schema checks most of this before. It is checked here again, so that a database never is the first to notice.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Boolean, Column, Integer, Table
from sqlalchemy.types import TypeEngine

from core.errors import InvalidInput, Problem
from core.secrets import Secret
from storage.sql.types import EnumColumn, JsonColumn, UuidColumn


class Absent(enum.Enum):
    """The type of `ABSENT`: a field that the client did not send, which is neither null nor empty."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent.ABSENT


def given(changes: Any) -> dict[str, object]:
    """The fields of an input that are present, by name."""
    present = ((field.name, getattr(changes, field.name)) for field in fields(changes))
    return {name: value for name, value in present if value is not ABSENT}


def checked(table: Table, values: Mapping[str, object]) -> dict[str, Any]:
    """The values, if each fits its column; else one `InvalidInput` that names every field that does not.

    A name without a column is a required text that is stored in another form: a password.
    """
    refuse([problem for name, value in values.items() if (problem := _problem(table, name, value))])
    return dict(values)


def refuse(problems: list[Problem]) -> None:
    """Raise `InvalidInput` if there are any."""
    if not problems:
        return
    first, *others = problems
    detail = "; ".join(f"{problem.path[0]}: {problem.message}" for problem in problems) if others else first.message
    raise InvalidInput(detail, field=str(first.path[0]), problems=problems)


def text_problem(name: str, value: object, *, longest: int | None = None) -> Problem | None:
    """What keeps a value from being stored as text, in pydantic's words where it has some."""
    text = value.reveal() if isinstance(value, Secret) else value
    if not isinstance(text, str):
        return _wrong(name, "string_type", "Input should be a valid string", value)
    if "\0" in text:
        return Problem((name,), "Text cannot contain NUL characters", "string_nul")
    if any("\ud800" <= character <= "\udfff" for character in text):
        return Problem(
            (name,), "Input should be a valid string, unable to parse raw data as a unicode string", "string_unicode"
        )
    if longest is not None and len(text) > longest:
        return _wrong(name, "string_too_long", f"String should have at most {longest} characters", value)
    return None


def _problem(table: Table, name: str, value: object) -> Problem | None:
    column: Column[Any] | None = table.c.get(name)
    if column is None:
        return text_problem(name, value)
    if value is None and column.nullable:
        return None
    return _check_of(column.type)(name, value)


def _check_of(kind: TypeEngine[Any]) -> Callable[[str, object], Problem | None]:
    """The check that a column's type implies."""
    if isinstance(kind, EnumColumn):
        return lambda name, value: _enum_problem(kind.kind, name, value)
    if isinstance(kind, UuidColumn):
        return _uuid_problem
    if isinstance(kind, JsonColumn):
        return _object_problem
    if isinstance(kind, Boolean):
        return _boolean_problem
    if isinstance(kind, Integer):
        return _integer_problem
    return lambda name, value: text_problem(name, value, longest=getattr(kind, "length", None))


def _enum_problem(kind: type[enum.Enum], name: str, value: object) -> Problem | None:
    if isinstance(value, kind):
        return None
    *most, last = [repr(member.value) for member in kind]
    return _wrong(name, "enum", f"Input should be {', '.join(most)} or {last}", value)


def _uuid_problem(name: str, value: object) -> Problem | None:
    return (
        None
        if isinstance(value, UUID)
        else _wrong(name, "uuid_type", "UUID input should be a string, bytes or UUID object", value)
    )


def _boolean_problem(name: str, value: object) -> Problem | None:
    return None if isinstance(value, bool) else _wrong(name, "bool_type", "Input should be a valid boolean", value)


def _integer_problem(name: str, value: object) -> Problem | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return _wrong(name, "int_type", "Input should be a valid integer", value)
    if not -(2**31) <= value < 2**31:
        return _wrong(name, "int_parsing_size", "Input should be an integer of 32 bits", value)
    return None


def _object_problem(name: str, value: object) -> Problem | None:
    """JSON that clients send is an object, and one that can be written: no lone surrogates, no integers beyond 64 bits."""
    if not isinstance(value, dict):
        return _wrong(name, "dict_type", "Input should be a valid dictionary", value)
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return Problem((name,), "Input cannot be stored as JSON", "json_type")
    return None


def _wrong(name: str, kind: str, message: str, value: object) -> Problem:
    """A problem that shows what was sent, unless that is a secret."""
    return Problem((name,), message, kind, None if isinstance(value, Secret) else value)
