"""Changing storage locations (contract streamweave §5)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Info, Maybe

from core.policy import Verb
from core.vocabulary import StorageType
from engine.declare import limited, one, resolver
from engine.scalars import JSON
from resolvers.context import RequestContext
from resolvers.instruments import storage_locations as use_cases
from resolvers.instruments.rows import STORAGE_LOCATION, delete_row, restore_row
from schema.inputs import INPUT, required, use_case_input
from schema.instruments.access import may
from schema.instruments.storage_location import StorageLocation

NAME, TYPE, BASE_PATH = "Display name; need not be unique.", "What kind of place it is.", "Folder or key prefix for the copies."
CONFIG = (
    "How to reach it. POSIX: anything or null. S3: bucket, region, access_key_id, secret_access_key, endpoint_url. "
    "CIFS: host, share, username, password, domain. NFS: host, export_path, mount_options."
)


@strawberry.input(description="A storage location to be registered.")
class CreateStorageLocationInput:
    """What `connectionConfig` needs depends on the type."""

    name: str = limited(NAME)
    type: StorageType = limited(TYPE)
    base_path: str = limited(BASE_PATH, max_length=1024)
    connection_config: JSON | None = limited(CONFIG, default=None)
    enabled: bool = limited("Whether it may be used.", default=True)


@strawberry.input(description="What is to change; what is left out stays.")
class StorageLocationChangesInput:
    """A new type needs a complete new configuration."""

    name: Maybe[str] = required(NAME)
    type: Maybe[StorageType] = required(TYPE)
    base_path: Maybe[str] = required(BASE_PATH, max_length=1024)
    connection_config: Maybe[JSON | None] = limited(
        f"{CONFIG} Merged key by key; a secret sent as `****` stays, and null changes nothing."
    )
    enabled: Maybe[bool] = required("Whether it may be used.")


@strawberry.input(description="Which storage location, and what is to change.")
class UpdateStorageLocationInput:
    """One object per mutation."""

    local_id: UUID = limited("The storage location.")
    changes: StorageLocationChangesInput = limited("What is to change.")


@strawberry.input(description="Which storage location.")
class StorageLocationInput:
    """One object per mutation."""

    local_id: UUID = limited("The storage location.")


@strawberry.type(description="The storage location as it is now.")
class StorageLocationPayload:
    """Read back by its key."""

    key: strawberry.Private[UUID]
    storage_location: StorageLocation | None = one("key", "The storage location, deleted ones included.")


@strawberry.type
class StorageLocationMutations:
    """For admins."""

    @resolver("Register a storage location.", guard=may(Verb.CREATE, "storage location"))
    async def create_storage_location(
        self,
        info: Info[RequestContext],
        given: Annotated[CreateStorageLocationInput, INPUT],
    ) -> StorageLocationPayload | None:
        new = use_case_input(use_cases.NewStorageLocation, given)
        return StorageLocationPayload(key=await use_cases.create_storage_location(info.context, new))

    @resolver("Change a storage location.", guard=may(Verb.UPDATE, "storage location"))
    async def update_storage_location(
        self,
        info: Info[RequestContext],
        given: Annotated[UpdateStorageLocationInput, INPUT],
    ) -> StorageLocationPayload | None:
        changes = use_case_input(use_cases.StorageLocationChanges, given.changes)
        return StorageLocationPayload(key=await use_cases.update_storage_location(info.context, given.local_id, changes))

    @resolver("Delete a storage location; it can be restored.", guard=may(Verb.DELETE, "storage location"))
    async def delete_storage_location(
        self,
        info: Info[RequestContext],
        given: Annotated[StorageLocationInput, INPUT],
    ) -> StorageLocationPayload | None:
        return StorageLocationPayload(key=await delete_row(info.context, STORAGE_LOCATION, given.local_id))

    @resolver("Restore a deleted storage location; it stays disabled.", guard=may(Verb.DELETE, "storage location"))
    async def restore_storage_location(
        self,
        info: Info[RequestContext],
        given: Annotated[StorageLocationInput, INPUT],
    ) -> StorageLocationPayload | None:
        return StorageLocationPayload(key=await restore_row(info.context, STORAGE_LOCATION, given.local_id))
