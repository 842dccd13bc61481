"""Instruments: the sources that are harvested. Contract streamweave §3; "harvest now" is in `schedules`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from core.errors import InvalidInput
from core.identity import INSTRUMENTS
from core.policy import Verb
from core.vocabulary import TransferAdapter
from resolvers.context import RequestContext
from resolvers.inputs import ABSENT, Absent, checked, given
from resolvers.instruments.rows import INSTRUMENT, SERVICE_ACCOUNT, change
from storage.objects.smb_access import Address
from storage.sql.tables import instruments


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInstrument:
    """An instrument to be created."""

    name: str
    cifs_host: str
    cifs_share: str
    description: str | None = None
    location: str | None = None
    pid: str | None = None
    cifs_base_path: str | None = None
    service_account_id: UUID | None = None
    transfer_adapter: TransferAdapter = TransferAdapter.RCLONE
    transfer_config: dict[str, Any] | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentChanges:
    """What is to change; absent fields stay."""

    name: str | Absent = ABSENT
    cifs_host: str | Absent = ABSENT
    cifs_share: str | Absent = ABSENT
    description: str | Absent | None = ABSENT
    location: str | Absent | None = ABSENT
    pid: str | Absent | None = ABSENT
    cifs_base_path: str | Absent | None = ABSENT
    service_account_id: UUID | Absent | None = ABSENT
    transfer_adapter: TransferAdapter | Absent = ABSENT
    transfer_config: dict[str, Any] | Absent | None = ABSENT
    enabled: bool | Absent = ABSENT


async def create_instrument(ctx: RequestContext, new: NewInstrument) -> UUID:
    """Names need not be unique. Raises `InvalidInput` for an unknown service account."""
    actor = ctx.require(INSTRUMENTS, Verb.CREATE, "instrument")
    values = checked(instruments, given(new))
    async with change(ctx, actor) as changing:
        await changing.refers_to(SERVICE_ACCOUNT, "service_account_id", values)
        return await changing.create(INSTRUMENT, **values, last_harvested_at=None)


async def update_instrument(ctx: RequestContext, key: UUID, changes: InstrumentChanges) -> UUID:
    """Only what is given changes."""
    actor = ctx.require(INSTRUMENTS, Verb.UPDATE, "instrument")
    sent = checked(instruments, given(changes))
    async with change(ctx, actor) as changing:
        row = await changing.live(INSTRUMENT, key)
        await changing.refers_to(SERVICE_ACCOUNT, "service_account_id", sent, row)
        await changing.update(INSTRUMENT, row, sent)
    return key


def host_of(cifs_host: str) -> str | None:
    """The name or IP address of the server, without its port; None for a local folder, and for what is no address."""
    try:
        return Address.parse(cifs_host).host
    except InvalidInput:
        return None
