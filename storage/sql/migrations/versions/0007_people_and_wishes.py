"""Wishes for instruments, what people are told of, and the order of lists that are shown by now."""

import sqlalchemy as sa
from alembic import op

from storage.sql import types

revision = "0007"
down_revision = "0006"

_INDEXES = {
    "ix_groups_created_at_id": ("groups", ["created_at", "id"]),
    "ix_projects_created_at_id": ("projects", ["created_at", "id"]),
    "ix_audit_log_domain_number": ("audit_log", ["domain", "number"]),
    "ix_audit_log_domain_actor_id_number": ("audit_log", ["domain", "actor_id", "number"]),
}


def upgrade() -> None:
    op.create_table(
        "instrument_requests",
        sa.Column("id", types.UuidColumn(), nullable=False),
        sa.Column("requester_id", types.UuidColumn(), nullable=False),
        sa.Column("name", types.text(255), nullable=False),
        sa.Column("location", types.text(255), nullable=False),
        sa.Column("harvest_frequency", types.text(255), nullable=False),
        sa.Column("justification", types.text(), nullable=False),
        sa.Column("description", types.text(), nullable=True),
        sa.Column("status", types.text(), nullable=False),
        sa.Column("admin_notes", types.text(), nullable=True),
        sa.Column("created_at", types.TimeColumn(), nullable=False),
        sa.Column("updated_at", types.TimeColumn(), nullable=False),
        sa.ForeignKeyConstraint(
            ["requester_id"], ["users.id"], name=op.f("fk_instrument_requests_requester_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instrument_requests")),
    )
    op.create_index("ix_instrument_requests_created_at_id", "instrument_requests", ["created_at", "id"])
    op.create_index(
        "ix_instrument_requests_requester_id_created_at_id", "instrument_requests", ["requester_id", "created_at", "id"]
    )
    op.create_table(
        "notifications",
        sa.Column("id", types.UuidColumn(), nullable=False),
        sa.Column("recipient_id", types.UuidColumn(), nullable=False),
        sa.Column("type", types.text(), nullable=False),
        sa.Column("title", types.text(255), nullable=False),
        sa.Column("message", types.text(), nullable=False),
        sa.Column("link", types.text(1024), nullable=True),
        sa.Column("read", sa.Boolean(), nullable=False),
        sa.Column("dismissed_at", types.TimeColumn(), nullable=True),
        sa.Column("created_at", types.TimeColumn(), nullable=False),
        sa.ForeignKeyConstraint(["recipient_id"], ["users.id"], name=op.f("fk_notifications_recipient_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
    )
    op.create_index(
        "ix_notifications_recipient_id_read_created_at_id",
        "notifications",
        ["recipient_id", "read", "created_at", "id"],
    )
    for name, (table, columns) in _INDEXES.items():
        op.create_index(name, table, columns)


def downgrade() -> None:
    for name, (table, _) in _INDEXES.items():
        op.drop_index(name, table)
    op.drop_table("notifications")
    op.drop_table("instrument_requests")
