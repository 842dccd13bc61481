"""Table definitions, one module per area. `metadata` is what the migrations create; a test holds the two equal."""

from storage.sql.tables.base import metadata
from storage.sql.tables.instruments import (
    file_access_grants,
    file_records,
    file_transfers,
    group_members,
    groups,
    hooks,
    instrument_requests,
    instruments,
    notifications,
    project_members,
    projects,
    schedules,
    service_accounts,
    storage_locations,
    user_instrument_access,
)
from storage.sql.tables.lookups import lookup_items, lookup_spaces, lookups
from storage.sql.tables.people import login_attempts, memberships, personal_tokens, revoked_tokens, users
from storage.sql.tables.platform import audit_log, content_digests, events, idempotency_keys, links, run_log, runs

__all__ = [
    "audit_log",
    "content_digests",
    "events",
    "file_access_grants",
    "file_records",
    "file_transfers",
    "group_members",
    "groups",
    "hooks",
    "idempotency_keys",
    "instrument_requests",
    "instruments",
    "links",
    "login_attempts",
    "lookup_items",
    "lookup_spaces",
    "lookups",
    "memberships",
    "metadata",
    "notifications",
    "personal_tokens",
    "project_members",
    "projects",
    "revoked_tokens",
    "run_log",
    "runs",
    "schedules",
    "service_accounts",
    "storage_locations",
    "user_instrument_access",
    "users",
]
