"""HarvestSchedule: when an instrument is harvested and where the copies go (contract §6)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from engine.connection import Connection
from engine.declare import column, many, one, stored
from schema.instruments.access import for_admins
from schema.instruments.choices import RUN_CHOICES
from schema.instruments.orders import NEWEST_RUNS, RUNS_IN_STATE
from schema.instruments.refs import HarvestRunRef, InstrumentRef, StorageLocationRef
from schema.union.interfaces import Runnable
from storage.sql.tables import runs, schedules


@stored(schedules, visible=for_admins, noun="Schedule")
class HarvestSchedule(Runnable):
    """Harvests one instrument to one storage location, at times given by a cron expression."""

    local_id: UUID = column(schedules.c.id, "Identifier within the instruments service; `id` in REST.")
    instrument_id: UUID = column(schedules.c.instrument_id, "`localId` of the instrument.")
    instrument: InstrumentRef | None = one(schedules.c.instrument_id, "The instrument it harvests.")
    default_storage_location_id: UUID = column(schedules.c.default_storage_location_id, "`localId` of the storage location.")
    default_storage_location: StorageLocationRef | None = one(
        schedules.c.default_storage_location_id,
        "Where copies go unless a hook redirects them.",
    )
    cron_expression: str = column(schedules.c.cron_expression, "Five fields (minute hour day month weekday), in UTC.")
    enabled: bool = column(schedules.c.enabled, "Whether it fires by itself; it can be triggered in any case.")
    deployment_id: UUID | None = column(schedules.c.deployment_id, "Its registration with the scheduler.")
    created_at: datetime = column(schedules.c.created_at, "When it was made.")
    updated_at: datetime = column(schedules.c.updated_at, "When it was last changed.")
    deleted_at: datetime | None = column(schedules.c.deleted_at, "Set while it is deleted; it can be restored.")
    runs: Connection[HarvestRunRef] = many(
        NEWEST_RUNS,
        "Harvests it started, newest first.",
        parent=runs.c.subject_id,
        arguments=RUNS_IN_STATE,
        choices=RUN_CHOICES,
    )
