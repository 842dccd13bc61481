"""People and what they are members of: one table for all domains, a membership per domain."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Identity, Index, Integer, Table

from storage.sql.tables.base import created_and_updated, key, metadata, soft_deletion
from storage.sql.types import JsonColumn, TimeColumn, UuidColumn, text

users = Table(
    "users",
    metadata,
    key(),
    Column(
        "number", BigInteger, Identity(), nullable=False, unique=True, comment="integer id for domains that count their users"
    ),
    Column("email", text(320), nullable=False),
    Column("email_folded", text(320), nullable=False, unique=True, comment="case-folded; two people never share one"),
    Column("username", text(255), unique=True),
    Column("password_hash", text(255), nullable=False),
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
    Column("domain", text(32), primary_key=True),
    Column("role", text(32), nullable=False),
    Column("grants", JsonColumn()),
    Column("created_at", TimeColumn(), nullable=False),
    Index("ix_memberships_domain_role", "domain", "role"),
)

revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("token_id", text(64), primary_key=True, comment="the token's jti"),
    Column("expires_at", TimeColumn(), nullable=False, index=True),
)

personal_tokens = Table(
    "personal_tokens",
    metadata,
    key(),
    Column("user_id", UuidColumn(), ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("name", text(100), nullable=False),
    Column("digest", text(64), nullable=False, comment="SHA-256 of the token's text, which is stored nowhere"),
    Column("scopes", JsonColumn(), nullable=False),
    Column("credentials_version", Integer, nullable=False, comment="the person's when it was made; another one ends the token"),
    Column("created_at", TimeColumn(), nullable=False),
    Column("expires_at", TimeColumn(), nullable=False),
    Column("last_used_at", TimeColumn(), comment="give or take a minute"),
    Index("ix_personal_tokens_user_id_created_at_id", "user_id", "created_at", "id"),
)

login_attempts = Table(
    "login_attempts",
    metadata,
    Column("who", text(64), primary_key=True, comment="keyed hash of an account's address or of a network address"),
    Column("count", Integer, nullable=False, comment="sign-ins that failed or are being checked"),
    Column("ends_at", TimeColumn(), nullable=False, index=True, comment="when the count is forgotten"),
)
