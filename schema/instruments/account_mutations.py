"""Signing in and out, registering, and what people change about themselves (contract streamweave §2)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Info, Maybe

from core import policy
from core.identity import INSTRUMENTS, Principal, Principals
from core.policy import Verb
from core.secrets import Secret
from core.vocabulary import Role
from engine.declare import limited, one, resolver
from resolvers.context import RequestContext
from resolvers.instruments import accounts, sessions
from schema.inputs import INPUT, required, use_case_input
from schema.instruments.access import anyone, may
from schema.instruments.user import User


@strawberry.input(description="Who wants to sign in.")
class LoginInput:
    """With `cookie`, a browser needs nothing else."""

    username: str = limited("The email address, in any case.")
    password: str = limited("The password.")
    cookie: bool = limited("Also set the session cookie.", default=False)


@strawberry.input(description="How to sign out.")
class LogoutInput:
    """The token that came with the request is refused from now on."""

    cookie: bool = limited("Also remove the session cookie.", default=False)


@strawberry.input(description="A person who registers.")
class RegisterInput:
    """Open to everybody."""

    email: str = limited("Address to log in with; nobody else may have it.", max_length=320)
    password: str = limited("At least 8 characters.")
    role: Role = limited("Counts only when an admin registers somebody.", default=Role.USER)


@strawberry.input(description="What is to change about oneself; what is left out stays.")
class UpdateMeInput:
    """A new password ends every session."""

    email: Maybe[str] = required("New address.", max_length=320)
    password: Maybe[str] = required("New password, at least 8 characters.")


@strawberry.type(description="A token for the `Authorization` header.")
class AccessToken:
    """Shown once."""

    access_token: str = strawberry.field(description="The token itself.")
    token_type: str = strawberry.field(description="`bearer`: how to send it.")


@strawberry.type(description="Nobody, from now on.")
class SignedOut:
    """Whose session ended."""

    user_id: UUID = strawberry.field(description="`localId` of the person who was signed in.")


@strawberry.type(description="The person as they are now.")
class UserPayload:
    """Read back by its key."""

    key: strawberry.Private[UUID]
    user: User | None = one("key", "The person.")


@strawberry.type
class AccountMutations:
    """For everybody."""

    @resolver("Sign in with an email address and a password.", guard=anyone)
    async def login(self, info: Info[RequestContext], given: Annotated[LoginInput, INPUT]) -> AccessToken | None:
        signed_in = await sessions.login(info.context, given.username, Secret(given.password), cookie=given.cookie)
        return AccessToken(access_token=signed_in.access_token, token_type="bearer")  # noqa: S106  # the kind of token

    @resolver("Sign out: the token of this request is refused from now on.", guard=may(Verb.UPDATE, "account"))
    async def logout(self, info: Info[RequestContext], given: Annotated[LogoutInput, INPUT]) -> SignedOut | None:
        return SignedOut(user_id=await sessions.logout(info.context, cookie=given.cookie))

    @resolver("Register; an admin can register others, with a role.", guard=anyone)
    async def register(self, info: Info[RequestContext], given: Annotated[RegisterInput, INPUT]) -> UserPayload | None:
        key = await accounts.register(info.context, use_case_input(accounts.NewAccount, given, password=Secret))
        principals = info.context.principals
        if not policy.may(principals.of(INSTRUMENTS), Verb.READ, "user"):
            # Who has just chosen the password is that person: the payload, and nothing after this request, may show them.
            others = (principal for principal in principals if principal.domain != INSTRUMENTS)
            info.context.principals = Principals([*others, Principal(INSTRUMENTS, key, policy.USER)])
        return UserPayload(key=key)

    @resolver("Change one's own address or password.", guard=may(Verb.UPDATE, "account"))
    async def update_me(self, info: Info[RequestContext], given: Annotated[UpdateMeInput, INPUT]) -> UserPayload | None:
        changes = use_case_input(accounts.AccountChanges, given, password=Secret)
        return UserPayload(key=await accounts.update_me(info.context, changes))
