"""Changing service accounts (contract streamweave §4)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Info, Maybe

from core.policy import Verb
from core.secrets import Secret
from engine.declare import limited, one, resolver
from resolvers.context import RequestContext
from resolvers.instruments import service_accounts as use_cases
from resolvers.instruments.rows import SERVICE_ACCOUNT, delete_row, restore_row
from schema.inputs import INPUT, required, use_case_input
from schema.instruments.access import may
from schema.instruments.service_account import ServiceAccount

NAME, USERNAME, PASSWORD = "Display name; need not be unique.", "Name to log in with.", "Stored encrypted."


@strawberry.input(description="A service account to be registered.")
class CreateServiceAccountInput:
    """Credentials for a share."""

    name: str = limited(NAME)
    username: str = limited(USERNAME)
    password: str = limited(PASSWORD)
    domain: str | None = limited("Windows domain or workgroup.", default=None)


@strawberry.input(description="What is to change; what is left out stays.")
class ServiceAccountChangesInput:
    """Absent, null and empty are three things."""

    name: Maybe[str] = required(NAME)
    username: Maybe[str] = required(USERNAME)
    password: Maybe[str] = required(PASSWORD)
    domain: Maybe[str | None] = limited("Windows domain or workgroup.")


@strawberry.input(description="Which service account, and what is to change.")
class UpdateServiceAccountInput:
    """One object per mutation."""

    local_id: UUID = limited("The service account.")
    changes: ServiceAccountChangesInput = limited("What is to change.")


@strawberry.input(description="Which service account.")
class ServiceAccountInput:
    """One object per mutation."""

    local_id: UUID = limited("The service account.")


@strawberry.type(description="The service account as it is now.")
class ServiceAccountPayload:
    """Read back by its key."""

    key: strawberry.Private[UUID]
    service_account: ServiceAccount | None = one("key", "The service account, deleted ones included.")


@strawberry.type(description="A password in clear text.")
class RevealedPassword:
    """Each reading of it is audited."""

    password: str = strawberry.field(description="The password.")


@strawberry.type
class ServiceAccountMutations:
    """For admins."""

    @resolver("Register a service account.", guard=may(Verb.CREATE, "service account"))
    async def create_service_account(
        self,
        info: Info[RequestContext],
        given: Annotated[CreateServiceAccountInput, INPUT],
    ) -> ServiceAccountPayload | None:
        new = use_case_input(use_cases.NewServiceAccount, given, password=Secret)
        return ServiceAccountPayload(key=await use_cases.create_service_account(info.context, new))

    @resolver("Change a service account.", guard=may(Verb.UPDATE, "service account"))
    async def update_service_account(
        self,
        info: Info[RequestContext],
        given: Annotated[UpdateServiceAccountInput, INPUT],
    ) -> ServiceAccountPayload | None:
        changes = use_case_input(use_cases.ServiceAccountChanges, given.changes, password=Secret)
        return ServiceAccountPayload(key=await use_cases.update_service_account(info.context, given.local_id, changes))

    @resolver("Delete a service account; it can be restored.", guard=may(Verb.DELETE, "service account"))
    async def delete_service_account(
        self,
        info: Info[RequestContext],
        given: Annotated[ServiceAccountInput, INPUT],
    ) -> ServiceAccountPayload | None:
        return ServiceAccountPayload(key=await delete_row(info.context, SERVICE_ACCOUNT, given.local_id))

    @resolver("Restore a deleted service account.", guard=may(Verb.DELETE, "service account"))
    async def restore_service_account(
        self,
        info: Info[RequestContext],
        given: Annotated[ServiceAccountInput, INPUT],
    ) -> ServiceAccountPayload | None:
        return ServiceAccountPayload(key=await restore_row(info.context, SERVICE_ACCOUNT, given.local_id))

    @resolver(
        "Read a service account's password; the audit log remembers who did.", guard=may(Verb.READ, "service account password")
    )
    async def reveal_service_account_password(
        self,
        info: Info[RequestContext],
        given: Annotated[ServiceAccountInput, INPUT],
    ) -> RevealedPassword | None:
        password = await use_cases.reveal_password(info.context, given.local_id)
        return RevealedPassword(password=password.reveal())
