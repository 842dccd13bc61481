"""Failed sign-ins are counted."""

import sqlalchemy as sa
from alembic import op

from storage.sql import types

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "login_attempts",
        sa.Column("who", types.text(64), nullable=False, comment="keyed hash of an account's address or of a network address"),
        sa.Column("count", sa.Integer(), nullable=False, comment="sign-ins that failed or are being checked"),
        sa.Column("ends_at", types.TimeColumn(), nullable=False, comment="when the count is forgotten"),
        sa.PrimaryKeyConstraint("who", name=op.f("pk_login_attempts")),
    )
    with op.batch_alter_table("login_attempts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_login_attempts_ends_at"), ["ends_at"], unique=False)


def downgrade() -> None:
    op.drop_table("login_attempts")
