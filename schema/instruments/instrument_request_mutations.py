"""Wishing for instruments, and reviewing wishes (contract streamweave §10)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Info

from core.policy import Verb
from core.vocabulary import RequestStatus
from engine.declare import limited, one, resolver
from resolvers.context import RequestContext
from resolvers.instruments import instrument_requests as use_cases
from schema.inputs import INPUT, use_case_input
from schema.instruments.access import may
from schema.instruments.instrument_request import InstrumentRequest

LONGEST = 10_000
"""Characters: whoever registers may wish, and an admin's list holds 500 wishes."""


@strawberry.input(description="A wish that an instrument be harvested.")
class RequestInstrumentInput:
    """One object per mutation."""

    name: str = limited("What the instrument is called.", max_length=255)
    location: str = limited("Where it stands.", max_length=255)
    harvest_frequency: str = limited("How often it should be harvested, in words.", max_length=255)
    justification: str = limited("Why.", max_length=LONGEST)
    description: str | None = limited("What else there is to say.", max_length=LONGEST, default=None)


@strawberry.input(description="What becomes of a wish.")
class ReviewInstrumentRequestInput:
    """One object per mutation."""

    local_id: UUID = limited("The wish.")
    status: RequestStatus = limited("What becomes of it.")
    admin_notes: str | None = limited("What there is to say to it; earlier notes go.", default=None)


@strawberry.type(description="The wish as it is now.")
class InstrumentRequestPayload:
    """Read back by its key."""

    key: strawberry.Private[UUID]
    instrument_request: InstrumentRequest | None = one("key", "The wish.")


@strawberry.type
class InstrumentRequestMutations:
    """Anybody wishes, admins review."""

    @resolver("Wish for an instrument; every active admin is told.", guard=may(Verb.CREATE, "instrument request"))
    async def request_instrument(
        self, info: Info[RequestContext], given: Annotated[RequestInstrumentInput, INPUT]
    ) -> InstrumentRequestPayload | None:
        new = use_case_input(use_cases.NewInstrumentRequest, given)
        return InstrumentRequestPayload(key=await use_cases.request_instrument(info.context, new))

    @resolver("Say what becomes of a wish; whoever has it is told.", guard=may(Verb.UPDATE, "instrument request"))
    async def review_instrument_request(
        self, info: Info[RequestContext], given: Annotated[ReviewInstrumentRequestInput, INPUT]
    ) -> InstrumentRequestPayload | None:
        review = use_case_input(use_cases.Review, given)
        return InstrumentRequestPayload(key=await use_cases.review_instrument_request(info.context, given.local_id, review))
