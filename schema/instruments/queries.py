"""The domain's root fields for reading: one row by its id, lists by pages, whole lists as row streams."""

from __future__ import annotations

from uuid import UUID

import strawberry

from core.identity import INSTRUMENTS
from core.policy import Verb
from engine.connection import Connection
from engine.declare import lookup, many, own_row, stream, within
from schema.instruments.access import may
from schema.instruments.choices import (
    FILE_CHOICES,
    HOOK_CHOICES,
    INSTRUMENT_CHOICES,
    RUN_CHOICES,
    SCHEDULE_CHOICES,
    SERVICE_ACCOUNT_CHOICES,
    STORAGE_LOCATION_CHOICES,
    TRANSFER_CHOICES,
)
from schema.instruments.file_record import FileRecord
from schema.instruments.group import Group
from schema.instruments.harvest_run import HarvestRun
from schema.instruments.hook import Hook, HookBuiltinsQuery
from schema.instruments.instrument import Instrument
from schema.instruments.orders import (
    DELETED,
    FILES_OF_INSTRUMENT,
    GROUPS_BY_AGE,
    HOOKS_BY_NUMBER,
    INSTRUMENTS_BY_AGE,
    NEWEST_FILES,
    NEWEST_RUNS,
    NEWEST_TRANSFERS,
    PROJECTS_BY_AGE,
    RUNS_IN_STATE,
    SCHEDULES_BY_AGE,
    SERVICE_ACCOUNTS_BY_AGE,
    STORAGE_LOCATIONS_BY_AGE,
    TRANSFERS_OF_FILE,
    USERS_BY_NUMBER,
)
from schema.instruments.project import Project
from schema.instruments.schedule import HarvestSchedule
from schema.instruments.service_account import ServiceAccount
from schema.instruments.storage_location import StorageLocation
from schema.instruments.transfer import Transfer
from schema.instruments.user import USER_CHOICES, WHOSE, User, directly_in_project, in_group
from storage.sql.tables import file_records, groups, projects

_users = may(Verb.LIST, "user")
_instruments, _accounts = may(Verb.LIST, "instrument"), may(Verb.LIST, "service account")
_locations, _schedules = may(Verb.LIST, "storage location"), may(Verb.LIST, "schedule")
_hooks = may(Verb.LIST, "hook")
_files, _transfers, _runs = may(Verb.LIST, "file"), may(Verb.LIST, "transfer"), may(Verb.LIST, "harvest run")


