"""Service accounts: the credentials with which shares are read. Contract streamweave §4.

The password is sealed before it is stored and shown by `reveal_password` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from core.identity import INSTRUMENTS
from core.policy import Verb
from core.secrets import Keyring, Secret
from core.vocabulary import AuditAction
from resolvers.audit import noted
from resolvers.context import RequestContext
from resolvers.inputs import ABSENT, Absent, checked, given
from resolvers.instruments.rows import SERVICE_ACCOUNT, change
from storage.sql.tables import service_accounts


@dataclass(frozen=True, slots=True, kw_only=True)
class NewServiceAccount:
    """A service account to be created."""

    name: str
    username: str
    password: Secret
    domain: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountChanges:
    """What is to change; absent fields stay."""

    name: str | Absent = ABSENT
    username: str | Absent = ABSENT
    password: Secret | Absent = ABSENT
    domain: str | Absent | None = ABSENT


async def create_service_account(ctx: RequestContext, new: NewServiceAccount) -> UUID:
    """Names need not be unique."""
    actor = ctx.require(INSTRUMENTS, Verb.CREATE, "service account")
    columns = _sealed(ctx.services.keyring, checked(service_accounts, given(new)))
    async with change(ctx, actor) as changing:
        return await changing.create(SERVICE_ACCOUNT, **columns)


async def update_service_account(ctx: RequestContext, key: UUID, changes: ServiceAccountChanges) -> UUID:
    """Only what is given changes."""
    actor = ctx.require(INSTRUMENTS, Verb.UPDATE, "service account")
    sent = checked(service_accounts, given(changes))
    async with change(ctx, actor) as changing:
        row = await changing.live(SERVICE_ACCOUNT, key)
        await changing.update(SERVICE_ACCOUNT, row, sent, _sealed(ctx.services.keyring, sent))
    return key


async def reveal_password(ctx: RequestContext, key: UUID) -> Secret:
    """The password, for the form that edits it. The audit log remembers who asked, before the answer leaves."""
    actor = ctx.require(INSTRUMENTS, Verb.READ, "service account password")
    ctx.effects.confidential = True
    async with change(ctx, actor) as changing:
        row = await changing.live(SERVICE_ACCOUNT, key)
        password = ctx.services.keyring.unseal(row["password_sealed"])
        await changing.audit(AuditAction.UPDATE, SERVICE_ACCOUNT, key, noted("password_revealed", True))
    return password


def _sealed(keyring: Keyring, values: dict[str, Any]) -> dict[str, Any]:
    """The same as columns: a password becomes a sealed one."""
    columns = {name: value for name, value in values.items() if name != "password"}
    if "password" in values:
        columns["password_sealed"] = keyring.seal(values["password"])
    return columns
