"""The roots: every domain's fields side by side, and the built schema."""

from __future__ import annotations

import strawberry
from strawberry.schema.config import StrawberryConfig

from core.context import Context
from core.errors import Unauthenticated
from engine.constraints import ConstraintDirective
from engine.declare import Node, node_lookup
from engine.scalars import SCALARS
from schema.instruments.account_mutations import AccountMutations
from schema.instruments.instrument_mutations import InstrumentMutations
from schema.instruments.queries import InstrumentsQuery, InstrumentsSubscription
from schema.instruments.schedule_mutations import ScheduleMutations
from schema.instruments.service_account_mutations import ServiceAccountMutations
from schema.instruments.storage_location_mutations import StorageLocationMutations


def _signed_in(ctx: Context) -> None:
    if not ctx.principals:
        raise Unauthenticated


@strawberry.type(description="Everything that can be read.")
class Query(InstrumentsQuery):
    """Fields of all domains."""

    node: Node | None = node_lookup(
        "Any one thing, by its global id; null if it is not there or not for you.", guard=_signed_in
    )


@strawberry.type(description="Everything that can be changed.")
class Mutation(AccountMutations, InstrumentMutations, ServiceAccountMutations, StorageLocationMutations, ScheduleMutations):
    """Fields of all domains."""


@strawberry.type(description="Streams of rows and events.")
class Subscription(InstrumentsSubscription):
    """Fields of all domains."""


def build_schema() -> strawberry.Schema:
    """The Strawberry schema of all domains."""
    return strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        schema_directives=[ConstraintDirective],
        config=StrawberryConfig(scalar_map=SCALARS),
    )
