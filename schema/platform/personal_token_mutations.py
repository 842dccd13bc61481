"""Making and revoking personal tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Info

from core.vocabulary import TokenScope
from engine.declare import limited, one, resolver
from resolvers.context import RequestContext
from resolvers.platform import personal_tokens as use_cases
from schema.inputs import INPUT, use_case_input
from schema.platform.access import person
from schema.platform.personal_token import PersonalToken


@strawberry.input(description="A token to be made.")
class CreatePersonalTokenInput:
    """For one program, as narrow and as short as will do."""

    name: str = limited("What it is for.", max_length=100)
    expires_at: datetime = limited("When it is to end, within a year.")
    scopes: list[TokenScope] = limited("What it may do at most. Whatever it is given, it cannot do more than you.")


@strawberry.input(description="Which token.")
class RevokePersonalTokenInput:
    """One object per mutation."""

    local_id: UUID = limited("The token's `localId`.")


@strawberry.type(description="A new token.")
class CreatedPersonalToken:
    """Read back by its key."""

    key: strawberry.Private[UUID]
    token: str = strawberry.field(description="Its text, for the `Authorization` header. Keep it: it is shown only now.")
    personal_token: PersonalToken | None = one("key", "The token, as it is listed.")


@strawberry.type(description="No token any more.")
class RevokedPersonalToken:
    """What was revoked."""

    local_id: UUID = strawberry.field(description="The token that is refused from now on.")


@strawberry.type
class PersonalTokenMutations:
    """For people; a token is not enough."""

    @resolver("Make a token for a program of yours.", guard=person)
    async def create_personal_token(
        self,
        info: Info[RequestContext],
        given: Annotated[CreatePersonalTokenInput, INPUT],
    ) -> CreatedPersonalToken | None:
        created = await use_cases.create_personal_token(info.context, use_case_input(use_cases.NewPersonalToken, given))
        return CreatedPersonalToken(key=created.key, token=created.token.reveal())

    @resolver("Revoke a token of yours: it is refused from now on.", guard=person)
    async def revoke_personal_token(
        self,
        info: Info[RequestContext],
        given: Annotated[RevokePersonalTokenInput, INPUT],
    ) -> RevokedPersonalToken | None:
        return RevokedPersonalToken(local_id=await use_cases.revoke_personal_token(info.context, given.local_id))
