"""What belongs to no domain: runs and their queue, the audit log, links between domains, content digests."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Identity, Index, Integer, Table, UniqueConstraint
from sqlalchemy import text as sql

from core.vocabulary import AuditAction, KeyState, RunState
from storage.sql.tables.base import key, metadata
from storage.sql.types import EnumColumn, JsonColumn, TimeColumn, UuidColumn, text


def _one_per_key(state: RunState) -> Index:
    """Of the runs that share an exclusive key, at most one is in that state."""
    alone = sql(f"state = '{state.value}'")
    name = f"uq_runs_exclusive_key_{state.value}"
    return Index(name, "exclusive_key", unique=True, sqlite_where=alone, postgresql_where=alone)


runs = Table(
    "runs",
    metadata,
    key(),
    Column("number", BigInteger, Identity(), nullable=False, unique=True, comment="order of the queue"),
    Column("kind", text(64), nullable=False, comment="which job: `harvest`"),
    Column("parameters", JsonColumn(), nullable=False),
    Column("exclusive_key", text(255), comment="runs that share one never run at the same time"),
    Column("subject_id", UuidColumn(), comment="what it was started for: a schedule"),
    Column("target_id", UuidColumn(), comment="what it works on: an instrument"),
    Column("scheduled_for", TimeColumn(), comment="the cron time that fired it; null when triggered by hand"),
    Column("state", EnumColumn(RunState), nullable=False),
    Column("message", text(), comment="why it failed or was skipped, in words"),
    Column("progress", JsonColumn()),
    Column("attempt", Integer, nullable=False),
    Column("worker", text(255)),
    Column("lease_expires_at", TimeColumn(), comment="a running run whose worker does not renew it is taken back"),
    Column("cancel_requested_at", TimeColumn(), comment="its worker is to end it as soon as it can"),
    Column("created_at", TimeColumn(), nullable=False),
    Column("started_at", TimeColumn()),
    Column("finished_at", TimeColumn()),
    UniqueConstraint("kind", "subject_id", "scheduled_for"),
    Index("ix_runs_state_number", "state", "number"),
    Index("ix_runs_target_id_number", "target_id", "number"),
    Index("ix_runs_subject_id_number", "subject_id", "number"),
    Index("ix_runs_finished_at", "finished_at"),
    Index("ix_runs_created_at_id", "created_at", "id"),
    _one_per_key(RunState.QUEUED),
    _one_per_key(RunState.RUNNING),
)

run_log = Table(
    "run_log",
    metadata,
    key(),
    Column("run_id", UuidColumn(), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("line", Integer, nullable=False),
    Column("at", TimeColumn(), nullable=False),
    Column("level", text(16), nullable=False),
    Column("message", text(), nullable=False),
    UniqueConstraint("run_id", "line"),
)

audit_log = Table(
    "audit_log",
    metadata,
    key(),
    Column("number", BigInteger, Identity(), nullable=False, unique=True),
    Column("domain", text(32), nullable=False),
    Column("entity_type", text(64), nullable=False),
    Column("entity_id", UuidColumn(), nullable=False),
    Column("action", EnumColumn(AuditAction), nullable=False),
    Column("actor_id", UuidColumn()),
    Column("actor_email", text(320)),
    Column("changes", JsonColumn()),
    Column("created_at", TimeColumn(), nullable=False),
    Index("ix_audit_log_domain_number", "domain", "number"),
    Index("ix_audit_log_domain_entity_type_number", "domain", "entity_type", "number"),
    Index("ix_audit_log_domain_entity_id_number", "domain", "entity_id", "number"),
    Index("ix_audit_log_domain_action_number", "domain", "action", "number"),
    Index("ix_audit_log_domain_actor_id_number", "domain", "actor_id", "number"),
    Index("ix_audit_log_domain_actor_email_number", "domain", "actor_email", "number"),
    Index("ix_audit_log_domain_created_at_id", "domain", "created_at", "id"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("name", text(64), primary_key=True, comment="keyed hash of who asks, the operation and the client's key"),
    Column("request", text(64), nullable=False, comment="keyed hash of what is asked"),
    Column("state", EnumColumn(KeyState), nullable=False),
    Column("holder", UuidColumn(), nullable=False, comment="the request that makes the change"),
    Column("held_until", TimeColumn(), nullable=False, comment="then another may take over what has changed nothing"),
    Column("status", Integer),
    Column("headers", JsonColumn()),
    Column("body", text()),
    Column("expires_at", TimeColumn(), nullable=False, index=True),
)

events = Table(
    "events",
    metadata,
    Column(
        "number",
        BigInteger().with_variant(Integer(), "sqlite"),
        Identity(),
        primary_key=True,
        comment="grows from one transaction to the next",
    ),
    Column("entity", text(64), nullable=False, comment="the table of what has changed"),
    Column("entity_id", text(255), nullable=False),
    Column("action", EnumColumn(AuditAction), comment="null for what is beside the row itself, as lines of a run's log are"),
    Column("at", TimeColumn(), nullable=False),
    Index("ix_events_entity_entity_id_number", "entity", "entity_id", "number"),
)

links = Table(
    "links",
    metadata,
    key(),
    Column("from_type", text(64), nullable=False),
    Column("from_id", text(255), nullable=False),
    Column("to_type", text(64), nullable=False),
    Column("to_id", text(255), nullable=False),
    Column("kind", text(64), nullable=False),
    Column("evidence", JsonColumn()),
    Column("created_at", TimeColumn(), nullable=False),
    UniqueConstraint("from_type", "from_id", "to_type", "to_id", "kind"),
    Index("ix_links_to_type_to_id", "to_type", "to_id"),
)

content_digests = Table(
    "content_digests",
    metadata,
    Column("algorithm", text(16), primary_key=True),
    Column("digest", text(128), primary_key=True),
    Column("asset_type", text(64), primary_key=True),
    Column("asset_id", text(255), primary_key=True),
    Column("created_at", TimeColumn(), nullable=False),
    Index("ix_content_digests_asset_type_asset_id", "asset_type", "asset_id"),
)
