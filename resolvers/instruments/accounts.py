"""Accounts: registration, and what people change about themselves. Contract streamweave §2.

Signing in and out is in `sessions`, what admins do to people in `users`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import select

from core.errors import InvalidInput, Refused
from core.identity import INSTRUMENTS
from core.policy import Verb, may
from core.secrets import Secret
from core.vocabulary import Role
from resolvers.context import RequestContext
from resolvers.inputs import ABSENT, Absent, checked, given
from resolvers.instruments.rows import USER, Change, change
from storage.sql.database import Transaction
from storage.sql.tables import memberships, users

SHORTEST_PASSWORD = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """A person who registers, or is registered by an admin; nobody else's `role` counts."""

    email: str
    password: Secret
    role: Role = Role.USER


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChanges:
    """What people may change about themselves; absent fields stay."""

    email: str | Absent = ABSENT
    password: Secret | Absent = ABSENT


async def register(ctx: RequestContext, new: NewAccount) -> UUID:
    """Open to everybody. Raises `Refused` for a short password or an address that somebody has, even a deleted user."""
    actor = ctx.principals.of(INSTRUMENTS)
    checked(users, {"email": new.email, "password": new.password})
    email = valid_email(new.email)
    require_long_enough(new.password, "REGISTER_INVALID_PASSWORD")
    password_hash = await ctx.services.passwords.hash(new.password)
    role = new.role if may(actor, Verb.CREATE, "user") else Role.USER
    async with change(ctx, actor) as changing:
        if await email_is_taken(changing.tx, email):
            raise Refused("REGISTER_USER_ALREADY_EXISTS")
        return await add_member(changing, email, password_hash, role)


async def update_me(ctx: RequestContext, changes: AccountChanges) -> UUID:
    """A new address is unverified; a new password ends every session, this one included."""
    actor = ctx.require(INSTRUMENTS, Verb.UPDATE, "account")
    sent = checked(users, given(changes))
    columns: dict[str, Any] = {}
    if "email" in sent:
        sent["email"] = email = valid_email(sent["email"]) if sent["email"] != actor.email else actor.email
        if email != actor.email:
            columns |= {"email": email, "email_folded": email.casefold(), "is_verified": False}
    if "password" in sent:
        require_long_enough(sent["password"], "UPDATE_USER_INVALID_PASSWORD")
        columns["password_hash"] = await ctx.services.passwords.hash(sent["password"])
    async with change(ctx, actor) as changing:
        row = await changing.live(USER, actor.subject)
        if "email" in columns and await email_is_taken(changing.tx, columns["email"], by_other_than=actor.subject):
            raise Refused("UPDATE_USER_EMAIL_ALREADY_EXISTS")
        if "password_hash" in columns:
            columns["credentials_version"] = row["credentials_version"] + 1
        await changing.update(USER, row, sent, columns)
    return actor.subject


async def add_member(
    changing: Change, email: str, password_hash: str, role: Role, *, username: str | None = None, superuser: bool = False
) -> UUID:
    """A new person who is a member of the instruments domain and of no other."""
    key = await changing.create(
        USER,
        email=email,
        email_folded=email.casefold(),
        username=username,
        password_hash=password_hash,
        credentials_version=1,
        is_active=True,
        is_superuser=superuser,
        is_verified=False,
    )
    await changing.tx.insert(memberships, user_id=key, domain=INSTRUMENTS, role=role, created_at=changing.at)
    return key


async def email_is_taken(transaction: Transaction, email: str, *, by_other_than: UUID | None = None) -> bool:
    """Whether somebody has that address, in whatever case; deleted users keep theirs. Nobody else takes it meanwhile."""
    await transaction.lock(f"address {email.casefold()}")
    owner = await transaction.scalar(select(users.c.id).where(users.c.email_folded == email.casefold()))
    return owner is not None and owner != by_other_than


def valid_email(email: str) -> str:
    """Normalised; whether the domain exists is not asked."""
    try:
        return validate_email(email, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise InvalidInput(f"value is not a valid email address: {error}", field="email", value=email) from error


def require_long_enough(password: Secret, reason: str) -> None:
    """Raises `Refused` for that reason."""
    if len(password.reveal()) < SHORTEST_PASSWORD:
        raise Refused(reason, explanation=f"Password should be at least {SHORTEST_PASSWORD} characters")
