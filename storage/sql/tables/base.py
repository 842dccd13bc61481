"""What all tables share: the metadata with its naming rule, and the columns that recur."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, MetaData

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
