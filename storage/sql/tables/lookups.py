"""Lookups: what is declared, and the items. SQLAlchemy does not know the index behind filters."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    UniqueConstraint,
    event,
)
from sqlalchemy import text as sql

from storage.sql.tables.base import created_and_updated, key, metadata
from storage.sql.types import JsonColumn, TimeColumn, text

_NUMBER = BigInteger().with_variant(Integer(), "sqlite")

lookup_spaces = Table(
    "lookup_spaces",
    metadata,
    Column("number", _NUMBER, Identity(), primary_key=True),
    Column("created_at", TimeColumn(), nullable=False),
    comment="where items belong; one that no lookup has any more is emptied in the background",
)

lookups = Table(
    "lookups",
    metadata,
    key(),
    Column("lookup_id", text(255), nullable=False, unique=True, comment="NAME.TENANT, or NAME when it is global"),
    Column("tenant", text(127), comment="null when it is global"),
    Column("name", text(127), nullable=False),
    Column("label", text(), nullable=False),
    Column("group_name", text()),
    Column("type", text(), nullable=False),
    Column("is_global", Boolean, nullable=False),
    Column("keys", JsonColumn(), nullable=False, comment="array of name and type"),
    Column("fields", JsonColumn(), nullable=False, comment="by name, in order: type, and what clients keep there"),
    Column("description_title", text()),
    Column("description_content", text()),
    Column("default_expiration", BigInteger, comment="seconds"),
    Column("feed_path", text()),
    Column("slots", JsonColumn(), nullable=False, comment="of each field: its place in `fields` of an item"),
    Column(
        "space", _NUMBER, ForeignKey("lookup_spaces.number"), nullable=False, unique=True, comment="another one after a clear"
    ),
    Column("behind", Boolean, nullable=False, comment="whether items still have what a dropped field left"),
    Column("search_text", text(), nullable=False, comment="folded"),
    Column("version", Integer, nullable=False),
    *created_and_updated(),
    Index("ix_lookups_tenant_lookup_id", "tenant", "lookup_id"),
)


def _where_set(name: str, *columns: str) -> Index:
    """Of the few rows that have a value in the last of these columns."""
    there = sql(f"{columns[-1]} IS NOT NULL")
    return Index(name, *columns, sqlite_where=there, postgresql_where=there)


lookup_items = Table(
    "lookup_items",
    metadata,
    Column("number", _NUMBER, Identity(), primary_key=True),
    Column("space", _NUMBER, ForeignKey("lookup_spaces.number"), nullable=False),
    Column("item_id", text(512), nullable=False),
    Column("key_id", text(), comment="the id that its keys give, where that is another"),
    Column("keys", JsonColumn(), nullable=False, comment="array of parts, in sortable form"),
    Column("fields", JsonColumn(), nullable=False, comment="array by slot, in sortable form, null where not set"),
    Column("range_node", text(40), comment="where its range hangs in the tree of ranges"),
    Column("search_text", text(), nullable=False, comment="folded key parts, id and text fields"),
    Column("expires_at", BigInteger, comment="microseconds since 1970"),
    Column("created_at", BigInteger, nullable=False),
    Column("modified_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    UniqueConstraint("space", "item_id"),
    _where_set("ix_lookup_items_space_key_id", "space", "key_id"),
    _where_set("ix_lookup_items_space_range_node", "space", "range_node"),
    _where_set("ix_lookup_items_expires_at", "expires_at"),
)

SEARCH = "lookup_search"
"""SQLite's trigrams of `search_text`. The store writes both: with a trigger FTS5 writes to the disk for each row."""

SEARCH_INDEX = "ix_lookup_items_search_text_trigrams"
"""PostgreSQL's, where the extension pg_trgm may be created; without it filters read all items of their lookup."""

_SQLITE = f"""CREATE VIRTUAL TABLE {SEARCH} USING fts5(
    search_text, content='lookup_items', content_rowid='number', tokenize='trigram case_sensitive 1', detail=none, columnsize=0)"""

_POSTGRESQL = f"""DO $$ BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX {SEARCH_INDEX} ON lookup_items USING gin (search_text gin_trgm_ops);
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported OR undefined_object THEN
    RAISE NOTICE 'without pg_trgm filters of lookups have no index: %%', SQLERRM;
END $$"""

event.listen(lookup_items, "after_create", DDL(_SQLITE).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call]
event.listen(lookup_items, "after_create", DDL(_POSTGRESQL).execute_if(dialect="postgresql"))  # type: ignore[no-untyped-call]


def is_declared(name: str | None, kind: str, _parents: Any = None) -> bool:
    """Whether the metadata knows what a database has: all but the search index. For Alembic's comparison."""
    return not ((kind == "table" and str(name).startswith(SEARCH)) or (kind == "index" and name == SEARCH_INDEX))
