"""Testing a storage location (contract streamweave §5)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Info

from core.policy import Verb
from core.vocabulary import StorageType
from engine.declare import one, resolver
from resolvers.context import RequestContext
from resolvers.instruments.storage_trial import try_storage_location
from schema.instruments.access import may
from schema.instruments.storage_location import StorageLocation


@strawberry.type(description="A storage location that can be used.")
class StorageLocationTest:
    """There is none of a location that cannot: that is an error with the reason."""

    key: strawberry.Private[UUID]
    type: StorageType = strawberry.field(description="What kind of place it is.")
    name: str = strawberry.field(description="Its display name.")
    status: str = strawberry.field(default="ok", description="Always `ok`.")
    storage_location: StorageLocation | None = one("key", "The storage location.")


@strawberry.type
class StorageTestQuery:
    """For admins."""

    @resolver("Whether a storage location can be used now; an error says why not.", guard=may(Verb.READ, "storage location"))
    async def test_storage_location(
        self,
        info: Info[RequestContext],
        local_id: Annotated[UUID, strawberry.argument(description="The storage location.")],
    ) -> StorageLocationTest | None:
        row = await try_storage_location(info.context, local_id)
        return StorageLocationTest(key=local_id, type=row["type"], name=row["name"])
