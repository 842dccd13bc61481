"""The roots: every domain's fields side by side, and the built schema."""

from __future__ import annotations

import strawberry
from strawberry.schema.config import StrawberryConfig

from engine.constraints import ConstraintDirective
from engine.declare import Node, node_lookup
from engine.scalars import SCALARS
from schema.following import FollowingSubscription
from schema.instruments.account_mutations import AccountMutations
from schema.instruments.grant_mutations import GrantMutations
from schema.instruments.group_mutations import GroupMutations
from schema.instruments.harvest_run_mutations import HarvestRunMutations
from schema.instruments.hook_mutations import HookMutations
from schema.instruments.instrument_mutations import InstrumentMutations
from schema.instruments.instrument_request_mutations import InstrumentRequestMutations
from schema.instruments.member_mutations import MemberMutations
from schema.instruments.notification_mutations import NotificationMutations
from schema.instruments.project_mutations import ProjectMutations
from schema.instruments.queries import InstrumentsQuery, InstrumentsSubscription
from schema.instruments.schedule_mutations import ScheduleMutations
from schema.instruments.service_account_mutations import ServiceAccountMutations
from schema.instruments.sharing_queries import SharingQuery, SharingSubscription
from schema.instruments.storage_location_mutations import StorageLocationMutations
from schema.instruments.storage_location_trial import StorageTestQuery
from schema.instruments.user_mutations import UserMutations
from schema.lookups.lookup_item_mutations import LookupItemMutations
from schema.lookups.lookup_mutations import LookupMutations
from schema.lookups.queries import LookupsQuery, LookupsSubscription
from schema.platform.access import anybody_known
from schema.platform.personal_token import PersonalTokensQuery
from schema.platform.personal_token_mutations import PersonalTokenMutations


@strawberry.type(description="Everything that can be read.")
class Query(InstrumentsQuery, SharingQuery, StorageTestQuery, LookupsQuery, PersonalTokensQuery):
    """Fields of all domains."""

    node: Node | None = node_lookup(
        "Any one thing, by its global id; null if it is not there or not for you.", guard=anybody_known
    )


@strawberry.type(description="Everything that can be changed.")
class Mutation(
    AccountMutations,
    UserMutations,
    InstrumentMutations,
    ServiceAccountMutations,
    StorageLocationMutations,
    ScheduleMutations,
    HookMutations,
    HarvestRunMutations,
    GroupMutations,
    ProjectMutations,
    MemberMutations,
    GrantMutations,
    InstrumentRequestMutations,
    NotificationMutations,
    LookupMutations,
    LookupItemMutations,
    PersonalTokenMutations,
):
    """Fields of all domains."""


@strawberry.type(description="Streams of rows and events.")
class Subscription(InstrumentsSubscription, SharingSubscription, LookupsSubscription, FollowingSubscription):
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
