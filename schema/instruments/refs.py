"""The domain's types by name, for fields that would otherwise import in a circle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry

if TYPE_CHECKING:
    from schema.instruments.file_record import FileRecord
    from schema.instruments.grant import FileGrant
    from schema.instruments.group import Group
    from schema.instruments.group_member import GroupMember
    from schema.instruments.harvest_run import HarvestRun
    from schema.instruments.hook import Hook
    from schema.instruments.instrument import Instrument
    from schema.instruments.instrument_access import InstrumentAccess
    from schema.instruments.project import Project
    from schema.instruments.project_member import ProjectMember
    from schema.instruments.schedule import HarvestSchedule
    from schema.instruments.service_account import ServiceAccount
    from schema.instruments.storage_location import StorageLocation
    from schema.instruments.transfer import Transfer
    from schema.instruments.user import User

FileGrantRef = Annotated["FileGrant", strawberry.lazy("schema.instruments.grant")]
FileRecordRef = Annotated["FileRecord", strawberry.lazy("schema.instruments.file_record")]
GroupRef = Annotated["Group", strawberry.lazy("schema.instruments.group")]
GroupMemberRef = Annotated["GroupMember", strawberry.lazy("schema.instruments.group_member")]
HarvestRunRef = Annotated["HarvestRun", strawberry.lazy("schema.instruments.harvest_run")]
InstrumentAccessRef = Annotated["InstrumentAccess", strawberry.lazy("schema.instruments.instrument_access")]
HookRef = Annotated["Hook", strawberry.lazy("schema.instruments.hook")]
InstrumentRef = Annotated["Instrument", strawberry.lazy("schema.instruments.instrument")]
HarvestScheduleRef = Annotated["HarvestSchedule", strawberry.lazy("schema.instruments.schedule")]
ProjectRef = Annotated["Project", strawberry.lazy("schema.instruments.project")]
ProjectMemberRef = Annotated["ProjectMember", strawberry.lazy("schema.instruments.project_member")]
ServiceAccountRef = Annotated["ServiceAccount", strawberry.lazy("schema.instruments.service_account")]
StorageLocationRef = Annotated["StorageLocation", strawberry.lazy("schema.instruments.storage_location")]
TransferRef = Annotated["Transfer", strawberry.lazy("schema.instruments.transfer")]
UserRef = Annotated["User", strawberry.lazy("schema.instruments.user")]
