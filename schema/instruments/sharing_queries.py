"""Root fields of what is shared, wished and told: groups, projects, grants, requests, notifications, the audit log."""

from __future__ import annotations

from uuid import UUID

import strawberry

from core.policy import Verb
from core.vocabulary import AuditAction
from engine.connection import Connection
from engine.declare import Argument, ascending, descending, equals, lookup, many, since, stream, until, within
from engine.kinds import Order
from schema.instruments.access import may
from schema.instruments.audit_entry import AuditEntry
from schema.instruments.choices import AUDIT_CHOICES, GROUP_CHOICES, NOTIFICATION_CHOICES, PROJECT_CHOICES
from schema.instruments.file_record import FileRecord
from schema.instruments.grant import FileGrant
from schema.instruments.group import Group
from schema.instruments.group_member import GroupMember
from schema.instruments.instrument import Instrument
from schema.instruments.instrument_access import InstrumentAccess
from schema.instruments.instrument_request import REQUEST_CHOICES, InstrumentRequest
from schema.instruments.notification import Notification
from schema.instruments.orders import (
    ACCESS_BY_AGE,
    DELETED,
    GRANTS_BY_AGE,
    GROUP_MEMBERS_BY_AGE,
    GROUPS_BY_AGE,
    PROJECT_MEMBERS_BY_AGE,
    PROJECTS_BY_AGE,
)
from schema.instruments.project import Project
from schema.instruments.project_member import ProjectMember
from storage.sql.tables import (
    audit_log,
    file_access_grants,
    group_members,
    instrument_requests,
    notifications,
    project_members,
    user_instrument_access,
)

NEWEST_REQUESTS = descending(instrument_requests.c.created_at)
UNREAD_FIRST: tuple[Order, ...] = (*ascending(notifications.c.read), *descending(notifications.c.created_at))
UNREAD = {
    "read": equals(notifications.c.read, bool, "Only what was, or was not, marked as read."),
    "dismissed": Argument(
        bool | None,
        lambda value: notifications.c.dismissed_at.is_not(None).self_group() == value,
        notifications.c.read,
        "Only what was, or was not, put aside.",
    ),
}
NEWEST_ENTRIES = descending(audit_log.c.number)
AUDITED = {
    "entity_type": equals(audit_log.c.entity_type, str, "Only changes of this kind of thing: `instrument`, `file`, `user`."),
    "entity_id": equals(audit_log.c.entity_id, UUID, "Only changes of this one."),
    "action": equals(audit_log.c.action, AuditAction, "Only what was done like this."),
    "actor_id": equals(audit_log.c.actor_id, UUID, "Only what this person did."),
    "since": since(audit_log.c.created_at, "Only what was done on this day (in UTC) or later."),
    "until": until(audit_log.c.created_at, "Only what was done on this day (in UTC) or earlier."),
}

_groups, _projects, _audit = may(Verb.LIST, "group"), may(Verb.LIST, "project"), may(Verb.LIST, "audit log")
_requests, _notifications = may(Verb.LIST, "instrument request"), may(Verb.LIST, "notification")


@strawberry.type
class SharingQuery:
    """Reading, by row and by page."""

    group: Group | None = lookup(UUID, "A group.", guard=may(Verb.READ, "group"))
    groups: Connection[Group] | None = many(
        GROUPS_BY_AGE, "Groups, in the order of their creation.", guard=_groups, arguments=DELETED, choices=GROUP_CHOICES
    )
    project: Project | None = lookup(UUID, "A project.", guard=may(Verb.READ, "project"))
    projects: Connection[Project] | None = many(
        PROJECTS_BY_AGE,
        "Projects, in the order of their creation.",
        guard=_projects,
        arguments=DELETED,
        choices=PROJECT_CHOICES,
    )
    instrument_request: InstrumentRequest | None = lookup(
        UUID,
        "A wish for an instrument: one's own, for admins anybody's.",
        guard=may(Verb.READ, "instrument request"),
        denied="Access denied",
    )
    instrument_requests: Connection[InstrumentRequest] | None = many(
        NEWEST_REQUESTS,
        "Wishes for instruments, newest first: one's own, for admins all.",
        guard=_requests,
        choices=REQUEST_CHOICES,
    )
    notifications: Connection[Notification] | None = many(
        UNREAD_FIRST,
        "What one is told of: unread first, then newest.",
        guard=_notifications,
        arguments=UNREAD,
        choices=NOTIFICATION_CHOICES,
    )
    audit_log: Connection[AuditEntry] | None = many(
        NEWEST_ENTRIES, "Who did what, newest first.", guard=_audit, arguments=AUDITED, choices=AUDIT_CHOICES
    )


@strawberry.type
class SharingSubscription:
    """Whole lists as row streams: batches of rows until the list ends."""

    all_groups: list[Group] = stream(GROUPS_BY_AGE, "Every group.", guard=_groups, arguments=DELETED)
    all_projects: list[Project] = stream(PROJECTS_BY_AGE, "Every project.", guard=_projects, arguments=DELETED)
    all_instrument_requests: list[InstrumentRequest] = stream(
        NEWEST_REQUESTS, "Every wish for an instrument that you may see, newest first.", guard=_requests
    )
    all_audit_entries: list[AuditEntry] = stream(
        NEWEST_ENTRIES, "Everything that was done, newest first.", guard=_audit, arguments=AUDITED
    )
    members_of_group: list[GroupMember] = stream(
        GROUP_MEMBERS_BY_AGE,
        "Every member of a group.",
        guard=may(Verb.READ, "group"),
        arguments={"group_id": within(Group, group_members.c.group_id, "The group.")},
    )
    members_of_project: list[ProjectMember] = stream(
        PROJECT_MEMBERS_BY_AGE,
        "Every member of a project.",
        guard=may(Verb.READ, "project"),
        arguments={"project_id": within(Project, project_members.c.project_id, "The project.")},
    )
    grants_of_file: list[FileGrant] = stream(
        GRANTS_BY_AGE,
        "Every grant of a file.",
        guard=may(Verb.LIST, "grant"),
        arguments={"file_id": within(FileRecord, file_access_grants.c.file_id, "The file.")},
    )
    access_to_instrument: list[InstrumentAccess] = stream(
        ACCESS_BY_AGE,
        "Everybody who was given access to an instrument.",
        guard=may(Verb.LIST, "instrument access"),
        arguments={"instrument_id": within(Instrument, user_instrument_access.c.instrument_id, "The instrument.")},
    )
