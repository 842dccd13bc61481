"""What all tables share: the metadata with its naming rule, and the columns that recur."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Index, MetaData
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex
from sqlalchemy.sql.compiler import DDLCompiler

from storage.sql.types import TimeColumn, UuidColumn

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def key() -> Column[Any]:
    """A UUIDv4 primary key, made by the use case."""
    return Column("id", UuidColumn(), primary_key=True)


def created_and_updated() -> tuple[Column[Any], Column[Any]]:
    """When the row was made and last really changed."""
    return Column("created_at", TimeColumn(), nullable=False), Column("updated_at", TimeColumn(), nullable=False)


def soft_deletion() -> Column[Any]:
    """Set while the row is deleted and can be restored."""
    return Column("deleted_at", TimeColumn())


def largest_first(column: Column[Any], *, of_each: Column[Any] | None = None) -> Index:
    """An index of a column that may be null and the key, in the way in which such lists are mostly sorted.

    Nulls come last whichever the direction, which an index of PostgreSQL can serve in one of them only.
    """
    before = [] if of_each is None else [of_each]
    name = "_".join(["ix", column.table.name, *(each.name for each in before), column.name, "id"])
    return Index(name, *before, column.desc().nulls_last(), column.table.c.id.desc())


@compiles(CreateIndex, "sqlite")
def _without_nulls(element: CreateIndex, compiler: DDLCompiler, **options: Any) -> str:
    """SQLite has nulls last when the largest come first, and does not want to be told."""
    text: str = compiler.visit_create_index(element, **options)  # type: ignore[no-untyped-call]  # SQLAlchemy's
    return text.replace(" NULLS LAST", "")
