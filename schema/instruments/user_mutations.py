"""What admins do to people, and what mails are for: new passwords and verified addresses (contract streamweave §2)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Info, Maybe

from core import policy
from core.identity import INSTRUMENTS, Principal, Principals
from core.policy import Verb
from core.secrets import Secret
from core.vocabulary import Access, Role
from engine.declare import limited, resolver
from resolvers.context import RequestContext
from resolvers.instruments import password_reset, users, verification
from schema.inputs import INPUT, required, use_case_input
from schema.instruments.access import anyone, may
from schema.instruments.account_mutations import UserPayload

LONGEST_TOKEN = 4096


@strawberry.input(description="What is to change about a person; what is left out stays.")
class UserChangesInput:
    """For admins."""

    email: Maybe[str] = required("New address; unverified, unless `isVerified` is sent along.", max_length=320)
    password: Maybe[str] = required("New password, at least 8 characters. Every session of the person ends.")
    role: Maybe[Role] = required("Role in the instruments domain.")
    is_active: Maybe[bool] = required("Whether the person may log in.")
    is_superuser: Maybe[bool] = required("Whether the person manages people of all domains; only a superuser changes it.")
    is_verified: Maybe[bool] = required("Whether the address counts as verified.")


@strawberry.input(description="Which person, and what is to change.")
class UpdateUserInput:
    """One object per mutation."""

    local_id: UUID = limited("The person.")
    changes: UserChangesInput = limited("What is to change.")


@strawberry.input(description="Which person.")
class UserInput:
    """One object per mutation."""

    local_id: UUID = limited("The person.")


@strawberry.input(description="Whose mail.")
class MailInput:
    """Nobody is told whether somebody has that address."""

    email: str = limited("The address.", max_length=320)


@strawberry.input(description="The token of a mail, and a new password.")
class ResetPasswordInput:
    """A token is good for an hour, and once."""

    token: str = limited("From the link in the mail.", max_length=LONGEST_TOKEN)
    password: str = limited("New password, at least 8 characters.")


@strawberry.input(description="The token of a mail.")
class VerifyEmailInput:
    """A token is good for an hour, and for that address."""

    token: str = limited("From the link in the mail.", max_length=LONGEST_TOKEN)


@strawberry.type(description="Nobody any more.")
class ErasedUser:
    """Who is gone."""

    user_id: UUID = strawberry.field(description="`localId` of the person, which nothing has any more.")


@strawberry.type(description="A mail is on its way, if somebody with that address is to get one.")
class RequestedMail:
    """The same for every address."""

    email: str = strawberry.field(description="The address, as it was given.")


@strawberry.type(description="A new password is in place.")
class PasswordReset:
    """Whose."""

    user_id: UUID = strawberry.field(description="`localId` of the person, who can log in with it now.")


@strawberry.type
class UserMutations:
    """For admins, and for who reads mail."""

    @resolver("Change a person.", guard=may(Verb.UPDATE, "user"))
    async def update_user(self, info: Info[RequestContext], given: Annotated[UpdateUserInput, INPUT]) -> UserPayload | None:
        changes = use_case_input(users.UserChanges, given.changes, password=Secret)
        return UserPayload(key=await users.update_user(info.context, given.local_id, changes))

    @resolver("Delete a person, who can be restored; until then nobody signs in as them.", guard=may(Verb.DELETE, "user"))
    async def delete_user(self, info: Info[RequestContext], given: Annotated[UserInput, INPUT]) -> UserPayload | None:
        return UserPayload(key=await users.delete_user(info.context, given.local_id))

    @resolver("Restore a deleted person.", guard=may(Verb.DELETE, "user"))
    async def restore_user(self, info: Info[RequestContext], given: Annotated[UserInput, INPUT]) -> UserPayload | None:
        return UserPayload(key=await users.restore_user(info.context, given.local_id))

    @resolver("Erase a person for good; what they owned is nobody's then.", guard=may(Verb.DELETE, "user"))
    async def erase_user(self, info: Info[RequestContext], given: Annotated[UserInput, INPUT]) -> ErasedUser | None:
        return ErasedUser(user_id=await users.erase_user(info.context, given.local_id))

    @resolver("Ask for a mail with which a person can choose a new password.", guard=anyone)
    async def request_password_reset(
        self, info: Info[RequestContext], given: Annotated[MailInput, INPUT]
    ) -> RequestedMail | None:
        await password_reset.request_password_reset(info.context, given.email)
        return RequestedMail(email=given.email)

    @resolver("Choose a new password with the token of a mail.", guard=anyone)
    async def reset_password(
        self, info: Info[RequestContext], given: Annotated[ResetPasswordInput, INPUT]
    ) -> PasswordReset | None:
        key = await password_reset.reset_password(info.context, Secret(given.token), Secret(given.password))
        return PasswordReset(user_id=key)

    @resolver("Ask for a mail with which a person can verify their address.", guard=anyone)
    async def request_verification(
        self, info: Info[RequestContext], given: Annotated[MailInput, INPUT]
    ) -> RequestedMail | None:
        await verification.request_verification(info.context, given.email)
        return RequestedMail(email=given.email)

    @resolver("Verify an address with the token of a mail.", guard=anyone)
    async def verify_email(self, info: Info[RequestContext], given: Annotated[VerifyEmailInput, INPUT]) -> UserPayload | None:
        key = await verification.verify_email(info.context, Secret(given.token))
        own = info.context.principals.of(INSTRUMENTS)
        if not policy.may(own, Verb.READ, "user") and (own is None or own.subject != key):
            # The payload may show the person whose mail this was; beyond reading, the token proves nothing.
            others = (principal for principal in info.context.principals if principal.domain != INSTRUMENTS)
            reader = Principal(INSTRUMENTS, key, policy.USER, access=Access.READ)
            info.context.principals = Principals([*others, reader])
        return UserPayload(key=key)
