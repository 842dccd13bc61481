"""Lookups: declarations, items, and the trigrams behind filters."""

import sqlalchemy as sa
from alembic import op

from storage.sql import types

revision = "0009"
down_revision = "0008"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_WHERE_SET = {
    "ix_lookup_items_space_key_id": ["space", "key_id"],
    "ix_lookup_items_space_range_node": ["space", "range_node"],
    "ix_lookup_items_expires_at": ["expires_at"],
}

_SQLITE = """CREATE VIRTUAL TABLE lookup_search USING fts5(
    search_text, content='lookup_items', content_rowid='number', tokenize='trigram case_sensitive 1', detail=none, columnsize=0)"""

# Whoever may not create the extension goes without the index.
_POSTGRESQL = """DO $$ BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX ix_lookup_items_search_text_trigrams ON lookup_items USING gin (search_text gin_trgm_ops);
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported OR undefined_object THEN
    RAISE NOTICE 'without pg_trgm filters of lookups have no index: %', SQLERRM;
END $$"""


def upgrade() -> None:
    op.create_table(
        "lookup_spaces",
        sa.Column("number", _NUMBER, sa.Identity(), nullable=False),
        sa.Column("created_at", types.TimeColumn(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_lookup_spaces")),
        comment="where items belong; one that no lookup has any more is emptied in the background",
    )
    op.create_table(
        "lookups",
        sa.Column("id", types.UuidColumn(), nullable=False),
        sa.Column("lookup_id", types.text(255), nullable=False, comment="NAME.TENANT, or NAME when it is global"),
        sa.Column("tenant", types.text(127), nullable=True, comment="null when it is global"),
        sa.Column("name", types.text(127), nullable=False),
        sa.Column("label", types.text(), nullable=False),
        sa.Column("group_name", types.text(), nullable=True),
        sa.Column("type", types.text(), nullable=False),
        sa.Column("is_global", sa.Boolean(), nullable=False),
        sa.Column("keys", types.JsonColumn(), nullable=False, comment="array of name and type"),
        sa.Column("fields", types.JsonColumn(), nullable=False, comment="by name, in order: type, and what clients keep there"),
        sa.Column("description_title", types.text(), nullable=True),
        sa.Column("description_content", types.text(), nullable=True),
        sa.Column("default_expiration", sa.BigInteger(), nullable=True, comment="seconds"),
        sa.Column("feed_path", types.text(), nullable=True),
        sa.Column("slots", types.JsonColumn(), nullable=False, comment="of each field: its place in `fields` of an item"),
        sa.Column("space", _NUMBER, nullable=False, comment="another one after a clear"),
        sa.Column("behind", sa.Boolean(), nullable=False, comment="whether items still have what a dropped field left"),
        sa.Column("search_text", types.text(), nullable=False, comment="folded"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", types.TimeColumn(), nullable=False),
        sa.Column("updated_at", types.TimeColumn(), nullable=False),
        sa.ForeignKeyConstraint(["space"], ["lookup_spaces.number"], name=op.f("fk_lookups_space")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lookups")),
        sa.UniqueConstraint("lookup_id", name=op.f("uq_lookups_lookup_id")),
        sa.UniqueConstraint("space", name=op.f("uq_lookups_space")),
    )
    op.create_index("ix_lookups_tenant_lookup_id", "lookups", ["tenant", "lookup_id"])
    op.create_table(
        "lookup_items",
        sa.Column("number", _NUMBER, sa.Identity(), nullable=False),
        sa.Column("space", _NUMBER, nullable=False),
        sa.Column("item_id", types.text(512), nullable=False),
        sa.Column("key_id", types.text(), nullable=True, comment="the id that its keys give, where that is another"),
        sa.Column("keys", types.JsonColumn(), nullable=False, comment="array of parts, in sortable form"),
        sa.Column("fields", types.JsonColumn(), nullable=False, comment="array by slot, in sortable form, null where not set"),
        sa.Column("range_node", types.text(40), nullable=True, comment="where its range hangs in the tree of ranges"),
        sa.Column("search_text", types.text(), nullable=False, comment="folded key parts, id and text fields"),
        sa.Column("expires_at", sa.BigInteger(), nullable=True, comment="microseconds since 1970"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["space"], ["lookup_spaces.number"], name=op.f("fk_lookup_items_space")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_lookup_items")),
        sa.UniqueConstraint("space", "item_id", name=op.f("uq_lookup_items_space_item_id")),
    )
    for name, columns in _WHERE_SET.items():
        there = sa.text(f"{columns[-1]} IS NOT NULL")
        op.create_index(name, "lookup_items", columns, sqlite_where=there, postgresql_where=there)
    op.get_bind().exec_driver_sql(_POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE)


def downgrade() -> None:
    op.drop_table("lookup_items")
    op.drop_table("lookups")
    op.drop_table("lookup_spaces")
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE lookup_search")
