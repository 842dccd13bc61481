"""The managed resources of contract §3 to §7 and §10: what is sent, and what has to come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.contract.support import Api


@dataclass(frozen=True)
class Resource:
    """One of them. `minimal` is the smallest body of a create, `defaults` what is read of the fields that it leaves out."""

    path: str
    parameter: str
    noun: str
    minimal: Mapping[str, Any]
    defaults: Mapping[str, Any]
    text: str
    """A text field that is never null."""
    never_read: frozenset[str] = frozenset()
    references: Mapping[str, Resource] = field(default_factory=dict)
    enveloped: bool = True
    can_be_disabled: bool = True
    by_insertion: bool = False
    """Listed in the order in which they were made, even those of one moment."""
    unique: bool = False
    """No two have the same name."""

    def __str__(self) -> str:
        return self.path.rpartition("/")[2]

    async def body(self, admin: Api) -> dict[str, Any]:
        """The smallest body of a create, with rows to refer to."""
        made = {name: (await other.create(admin))["id"] for name, other in self.references.items()}
        return self.another({**made, **self.minimal})

    def another(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """That body for one more row."""
        return {**body, "name": f"{self.minimal['name']} {uuid4()}"} if self.unique else dict(body)

    async def create(self, admin: Api, **fields: Any) -> dict[str, Any]:
        return await admin.made(self.path, **{**await self.body(admin), **fields})

    def read(self, body: Mapping[str, Any], created_at: str) -> dict[str, Any]:
        """How a new row reads, but for its id."""
        shown = {name: value for name, value in body.items() if name not in self.never_read}
        times = {"created_at": created_at, "updated_at": created_at, "deleted_at": None}
        return {**self.defaults, **shown, **times}

    @property
    def not_found(self) -> str:
        return f"{self.noun} not found"

    @property
    def deleted_not_found(self) -> str:
        return f"Deleted {self.noun.lower()} not found"


INSTRUMENTS = Resource(
    path="/api/instruments",
    parameter="instrument_id",
    noun="Instrument",
    minimal={"name": "Bruker 500", "cifs_host": "nmr.example.org", "cifs_share": "data"},
    defaults={
        "description": None,
        "location": None,
        "pid": None,
        "cifs_base_path": None,
        "service_account_id": None,
        "transfer_adapter": "rclone",
        "transfer_config": None,
        "enabled": True,
        "last_harvested_at": None,
    },
    text="name",
)
SERVICE_ACCOUNTS = Resource(
    path="/api/service-accounts",
    parameter="account_id",
    noun="Service account",
    minimal={"name": "reader", "username": "svc-reader", "password": "hunter2-xyzzy"},
    defaults={"domain": None},
    text="username",
    never_read=frozenset({"password"}),
    enveloped=False,
    can_be_disabled=False,
)
STORAGE_LOCATIONS = Resource(
    path="/api/storage-locations",
    parameter="location_id",
    noun="Storage location",
    minimal={"name": "Archive", "type": "posix", "base_path": "/archive"},
    defaults={"connection_config": None, "enabled": True},
    text="base_path",
)
SCHEDULES = Resource(
    path="/api/schedules",
    parameter="schedule_id",
    noun="Schedule",
    minimal={"cron_expression": "*/15 * * * *"},
    defaults={"enabled": True},
    text="cron_expression",
    references={"instrument_id": INSTRUMENTS, "default_storage_location_id": STORAGE_LOCATIONS},
)
HOOKS = Resource(
    path="/api/hooks",
    parameter="hook_id",
    noun="Hook",
    minimal={"name": "No temporary files", "trigger": "pre_transfer", "implementation": "builtin"},
    defaults={
        "description": None,
        "builtin_name": None,
        "script_path": None,
        "webhook_url": None,
        "config": None,
        "instrument_id": None,
        "priority": 0,
        "enabled": True,
    },
    text="name",
    by_insertion=True,
)
GROUPS = Resource(
    path="/api/groups",
    parameter="group_id",
    noun="Group",
    minimal={"name": "NMR facility"},
    defaults={"description": None},
    text="name",
    can_be_disabled=False,
    unique=True,
)
PROJECTS = Resource(
    path="/api/projects",
    parameter="project_id",
    noun="Project",
    minimal={"name": "Caffeine"},
    defaults={"description": None},
    text="name",
    can_be_disabled=False,
    unique=True,
)
RESOURCES = (INSTRUMENTS, SERVICE_ACCOUNTS, STORAGE_LOCATIONS, SCHEDULES, HOOKS, GROUPS, PROJECTS)
