"""The first admin of the instruments domain. Contract streamweave §2, without a password that everybody knows."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy import exists, select

from core.clock import Clock, utc_now
from core.identity import INSTRUMENTS
from core.secrets import Secret
from core.vocabulary import Role
from resolvers.context import Passwords
from resolvers.instruments.accounts import add_member, email_is_taken
from resolvers.instruments.rows import Change
from resolvers.instruments.users import WHO_ADMINISTERS
from storage.sql.database import Database, Transaction
from storage.sql.tables import memberships, users

DEFAULT_EMAIL = "admin@localhost"
DEFAULT_USERNAME = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstAdmin:
    """Settings `ADMIN_EMAIL`, `ADMIN_USERNAME`, `ADMIN_PASSWORD`, as far as they are set; an empty one is not."""

    email: str | None = None
    username: str | None = None
    password: Secret | None = None


@dataclass(frozen=True, slots=True)
class CreatedAdmin:
    """An admin who did not exist before; `password` only if it was made up here, for the console to print once."""

    email: str
    password: Secret | None = None


async def create_first_admin(
    database: Database, passwords: Passwords, settings: FirstAdmin, clock: Clock = utc_now
) -> CreatedAdmin | None:
    """Creates the admin of the settings unless that user exists, or any admin when there is none; nobody is changed."""
    async with database.transaction() as transaction:
        email = await _address(transaction, settings)
        if email is None:
            return None
        password = settings.password or Secret(secrets.token_urlsafe(18))
        password_hash = await passwords.hash(password)
        username = await _free_username(transaction, settings.username or DEFAULT_USERNAME)
        changing = Change(transaction, None, clock())
        await add_member(changing, email, password_hash, Role.ADMIN, username=username, superuser=True)
    return CreatedAdmin(email, None if settings.password else password)


async def _address(transaction: Transaction, settings: FirstAdmin) -> str | None:
    """The settings' if nobody has it; when there is no admin, any that is free; None if there is nothing to do."""
    candidates: list[str | None] = [settings.email] if settings.email and settings.password else []
    if await _there_is_no_admin(transaction):
        candidates += [settings.email, DEFAULT_EMAIL]
    for email in candidates:
        if email and not await email_is_taken(transaction, email):
            return email
    return None


async def _there_is_no_admin(transaction: Transaction) -> bool:
    """None who can log in. Of several servers that start at once, one makes the admin."""
    await transaction.lock(WHO_ADMINISTERS)
    active = (users.c.is_active, users.c.deleted_at.is_(None))
    admins = exists().where(
        memberships.c.user_id == users.c.id, memberships.c.domain == INSTRUMENTS, memberships.c.role == Role.ADMIN, *active
    )
    return not await transaction.scalar(select(admins))


async def _free_username(transaction: Transaction, username: str) -> str | None:
    """Usernames are optional: an admin goes without rather than take somebody's."""
    taken = await transaction.scalar(select(users.c.id).where(users.c.username == username))
    return username if taken is None else None
