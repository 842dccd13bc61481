"""Instrument: a laboratory instrument whose shared folder is harvested (contract streamweave §3)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core.vocabulary import TransferAdapter
from engine.connection import Connection
from engine.declare import Node, column, many, one, stored
from engine.scalars import JSON
from resolvers.instruments.instruments import host_of
from schema.instruments.access import for_members, is_admin
from schema.instruments.choices import FILE_CHOICES, HOOK_CHOICES, RUN_CHOICES, SCHEDULE_CHOICES
from schema.instruments.instrument_access import ACCESS_CHOICES
from schema.instruments.orders import (
    ACCESS_BY_AGE,
    DELETED,
    HOOKS_BY_NUMBER,
    NEWEST_FILES,
    NEWEST_RUNS,
    RUNS_IN_STATE,
    SCHEDULES_BY_AGE,
)
from schema.instruments.refs import (
    FileRecordRef,
    HarvestRunRef,
    HarvestScheduleRef,
    HookRef,
    InstrumentAccessRef,
    ServiceAccountRef,
)
from schema.lookups.enrichment import enrichment
from schema.lookups.lookup_item import LookupItem
from storage.sql.tables import file_records, hooks, instruments, runs, schedules, user_instrument_access


@stored(instruments, visible=for_members)
class Instrument(Node):
    """A laboratory instrument whose shared folder is harvested on a schedule."""

    local_id: UUID = column(instruments.c.id, "Identifier within the instruments service; `id` in REST.")
    name: str = column(instruments.c.name, "Display name; need not be unique.")
    description: str | None = column(instruments.c.description, "What it is, in words.")
    location: str | None = column(instruments.c.location, "Where it stands.")
    pid: str | None = column(instruments.c.pid, "Persistent identifier of the instrument itself.")
    cifs_host: str = column(instruments.c.cifs_host, "Host that shares its files; `file:` for a local or mounted folder.")
    cifs_share: str = column(instruments.c.cifs_share, "Name of the share; with `file:` the folder's path.")
    cifs_base_path: str | None = column(instruments.c.cifs_base_path, "Folder within the share; null is its root.")
    service_account_id: UUID | None = column(instruments.c.service_account_id, "`localId` of the credentials for the share.")
    service_account: ServiceAccountRef | None = one(instruments.c.service_account_id, "Credentials for the share; for admins.")
    transfer_adapter: TransferAdapter = column(instruments.c.transfer_adapter, "How files are fetched.")
    transfer_config: JSON | None = column(
        instruments.c.transfer_config, "Settings of the adapter; for admins.", allowed=is_admin
    )
    enabled: bool = column(instruments.c.enabled, "Whether schedules fire for it.")
    last_harvested_at: datetime | None = column(instruments.c.last_harvested_at, "When a harvest last ended.")
    created_at: datetime = column(instruments.c.created_at, "When it was registered.")
    updated_at: datetime = column(instruments.c.updated_at, "When it was last changed.")
    deleted_at: datetime | None = column(instruments.c.deleted_at, "Set while it is deleted; it can be restored.")
    lookup_item: LookupItem | None = enrichment(
        instruments.c.cifs_host,
        lambda stored, _: host_of(stored),
        "The item of a lookup that its host leads to, without the port: a place by IP range, for example.",
    )
    files: Connection[FileRecordRef] = many(
        NEWEST_FILES,
        "Files discovered on it, newest first.",
        parent=file_records.c.instrument_id,
        choices=FILE_CHOICES,
    )
    access: Connection[InstrumentAccessRef] = many(
        ACCESS_BY_AGE,
        "Who was given access to all of its files; for admins.",
        parent=user_instrument_access.c.instrument_id,
        choices=ACCESS_CHOICES,
    )
    schedules: Connection[HarvestScheduleRef] = many(
        SCHEDULES_BY_AGE,
        "Its harvest schedules; for admins.",
        parent=schedules.c.instrument_id,
        arguments=DELETED,
        choices=SCHEDULE_CHOICES,
    )
    hooks: Connection[HookRef] = many(
        HOOKS_BY_NUMBER,
        "Hooks for its files alone, in the order of their creation; for admins.",
        parent=hooks.c.instrument_id,
        arguments=DELETED,
        choices=HOOK_CHOICES,
    )
    runs: Connection[HarvestRunRef] = many(
        NEWEST_RUNS,
        "Its harvests, newest first; for admins.",
        parent=runs.c.target_id,
        arguments=RUNS_IN_STATE,
        choices=RUN_CHOICES,
    )
