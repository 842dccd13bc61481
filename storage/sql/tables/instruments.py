"""The instruments domain: instruments, where copies go, what was found and copied, and who may see it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Identity, Index, Integer, Table, UniqueConstraint
from sqlalchemy import text as sql

from core.vocabulary import (
    GranteeType,
    HookImplementation,
    HookTrigger,
    NotificationType,
    PersistentIdType,
    RequestStatus,
    StorageType,
    TransferAdapter,
    TransferStatus,
)
from storage.sql.tables.base import created_and_updated, key, largest_first, metadata, soft_deletion
from storage.sql.types import EnumColumn, JsonColumn, TimeColumn, UuidColumn, text


def _reference(name: str, target: str, *, nullable: bool = False, **options: Any) -> Column[Any]:
    """A foreign key; rows are soft-deleted, so what is referenced stays."""
    return Column(name, UuidColumn(), ForeignKey(f"{target}.id"), nullable=nullable, **options)


service_accounts = Table(
    "service_accounts",
    metadata,
    key(),
    Column("name", text(), nullable=False),
    Column("domain", text()),
    Column("username", text(), nullable=False),
    Column("password_sealed", text(), nullable=False),
    *created_and_updated(),
    soft_deletion(),
    Index("ix_service_accounts_created_at_id", "created_at", "id"),
)

instruments = Table(
    "instruments",
    metadata,
    key(),
    Column("name", text(255), nullable=False),
    Column("description", text()),
    Column("location", text(255)),
    Column("pid", text(255)),
    Column("cifs_host", text(255), nullable=False),
    Column("cifs_share", text(255), nullable=False),
    Column("cifs_base_path", text(1024)),
    _reference("service_account_id", "service_accounts", nullable=True),
    Column("transfer_adapter", EnumColumn(TransferAdapter), nullable=False),
    Column("transfer_config", JsonColumn()),
    Column("enabled", Boolean, nullable=False),
    Column("last_harvested_at", TimeColumn()),
    *created_and_updated(),
    soft_deletion(),
    Index("ix_instruments_created_at_id", "created_at", "id"),
)

storage_locations = Table(
    "storage_locations",
    metadata,
    key(),
    Column("name", text(), nullable=False),
    Column("type", EnumColumn(StorageType), nullable=False),
    Column("base_path", text(1024), nullable=False),
    Column("connection_config", JsonColumn(), comment="with every secret replaced by ****: safe to read"),
    Column("secrets_sealed", text(), comment="the secrets of connection_config, encrypted"),
    Column("enabled", Boolean, nullable=False),
    *created_and_updated(),
    soft_deletion(),
    Index("ix_storage_locations_created_at_id", "created_at", "id"),
)

schedules = Table(
    "schedules",
    metadata,
    key(),
    _reference("instrument_id", "instruments", index=True),
    _reference("default_storage_location_id", "storage_locations"),
    Column("cron_expression", text(100), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("deployment_id", UuidColumn(), comment="registration with the scheduler; null while deleted"),
    *created_and_updated(),
    soft_deletion(),
    Index("ix_schedules_created_at_id", "created_at", "id"),
)

hooks = Table(
    "hooks",
    metadata,
    key(),
    Column("number", BigInteger, Identity(), nullable=False, unique=True, comment="order of insertion"),
    Column("name", text(255), nullable=False),
    Column("description", text()),
    Column("trigger", EnumColumn(HookTrigger), nullable=False),
    Column("implementation", EnumColumn(HookImplementation), nullable=False),
    Column("builtin_name", text()),
    Column("script_path", text()),
    Column("webhook_url", text()),
    Column("config", JsonColumn()),
    _reference("instrument_id", "instruments", nullable=True, index=True),
    Column("priority", Integer, nullable=False),
    Column("enabled", Boolean, nullable=False),
    *created_and_updated(),
    soft_deletion(),
)

_IN_ACQUISITION = sql("acquisition IS NOT NULL")

file_records = Table(
    "file_records",
    metadata,
    key(),
    Column("persistent_id", text(255), nullable=False, unique=True),
    Column("persistent_id_type", EnumColumn(PersistentIdType), nullable=False),
    _reference("instrument_id", "instruments"),
    Column("source_path", text(2048), nullable=False),
    Column("filename", text(), nullable=False),
    Column("size_bytes", BigInteger),
    Column("source_mtime", TimeColumn()),
    Column("xxhash", text(16)),
    Column("sha256", text(64)),
    Column("first_discovered_at", TimeColumn(), nullable=False),
    Column("metadata", JsonColumn(), key="metadata_"),
    _reference("owner_id", "users", nullable=True, index=True),
    Column("acquisition", text(2048), comment="path of the folder that was written as one measurement; null when in none"),
    UniqueConstraint("instrument_id", "source_path"),
    Index("ix_file_records_first_discovered_at_id", "first_discovered_at", "id"),
    Index("ix_file_records_filename_id", "filename", "id"),
    Index("ix_file_records_xxhash", "xxhash"),
    Index("ix_file_records_sha256", "sha256"),
    Index("ix_file_records_instrument_id_first_discovered_at_id", "instrument_id", "first_discovered_at", "id"),
    Index(
        "ix_file_records_acquisition",
        "instrument_id",
        "acquisition",
        "first_discovered_at",
        "id",
        sqlite_where=_IN_ACQUISITION,
        postgresql_where=_IN_ACQUISITION,
    ),
)

largest_first(file_records.c.size_bytes)
largest_first(file_records.c.source_mtime)

file_transfers = Table(
    "file_transfers",
    metadata,
    key(),
    _reference("file_id", "file_records"),
    _reference("storage_location_id", "storage_locations"),
    Column("destination_path", text()),
    Column("transfer_adapter", EnumColumn(TransferAdapter), nullable=False),
    Column("status", EnumColumn(TransferStatus), nullable=False),
    Column("bytes_transferred", BigInteger),
    Column("source_checksum", text(16)),
    Column("dest_checksum", text(16)),
    Column("checksum_verified", Boolean),
    Column("started_at", TimeColumn()),
    Column("completed_at", TimeColumn()),
    Column("error_message", text()),
    Column("run_id", UuidColumn(), comment="the harvest run that made this attempt"),
    Index("ix_file_transfers_file_id_started_at_id", "file_id", "started_at", "id"),
    Index("ix_file_transfers_run_id", "run_id"),
    Index("ix_file_transfers_status_started_at_id", "status", "started_at", "id"),
)

largest_first(file_transfers.c.started_at)
largest_first(file_transfers.c.completed_at)
largest_first(file_transfers.c.started_at, of_each=file_transfers.c.storage_location_id)

user_instrument_access = Table(
    "user_instrument_access",
    metadata,
    Column("user_id", UuidColumn(), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("instrument_id", UuidColumn(), ForeignKey("instruments.id"), primary_key=True),
    Column("created_at", TimeColumn(), nullable=False),
)

file_access_grants = Table(
    "file_access_grants",
    metadata,
    key(),
    _reference("file_id", "file_records"),
    Column("grantee_type", EnumColumn(GranteeType), nullable=False),
    Column("grantee_id", UuidColumn(), nullable=False),
    Column("granted_at", TimeColumn(), nullable=False),
    UniqueConstraint("file_id", "grantee_type", "grantee_id"),
    Index("ix_file_access_grants_grantee_type_grantee_id", "grantee_type", "grantee_id", "file_id"),
    Index("ix_file_access_grants_grantee_type_grantee_id_granted_at_id", "grantee_type", "grantee_id", "granted_at", "id"),
)

groups = Table(
    "groups",
    metadata,
    key(),
    Column("name", text(255), nullable=False, unique=True),
    Column("description", text()),
    *created_and_updated(),
    soft_deletion(),
    Index("ix_groups_created_at_id", "created_at", "id"),
)

group_members = Table(
    "group_members",
    metadata,
    Column("user_id", UuidColumn(), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("group_id", UuidColumn(), ForeignKey("groups.id"), primary_key=True),
    Column("created_at", TimeColumn(), nullable=False),
)

projects = Table(
    "projects",
    metadata,
    key(),
    Column("name", text(255), nullable=False, unique=True),
    Column("description", text()),
    *created_and_updated(),
    soft_deletion(),
    Index("ix_projects_created_at_id", "created_at", "id"),
)

project_members = Table(
    "project_members",
    metadata,
    key(),
    _reference("project_id", "projects"),
    Column("member_type", EnumColumn(GranteeType), nullable=False),
    Column("member_id", UuidColumn(), nullable=False),
    Column("created_at", TimeColumn(), nullable=False),
    UniqueConstraint("project_id", "member_type", "member_id"),
    Index("ix_project_members_member_type_member_id", "member_type", "member_id", "project_id"),
)

instrument_requests = Table(
    "instrument_requests",
    metadata,
    key(),
    Column("requester_id", UuidColumn(), ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("name", text(255), nullable=False),
    Column("location", text(255), nullable=False),
    Column("harvest_frequency", text(255), nullable=False),
    Column("justification", text(), nullable=False),
    Column("description", text()),
    Column("status", EnumColumn(RequestStatus), nullable=False),
    Column("admin_notes", text()),
    *created_and_updated(),
    Index("ix_instrument_requests_created_at_id", "created_at", "id"),
    Index("ix_instrument_requests_requester_id_created_at_id", "requester_id", "created_at", "id"),
)

notifications = Table(
    "notifications",
    metadata,
    key(),
    Column("recipient_id", UuidColumn(), ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("type", EnumColumn(NotificationType), nullable=False),
    Column("title", text(255), nullable=False),
    Column("message", text(), nullable=False),
    Column("link", text(1024)),
    Column("read", Boolean, nullable=False),
    Column("dismissed_at", TimeColumn()),
    Column("created_at", TimeColumn(), nullable=False),
    Index("ix_notifications_recipient_id_read_created_at_id", "recipient_id", "read", "created_at", "id"),
    Index("ix_notifications_recipient_id_type_created_at_id", "recipient_id", "type", "created_at", "id"),
    Index("ix_notifications_recipient_id_created_at_id", "recipient_id", "created_at", "id"),
)

largest_first(notifications.c.dismissed_at, of_each=notifications.c.recipient_id)
