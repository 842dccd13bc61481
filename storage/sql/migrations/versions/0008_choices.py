"""Indexes behind the filters and orders of the lists that grow with every file."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_INDEXES = {
    "ix_file_records_filename_id": ("file_records", ["filename", "id"]),
    "ix_file_records_xxhash": ("file_records", ["xxhash"]),
    "ix_file_records_sha256": ("file_records", ["sha256"]),
    "ix_file_transfers_run_id": ("file_transfers", ["run_id"]),
    "ix_runs_created_at_id": ("runs", ["created_at", "id"]),
}

# Of columns that may be null PostgreSQL needs the nulls where the lists have them: last, also with the largest first.
_LARGEST_FIRST = {
    "ix_file_records_size_bytes_id": ("file_records", ["size_bytes", "id"]),
    "ix_file_records_source_mtime_id": ("file_records", ["source_mtime", "id"]),
    "ix_file_transfers_started_at_id": ("file_transfers", ["started_at", "id"]),
    "ix_file_transfers_completed_at_id": ("file_transfers", ["completed_at", "id"]),
    "ix_file_transfers_storage_location_id_started_at_id": ("file_transfers", ["storage_location_id", "started_at", "id"]),
}


def upgrade() -> None:
    op.drop_index("ix_file_transfers_started_at_id", "file_transfers")
    for name, (table, columns) in _INDEXES.items():
        op.create_index(name, table, columns)
    nulls_last = " NULLS LAST" if op.get_bind().dialect.name == "postgresql" else ""
    for name, (table, columns) in _LARGEST_FIRST.items():
        *before, column, key = columns
        op.create_index(name, table, [*before, sa.text(f"{column} DESC{nulls_last}"), sa.text(f"{key} DESC")])


def downgrade() -> None:
    for name, (table, _) in {**_INDEXES, **_LARGEST_FIRST}.items():
        op.drop_index(name, table)
    op.create_index("ix_file_transfers_started_at_id", "file_transfers", ["started_at", "id"])
