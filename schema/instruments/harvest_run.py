"""HarvestRun: one harvest of an instrument, from the queue to its end."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from core.vocabulary import RunState
from engine.connection import Connection
from engine.declare import ascending, column, many, one, stored
from engine.scalars import JSON, Long
from schema.instruments.access import for_admins, harvest_runs
from schema.instruments.choices import RUN_LOG_CHOICES
from schema.instruments.refs import HarvestScheduleRef, InstrumentRef
from schema.union.interfaces import Run
from storage.sql.tables import run_log, runs
from storage.sql.types import json_integer


def _reached(key: str, description: str) -> Any:
    return column(json_integer(runs.c.progress, key), description)


@stored(run_log, visible=for_admins)
class RunLogLine:
    """One line of a run's log."""

    line: int = column(run_log.c.line, "Position in the log, from 1.")
    at: datetime = column(run_log.c.at, "When it was written.")
    level: str = column(run_log.c.level, "`info`, `warning` or `error`.")
    message: str = column(run_log.c.message, "What happened, in words.")


@stored(runs, visible=harvest_runs)
class HarvestRun(Run):
    """One harvest: it lists an instrument's files and copies what is new."""

    local_id: UUID = column(runs.c.id, "The run's id; `flow_run_id` in REST.")
    state: RunState = column(runs.c.state, "Where it stands.")
    message: str | None = column(runs.c.message, "How it ended, in words: why it failed or was skipped.")
    progress: JSON | None = column(runs.c.progress, "How far it is, as one object; the fields below are its members.")
    files_found: int | None = _reached("files_found", "Files at the source.")
    files_new: int | None = _reached("files_new", "Files to be copied, first attempt or not.")
    files_done: int | None = _reached("files_done", "Files that were copied and verified.")
    files_failed: int | None = _reached("files_failed", "Files whose copy failed; the next harvest tries them again.")
    files_skipped: int | None = _reached("files_skipped", "Files that are known already, or that a hook leaves out.")
    files_waiting: int | None = _reached(
        "files_waiting", "New files of acquisitions that are still being written; a later harvest copies them."
    )
    files_changed: int | None = _reached(
        "files_changed", "Known files that changed at the source since they were copied; copies and records stay."
    )
    files_vanished: int | None = _reached("files_vanished", "Known files that are no longer at the source; their records stay.")
    bytes_new: Long | None = _reached("bytes_new", "Bytes to be copied.")
    bytes_done: Long | None = _reached("bytes_done", "Bytes copied, also of the file under way.")
    bytes_per_second: Long | None = _reached("bytes_per_second", "How fast it copies; null when it does not.")
    seconds_left: int | None = _reached(
        "seconds_left", "How long the rest may take; null while nobody can tell, and at the end."
    )
    attempt: int = column(runs.c.attempt, "How often it was begun; more than once if a worker died.")
    schedule: HarvestScheduleRef | None = one(runs.c.subject_id, "The schedule it was started for.")
    instrument: InstrumentRef | None = one(runs.c.target_id, "The instrument it harvests.")
    scheduled_for: datetime | None = column(runs.c.scheduled_for, "The cron time that fired it; null when triggered by hand.")
    created_at: datetime = column(runs.c.created_at, "When it was queued.")
    started_at: datetime | None = column(runs.c.started_at, "When a worker began.")
    cancel_requested_at: datetime | None = column(
        runs.c.cancel_requested_at, "When somebody asked to cancel it while it ran; its worker ends it within seconds."
    )
    finished_at: datetime | None = column(runs.c.finished_at, "When it ended.")
    log: Connection[RunLogLine] = many(
        ascending(run_log.c.line), "What it did, line by line.", parent=run_log.c.run_id, choices=RUN_LOG_CHOICES
    )
