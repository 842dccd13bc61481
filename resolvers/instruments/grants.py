"""Grants: a person, group or project may see one file. Contract streamweave §9.

Granting and revoking are updates of the file in the audit log.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import delete, select

from core.errors import InvalidInput, NotFound
from core.identity import INSTRUMENTS
from core.policy import Verb
from core.vocabulary import GranteeType
from resolvers.context import RequestContext
from resolvers.instruments.rows import FILE, GROUP, PROJECT, USER, Change, change
from storage.sql.tables import file_access_grants

KINDS = {GranteeType.USER: USER, GranteeType.GROUP: GROUP, GranteeType.PROJECT: PROJECT}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGrant:
    """Who is to see which file."""

    file_id: UUID
    grantee_type: GranteeType
    grantee_id: UUID


async def grant_file_access(ctx: RequestContext, new: NewGrant) -> UUID:
    """The grant's key; of the one that there is, if there is one. Raises `NotFound` for an unknown file."""
    actor = ctx.require(INSTRUMENTS, Verb.CREATE, "grant")
    grants = file_access_grants.c
    same = grants.file_id == new.file_id, grants.grantee_type == new.grantee_type, grants.grantee_id == new.grantee_id
    async with change(ctx, actor) as changing:
        await changing.any(FILE, new.file_id)
        known: UUID | None = await changing.tx.scalar(select(grants.id).where(*same))
        if known is not None:
            return known
        await _require_grantee(changing, new)
        key = uuid4()
        await changing.tx.insert(
            file_access_grants,
            id=key,
            file_id=new.file_id,
            grantee_type=new.grantee_type,
            grantee_id=new.grantee_id,
            granted_at=changing.at,
        )
        await changing.happened(FILE, new.file_id, new.grantee_type.value, after=new.grantee_id)
    return key


async def revoke_file_access(ctx: RequestContext, file: UUID, key: UUID) -> None:
    """Raises `NotFound` for an unknown file, and for a grant that is not of this file."""
    actor = ctx.require(INSTRUMENTS, Verb.DELETE, "grant")
    grants = file_access_grants.c
    async with change(ctx, actor) as changing:
        await changing.any(FILE, file)
        row = await changing.tx.first(select(file_access_grants).where(grants.id == key, grants.file_id == file))
        if row is None:
            raise NotFound("Grant not found")
        await changing.tx.execute(delete(file_access_grants).where(grants.id == key))
        await changing.happened(FILE, file, row["grantee_type"].value, before=row["grantee_id"])


async def _require_grantee(changing: Change, new: NewGrant) -> None:
    kind = KINDS[new.grantee_type]
    try:
        await changing.live(kind, new.grantee_id)
    except NotFound as error:
        raise InvalidInput(f"{kind.noun} does not exist", field="grantee_id", value=str(new.grantee_id)) from error
