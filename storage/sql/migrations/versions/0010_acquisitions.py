"""Acquisitions: the folder whose files were written as one measurement."""

import sqlalchemy as sa
from alembic import op

from storage.sql import types

revision = "0010"
down_revision = "0009"

_INDEX = "ix_file_records_acquisition"


def upgrade() -> None:
    comment = "path of the folder that was written as one measurement; null when in none"
    op.add_column("file_records", sa.Column("acquisition", types.text(2048), nullable=True, comment=comment))
    there = sa.text("acquisition IS NOT NULL")
    op.create_index(
        _INDEX,
        "file_records",
        ["instrument_id", "acquisition", "first_discovered_at", "id"],
        sqlite_where=there,
        postgresql_where=there,
    )


def downgrade() -> None:
    op.drop_index(_INDEX, "file_records")
    op.drop_column("file_records", "acquisition")
