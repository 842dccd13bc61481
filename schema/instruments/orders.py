"""The orders and filters of the domain's lists, declared once for every way that leads to them."""

from __future__ import annotations

from uuid import UUID

from core.vocabulary import RunState, TransferStatus
from engine.declare import INCLUDE_DELETED, ascending, descending, equals
from storage.sql.tables import (
    file_access_grants,
    file_records,
    file_transfers,
    group_members,
    groups,
    hooks,
    instruments,
    project_members,
    projects,
    runs,
    schedules,
    service_accounts,
    storage_locations,
    user_instrument_access,
    users,
)

# Contract §1 [FIX]: management lists in the order of creation, so that pages are disjoint and complete.
INSTRUMENTS_BY_AGE = ascending(instruments.c.created_at)
SERVICE_ACCOUNTS_BY_AGE = ascending(service_accounts.c.created_at)
STORAGE_LOCATIONS_BY_AGE = ascending(storage_locations.c.created_at)
SCHEDULES_BY_AGE = ascending(schedules.c.created_at)
HOOKS_BY_NUMBER = ascending(hooks.c.number)
GROUPS_BY_AGE = ascending(groups.c.created_at)
PROJECTS_BY_AGE = ascending(projects.c.created_at)
USERS_BY_NUMBER = ascending(users.c.number)
DELETED = {"include_deleted": INCLUDE_DELETED}

# Contract §3 [EXT], §9 and §10: who may see what, in the order in which it was given.
GROUP_MEMBERS_BY_AGE = ascending(group_members.c.created_at)
PROJECT_MEMBERS_BY_AGE = ascending(project_members.c.created_at)
GRANTS_BY_AGE = ascending(file_access_grants.c.granted_at)
ACCESS_BY_AGE = ascending(user_instrument_access.c.created_at)

# Contract §9.
NEWEST_FILES = descending(file_records.c.first_discovered_at)
FILES_BY_DISCOVERY = ascending(file_records.c.first_discovered_at)
FILES_OF_INSTRUMENT = {"instrument_id": equals(file_records.c.instrument_id, UUID, "Only files of this instrument.")}
NEWEST_TRANSFERS = descending(file_transfers.c.started_at)
TRANSFERS_WITH_STATUS = {"status": equals(file_transfers.c.status, TransferStatus, "Only attempts that stand like this.")}
TRANSFERS_OF_FILE = {
    "file_id": equals(file_transfers.c.file_id, UUID, "Only attempts to copy this file."),
    **TRANSFERS_WITH_STATUS,
}

NEWEST_RUNS = descending(runs.c.number)
RUNS_IN_STATE = {"state": equals(runs.c.state, RunState, "Only runs in this state.")}
