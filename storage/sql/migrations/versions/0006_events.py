"""The feed of changes that subscriptions follow."""

import sqlalchemy as sa
from alembic import op

from storage.sql import types

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(),
            nullable=False,
            comment="grows from one transaction to the next",
        ),
        sa.Column("entity", types.text(64), nullable=False, comment="the table of what has changed"),
        sa.Column("entity_id", types.text(255), nullable=False),
        sa.Column(
            "action", types.text(), nullable=True, comment="null for what is beside the row itself, as lines of a run's log are"
        ),
        sa.Column("at", types.TimeColumn(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_events")),
    )
    op.create_index("ix_events_entity_entity_id_number", "events", ["entity", "entity_id", "number"])


def downgrade() -> None:
    op.drop_table("events")
