"""Column types with one pinned stored form per database, so that raw rows can be read without an ORM.

SQLite: uuid as 36-character text, time as fixed-width RFC 3339 text (which sorts as time), JSON as its own text.
PostgreSQL: the native types, JSON as `json` (which keeps the text byte for byte); a SELECT list gives them in SQLite's forms,
so whoever reads raw rows reads the same from both. Text sorts and compares by code point everywhere.
"""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import CHAR, JSON, TIMESTAMP, BigInteger, ColumnElement, String, Text, literal_column
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine


def stored_time(moment: datetime) -> str:
    """`2026-11-21T00:29:27.495180Z`, always 27 characters: text order is time order."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone cannot be stored")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def read_time(text: str) -> datetime:
    """The reverse of `stored_time`."""
    return datetime.fromisoformat(text)


def text(length: int | None = None) -> String:
    """A text column, of at most so many characters."""
    kind = Text if length is None else String
    return kind(length).with_variant(kind(length, collation="C"), "postgresql")


class _Stored(FunctionElement[Any]):
    """A column of a SELECT list, in its stored form on every database."""

    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], kind: TypeDecorator[Any]) -> None:
        self.type = kind
        super().__init__(column)


@compiles(_Stored)
def _as_it_is(element: _Stored, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses.clauses[0], **options)


@compiles(_Stored, "postgresql")
def _as_text(element: _Stored, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.clauses.clauses[0], **options)
    if isinstance(element.type, TimeColumn):
        return f"""to_char(timezone('UTC', {column}), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    return f"CAST({column} AS TEXT)"


class UuidColumn(TypeDecorator[UUID]):
    """A UUID; accepts and returns `uuid.UUID`."""

    impl = CHAR(36)
    cache_ok = True

    @property
    def python_type(self) -> type[UUID]:
        return UUID

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(postgresql.UUID(as_uuid=True) if dialect.name == "postgresql" else CHAR(36))

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return _Stored(column, self)

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name == "postgresql" else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> UUID | None:
        return value if value is None or isinstance(value, UUID) else UUID(value)


class TimeColumn(TypeDecorator[datetime]):
    """A moment in UTC; accepts and returns aware `datetime`."""

    impl = CHAR(27)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        return datetime

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(TIMESTAMP(timezone=True) if dialect.name == "postgresql" else CHAR(27))

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return _Stored(column, self)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        stored = stored_time(value)
        return value if dialect.name == "postgresql" else stored

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return read_time(value) if isinstance(value, str) else value


class JsonColumn(TypeDecorator[Any]):
    """JSON stored as text and passed through as text on read paths. Python `None` is SQL null."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(JSON(none_as_null=True) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return orjson.dumps(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return orjson.loads(value) if isinstance(value, str) and dialect.name != "postgresql" else value


class json_integer(FunctionElement[int]):  # noqa: N801  # read like a function
    """The whole number under a key of a JSON object; null if there is none."""

    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], key: str) -> None:
        self.type = BigInteger()
        super().__init__(column, literal_column(f"'{key}'"))


@compiles(json_integer)
def _extracted(element: json_integer, compiler: SQLCompiler, **options: Any) -> str:
    column, key = (compiler.process(each, **options) for each in element.clauses)
    # What is no JSON is this value's mistake alone: SQLite would end the statement.
    return f"CASE WHEN json_valid({column}) THEN json_extract({column}, '$.' || {key}) END"


@compiles(json_integer, "postgresql")
def _cast(element: json_integer, compiler: SQLCompiler, **options: Any) -> str:
    column, key = (compiler.process(each, **options) for each in element.clauses)
    number = f"CAST({column} ->> {key} AS NUMERIC)"
    whole = f"CASE WHEN abs({number}) < 9e18 THEN CAST({number} AS BIGINT) END"
    readable = f"position('\\u' in CAST({column} AS TEXT)) = 0"  # PostgreSQL keeps escapes that it cannot read
    return f"CASE WHEN {readable} THEN CASE WHEN json_typeof({column} -> {key}) = 'number' THEN {whole} END END"


class EnumColumn(TypeDecorator[enum.Enum]):
    """An enum stored as its value. Not a database enum: a new member is no migration."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: type[enum.Enum]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return value.value if isinstance(value, enum.Enum) else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return value if value is None else self.kind(value)

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(text())

    def coerce_compared_value(self, op: Any, value: Any) -> EnumColumn:
        return self
