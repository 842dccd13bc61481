"""Writing and deleting items, one by one or as a file (contract lmio-watcher §6.3, §9.1)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Info

from core.policy import Verb
from core.uploads import Upload
from engine.declare import limited, one, resolver
from engine.scalars import JSON
from resolvers.context import RequestContext
from resolvers.lookups import items as use_cases
from resolvers.lookups import uploads
from resolvers.lookups.paths import ITEM
from schema.inputs import INPUT
from schema.lookups.access import about, may
from schema.lookups.lookup import Lookup
from schema.lookups.queries import ID, TENANT

_ITEM = (
    "`keys` (array of `name` and `value`, array of values, or object), `fields` (the same; null clears), "
    "`_exp` (seconds since 1970, ISO 8601, or null)."
)


@strawberry.input(description="An item to be made, or merged into the one that has its key.")
class WriteLookupItemInput:
    """One object per mutation."""

    tenant: str = limited(TENANT)
    lookup_id: str = limited(ID)
    item: JSON = limited(f"An object with {_ITEM}")


@strawberry.input(description="Which item, and what is to change.")
class UpdateLookupItemInput:
    """One object per mutation."""

    tenant: str = limited(TENANT)
    lookup_id: str = limited(ID)
    item_id: str = limited("The item.")
    item: JSON = limited(f"An object with what is to change of {_ITEM} Other keys give it another id.")


@strawberry.input(description="Which item.")
class LookupItemInput:
    """One object per mutation."""

    tenant: str = limited(TENANT)
    lookup_id: str = limited(ID)
    item_id: str = limited("The item.")


@strawberry.input(description="A CSV file for a lookup.")
class UploadLookupInput:
    """One object per mutation."""

    tenant: str = limited(TENANT)
    lookup_id: str = limited(ID)
    file: Upload = limited("UTF-8, with a header.")
    delimiter: str | None = limited("Between cells; one character, `;` by default.", default=None)


@strawberry.type(description="The item that was written or deleted, and its lookup.")
class LookupItemPayload:
    """Read back by key."""

    key: strawberry.Private[UUID]
    item_id: str = strawberry.field(description="The item's id, as it is now.")
    lookup_id: str = strawberry.field(description="Id of the lookup.")
    lookup: Lookup | None = one("key", "The lookup; null if you may change but not read it.")


@strawberry.type(description="What an upload did.")
class UploadLookupPayload:
    """Read back by key."""

    key: strawberry.Private[UUID]
    lookup_id: str = strawberry.field(description="Id of the lookup.")
    count: int = strawberry.field(description="Rows that were applied; two of one id count twice.")
    skipped: int = strawberry.field(description="Rows without any id.")
    lookup: Lookup | None = one("key", "The lookup; null if you may change but not read it.")


@strawberry.type
class LookupItemMutations:
    """For those who may edit in the tenant."""

    @resolver(
        "Write an item: make it, or merge into the one that has its key.",
        guard=may(Verb.CREATE, ITEM),
        about=about(Verb.CREATE, ITEM),
    )
    async def write_lookup_item(
        self, info: Info[RequestContext], given: Annotated[WriteLookupItemInput, INPUT]
    ) -> LookupItemPayload | None:
        lookup, item_id = await use_cases.write_item(info.context, given.tenant, given.lookup_id, given.item)
        return LookupItemPayload(key=lookup.key, item_id=item_id, lookup_id=lookup.id)

    @resolver("Merge into an item that is there.", guard=may(Verb.UPDATE, ITEM), about=about(Verb.UPDATE, ITEM))
    async def update_lookup_item(
        self, info: Info[RequestContext], given: Annotated[UpdateLookupItemInput, INPUT]
    ) -> LookupItemPayload | None:
        lookup, item_id = await use_cases.update_item(info.context, given.tenant, given.lookup_id, given.item_id, given.item)
        return LookupItemPayload(key=lookup.key, item_id=item_id, lookup_id=lookup.id)

    @resolver("Delete an item.", guard=may(Verb.DELETE, ITEM), about=about(Verb.DELETE, ITEM))
    async def delete_lookup_item(
        self, info: Info[RequestContext], given: Annotated[LookupItemInput, INPUT]
    ) -> LookupItemPayload | None:
        lookup = await use_cases.delete_item(info.context, given.tenant, given.lookup_id, given.item_id)
        return LookupItemPayload(key=lookup.key, item_id=given.item_id, lookup_id=lookup.id)

    @resolver(
        "Merge the rows of a CSV file into a lookup: all of them, or none if one is wrong.",
        guard=may(Verb.UPDATE, ITEM),
        about=about(Verb.UPDATE, ITEM),
    )
    async def upload_lookup(
        self, info: Info[RequestContext], given: Annotated[UploadLookupInput, INPUT]
    ) -> UploadLookupPayload | None:
        lookup, uploaded = await uploads.upload_items(info.context, given.tenant, given.lookup_id, given.file, given.delimiter)
        return UploadLookupPayload(key=lookup.key, lookup_id=lookup.id, count=uploaded.count, skipped=uploaded.skipped)
