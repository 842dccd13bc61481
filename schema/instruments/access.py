"""Who may use which root field, and who sees which rows (contract streamweave §2, §3, §9 "Visibility")."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, false, or_, select, true, union

from core.context import Context
from core.identity import INSTRUMENTS
from core.policy import ADMIN, Verb, resources
from core.vocabulary import GranteeType
from engine.declare import Guard, Viewer
from storage.sql.tables import (
    file_access_grants,
    file_records,
    file_transfers,
    group_members,
    groups,
    memberships,
    project_members,
    projects,
    runs,
    user_instrument_access,
    users,
)


def may(verb: Verb, resource: str) -> Guard:
    """Only for principals of the instruments domain that policy lets do this. A misspelt resource stops the start."""
    if resource not in resources(INSTRUMENTS):
        raise ValueError(f"policy has no rule for {resource!r}")

    def guard(ctx: Context) -> None:
        ctx.require(INSTRUMENTS, verb, resource)

    return guard


def anyone(_: Context) -> None:
    """For those who have no account yet, too: signing in and registering."""


def is_admin(viewer: Viewer) -> bool:
    """Whether the viewer manages the domain."""
    return viewer.role(INSTRUMENTS) == ADMIN


def for_members(viewer: Viewer) -> ColumnElement[bool]:
    """Every row for every member."""
    return false() if viewer.role(INSTRUMENTS) is None else true()


def for_admins(viewer: Viewer) -> ColumnElement[bool]:
    """Every row, for admins."""
    return true() if is_admin(viewer) else false()


def own_or_admin_users(viewer: Viewer) -> ColumnElement[bool]:
    """Members of this domain for admins; oneself for everybody else. People of other domains are nobody's business."""
    if viewer.role(INSTRUMENTS) is None:
        return false()
    if is_admin(viewer):
        return exists().where(memberships.c.user_id == users.c.id, memberships.c.domain == INSTRUMENTS)
    return users.c.id == viewer.subject(INSTRUMENTS, users.c.id)


def harvest_runs(viewer: Viewer) -> ColumnElement[bool]:
    """Harvests, for admins."""
    return runs.c.kind == "harvest" if is_admin(viewer) else false()


def granted_files(viewer: Viewer) -> ColumnElement[bool]:
    """All for admins. Others: by access to the instrument, ownership, or a grant to them, their groups or their projects."""
    if viewer.role(INSTRUMENTS) is None:
        return false()
    if is_admin(viewer):
        return true()
    user = viewer.subject(INSTRUMENTS, users.c.id)
    own_groups = select(group_members.c.group_id).join(groups, groups.c.id == group_members.c.group_id)
    own_groups = own_groups.where(group_members.c.user_id == user, groups.c.deleted_at.is_(None))
    member = or_(
        and_(project_members.c.member_type == GranteeType.USER, project_members.c.member_id == user),
        and_(project_members.c.member_type == GranteeType.GROUP, project_members.c.member_id.in_(own_groups)),
    )
    own_projects = select(project_members.c.project_id).join(projects, projects.c.id == project_members.c.project_id)
    own_projects = own_projects.where(member, projects.c.deleted_at.is_(None))
    grants = file_access_grants.c
    granted = union(  # one index search each, where OR would scan every grant
        select(grants.file_id).where(grants.grantee_type == GranteeType.USER, grants.grantee_id == user),
        select(grants.file_id).where(grants.grantee_type == GranteeType.GROUP, grants.grantee_id.in_(own_groups)),
        select(grants.file_id).where(grants.grantee_type == GranteeType.PROJECT, grants.grantee_id.in_(own_projects)),
    )
    access = select(user_instrument_access.c.instrument_id).where(user_instrument_access.c.user_id == user)
    return or_(file_records.c.instrument_id.in_(access), file_records.c.owner_id == user, file_records.c.id.in_(granted))


def transfers_of_granted_files(viewer: Viewer) -> ColumnElement[bool]:
    """Those of the files that the viewer sees."""
    if is_admin(viewer) or viewer.role(INSTRUMENTS) is None:
        return for_members(viewer)
    return exists().where(file_records.c.id == file_transfers.c.file_id, granted_files(viewer))
