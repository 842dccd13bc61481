"""Who may use which root field, and who sees which rows (contract streamweave §2, §3, §9 "Visibility")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, false, func, not_, or_, select, true, union, union_all

from core.context import Context
from core.identity import INSTRUMENTS
from core.policy import ADMIN, Verb, resources
from core.vocabulary import GranteeType
from engine.declare import Guard, Viewer
from storage.sql.tables import (
    audit_log,
    file_access_grants,
    file_records,
    file_transfers,
    group_members,
    groups,
    instrument_requests,
    memberships,
    notifications,
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


def groups_of(user: ColumnElement[Any]) -> Select[Any]:
    """Ids of the live groups of that user."""
    own = select(group_members.c.group_id).join(groups, groups.c.id == group_members.c.group_id)
    return own.where(group_members.c.user_id == user, groups.c.deleted_at.is_(None))


def projects_of(user: ColumnElement[Any]) -> Select[Any]:
    """Ids of the live projects of that user: as a member, or through a live group."""
    own = select(project_members.c.project_id).join(projects, projects.c.id == project_members.c.project_id)
    member = or_(
        and_(project_members.c.member_type == GranteeType.USER, project_members.c.member_id == user),
        and_(project_members.c.member_type == GranteeType.GROUP, project_members.c.member_id.in_(groups_of(user))),
    )
    return own.where(member, projects.c.deleted_at.is_(None))


def own_groups_or_admin(viewer: Viewer) -> ColumnElement[bool]:
    """All for admins; for others the live ones that they are members of."""
    if is_admin(viewer) or viewer.role(INSTRUMENTS) is None:
        return for_members(viewer)
    return groups.c.id.in_(groups_of(viewer.subject(INSTRUMENTS, users.c.id)))


def own_projects_or_admin(viewer: Viewer) -> ColumnElement[bool]:
    """All for admins; for others the live ones that they are members of, as a person or through a group."""
    if is_admin(viewer) or viewer.role(INSTRUMENTS) is None:
        return for_members(viewer)
    return projects.c.id.in_(projects_of(viewer.subject(INSTRUMENTS, users.c.id)))


def granted_to(kind: GranteeType) -> Callable[[ColumnElement[Any]], ColumnElement[bool]]:
    """Which grants are those of the person, group or project with that key."""
    grants = file_access_grants.c
    return lambda grantee: and_(grants.grantee_type == kind, grants.grantee_id == grantee)


def own_requests_or_admin(viewer: Viewer) -> ColumnElement[bool]:
    """Wishes: all for admins, their own for others."""
    if is_admin(viewer) or viewer.role(INSTRUMENTS) is None:
        return for_members(viewer)
    return instrument_requests.c.requester_id == viewer.subject(INSTRUMENTS, users.c.id)


def own_notifications(viewer: Viewer) -> ColumnElement[bool]:
    """Only one's own, for admins as well."""
    if viewer.role(INSTRUMENTS) is None:
        return false()
    return notifications.c.recipient_id == viewer.subject(INSTRUMENTS, users.c.id)


def audited(viewer: Viewer) -> ColumnElement[bool]:
    """What was done in this domain, for its admins."""
    return audit_log.c.domain == INSTRUMENTS if is_admin(viewer) else false()


def granted_files(viewer: Viewer) -> ColumnElement[bool]:
    """All for admins. Others: by access to the instrument, ownership, or a grant to them, their groups or their projects.

    Grants are looked up file by file: a page ends long before all grants of somebody who has many could be collected.
    """
    if viewer.role(INSTRUMENTS) is None:
        return false()
    if is_admin(viewer):
        return true()
    user = viewer.subject(INSTRUMENTS, users.c.id)
    of_file = file_access_grants.c.file_id == file_records.c.id
    to_others = or_(_granted_to_groups(user), _granted_to_projects(user))
    # A scalar subquery, because PostgreSQL turns EXISTS into a table of all grants.
    granted = select(file_access_grants.c.file_id).where(of_file, or_(_granted_to(user), to_others)).limit(1).scalar_subquery()
    return or_(file_records.c.instrument_id.in_(_accessible(user)), file_records.c.owner_id == user, granted.is_not(None))


def count_granted_files(viewer: Viewer) -> ColumnElement[int] | None:
    """How many `granted_files` there are, from the side of what was given: one part per way, without those counted before.

    None where there is nothing to gain.
    """
    if is_admin(viewer) or viewer.role(INSTRUMENTS) is None:
        return None
    user = viewer.subject(INSTRUMENTS, users.c.id)
    grants, files = file_access_grants.c, file_records.c
    accessible = files.instrument_id.in_(_accessible(user))
    owned = files.owner_id.between(user, user)  # where most files have no owner, SQLite finds an index of no use for `=`
    elsewhere = [files.instrument_id.not_in(_accessible(user)), or_(files.owner_id.is_(None), files.owner_id != user)]
    has_others = or_(_accessible(user).exists(), exists().where(owned))
    by_grant = case(
        (has_others, _count(grants.file_id == files.id, _granted_to(user), *elsewhere)),
        else_=_count(_granted_to(user)),
    )
    to_groups = select(grants.file_id).where(_granted_to_groups(user))
    to_projects = select(grants.file_id).where(_granted_to_projects(user))
    each, different = union_all(to_groups, to_projects).subquery(), union(to_groups, to_projects).subquery()
    is_counted = exists().where(grants.file_id == different.c.file_id, _granted_to(user))
    alone = _count(groups.c.id.in_(groups_of(user))) + _count(projects.c.id.in_(projects_of(user))) == 1
    by_others = case(
        (
            or_(has_others, exists().where(_granted_to(user)), not_(alone)),
            _count(different.c.file_id == files.id, not_(is_counted), *elsewhere),
        ),
        else_=select(func.count()).select_from(each).scalar_subquery(),
    )
    return _count(accessible) + _count(owned, elsewhere[0]) + by_grant + by_others


def _count(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
    return select(func.count()).where(*conditions).scalar_subquery()


def _accessible(user: ColumnElement[Any]) -> Select[Any]:
    """Ids of the instruments all of whose files that user sees."""
    return select(user_instrument_access.c.instrument_id).where(user_instrument_access.c.user_id == user)


def _granted_to(user: ColumnElement[Any]) -> ColumnElement[bool]:
    grants = file_access_grants.c
    return and_(grants.grantee_type == GranteeType.USER, grants.grantee_id == user)


def _granted_to_groups(user: ColumnElement[Any]) -> ColumnElement[bool]:
    grants = file_access_grants.c
    return and_(grants.grantee_type == GranteeType.GROUP, grants.grantee_id.in_(groups_of(user)))


def _granted_to_projects(user: ColumnElement[Any]) -> ColumnElement[bool]:
    grants = file_access_grants.c
    return and_(grants.grantee_type == GranteeType.PROJECT, grants.grantee_id.in_(projects_of(user)))


def transfers_of_granted_files(viewer: Viewer) -> ColumnElement[bool]:
    """Those of the files that the viewer sees."""
    if is_admin(viewer) or viewer.role(INSTRUMENTS) is None:
        return for_members(viewer)
    return exists().where(file_records.c.id == file_transfers.c.file_id, granted_files(viewer))
