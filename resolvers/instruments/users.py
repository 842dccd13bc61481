"""People as admins manage them: changing, removing and restoring them. Contract streamweave §2.

Whoever is a superuser, or a member of other domains, too, is beyond this domain's admins: that takes a superuser.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, select, update
from sqlalchemy.engine import RowMapping

from core.errors import Forbidden, Refused
from core.identity import INSTRUMENTS
from core.policy import Verb
from core.secrets import Secret
from core.vocabulary import AuditAction, GranteeType, Role
from resolvers.context import RequestContext
from resolvers.inputs import ABSENT, Absent, checked, given
from resolvers.instruments.accounts import email_is_taken, require_long_enough, valid_email
from resolvers.instruments.rows import USER, Change, change
from storage.sql.database import Transaction
from storage.sql.tables import (
    file_access_grants,
    file_records,
    group_members,
    groups,
    memberships,
    project_members,
    projects,
    users,
)

WHO_ADMINISTERS = "the first admin"
"""The lock under which it is found out whether there are admins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChanges:
    """What admins may change about a person; absent fields stay."""

    email: str | Absent = ABSENT
    password: Secret | Absent = ABSENT
    role: Role | Absent = ABSENT
    is_active: bool | Absent = ABSENT
    is_superuser: bool | Absent = ABSENT
    is_verified: bool | Absent = ABSENT


async def update_user(ctx: RequestContext, key: UUID, changes: UserChanges) -> UUID:
    """A new address is unverified unless it is said to be; a new password ends every session of that person."""
    actor = ctx.require(INSTRUMENTS, Verb.UPDATE, USER.name)
    sent = checked(users, given(changes))
    columns = {name: value for name, value in sent.items() if name not in {"email", "password", "role"}}
    if "password" in sent:
        require_long_enough(sent["password"], "UPDATE_USER_INVALID_PASSWORD")
        columns["password_hash"] = await ctx.services.passwords.hash(sent["password"])
    async with change(ctx, actor) as changing:
        row = await changing.live(USER, key)
        before = {**row, "role": await _role(changing.tx, key)}
        await _require_authority(changing, row, superuser=sent.get("is_superuser"))
        if "email" in sent and sent["email"] != row["email"]:
            sent["email"] = valid_email(sent["email"])
            columns = await _new_address(changing, key, sent["email"]) | columns
        if "password_hash" in columns:
            columns["credentials_version"] = row["credentials_version"] + 1
        await _require_successors(changing.tx, before, {**before, **sent})
        await changing.update(USER, before, sent, columns)
        if sent.get("role", before["role"]) != before["role"]:
            await _new_role(changing, key, sent["role"])
    return key


async def delete_user(ctx: RequestContext, key: UUID) -> UUID:
    """The user can be restored; until then nobody can log in as them or register their address. Their tokens end for good."""
    actor = ctx.require(INSTRUMENTS, Verb.DELETE, USER.name)
    _require_another(actor.subject, key)
    async with change(ctx, actor) as changing:
        row = await changing.live(USER, key)
        await _require_removable(changing, row)
        await changing.delete(USER, row, credentials_version=row["credentials_version"] + 1)
    return key


async def restore_user(ctx: RequestContext, key: UUID) -> UUID:
    """With the role and the password they had."""
    actor = ctx.require(INSTRUMENTS, Verb.DELETE, USER.name)
    async with change(ctx, actor) as changing:
        await changing.restore(USER, key)
        await _require_authority(changing, await changing.live(USER, key))  # if not, nothing is stored
    return key


async def erase_user(ctx: RequestContext, key: UUID) -> UUID:
    """For good, whether or not the user was deleted before: memberships, tokens, wishes and notifications go along.

    What they owned is nobody's. The audit log keeps what they did.
    """
    actor = ctx.require(INSTRUMENTS, Verb.DELETE, USER.name)
    _require_another(actor.subject, key)
    async with change(ctx, actor) as changing:
        row = await changing.any(USER, key)
        await _require_removable(changing, row)
        await _leave(changing, key)
        await _forget(changing.tx, key)
        changing.tx.announce(users, key, changing.at, AuditAction.DELETE)
        await changing.audit(AuditAction.DELETE, USER, key)
    return key


