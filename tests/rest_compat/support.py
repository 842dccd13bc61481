"""A small graph that resembles the instruments domain, executed by graphql-core, and the documents that serve it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
import strawberry
from graphql import DocumentNode, ExecutionResult, GraphQLSchema, execute, is_enum_type, subscribe
from starlette.requests import Request
from strawberry.schema.config import StrawberryConfig

from core.context import Context
from core.errors import Forbidden, InvalidInput, NotFound, Refused, Unauthenticated
from core.identity import INSTRUMENTS, Principal, Principals
from engine.constraints import Constraint
from engine.operation import GRAPHQL_LEAVES, Leaves, Operation, Outcome
from engine.scalars import JSON, SCALARS, Long
from rest_compat.dialects.instruments import Instruments
from rest_compat.endpoint import Endpoint
from rest_compat.loader import load
from rest_compat.shim import RestShim

OPERATIONS = Path(__file__).parent / "operations"
KNOWN = UUID("61b08ff4-4e91-44b0-9276-07254109da6d")
UNKNOWN = UUID("00000000-0000-4000-8000-000000000000")
ADMIN = {"authorization": "Bearer admin"}
USER = {"authorization": "Bearer user"}


@strawberry.enum
class TransferAdapter(Enum):
    RCLONE = "rclone"
    GLOBUS = "globus"
    RSYNC = "rsync"


@strawberry.type
class Instrument:
    local_id: UUID = KNOWN
    name: str = "Älpha"
    cifs_host: str = "nas"
    service_account_id: UUID | None = None
    transfer_adapter: TransferAdapter = TransferAdapter.RCLONE
    transfer_config: JSON | None = None
    enabled: bool = True
    created_at: datetime = datetime(2026, 11, 21, 0, 29, 27, 495180, tzinfo=UTC)


@strawberry.type
class FileRecord:
    local_id: UUID
    source_path: str
    size_bytes: Long | None = None
    metadata: JSON | None = None


@strawberry.type
class PageInfo:
    offset: int
    size: int


@strawberry.type
class InstrumentConnection:
    nodes: list[Instrument]
    total_count: int
    page_info: PageInfo


@strawberry.type
class FileConnection:
    nodes: list[FileRecord]
    total_count: int


@strawberry.type
class InstrumentPayload:
    instrument: Instrument | None


@strawberry.type
class Token:
    access_token: str
    token_type: str = "bearer"


@strawberry.type
class Sent:
    sent: bool = True


@strawberry.type
class Member:
    group_id: UUID
    user_id: UUID
    note: str | None


@strawberry.type
class TestPassed:
    __test__ = False
    status: str
    name: str


@strawberry.type
class TestFailed:
    __test__ = False
    reason: str


@strawberry.input
class NewInstrument:
    name: str = strawberry.field(directives=[Constraint(max_length=8).directive()])
    cifs_host: str
    service_account_id: UUID | None = strawberry.UNSET
    transfer_adapter: TransferAdapter = TransferAdapter.RCLONE
    transfer_config: JSON | None = strawberry.UNSET
    enabled: bool = True


@strawberry.input
class InstrumentChanges:
    name: str | None = strawberry.field(
        default=strawberry.UNSET, directives=[Constraint(max_length=8, nullable=False).directive()]
    )
    service_account_id: UUID | None = strawberry.UNSET
    transfer_adapter: TransferAdapter | None = strawberry.field(
        default=strawberry.UNSET, directives=[Constraint(nullable=False).directive()]
    )
    enabled: bool | None = strawberry.UNSET


@strawberry.input
class NewMember:
    group_id: UUID
    user_id: UUID
    note: str | None = strawberry.field(default=strawberry.UNSET, directives=[Constraint(max_length=4).directive()])


@dataclass
class World:
    """What the resolvers know and what was done to it."""

    instruments: dict[UUID, Instrument] = field(default_factory=lambda: {KNOWN: Instrument()})
    batches: list[list[FileRecord]] = field(default_factory=list)
    failure: Exception | None = None
    seen: list[Any] = field(default_factory=list)
    closed: bool = False


def world(info: strawberry.Info) -> World:
    ctx: Context = info.context
    if ctx.services.failure is not None and not ctx.services.batches:
        raise ctx.services.failure
    return ctx.services


@strawberry.type
class Query:
    @strawberry.field
    def instrument(self, info: strawberry.Info, local_id: UUID) -> Instrument | None:
        return world(info).instruments.get(local_id)

    @strawberry.field
    def instruments(self, info: strawberry.Info, offset: int = 0, first: int = 25) -> InstrumentConnection:
        known = list(world(info).instruments.values())
        return InstrumentConnection(
            nodes=known[offset : offset + first], total_count=len(known), page_info=PageInfo(offset=offset, size=first)
        )

    @strawberry.field
    def files(self, info: strawberry.Info, offset: int = 0, first: int = 25) -> FileConnection:
        known = [each for batch in world(info).batches for each in batch]
        return FileConnection(nodes=known[offset : offset + first], total_count=len(known))

    @strawberry.field
    def instrument_test(
        self, info: strawberry.Info, local_id: UUID
    ) -> Annotated[TestPassed | TestFailed, strawberry.union("InstrumentTest")]:
        known = world(info).instruments[local_id]
        return TestPassed(status="ok", name=known.name) if known.enabled else TestFailed(reason="Path does not exist")

    @strawberry.field
    def echo(self, text: str) -> str | None:
        return text


@strawberry.type
class Mutation:
    @strawberry.mutation
    def create_instrument(self, info: strawberry.Info, input: NewInstrument) -> InstrumentPayload:  # noqa: A002  # as the graph has it
        world(info).seen.append(input)
        if input.service_account_id == UNKNOWN:
            raise InvalidInput("Unknown service account", field="service_account_id", value=input.service_account_id)
        return InstrumentPayload(
            instrument=Instrument(name=input.name, cifs_host=input.cifs_host, transfer_adapter=input.transfer_adapter)
        )

    @strawberry.mutation
    def update_instrument(self, info: strawberry.Info, local_id: UUID, changes: InstrumentChanges) -> InstrumentPayload:
        given = {name: value for name, value in vars(changes).items() if value is not strawberry.UNSET}
        world(info).seen.append(given)
        if local_id not in world(info).instruments:
            raise NotFound("Instrument not found")
        return InstrumentPayload(instrument=replace(world(info).instruments[local_id], **given))

    @strawberry.mutation
    def delete_instrument(self, info: strawberry.Info, local_id: UUID) -> InstrumentPayload:
        if world(info).instruments.pop(local_id, None) is None:
            raise NotFound("Instrument not found")
        return InstrumentPayload(instrument=None)

    @strawberry.mutation
    def login(self, info: strawberry.Info, username: str, password: str) -> Token:
        if password != "secret":
            raise Refused("LOGIN_BAD_CREDENTIALS")
        info.context.effects.header("set-cookie", "streamweave_auth=token; HttpOnly")
        return Token(access_token=username)

    @strawberry.mutation
    def forgot_password(self, email: str) -> Sent:
        return Sent()

    @strawberry.mutation
    def add_member(self, input: NewMember) -> Member:  # noqa: A002  # as the graph has it
        return Member(group_id=input.group_id, user_id=input.user_id, note=input.note or None)


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def file_rows(self, info: strawberry.Info, instrument_id: UUID | None = None) -> AsyncIterator[list[FileRecord]]:
        here = info.context.services
        try:
            for batch in here.batches:
                yield batch
            if here.failure is not None:
                raise here.failure
        finally:
            here.closed = True

    @strawberry.subscription
    async def instrument_rows(self, info: strawberry.Info) -> AsyncIterator[list[Instrument]]:
        yield list(world(info).instruments.values())


def schema() -> GraphQLSchema:
    built = strawberry.Schema(Query, Mutation, Subscription, config=StrawberryConfig(scalar_map=SCALARS))
    return built._schema


PUBLIC = schema()


def _admin(ctx: Context) -> None:
    principal = ctx.principals.of(INSTRUMENTS)
    if principal is None:
        raise Unauthenticated
    if principal.role != "admin":
        raise Forbidden("Admin access required")


OPEN = frozenset({"login", "forgotPassword", "echo"})


class CoreOperation(Operation):
    """Runs an operation with graphql-core; anything but the open root fields is for admins."""

    def __init__(self, executable: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = executable
        self._document = document
        self.definition = document.definitions[0]

    def guard(self, ctx: Context) -> None:
        if any(each.name.value not in OPEN for each in self.definition.selection_set.selections):
            _admin(ctx)

    def nodes(self, variables: Mapping[str, Any]) -> int | None:
        return None

    async def execute(self, ctx: Context, variables: Mapping[str, Any]) -> Outcome:
        result = execute(self._schema, self._document, context_value=ctx, variable_values=dict(variables))
        return _outcome(result if isinstance(result, ExecutionResult) else await result)

    async def stream(self, ctx: Context, variables: Mapping[str, Any]) -> AsyncIterator[Outcome]:
        results = subscribe(self._schema, self._document, context_value=ctx, variable_values=dict(variables))
        results = await results if hasattr(results, "__await__") else results
        if isinstance(results, ExecutionResult):
            yield _outcome(results)
            return
        try:
            async for result in results:
                yield _outcome(result)
        finally:
            await results.aclose()


def _outcome(result: ExecutionResult) -> Outcome:
    return Outcome(result.data, result.errors or [])


class FakeGraph:
    """Implements `rest_compat.endpoint.Graph`."""

    def __init__(self, public: GraphQLSchema = PUBLIC) -> None:
        self.schema = public
        self._lower = schema()
        for each in self._lower.type_map.values():
            if is_enum_type(each) and not each.name.startswith("__"):
                each.coerce_output_value = lambda value: value.name.lower()
                each.serialize = each.coerce_output_value

    def prepare(
        self, document: DocumentNode, operation_name: str | None = None, *, leaves: Leaves = GRAPHQL_LEAVES
    ) -> Operation:
        return CoreOperation(self._lower if leaves.lower_case_enums else self.schema, document)

    def noun(self, type_name: str) -> str:
        return {"FileRecord": "File"}.get(type_name, type_name)


def context_for(here: World) -> Callable[[Request], Any]:
    async def build(request: Request) -> Context:
        scheme, _, role = request.headers.get("authorization", "").partition(" ")
        principals = [Principal(INSTRUMENTS, KNOWN, role)] if scheme == "Bearer" else []
        return Context(sql=None, principals=Principals(principals), services=here, report=lambda error: "error-1")

    return build


def shim(here: World, operations: Path = OPERATIONS, list_shape: str | None = None, **options: Any) -> RestShim:
    with pytest.MonkeyPatch.context() as patch:
        if operations == OPERATIONS:
            patch.setattr("rest_compat.shim.load", lambda *_: _endpoints(list_shape))
        return RestShim(FakeGraph(), operations, [Instruments(list_shape)], context_for(here), **options)


@cache
def _endpoints(list_shape: str | None) -> tuple[Endpoint, ...]:
    """They know nothing of the world, and take long to load."""
    return load(OPERATIONS, FakeGraph(), [Instruments(list_shape)])


def client(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test")
