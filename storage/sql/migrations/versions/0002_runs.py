"""Runs can be cancelled; of those that share a key one waits and one runs, by the database's own rule."""

import sqlalchemy as sa
from alembic import op

from storage.sql import types

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column(
        "runs",
        sa.Column(
            "cancel_requested_at", types.TimeColumn(), nullable=True, comment="its worker is to end it as soon as it can"
        ),
    )
    op.create_index("ix_runs_finished_at", "runs", ["finished_at"])
    for state in ("queued", "running"):
        alone = sa.text(f"state = '{state}'")
        op.create_index(
            f"uq_runs_exclusive_key_{state}",
            "runs",
            ["exclusive_key"],
            unique=True,
            sqlite_where=alone,
            postgresql_where=alone,
        )


def downgrade() -> None:
    for index in ("uq_runs_exclusive_key_running", "uq_runs_exclusive_key_queued", "ix_runs_finished_at"):
        op.drop_index(index, "runs")
    op.drop_column("runs", "cancel_requested_at")