async def _leave(changing: Change, key: UUID) -> None:
    """Out of groups and projects, so that whoever follows one of them is told."""
    left = {
        groups: delete(group_members).where(group_members.c.user_id == key).returning(group_members.c.group_id.label("key")),
        projects: delete(project_members)
        .where(project_members.c.member_type == GranteeType.USER, project_members.c.member_id == key)
        .returning(project_members.c.project_id.label("key")),
    }
    for table, leaving in left.items():
        for row in await changing.tx.all(leaving):
            changing.tx.announce(table, row["key"], changing.at, AuditAction.UPDATE)


async def _forget(transaction: Transaction, key: UUID) -> None:
    """Here is what refers to people without a foreign key that would do it."""
    grants = file_access_grants.c
    await transaction.execute(update(file_records).where(file_records.c.owner_id == key).values(owner_id=None))
    await transaction.execute(
        delete(file_access_grants).where(grants.grantee_type == GranteeType.USER, grants.grantee_id == key)
    )
    await transaction.execute(delete(users).where(users.c.id == key))


async def _new_address(changing: Change, key: UUID, email: str) -> dict[str, Any]:
    if await email_is_taken(changing.tx, email, by_other_than=key):
        raise Refused("UPDATE_USER_EMAIL_ALREADY_EXISTS")
    return {"email": email, "email_folded": email.casefold(), "is_verified": False}


async def _new_role(changing: Change, key: UUID, role: Role) -> None:
    await changing.tx.execute(update(memberships).where(_membership(key)).values(role=role))
    await changing.tx.update(users, key, updated_at=changing.at)
    changing.tx.announce(users, key, changing.at, AuditAction.UPDATE)


def _membership(key: UUID) -> ColumnElement[bool]:
    return and_(memberships.c.user_id == key, memberships.c.domain == INSTRUMENTS)


async def _role(transaction: Transaction, key: UUID) -> Role:
    return Role(await transaction.scalar(select(memberships.c.role).where(_membership(key)).with_for_update()))


# --- who may, and who has to stay ----------------------------------------------------------------------------------------


def _require_another(actor: UUID, key: UUID) -> None:
    if key == actor:
        raise Refused("Cannot delete your own account")


async def _require_removable(changing: Change, row: RowMapping) -> None:
    await _require_authority(changing, row)
    person = {**row, "role": await _role(changing.tx, row["id"])}
    await _require_successors(changing.tx, person, {**person, "is_active": False})


async def _require_authority(changing: Change, row: RowMapping, *, superuser: bool | None = None) -> None:
    """Superusers decide about superusers, and about members of other domains; everybody about themselves."""
    assert changing.actor is not None, "somebody removes or changes people"
    actor = changing.actor.subject
    if superuser not in {None, row["is_superuser"]}:
        reason = "only they make superusers"
    elif row["id"] == actor:
        return
    elif row["is_superuser"]:
        reason = "the user is one"
    elif await changing.tx.scalar(select(_is_elsewhere(row["id"]))):
        reason = "the user is a member of other domains"
    else:
        return
    if not await changing.tx.scalar(select(exists().where(users.c.id == actor, users.c.is_superuser))):
        raise Forbidden(f"Superuser access required: {reason}")


def _is_elsewhere(key: UUID) -> ColumnElement[bool]:
    return exists().where(memberships.c.user_id == key, memberships.c.domain != INSTRUMENTS)


async def _require_successors(transaction: Transaction, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Somebody else has to be left who manages people, and another superuser. Of two who remove each other, one stays."""
    if _serves(before, before["role"] == Role.ADMIN) and not _serves(after, after["role"] == Role.ADMIN):
        await _require_other(transaction, before["id"], "admin", _is_admin())
    if _serves(before, before["is_superuser"]) and not _serves(after, after["is_superuser"]):
        await _require_other(transaction, before["id"], "superuser", users.c.is_superuser)


def _serves(person: dict[str, Any], chosen: bool) -> bool:
    """Whether a person who was chosen for something can do it, too."""
    return chosen and person["is_active"] and person["deleted_at"] is None


async def _require_other(transaction: Transaction, key: UUID, noun: str, chosen: ColumnElement[bool]) -> None:
    await transaction.lock(WHO_ADMINISTERS)
    someone = exists().where(users.c.id != key, users.c.is_active, users.c.deleted_at.is_(None), chosen)
    if not await transaction.scalar(select(someone)):
        raise Refused(f"Cannot remove the last {noun}")


def _is_admin() -> ColumnElement[bool]:
    own = (memberships.c.user_id == users.c.id, memberships.c.domain == INSTRUMENTS)
    return exists().where(*own, memberships.c.role == Role.ADMIN)
