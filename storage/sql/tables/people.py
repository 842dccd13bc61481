"""People and what they are members of: one table for all domains, a membership per domain."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table

from storage.sql.tables.base import created_and_updated, key, metadata, soft_deletion
from storage.sql.types import JsonColumn, TimeColumn, UuidColumn

users = Table(
    "users",
    metadata,
    key(),
    Column("number", BigInteger, nullable=False, unique=True, comment="integer id for domains that count their users"),
    Column("email", String(320), nullable=False),
    Column("email_folded", String(320), nullable=False, unique=True, comment="case-folded; two people never share one"),
    Column("username", String(255), unique=True),
    Column("password_hash", String(255), nullable=False),
    Column(
        "credentials_version", Integer, nullable=False, comment="raised by a password change; older tokens carry the old one"
    ),
    Column("is_active", Boolean, nullable=False),
    Column("is_superuser", Boolean, nullable=False),
    Column("is_verified", Boolean, nullable=False),
    *created_and_updated(),
    soft_deletion(),
)

memberships = Table(
    "memberships",
    metadata,
    Column("user_id", UuidColumn(), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("domain", String(32), primary_key=True),
    Column("role", String(32), nullable=False),
    Column("grants", JsonColumn()),
    Column("created_at", TimeColumn(), nullable=False),
    Index("ix_memberships_domain_role", "domain", "role"),
)

revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("token_id", String(64), primary_key=True, comment="the token's jti"),
    Column("expires_at", TimeColumn(), nullable=False, index=True),
)
