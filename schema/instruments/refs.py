"""The domain's types by name, for fields that would otherwise import in a circle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry

if TYPE_CHECKING:
    from schema.instruments.file_record import FileRecord
    from schema.instruments.harvest_run import HarvestRun
    from schema.instruments.instrument import Instrument
    from schema.instruments.schedule import HarvestSchedule
    from schema.instruments.service_account import ServiceAccount
    from schema.instruments.storage_location import StorageLocation
    from schema.instruments.transfer import Transfer
    from schema.instruments.user import User

FileRecordRef = Annotated["FileRecord", strawberry.lazy("schema.instruments.file_record")]
HarvestRunRef = Annotated["HarvestRun", strawberry.lazy("schema.instruments.harvest_run")]
InstrumentRef = Annotated["Instrument", strawberry.lazy("schema.instruments.instrument")]
HarvestScheduleRef = Annotated["HarvestSchedule", strawberry.lazy("schema.instruments.schedule")]
ServiceAccountRef = Annotated["ServiceAccount", strawberry.lazy("schema.instruments.service_account")]
StorageLocationRef = Annotated["StorageLocation", strawberry.lazy("schema.instruments.storage_location")]
TransferRef = Annotated["Transfer", strawberry.lazy("schema.instruments.transfer")]
UserRef = Annotated["User", strawberry.lazy("schema.instruments.user")]