@strawberry.type
class InstrumentsQuery(HookBuiltinsQuery):
    """Reading, by row and by page."""

    me: User | None = own_row(
        INSTRUMENTS, "The person whose credentials came with the request.", guard=may(Verb.READ, "account")
    )
    administrator: User | None = own_row(
        INSTRUMENTS,
        "The same, provided that they manage the domain: for proxies that guard pages of others.",
        guard=may(Verb.READ, "user"),
    )
    user: User | None = lookup(UUID, "A person who is a member of the domain.", guard=may(Verb.READ, "user"))
    users: Connection[User] | None = many(
        USERS_BY_NUMBER,
        "People who are members of the domain, in the order of their registration.",
        guard=_users,
        arguments=DELETED,
        choices=USER_CHOICES,
    )
    instrument: Instrument | None = lookup(UUID, "An instrument.", guard=may(Verb.READ, "instrument"))
    instruments: Connection[Instrument] | None = many(
        INSTRUMENTS_BY_AGE,
        "Instruments, in the order of their registration.",
        guard=_instruments,
        arguments=DELETED,
        choices=INSTRUMENT_CHOICES,
    )
    service_account: ServiceAccount | None = lookup(UUID, "A service account.", guard=may(Verb.READ, "service account"))
    service_accounts: Connection[ServiceAccount] | None = many(
        SERVICE_ACCOUNTS_BY_AGE,
        "Service accounts, in the order of their registration.",
        guard=_accounts,
        arguments=DELETED,
        choices=SERVICE_ACCOUNT_CHOICES,
    )
    storage_location: StorageLocation | None = lookup(UUID, "A storage location.", guard=may(Verb.READ, "storage location"))
    storage_locations: Connection[StorageLocation] | None = many(
        STORAGE_LOCATIONS_BY_AGE,
        "Storage locations, in the order of their registration.",
        guard=_locations,
        arguments=DELETED,
        choices=STORAGE_LOCATION_CHOICES,
    )
    schedule: HarvestSchedule | None = lookup(UUID, "A harvest schedule.", guard=may(Verb.READ, "schedule"))
    schedules: Connection[HarvestSchedule] | None = many(
        SCHEDULES_BY_AGE,
        "Harvest schedules, in the order of their creation.",
        guard=_schedules,
        arguments=DELETED,
        choices=SCHEDULE_CHOICES,
    )
    hook: Hook | None = lookup(UUID, "A hook.", guard=may(Verb.READ, "hook"))
    hooks: Connection[Hook] | None = many(
        HOOKS_BY_NUMBER,
        "Hooks, in the order of their creation.",
        guard=_hooks,
        arguments=DELETED,
        choices=HOOK_CHOICES,
    )
    file: FileRecord | None = lookup(UUID, "A file that you may see.", guard=may(Verb.READ, "file"))
    file_by_persistent_id: FileRecord | None = lookup(
        str,
        "The file with that ARK, if you may see it.",
        guard=may(Verb.READ, "file"),
        argument="persistent_id",
        argument_description="As it was minted: `ark:/99999/fk4…`.",
        unique=file_records.c.persistent_id,
    )
    files: Connection[FileRecord] | None = many(
        NEWEST_FILES,
        "Files that you may see, newest discovery first.",
        guard=_files,
        arguments=FILES_OF_INSTRUMENT,
        choices=FILE_CHOICES,
    )
    transfer: Transfer | None = lookup(UUID, "An attempt to copy a file that you may see.", guard=may(Verb.READ, "transfer"))
    transfers: Connection[Transfer] | None = many(
        NEWEST_TRANSFERS,
        "Attempts to copy files that you may see, newest first.",
        guard=_transfers,
        arguments=TRANSFERS_OF_FILE,
        choices=TRANSFER_CHOICES,
    )
    harvest_run: HarvestRun | None = lookup(UUID, "A harvest.", guard=may(Verb.READ, "harvest run"))
    harvest_runs: Connection[HarvestRun] | None = many(
        NEWEST_RUNS, "Harvests, newest first.", guard=_runs, arguments=RUNS_IN_STATE, choices=RUN_CHOICES
    )


@strawberry.type
class InstrumentsSubscription:
    """Whole lists as row streams: batches of rows until the list ends."""

    all_users: list[User] = stream(USERS_BY_NUMBER, "Every member of the domain.", guard=_users, arguments=DELETED)
    groups_of_user: list[Group] = stream(
        GROUPS_BY_AGE,
        "Every group of a person.",
        guard=_users,
        arguments={"user_id": within(User, groups.c.id, WHOSE, predicate=in_group)},
    )
    projects_of_user: list[Project] = stream(
        PROJECTS_BY_AGE,
        "Every project that names a person as a member; those of the person's groups are not among them.",
        guard=_users,
        arguments={"user_id": within(User, projects.c.id, WHOSE, predicate=directly_in_project)},
    )
    all_instruments: list[Instrument] = stream(INSTRUMENTS_BY_AGE, "Every instrument.", guard=_instruments, arguments=DELETED)
    all_service_accounts: list[ServiceAccount] = stream(
        SERVICE_ACCOUNTS_BY_AGE,
        "Every service account.",
        guard=_accounts,
        arguments=DELETED,
    )
    all_storage_locations: list[StorageLocation] = stream(
        STORAGE_LOCATIONS_BY_AGE,
        "Every storage location.",
        guard=_locations,
        arguments=DELETED,
    )
    all_schedules: list[HarvestSchedule] = stream(SCHEDULES_BY_AGE, "Every schedule.", guard=_schedules, arguments=DELETED)
    all_hooks: list[Hook] = stream(HOOKS_BY_NUMBER, "Every hook.", guard=_hooks, arguments=DELETED)
    all_files: list[FileRecord] = stream(
        NEWEST_FILES,
        "Every file that you may see, newest discovery first.",
        guard=_files,
        arguments=FILES_OF_INSTRUMENT,
    )
    all_transfers: list[Transfer] = stream(
        NEWEST_TRANSFERS,
        "Every attempt to copy a file that you may see, newest first.",
        guard=_transfers,
        arguments=TRANSFERS_OF_FILE,
    )
