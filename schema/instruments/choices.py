"""What clients may filter and sort the domain's lists by.

Of tables that grow with every file or call (files, transfers, runs, grants, notifications, the audit log) these are columns with an
index behind them, together with the rows that the viewer sees; the others have some hundreds of rows. What has no index is marked,
and ends with the request's time. Choices of what people are members of stand beside the addresses that those lists show.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core.vocabulary import (
    AuditAction,
    GranteeType,
    HookTrigger,
    NotificationType,
    RunState,
    StorageType,
    TransferStatus,
)
from engine.choices import choice, choices
from engine.scalars import Long
from storage.sql.tables import (
    audit_log,
    file_access_grants,
    file_records,
    file_transfers,
    groups,
    hooks,
    instruments,
    notifications,
    projects,
    run_log,
    runs,
    schedules,
    service_accounts,
    storage_locations,
)

FILE_CHOICES = choices(
    "FileRecord",
    {
        "instrument_id": choice(file_records.c.instrument_id, UUID, "The instrument it was found on.", sortable=False),
        "filename": choice(file_records.c.filename, str, "Last part of the path."),
        # Indexed within an instrument only.
        "source_path": choice(
            file_records.c.source_path, str, "Path on the instrument; say which instrument, too.", sortable=False
        ),
        "acquisition": choice(
            file_records.c.acquisition,
            str,
            "The folder that was written as one measurement; say which instrument, too.",
            sortable=False,
        ),
        "checksum": choice(file_records.c.xxhash, str, "XXH64 of the content.", sortable=False),
        "sha256": choice(file_records.c.sha256, str, "SHA-256 of the content.", sortable=False),
        "persistent_id": choice(file_records.c.persistent_id, str, "Its ARK.", sortable=False),
        "size": choice(file_records.c.size_bytes, Long, "Size in bytes."),
        "source_modified_at": choice(file_records.c.source_mtime, datetime, "When it was last changed on the instrument."),
        "first_discovered_at": choice(file_records.c.first_discovered_at, datetime, "When a harvest first saw it."),
        "owner_id": choice(file_records.c.owner_id, UUID, "The user who owns it.", sortable=False),
    },
)

TRANSFER_CHOICES = choices(
    "Transfer",
    {
        "file_id": choice(file_transfers.c.file_id, UUID, "The file.", sortable=False),
        "status": choice(file_transfers.c.status, TransferStatus, "How the attempt stands.", sortable=False),
        "storage_location_id": choice(file_transfers.c.storage_location_id, UUID, "Where the copy went.", sortable=False),
        "run_id": choice(file_transfers.c.run_id, UUID, "The harvest that made the attempt.", sortable=False),
        "started_at": choice(file_transfers.c.started_at, datetime, "When the copy began."),
        "completed_at": choice(file_transfers.c.completed_at, datetime, "When it ended."),
    },
)

RUN_CHOICES = choices(
    "HarvestRun",
    {
        "state": choice(runs.c.state, RunState, "Where it stands.", sortable=False),
        "instrument_id": choice(runs.c.target_id, UUID, "The instrument it harvests.", sortable=False),
        "schedule_id": choice(runs.c.subject_id, UUID, "The schedule it was started for.", sortable=False),
        "created_at": choice(runs.c.created_at, datetime, "When it was queued."),
        "finished_at": choice(runs.c.finished_at, datetime, "When it ended."),
    },
)

RUN_LOG_CHOICES = choices(
    "RunLogLine",
    {
        "line": choice(run_log.c.line, int, "Position in the log."),
        # Indexed by run: of one run, which logs some hundreds of lines at most, all are read.
        "at": choice(run_log.c.at, datetime, "When it was written.", sortable=False),
        "level": choice(run_log.c.level, str, "`info`, `warning` or `error`.", sortable=False),
        "message": choice(run_log.c.message, str, "What happened, in words.", sortable=False),
    },
)

INSTRUMENT_CHOICES = choices(
    "Instrument",
    {
        "name": choice(instruments.c.name, str, "Display name."),
        "location": choice(instruments.c.location, str, "Where it stands."),
        "pid": choice(instruments.c.pid, str, "Persistent identifier of the instrument itself.", sortable=False),
        "enabled": choice(instruments.c.enabled, bool, "Whether schedules fire for it.", sortable=False),
        "last_harvested_at": choice(instruments.c.last_harvested_at, datetime, "When a harvest last ended."),
        "created_at": choice(instruments.c.created_at, datetime, "When it was registered."),
    },
)

GROUP_CHOICES = choices(
    "Group",
    {
        "name": choice(groups.c.name, str, "Display name."),
        "created_at": choice(groups.c.created_at, datetime, "When it was made."),
    },
)

PROJECT_CHOICES = choices(
    "Project",
    {
        "name": choice(projects.c.name, str, "Display name."),
        "created_at": choice(projects.c.created_at, datetime, "When it was made."),
    },
)

GRANT_CHOICES = choices(
    "FileGrant",
    {
        "file_id": choice(file_access_grants.c.file_id, UUID, "The file.", sortable=False),
        "grantee_type": choice(
            file_access_grants.c.grantee_type, GranteeType, "Whether it is a person, a group or a project.", sortable=False
        ),
        "grantee_id": choice(file_access_grants.c.grantee_id, UUID, "The person, group or project.", sortable=False),
        "granted_at": choice(file_access_grants.c.granted_at, datetime, "Since when."),
    },
)

NOTIFICATION_CHOICES = choices(
    "Notification",
    {
        "type": choice(notifications.c.type, NotificationType, "What it is about.", sortable=False),
        "read": choice(notifications.c.read, bool, "Whether it was marked as read.", sortable=False),
        "dismissed_at": choice(notifications.c.dismissed_at, datetime, "When it was put aside."),
        "created_at": choice(notifications.c.created_at, datetime, "When it was told."),
    },
)

AUDIT_CHOICES = choices(
    "AuditEntry",
    {
        "entity_type": choice(audit_log.c.entity_type, str, "What kind of thing was changed.", sortable=False),
        "entity_id": choice(audit_log.c.entity_id, UUID, "What was changed.", sortable=False),
        "action": choice(audit_log.c.action, AuditAction, "What was done.", sortable=False),
        "actor_id": choice(audit_log.c.actor_id, UUID, "Who did it; null for the server itself.", sortable=False),
        "actor_email": choice(audit_log.c.actor_email, str, "Their address at that time.", sortable=False),
        "created_at": choice(audit_log.c.created_at, datetime, "When."),
    },
)

HOOK_CHOICES = choices(
    "Hook",
    {
        "name": choice(hooks.c.name, str, "Display name."),
        "trigger": choice(hooks.c.trigger, HookTrigger, "When it is asked.", sortable=False),
        "instrument_id": choice(hooks.c.instrument_id, UUID, "The instrument; null for all.", sortable=False),
        "priority": choice(hooks.c.priority, int, "Hooks are asked in ascending order."),
        "enabled": choice(hooks.c.enabled, bool, "Whether it is asked.", sortable=False),
        "created_at": choice(hooks.c.created_at, datetime, "When it was made."),
    },
)

SCHEDULE_CHOICES = choices(
    "HarvestSchedule",
    {
        "instrument_id": choice(schedules.c.instrument_id, UUID, "The instrument it harvests.", sortable=False),
        "default_storage_location_id": choice(
            schedules.c.default_storage_location_id, UUID, "Where copies go.", sortable=False
        ),
        "enabled": choice(schedules.c.enabled, bool, "Whether it fires by itself.", sortable=False),
        "created_at": choice(schedules.c.created_at, datetime, "When it was made."),
        "updated_at": choice(schedules.c.updated_at, datetime, "When it was last changed."),
    },
)

STORAGE_LOCATION_CHOICES = choices(
    "StorageLocation",
    {
        "name": choice(storage_locations.c.name, str, "Display name."),
        "type": choice(storage_locations.c.type, StorageType, "What kind of place it is.", sortable=False),
        "enabled": choice(storage_locations.c.enabled, bool, "Whether it may be used.", sortable=False),
        "created_at": choice(storage_locations.c.created_at, datetime, "When it was registered."),
    },
)

SERVICE_ACCOUNT_CHOICES = choices(
    "ServiceAccount",
    {
        "name": choice(service_accounts.c.name, str, "Display name."),
        "domain": choice(service_accounts.c.domain, str, "Windows domain or workgroup.", sortable=False),
        "username": choice(service_accounts.c.username, str, "Name to log in with."),
        "created_at": choice(service_accounts.c.created_at, datetime, "When it was registered."),
    },
)
