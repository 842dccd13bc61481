"""A small graph that resembles the lookups domain, and the documents that serve it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import strawberry
from graphql import DocumentNode
from starlette.requests import Request
from strawberry.schema.config import StrawberryConfig

from core.context import Context
from core.errors import Forbidden, NotFound, Refused, Unauthenticated
from core.identity import Principal, Principals
from core.uploads import Upload
from engine.admission import Admission
from engine.declare import resolver
from engine.operation import GRAPHQL_LEAVES, Leaves, Operation
from engine.scalars import JSON, SCALARS
from rest_compat.bodies import Bounds
from rest_compat.dialects.lookups import TENANT_NO_ACCESS, Lookups
from rest_compat.endpoint import Endpoint
from rest_compat.loader import load
from rest_compat.shim import RestShim
from tests.rest_compat.support import CoreOperation

OPERATIONS = Path(__file__).parent / "operations"
EDITOR = {"authorization": "Bearer edit"}
RESERVED = frozenset({"api"})


@strawberry.enum
class Form(Enum):
    PACKED = "packed"
    DMS = "dms"


@strawberry.enum
class Direction(Enum):
    ASC = "asc"
    DESC = "desc"


@strawberry.input
class Term:
    field: str
    direction: Direction


@strawberry.type
class LookupItem:
    local_id: str
    values: JSON
    expires: int | None = None


@strawberry.type
class Items:
    nodes: list[LookupItem]
    total_count: int


@dataclass
class World:
    """What the resolvers know and what was done to it."""

    seen: list[Any] = field(default_factory=list)
    pieces: list[str] = field(default_factory=lambda: ["_id;name\r\n", "CZ;Česko\r\n"])
    failure: Exception | None = None


ITEMS = {
    "CZ": LookupItem(local_id="CZ", values={"name": "Česko", "pop": 2**64 - 1}),
    "a/b": LookupItem(local_id="a/b", values={}, expires=7),
    "upload": LookupItem(local_id="upload", values={}),
}


@strawberry.type
class Lookup:
    @strawberry.field
    def item(self, item_id: str) -> LookupItem | None:
        return ITEMS.get(item_id)

    @strawberry.field
    def items(
        self,
        info: strawberry.Info,
        text: str | None = None,
        form: Form = Form.PACKED,
        order_by: list[Term] | None = None,
        offset: int = 0,
        first: int = 10,
    ) -> Items:
        order = [(term.field, term.direction.name) for term in order_by or ()]
        info.context.services.seen.append((text, form.name, order, offset, first))
        return Items(nodes=list(ITEMS.values())[offset : offset + first], total_count=len(ITEMS))


@strawberry.input
class Written:
    tenant: str
    lookup_id: str
    item: JSON


@strawberry.input
class Sent:
    tenant: str
    lookup_id: str
    file: Upload


@strawberry.input
class Deleted:
    tenant: str
    lookup_id: str
    item_id: str


@strawberry.type
class ItemPayload:
    item_id: str


@strawberry.type
class UploadPayload:
    count: int
    skipped: int


async def about(ctx: Context, arguments: Mapping[str, Any]) -> None:
    """The tenant, then who asks, then whose lookup it is, then whether it is there."""
    given: Mapping[str, Any] = arguments.get("input", arguments)
    ctx.services.seen.append(dict(given))
    if given["tenant"] == "nowhere":
        raise NotFound("Tenant not found.")
    if not ctx.principals:
        raise Unauthenticated
    if given["tenant"] == "closed":
        raise Forbidden("not for you")
    if given["lookupId"].partition(".")[2] not in {"", given["tenant"]}:
        raise Refused(TENANT_NO_ACCESS)
    if given["lookupId"].startswith("gone"):
        raise NotFound("Lookup not found.")


def _guard(ctx: Context) -> None:
    if not ctx.principals:
        raise Unauthenticated


@strawberry.type
class Query:
    @resolver("One lookup.", guard=_guard, about=about)
    def lookup(self, tenant: str, lookup_id: str) -> Lookup | None:
        return Lookup()


@strawberry.type
class Mutation:
    @resolver("Write an item.", guard=_guard, about=about)
    def write(self, info: strawberry.Info, input: Written) -> ItemPayload:  # noqa: A002  # as the graph has it
        world: World = info.context.services
        if world.failure is not None:
            raise world.failure
        world.seen.append(input.item)
        return ItemPayload(item_id="CZ")

    @resolver("Write many.", guard=_guard, about=about)
    async def upload(self, info: strawberry.Info, input: Sent) -> UploadPayload:  # noqa: A002  # as the graph has it
        content = b"".join([piece async for piece in input.file.chunks()])
        info.context.services.seen.append((input.file.filename, input.file.size, content[:20]))
        return UploadPayload(count=len(content), skipped=content.count(b"skip"))

    @resolver("Delete an item.", guard=_guard, about=about)
    def delete(self, info: strawberry.Info, input: Deleted) -> ItemPayload:  # noqa: A002  # as the graph has it
        if input.item_id not in ITEMS:
            raise NotFound("Item not found.")
        return ItemPayload(item_id=input.item_id)


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def csv(self, info: strawberry.Info, tenant: str, lookup_id: str) -> AsyncIterator[str]:
        world: World = info.context.services
        for piece in world.pieces:
            yield piece
        if world.failure is not None:
            raise world.failure


PUBLIC = strawberry.Schema(Query, Mutation, Subscription, config=StrawberryConfig(scalar_map=SCALARS))._schema


class LookupsOperation(CoreOperation):
    """Asks what the root fields ask."""

    def __init__(self, document: DocumentNode) -> None:
        super().__init__(PUBLIC, document)
        self._admission = Admission(PUBLIC, document, self.definition, hide_suggestions=False, most_nodes=10**6)

    def guard(self, ctx: Context) -> None:
        self._admission.guard(ctx)

    async def about(self, ctx: Context, variables: Mapping[str, Any]) -> None:
        await self._admission.about(ctx, variables)


class LookupsGraph:
    """Implements `rest_compat.endpoint.Graph`."""

    schema = PUBLIC

    def prepare(
        self, document: DocumentNode, operation_name: str | None = None, *, leaves: Leaves = GRAPHQL_LEAVES
    ) -> Operation:
        return LookupsOperation(document)

    def noun(self, type_name: str) -> str:
        return {"LookupItem": "Item"}.get(type_name, type_name)


def context_for(world: World) -> Any:
    async def build(request: Request) -> Context:
        known = "authorization" in request.headers
        principals = [Principal("lookups", UUID(int=1), "")] if known else []
        return Context(sql=None, principals=Principals(principals), services=world, report=lambda _: "error-1")

    return build


def shim(world: World, bounds: Bounds = Bounds()) -> RestShim:  # noqa: B008  # frozen
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rest_compat.shim.load", lambda *_: endpoints())
        return RestShim(LookupsGraph(), OPERATIONS, [Lookups(RESERVED)], context_for(world), reserved=RESERVED, bounds=bounds)


@cache
def endpoints() -> tuple[Endpoint, ...]:
    """They know nothing of the world, and take long to load."""
    return load(OPERATIONS, LookupsGraph(), [Lookups()])
