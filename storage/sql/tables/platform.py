"""What belongs to no domain: runs and their queue, the audit log, links between domains, content digests."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from core.vocabulary import AuditAction, RunState
from storage.sql.tables.base import key, metadata
from storage.sql.types import EnumColumn, JsonColumn, TimeColumn, UuidColumn

runs = Table(
    "runs",
    metadata,
    key(),
    Column("number", BigInteger, nullable=False, unique=True, comment="order of the queue"),
    Column("kind", String(64), nullable=False, comment="which job: `harvest`"),
    Column("parameters", JsonColumn(), nullable=False),
    Column("exclusive_key", String(255), comment="runs that share one never run at the same time"),
    Column("subject_id", UuidColumn(), comment="what it was started for: a schedule"),
    Column("target_id", UuidColumn(), comment="what it works on: an instrument"),
    Column("scheduled_for", TimeColumn(), comment="the cron time that fired it; null when triggered by hand"),
    Column("state", EnumColumn(RunState), nullable=False),
    Column("message", Text, comment="why it failed or was skipped, in words"),
    Column("progress", JsonColumn()),
    Column("attempt", Integer, nullable=False),
    Column("worker", String(255)),
    Column("lease_expires_at", TimeColumn(), comment="a running run whose worker does not renew it is taken back"),
    Column("created_at", TimeColumn(), nullable=False),
    Column("started_at", TimeColumn()),
    Column("finished_at", TimeColumn()),
    UniqueConstraint("kind", "subject_id", "scheduled_for"),
    Index("ix_runs_state_number", "state", "number"),
    Index("ix_runs_target_id_number", "target_id", "number"),
    Index("ix_runs_subject_id_number", "subject_id", "number"),
)

run_log = Table(
    "run_log",
    metadata,
    key(),
    Column("run_id", UuidColumn(), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("line", Integer, nullable=False),
    Column("at", TimeColumn(), nullable=False),
    Column("level", String(16), nullable=False),
    Column("message", Text, nullable=False),
    UniqueConstraint("run_id", "line"),
)

audit_log = Table(
    "audit_log",
    metadata,
    key(),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("domain", String(32), nullable=False),
    Column("entity_type", String(64), nullable=False),
    Column("entity_id", UuidColumn(), nullable=False),
    Column("action", EnumColumn(AuditAction), nullable=False),
    Column("actor_id", UuidColumn()),
    Column("actor_email", String(320)),
    Column("changes", JsonColumn()),
    Column("created_at", TimeColumn(), nullable=False),
    Index("ix_audit_log_domain_entity_type_number", "domain", "entity_type", "number"),
)

links = Table(
    "links",
    metadata,
    key(),
    Column("from_type", String(64), nullable=False),
    Column("from_id", String(255), nullable=False),
    Column("to_type", String(64), nullable=False),
    Column("to_id", String(255), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("evidence", JsonColumn()),
    Column("created_at", TimeColumn(), nullable=False),
    UniqueConstraint("from_type", "from_id", "to_type", "to_id", "kind"),
    Index("ix_links_to_type_to_id", "to_type", "to_id"),
)

content_digests = Table(
    "content_digests",
    metadata,
    Column("algorithm", String(16), primary_key=True),
    Column("digest", String(128), primary_key=True),
    Column("asset_type", String(64), primary_key=True),
    Column("asset_id", String(255), primary_key=True),
    Column("created_at", TimeColumn(), nullable=False),
    Index("ix_content_digests_asset_type_asset_id", "asset_type", "asset_id"),
)
