"""Declaring, changing, clearing and deleting lookups (contract lmio-watcher §5.3)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Info

from core.lookups.declarations import Lookup as Declared
from core.policy import Verb
from engine.declare import limited, one, resolver
from engine.scalars import JSON
from resolvers.context import RequestContext
from resolvers.lookups import lookups as use_cases
from resolvers.lookups.paths import LOOKUP
from schema.inputs import INPUT
from schema.lookups.access import about, may
from schema.lookups.lookup import Lookup
from schema.lookups.queries import ID, TENANT

_DECLARATION = (
    "`name`, `label`, `group`, `type`, `global`, `keys` (array of `name` and `type`), `fields` (object by name, or array), "
    "`descriptionTitle`, `descriptionContent`, `default_expiration`, `feedPath`; what else it has is ignored."
)


@strawberry.input(description="A lookup to be declared.")
class CreateLookupInput:
    """One object per mutation."""

    tenant: str = limited(TENANT)
    declaration: JSON = limited(f"An object with `name`, and what it needs of {_DECLARATION}")


@strawberry.input(description="Which lookup, and what is to change.")
class UpdateLookupInput:
    """One object per mutation."""

    tenant: str = limited(TENANT)
    lookup_id: str = limited(ID)
    declaration: JSON = limited(f"An object with what is to change of {_DECLARATION}")


@strawberry.input(description="Which lookup.")
class LookupInput:
    """One object per mutation."""

    tenant: str = limited(TENANT)
    lookup_id: str = limited(ID)


@strawberry.type(description="The lookup as it is now.")
class LookupPayload:
    """Read back by its key."""

    key: strawberry.Private[UUID]
    lookup_id: str = strawberry.field(description="Its id.")
    lookup: Lookup | None = one("key", "The lookup; null if it is deleted, or you may change but not read it.")


def payload(lookup: Declared) -> LookupPayload:
    """Of a lookup that was changed."""
    return LookupPayload(key=lookup.key, lookup_id=lookup.id)


@strawberry.type
class LookupMutations:
    """For those who may edit in the tenant."""

    @resolver("Declare a lookup; it is empty.", guard=may(Verb.CREATE, LOOKUP), about=about(Verb.CREATE))
    async def create_lookup(
        self, info: Info[RequestContext], given: Annotated[CreateLookupInput, INPUT]
    ) -> LookupPayload | None:
        return payload(await use_cases.create_lookup(info.context, given.tenant, given.declaration))

    @resolver(
        "Change a lookup's declaration; what is left out stays.", guard=may(Verb.UPDATE, LOOKUP), about=about(Verb.UPDATE)
    )
    async def update_lookup(
        self, info: Info[RequestContext], given: Annotated[UpdateLookupInput, INPUT]
    ) -> LookupPayload | None:
        lookup = await use_cases.update_lookup(info.context, given.tenant, given.lookup_id, given.declaration)
        return payload(lookup)

    @resolver("Delete a lookup with all of its items.", guard=may(Verb.DELETE, LOOKUP), about=about(Verb.DELETE))
    async def delete_lookup(self, info: Info[RequestContext], given: Annotated[LookupInput, INPUT]) -> LookupPayload | None:
        key = await use_cases.delete_lookup(info.context, given.tenant, given.lookup_id)
        return LookupPayload(key=key, lookup_id=given.lookup_id)

    @resolver("Remove all items of a lookup.", guard=may(Verb.DELETE, LOOKUP), about=about(Verb.DELETE))
    async def clear_lookup(self, info: Info[RequestContext], given: Annotated[LookupInput, INPUT]) -> LookupPayload | None:
        return payload(await use_cases.clear_lookup(info.context, given.tenant, given.lookup_id))
