"""Changes are remembered by their client's key."""

import sqlalchemy as sa
from alembic import op

from storage.sql import types

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("name", types.text(64), nullable=False, comment="keyed hash of who asks, the operation and the client's key"),
        sa.Column("request", types.text(64), nullable=False, comment="keyed hash of what is asked"),
        sa.Column("state", types.text(), nullable=False),
        sa.Column("holder", types.UuidColumn(), nullable=False, comment="the request that makes the change"),
        sa.Column(
            "held_until", types.TimeColumn(), nullable=False, comment="then another may take over what has changed nothing"
        ),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", types.JsonColumn(), nullable=True),
        sa.Column("body", types.text(), nullable=True),
        sa.Column("expires_at", types.TimeColumn(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_expires_at"), "idempotency_keys", ["expires_at"])


def downgrade() -> None:
    op.drop_table("idempotency_keys")
