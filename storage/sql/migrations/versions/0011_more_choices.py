"""Indexes behind the filters and orders of grants, notifications and the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_INDEXES = {
    "ix_audit_log_domain_entity_id_number": ("audit_log", ["domain", "entity_id", "number"]),
    "ix_audit_log_domain_action_number": ("audit_log", ["domain", "action", "number"]),
    "ix_audit_log_domain_actor_email_number": ("audit_log", ["domain", "actor_email", "number"]),
    "ix_audit_log_domain_created_at_id": ("audit_log", ["domain", "created_at", "id"]),
    "ix_file_access_grants_grantee_type_grantee_id_granted_at_id": (
        "file_access_grants",
        ["grantee_type", "grantee_id", "granted_at", "id"],
    ),
    "ix_notifications_recipient_id_type_created_at_id": ("notifications", ["recipient_id", "type", "created_at", "id"]),
    "ix_notifications_recipient_id_created_at_id": ("notifications", ["recipient_id", "created_at", "id"]),
}
_DISMISSED = "ix_notifications_recipient_id_dismissed_at_id"


def upgrade() -> None:
    for name, (table, columns) in _INDEXES.items():
        op.create_index(name, table, columns)
    # Null while it is not dismissed: PostgreSQL needs the nulls where the lists have them.
    nulls_last = " NULLS LAST" if op.get_bind().dialect.name == "postgresql" else ""
    op.create_index(
        _DISMISSED, "notifications", ["recipient_id", sa.text(f"dismissed_at DESC{nulls_last}"), sa.text("id DESC")]
    )


def downgrade() -> None:
    for name, (table, _) in {**_INDEXES, _DISMISSED: ("notifications", [])}.items():
        op.drop_index(name, table)
