"""Ending a harvest before its time. For those who may start one; REST has no such route."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Info

from core.policy import Verb
from engine.declare import limited, one, resolver
from resolvers.context import RequestContext
from resolvers.instruments import harvest_runs as use_cases
from schema.inputs import INPUT
from schema.instruments.access import may
from schema.instruments.harvest_run import HarvestRun


@strawberry.input(description="Which run.")
class RunInput:
    """One object per mutation."""

    local_id: UUID = limited("The run.")


@strawberry.type(description="The run as it is now.")
class RunPayload:
    """Read back by its key."""

    key: strawberry.Private[UUID]
    run: HarvestRun | None = one("key", "The run: `CANCELED` if it was waiting, else soon.")


@strawberry.type
class HarvestRunMutations:
    """For admins."""

    @resolver(
        "Cancel a harvest that waits or runs. What was copied stays; what is being copied is removed and left to the next harvest.",
        guard=may(Verb.EXECUTE, "schedule"),
    )
    async def cancel_run(self, info: Info[RequestContext], given: Annotated[RunInput, INPUT]) -> RunPayload | None:
        return RunPayload(key=await use_cases.cancel_run(info.context, given.local_id))
