"""Who reaches groups, projects, members, grants, requests, notifications and the audit log: by every edge and by `node(id:)`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest_asyncio
from sqlalchemy import delete

from core.ids import encode_global_id
from storage.sql.tables import (
    audit_log,
    file_access_grants,
    file_records,
    group_members,
    groups,
    instrument_requests,
    instruments,
    metadata,
    notifications,
    project_members,
    projects,
    user_instrument_access,
)

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
AT = {"created_at": NOON, "updated_at": NOON}


class Rows:
    """A file on an instrument, and one of everything that says who sees it. Bob is in one group and one project, Ada in others."""

    def __init__(self) -> None:
        self.instrument, self.file = uuid4(), uuid4()
        self.group, self.other_group, self.gone_group = uuid4(), uuid4(), uuid4()
        self.project, self.other_project = uuid4(), uuid4()
        self.membership, self.grant, self.request, self.other_request = (uuid4() for _ in range(4))
        self.notification, self.other_notification, self.entry = uuid4(), uuid4(), uuid4()


@pytest_asyncio.fixture(loop_scope="session")
async def rows(world):
    await clear(world)
    rows, bob, ada = Rows(), world.user.id, world.admin.id
    machine = {"name": "NMR", "cifs_host": "nas", "cifs_share": "s", "transfer_adapter": "rclone", "enabled": True}
    file = {"persistent_id": "ark:/1/2", "persistent_id_type": "ark", "source_path": "f", "filename": "f"}
    wish = {"location": "B 12", "harvest_frequency": "daily", "justification": "why", "status": "pending"}
    told = {"type": "instrument_request_approved", "title": "t", "message": "m", "read": False, "created_at": NOON}
    async with world.parts.database.transaction() as tx:
        await tx.insert(instruments, id=rows.instrument, **machine, **AT)
        await tx.insert(file_records, id=rows.file, instrument_id=rows.instrument, first_discovered_at=NOON, **file)
        await tx.insert(groups, id=rows.group, name="own", **AT)
        await tx.insert(groups, id=rows.other_group, name="other", **AT)
        await tx.insert(groups, id=rows.gone_group, name="gone", **AT, deleted_at=NOON)
        await tx.insert(projects, id=rows.project, name="own", **AT)
        await tx.insert(projects, id=rows.other_project, name="other", **AT)
        for group, person in ((rows.group, bob), (rows.group, ada), (rows.other_group, ada), (rows.gone_group, bob)):
            await tx.insert(group_members, group_id=group, user_id=person, created_at=NOON)
        for key, project, kind, member in (
            (rows.membership, rows.project, "group", rows.group),
            (uuid4(), rows.other_project, "user", ada),
            (uuid4(), rows.other_project, "group", rows.gone_group),
        ):
            await tx.insert(project_members, id=key, project_id=project, member_type=kind, member_id=member, created_at=NOON)
        for key, kind, grantee in ((rows.grant, "project", rows.project), (uuid4(), "user", ada)):
            await tx.insert(
                file_access_grants, id=key, file_id=rows.file, grantee_type=kind, grantee_id=grantee, granted_at=NOON
            )
        await tx.insert(user_instrument_access, user_id=ada, instrument_id=rows.instrument, created_at=NOON)
        await tx.insert(instrument_requests, id=rows.request, requester_id=bob, name="own", **wish, **AT)
        await tx.insert(instrument_requests, id=rows.other_request, requester_id=ada, name="other", **wish, **AT)
        await tx.insert(notifications, id=rows.notification, recipient_id=bob, **told)
        await tx.insert(notifications, id=rows.other_notification, recipient_id=ada, **told)
        await tx.insert(
            audit_log,
            id=rows.entry,
            domain="instruments",
            entity_type="file",
            entity_id=rows.file,
            action="create",
            created_at=NOON,
        )
    yield rows
    await clear(world)


async def clear(world) -> None:
    """Everything but people: other tests share this world."""
    people = {"users", "memberships", "revoked_tokens"}
    async with world.parts.database.transaction() as tx:
        for table in reversed(metadata.sorted_tables):
            if table.name not in people:
                await tx.execute(delete(table))


async def reached(caller: Any, type_name: str, key: UUID) -> Any:
    """What `node(id:)` says."""
    answer = await caller.ask(
        "query ($id: ID!) { node(id: $id) { __typename } }", {"id": encode_global_id(type_name, str(key))}
    )
    return answer["data"]["node"]


async def test_node_shows_a_user_what_is_theirs_and_nothing_else(world, rows):
    theirs = [("Group", rows.group), ("Project", rows.project), ("InstrumentRequest", rows.request)]
    hidden = [
        ("Group", rows.other_group),
        ("Project", rows.other_project),
        ("ProjectMember", rows.membership),
        ("FileGrant", rows.grant),
        ("InstrumentRequest", rows.other_request),
        ("AuditEntry", rows.entry),
    ]
    for type_name, key in [*theirs, *hidden]:
        assert await reached(world.admin, type_name, key) == {"__typename": type_name}
        assert await reached(world.user, type_name, key) == ({"__typename": type_name} if (type_name, key) in theirs else None)


async def test_notifications_are_the_recipients_only_even_for_admins(world, rows):
    assert await reached(world.user, "Notification", rows.notification) == {"__typename": "Notification"}
    assert await reached(world.admin, "Notification", rows.notification) is None
    assert await reached(world.user, "Notification", rows.other_notification) is None


async def test_a_deleted_group_is_not_a_members_any_more(world, rows):
    assert await reached(world.user, "Group", rows.gone_group) is None


EDGES = """{
    node(id: "%s") {
        ... on Project {
            name
            members { totalCount nodes { address: email member { __typename } } }
            grants { totalCount nodes { localId } }
        }
        ... on Group {
            name
            members { totalCount nodes { email user { email } group { name } } }
            projects { totalCount nodes { name } }
            grants { totalCount }
        }
        ... on FileRecord {
            grants { totalCount nodes { grantee { __typename ... on User { email } ... on Project { name } } file { filename } } }
            instrument { access { totalCount nodes { email user { email } instrument { name } } } }
        }
        ... on InstrumentRequest { requesterEmail requester { email } }
        ... on Notification { title recipient { email } }
    }
}"""


async def edges(caller: Any, type_name: str, key: UUID) -> Any:
    answer = await caller.ask(EDGES % encode_global_id(type_name, str(key)))
    assert "errors" not in answer, answer
    return answer["data"]["node"]


NOBODY: dict[str, Any] = {"totalCount": 0, "nodes": []}


async def test_a_user_sees_names_of_groups_and_projects_and_not_who_else_is_in_them(world, rows):
    assert await edges(world.user, "Group", rows.group) == {
        "name": "own",
        "members": NOBODY,
        "projects": {"totalCount": 1, "nodes": [{"name": "own"}]},
        "grants": {"totalCount": 0},
    }
    assert await edges(world.user, "Project", rows.project) == {"name": "own", "members": NOBODY, "grants": NOBODY}
    assert await edges(world.user, "InstrumentRequest", rows.request) == {
        "requesterEmail": world.user.email,
        "requester": {"email": world.user.email},
    }


async def test_a_notification_leads_to_its_recipient(world, rows):
    assert await edges(world.user, "Notification", rows.notification) == {
        "title": "t",
        "recipient": {"email": world.user.email},
    }


async def test_a_user_does_not_see_who_else_sees_a_file(world, rows):
    assert await edges(world.user, "FileRecord", rows.file) == {"grants": NOBODY, "instrument": {"access": NOBODY}}


async def test_an_admin_sees_it_all(world, rows):
    group = await edges(world.admin, "Group", rows.group)
    assert (group["members"]["totalCount"], group["projects"]["nodes"]) == (2, [{"name": "own"}])
    assert {each["email"] for each in group["members"]["nodes"]} == {world.user.email, world.admin.email}
    assert all(each["user"]["email"] == each["email"] for each in group["members"]["nodes"])
    assert await edges(world.admin, "Project", rows.project) == {
        "name": "own",
        "members": {"totalCount": 1, "nodes": [{"address": None, "member": {"__typename": "Group"}}]},
        "grants": {"totalCount": 1, "nodes": [{"localId": str(rows.grant)}]},
    }
    file = await edges(world.admin, "FileRecord", rows.file)
    assert sorted(file["grants"]["nodes"], key=str) == sorted(
        [
            {"grantee": {"__typename": "Project", "name": "own"}, "file": {"filename": "f"}},
            {"grantee": {"__typename": "User", "email": world.admin.email}, "file": {"filename": "f"}},
        ],
        key=str,
    )
    assert file["instrument"]["access"] == {
        "totalCount": 1,
        "nodes": [{"email": world.admin.email, "user": {"email": world.admin.email}, "instrument": {"name": "NMR"}}],
    }


async def test_lists_hold_what_is_ones_own(world, rows):
    query = "{ instrumentRequests { totalCount nodes { name } } notifications { totalCount nodes { localId } } }"
    assert (await world.user.ask(query))["data"] == {
        "instrumentRequests": {"totalCount": 1, "nodes": [{"name": "own"}]},
        "notifications": {"totalCount": 1, "nodes": [{"localId": str(rows.notification)}]},
    }
    answer = (await world.admin.ask(query))["data"]
    assert answer["instrumentRequests"]["totalCount"] == 2
    assert answer["notifications"]["nodes"] == [{"localId": str(rows.other_notification)}]


async def test_anothers_wish_is_denied_and_not_missing(world, rows):
    query = 'query { instrumentRequest(localId: "%s") { name } }'
    (error,) = (await world.user.ask(query % rows.other_request))["errors"]
    assert (error["message"], error["extensions"]["code"]) == ("Access denied", "FORBIDDEN")
    assert (await world.user.ask(query % uuid4()))["data"] == {"instrumentRequest": None}


async def test_changes_tell_who_joined_and_what_there_is_now(world, rows):
    answer = await world.admin.ask(
        """mutation ($p: UUID!, $u: UUID!, $g: UUID!, $f: UUID!, $i: UUID!) {
            addProjectMember(input: { projectId: $p, memberType: USER, memberId: $u }) {
                membership { memberType email member { ... on User { localId } } } project { members { totalCount } }
            }
            removeGroupMember(input: { groupId: $g, userId: $u }) { email group { members { totalCount } } }
            grantFileAccess(input: { fileId: $f, granteeType: GROUP, granteeId: $g }) {
                grant { granteeType grantee { ... on Group { name } } }
            }
            giveInstrumentAccess(input: { instrumentId: $i, userId: $u }) { instrument { access { totalCount } } }
        }""",
        {
            "p": str(rows.project),
            "u": str(world.user.id),
            "g": str(rows.group),
            "f": str(rows.file),
            "i": str(rows.instrument),
        },
    )
    assert answer == {
        "data": {
            "addProjectMember": {
                "membership": {"memberType": "USER", "email": world.user.email, "member": {"localId": str(world.user.id)}},
                "project": {"members": {"totalCount": 2}},
            },
            "removeGroupMember": {"email": world.user.email, "group": {"members": {"totalCount": 1}}},
            "grantFileAccess": {"grant": {"granteeType": "GROUP", "grantee": {"name": "own"}}},
            "giveInstrumentAccess": {"instrument": {"access": {"totalCount": 2}}},
        }
    }


async def test_the_audit_log_by_days_and_things(world, rows):
    query = """query ($since: Date, $until: Date, $id: UUID) {
        auditLog(since: $since, until: $until, entityId: $id) { totalCount nodes { entityType action actor { email } } }
    }"""
    found = {"totalCount": 1, "nodes": [{"entityType": "file", "action": "CREATE", "actor": None}]}
    for given, expected in (
        ({"until": "2026-11-21"}, found),
        ({"since": "2026-11-21", "id": str(rows.file)}, found),
        ({"until": "2026-11-20"}, NOBODY),
        ({"id": str(rows.group)}, NOBODY),
    ):
        assert (await world.admin.ask(query, given))["data"] == {"auditLog": expected}
