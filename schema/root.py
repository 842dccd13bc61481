"""The roots: every domain's fields side by side, and the built schema."""

from __future__ import annotations

import strawberry
from strawberry.schema.config import StrawberryConfig

from engine.constraints import ConstraintDirective
from engine.declare import Node, node_lookup
from engine.scalars import SCALARS
from schema.following import FollowingSubscription
from schema.instruments.account_mutations import AccountMutations
from schema.instruments.harvest_run_mutations import HarvestRunMutations
from schema.instruments.instrument_mutations import InstrumentMutations
from schema.instruments.queries import InstrumentsQuery, InstrumentsSubscription
from schema.instruments.schedule_mutations import ScheduleMutations
from schema.instruments.service_account_mutations import ServiceAccountMutations
from schema.instruments.storage_location_mutations import StorageLocationMutations
from schema.platform.access import anybody_known
from schema.platform.personal_token import PersonalTokensQuery
from schema.platform.personal_token_mutations import PersonalTokenMutations


@strawberry.type(description="Everything that can be read.")
class Query(InstrumentsQuery, PersonalTokensQuery):
    """Fields of all domains."""

    node: Node | None = node_lookup(
        "Any one thing, by its global id; null if it is not there or not for you.", guard=anybody_known
    )


@strawberry.type(description="Everything that can be changed.")
class Mutation(
    AccountMutations,
    InstrumentMutations,
    ServiceAccountMutations,
    StorageLocationMutations,
    ScheduleMutations,
    HarvestRunMutations,
    PersonalTokenMutations,
):
    """Fields of all domains."""


@strawberry.type(description="Streams of rows and events.")
class Subscription(InstrumentsSubscription, FollowingSubscription):
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
