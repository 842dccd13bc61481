"""Storage locations: where copies go. Contract streamweave §5; the configs' own rules are in `connection_config`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.engine import RowMapping

from core.errors import InvalidInput
from core.identity import INSTRUMENTS
from core.policy import Verb
from core.secrets import Keyring, Secret
from core.vocabulary import StorageType
from resolvers.context import RequestContext
from resolvers.inputs import ABSENT, Absent, checked, given
from resolvers.instruments.connection_config import Settings, complete, merged, require_every_key
from resolvers.instruments.rows import STORAGE_LOCATION, change
from storage.sql.tables import storage_locations


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStorageLocation:
    """A storage location to be created."""

    name: str
    type: StorageType
    base_path: str
    connection_config: dict[str, Any] | None = field(default=None, repr=False)
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageLocationChanges:
    """What is to change; absent fields stay, and so does a config that is given as null."""

    name: str | Absent = ABSENT
    type: StorageType | Absent = ABSENT
    base_path: str | Absent = ABSENT
    connection_config: dict[str, Any] | Absent | None = field(default=ABSENT, repr=False)
    enabled: bool | Absent = ABSENT


async def create_storage_location(ctx: RequestContext, new: NewStorageLocation) -> UUID:
    """Raises `InvalidInput` for every key that the type's config lacks."""
    actor = ctx.require(INSTRUMENTS, Verb.CREATE, "storage location")
    values = checked(storage_locations, given(new))
    columns = {**values, **_stored(ctx.services.keyring, complete(new.type, new.connection_config))}
    async with change(ctx, actor) as changing:
        return await changing.create(STORAGE_LOCATION, **columns)


async def update_storage_location(ctx: RequestContext, key: UUID, changes: StorageLocationChanges) -> UUID:
    """Only what is given changes; the config key by key."""
    actor = ctx.require(INSTRUMENTS, Verb.UPDATE, "storage location")
    sent = checked(storage_locations, given(changes))
    async with change(ctx, actor) as changing:
        row = await changing.live(STORAGE_LOCATION, key)
        columns = {name: value for name, value in sent.items() if name != "connection_config"}
        columns |= _new_type(ctx.services.keyring, row, sent) or _same_type(ctx.services.keyring, row, sent)
        await changing.update(STORAGE_LOCATION, row, sent, columns)
    return key


def _new_type(keyring: Keyring, row: RowMapping, sent: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a config for another type: a new one from the start, with no secret left of the old."""
    if sent.get("type", row["type"]) is row["type"]:
        return {}
    if "connection_config" not in sent:
        raise InvalidInput("A change of type needs the new type's connection_config", field="connection_config", kind="missing")
    return {"secrets_sealed": None, **_stored(keyring, complete(sent["type"], sent["connection_config"]))}


def _same_type(keyring: Keyring, row: RowMapping, sent: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a config that is merged into the stored one."""
    config = sent.get("connection_config")
    if config is None:
        return {}
    if "type" in sent:
        require_every_key(row["type"], config)
    return _stored(keyring, merged(row["type"], row["connection_config"], config))


def _stored(keyring: Keyring, settings: Settings) -> dict[str, Any]:
    columns: dict[str, Any] = {"connection_config": settings.shown}
    if settings.secrets:
        columns["secrets_sealed"] = keyring.seal(Secret(orjson.dumps(settings.secrets).decode()))
    return columns
