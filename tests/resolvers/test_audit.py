"""The audit log's rows: contract streamweave §10."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select

from core.vocabulary import AuditAction, TransferAdapter
from resolvers.audit import changes_between, noted, record
from storage.sql.tables import audit_log

KEY = UUID("61b08ff4-4e91-44b0-9276-07254109da6d")
AT = datetime(2026, 11, 21, tzinfo=UTC)


async def test_rows_are_numbered_in_order(database):
    async with database.transaction() as transaction:
        for action in (AuditAction.CREATE, AuditAction.DELETE):
            await record(transaction, None, action, domain="instruments", entity="hook", key=KEY, at=AT)

    first, second = [dict(row) for row in await database.all(select(audit_log).order_by(audit_log.c.number))]
    assert {**first, "id": None} == {
        "id": None,
        "number": 1,
        "domain": "instruments",
        "entity_type": "hook",
        "entity_id": KEY,
        "action": AuditAction.CREATE,
        "actor_id": None,
        "actor_email": None,
        "changes": None,
        "created_at": AT,
    }
    assert (second["number"], second["action"]) == (2, AuditAction.DELETE)


def test_changes_name_each_key_that_was_sent_even_if_equal():
    before = {"name": "a", "enabled": True, "pid": "untouched"}

    assert changes_between(before, {"name": "b", "enabled": True}) == {
        "name": {"before": "a", "after": "b"},
        "enabled": {"before": True, "after": True},
    }


def test_changes_are_plain_json():
    before = {"instrument_id": None, "adapter": TransferAdapter.RSYNC, "at": AT}

    assert changes_between(before, {"instrument_id": KEY, "adapter": TransferAdapter.RCLONE, "at": AT}) == {
        "instrument_id": {"before": None, "after": str(KEY)},
        "adapter": {"before": "rsync", "after": "rclone"},
        "at": {"before": "2026-11-21T00:00:00Z", "after": "2026-11-21T00:00:00Z"},
    }


def test_secrets_are_hidden_on_both_sides():
    hidden = {"before": "***", "after": "***"}

    assert changes_between({"connection_config": None}, {"password": "x", "connection_config": {"host": "h"}}) == {
        "password": hidden,
        "connection_config": hidden,
    }


def test_what_changed_no_field_is_noted():
    assert noted("triggered_run", KEY) == {"triggered_run": {"before": None, "after": str(KEY)}}
