"""Personal tokens."""

import sqlalchemy as sa
from alembic import op

from storage.sql import types

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "personal_tokens",
        sa.Column("id", types.UuidColumn(), nullable=False),
        sa.Column("user_id", types.UuidColumn(), nullable=False),
        sa.Column("name", types.text(100), nullable=False),
        sa.Column("digest", types.text(64), nullable=False, comment="SHA-256 of the token's text, which is stored nowhere"),
        sa.Column("scopes", types.JsonColumn(), nullable=False),
        sa.Column(
            "credentials_version",
            sa.Integer(),
            nullable=False,
            comment="the person's when it was made; another one ends the token",
        ),
        sa.Column("created_at", types.TimeColumn(), nullable=False),
        sa.Column("expires_at", types.TimeColumn(), nullable=False),
        sa.Column("last_used_at", types.TimeColumn(), nullable=True, comment="give or take a minute"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_personal_tokens_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_personal_tokens")),
    )
    op.create_index("ix_personal_tokens_user_id_created_at_id", "personal_tokens", ["user_id", "created_at", "id"])


def downgrade() -> None:
    op.drop_table("personal_tokens")
