"""What was shared, wished, told and logged, found by what is known of it. GraphQL only: REST has no such calls."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from core.vocabulary import AuditAction, NotificationType, RequestStatus
from storage.sql.tables import (
    audit_log,
    file_access_grants,
    instrument_requests,
    notifications,
    run_log,
)
from tests.contract.instruments.records import (
    add_file,
    add_group,
    add_instrument,
    add_project,
    created,
    give_access,
    grant,
)
from tests.contract.instruments.test_finding import add_run, ask
from tests.contract.support import START, Api, World


async def refusal(who: Api, query: str) -> str:
    """The code of the one error."""
    (error,) = (await who.post("/graphql", json={"query": query})).json()["errors"]
    code: str = error["extensions"]["code"]
    return code


async def found(who: Api, field: str, arguments: str, shown: str) -> list[Any]:
    """One value of each node of a root list."""
    answer = await ask(who, f"{{ {field}({arguments}) {{ nodes {{ {shown} }} }} }}")
    return [node[shown] for node in answer[field]["nodes"]]


class TestAuditLog:
    @pytest.fixture
    async def entries(self, world: World) -> list[UUID]:
        """What they are about, from old to new."""
        told = [
            ("instrument", AuditAction.CREATE, "ada@example.org"),
            ("group", AuditAction.UPDATE, "eve@example.org"),
            ("group", AuditAction.DELETE, None),
        ]
        rows = [
            {
                "id": uuid4(),
                "number": number + 1,
                "domain": "instruments",
                "entity_type": entity,
                "entity_id": uuid4(),
                "action": action,
                "actor_id": uuid4() if email else None,
                "actor_email": email,
                "created_at": START + timedelta(hours=number),
            }
            for number, (entity, action, email) in enumerate(told)
        ]
        await world.insert(audit_log, *rows, rows[0] | {"id": uuid4(), "number": 4, "domain": "lookups"})
        return [row["entity_id"] for row in rows]

    @pytest.mark.parametrize(
        ("arguments", "places"),
        [
            ('filter: {entityType: {eq: "group"}}', [2, 1]),
            ("filter: {action: {in: [CREATE, DELETE]}}", [2, 0]),
            ('filter: {actorEmail: {startsWith: "eve@"}}', [1]),
            ("filter: {actorId: {isNull: true}}", [2]),
            ('filter: {createdAt: {gt: "2026-11-21T00:30:00Z"}}, orderBy: [{field: CREATED_AT}]', [1, 2]),
            ('filter: {not: {action: {eq: UPDATE}}}, entityType: "group"', [2]),
            ("orderBy: [{field: CREATED_AT}], first: 2", [0, 1]),
        ],
    )
    async def test_by_who_did_what(self, admin: Api, entries: list[UUID], arguments: str, places: list[int]):
        assert await found(admin, "auditLog", arguments, "entityId") == [str(entries[place]) for place in places]

    async def test_by_what_was_changed(self, admin: Api, entries: list[UUID]):
        arguments = f'filter: {{entityId: {{eq: "{entries[1]}"}}}}'
        assert await found(admin, "auditLog", arguments, "action") == ["UPDATE"]

    async def test_it_stays_the_admins(self, user: Api, entries: list[UUID]):
        query = f'{{ auditLog(filter: {{entityId: {{eq: "{entries[0]}"}}}}) {{ totalCount }} }}'
        assert await refusal(user, query) == "FORBIDDEN"


class TestNotifications:
    @pytest.fixture
    async def told(self, world: World, admin: Api, user: Api) -> None:
        approved, submitted = NotificationType.INSTRUMENT_REQUEST_APPROVED, NotificationType.INSTRUMENT_REQUEST_SUBMITTED
        rows = [
            {
                "id": uuid4(),
                "recipient_id": person.id,
                "type": kind,
                "title": title,
                "message": "m",
                "read": title == "read",
                "dismissed_at": START if title == "gone" else None,
                "created_at": START + timedelta(hours=hours),
            }
            for person, kind, title, hours in (
                (user, approved, "read", 3),
                (user, approved, "new", 1),
                (user, submitted, "gone", 2),
                (admin, approved, "an admin's", 4),
            )
        ]
        await world.insert(notifications, *rows)

    @pytest.mark.parametrize(
        ("arguments", "titles"),
        [
            ("filter: {type: {eq: INSTRUMENT_REQUEST_APPROVED}}", ["new", "read"]),
            ("filter: {read: {eq: false}}", ["gone", "new"]),
            ("filter: {dismissedAt: {isNull: true}}", ["new", "read"]),
            ("filter: {read: {eq: false}}, dismissed: false", ["new"]),
            ("orderBy: [{field: CREATED_AT, direction: DESC}]", ["read", "gone", "new"]),
            ("orderBy: [{field: DISMISSED_AT}, {field: CREATED_AT}]", ["gone", "new", "read"]),
        ],
    )
    @pytest.mark.usefixtures("told")
    async def test_by_what_they_are(self, user: Api, arguments: str, titles: list[str]):
        assert await found(user, "notifications", arguments, "title") == titles

    @pytest.mark.usefixtures("told")
    async def test_nobody_finds_anothers(self, admin: Api):
        everything = "filter: {or: [{read: {eq: true}}, {not: {read: {eq: true}}}]}"
        assert await found(admin, "notifications", everything, "title") == ["an admin's"]


class TestRequests:
    @pytest.fixture
    async def wishes(self, world: World, admin: Api, user: Api) -> None:
        words = {"location": "B 12", "harvest_frequency": "daily", "justification": "why"}
        rows = [
            created(requester_id=person.id, name=name, status=status, **words)
            for person, name, status in (
                (user, "NMR", RequestStatus.PENDING),
                (user, "Balance", RequestStatus.REJECTED),
                (admin, "Microscope", RequestStatus.PENDING),
            )
        ]
        await world.insert(instrument_requests, *rows)

    @pytest.mark.parametrize(
        ("arguments", "names"),
        [
            ("filter: {status: {eq: PENDING}}, orderBy: [{field: NAME}]", ["Microscope", "NMR"]),
            ("orderBy: [{field: REQUESTER_EMAIL, direction: DESC}, {field: NAME}]", ["Balance", "NMR", "Microscope"]),
            ('filter: {requesterEmail: {eq: "ada@example.org"}}', ["Microscope"]),
        ],
    )
    @pytest.mark.usefixtures("wishes")
    async def test_by_state_and_requester(self, admin: Api, arguments: str, names: list[str]):
        assert await found(admin, "instrumentRequests", arguments, "name") == names

    @pytest.mark.usefixtures("wishes")
    async def test_one_finds_ones_own(self, user: Api):
        assert await found(user, "instrumentRequests", 'filter: {requesterEmail: {contains: "ada"}}', "name") == []
        order = "orderBy: [{field: NAME}]"
        assert await found(user, "instrumentRequests", f'filter: {{location: {{eq: "B 12"}}}}, {order}', "name") == [
            "Balance",
            "NMR",
        ]


class TestMembers:
    async def test_of_groups_by_address(self, world: World, admin: Api, user: Api):
        """Of several groups at once, page by page."""
        eve = await world.person("eve@example.org")
        assert admin.id is not None
        assert user.id is not None
        assert eve.id is not None
        await add_group(world, user.id, eve.id, admin.id)
        await add_group(world, eve.id)
        query = """query ($after: String) { groups { nodes {
            members(first: 2, after: $after, orderBy: [{field: EMAIL, direction: DESC}]) {
                nodes { email } pageInfo { endCursor } } } } }"""
        first = [group["members"] for group in (await ask(admin, query))["groups"]["nodes"]]
        emails = [[node["email"] for node in page["nodes"]] for page in first]
        assert sorted(emails) == [["eve@example.org"], ["eve@example.org", "bob@example.org"]]
        (cursor,) = [page["pageInfo"]["endCursor"] for page in first if len(page["nodes"]) == 2]
        rest = [group["members"]["nodes"] for group in (await ask(admin, query, after=cursor))["groups"]["nodes"]]
        assert sorted(rest, key=str) == [[], [{"email": "ada@example.org"}]]

    async def test_of_projects(self, world: World, admin: Api, user: Api):
        assert user.id is not None
        group = await add_group(world)
        await add_project(world, ("user", user.id), ("group", group))
        query = """{ projects { nodes {
            groups: members(filter: {memberType: {eq: GROUP}}) { totalCount nodes { memberId } }
            sorted: members(orderBy: [{field: EMAIL}]) { nodes { address: email } }
            people: members(filter: {email: {isNull: false}}) { totalCount } } } }"""
        (node,) = (await ask(admin, query))["projects"]["nodes"]
        assert node == {
            "groups": {"totalCount": 1, "nodes": [{"memberId": str(group)}]},
            "sorted": {"nodes": [{"address": "bob@example.org"}, {"address": None}]},
            "people": {"totalCount": 1},
        }

    async def test_no_filter_tells_a_member_who_else_is_in(self, world: World, admin: Api, user: Api):
        assert admin.id is not None
        assert user.id is not None
        await add_group(world, user.id, admin.id)
        query = '{ me { groups { nodes { members(filter: {email: {startsWith: "ada"}}) { totalCount } } } } }'
        assert await ask(user, query) == {"me": {"groups": {"nodes": [{"members": {"totalCount": 0}}]}}}

    async def test_who_has_access_to_an_instrument(self, world: World, admin: Api, user: Api):
        instrument = await add_instrument(world)
        for person in (user, admin):
            assert person.id is not None
            await give_access(world, person.id, instrument)
        query = """{ instruments { nodes {
            sorted: access(orderBy: [{field: EMAIL}]) { nodes { email } }
            bob: access(filter: {email: {eq: "bob@example.org"}}) { totalCount } } } }"""
        (node,) = (await ask(admin, query))["instruments"]["nodes"]
        assert node == {
            "sorted": {"nodes": [{"email": "ada@example.org"}, {"email": "bob@example.org"}]},
            "bob": {"totalCount": 1},
        }


async def test_groups_and_projects_of_a_person(world: World, user: Api):
    assert user.id is not None
    groups = [await add_group(world, user.id, name=name) for name in ("b", "a")]
    await add_project(world, ("group", groups[0]), name="p")
    query = """{ me {
        groups(orderBy: [{field: NAME}]) { nodes { name projects(filter: {name: {eq: "p"}}) { totalCount } } }
        projects(filter: {name: {startsWith: "x"}}) { totalCount } } }"""
    assert (await ask(user, query))["me"] == {
        "groups": {
            "nodes": [{"name": "a", "projects": {"totalCount": 0}}, {"name": "b", "projects": {"totalCount": 1}}],
        },
        "projects": {"totalCount": 0},
    }


async def test_grants(world: World, admin: Api, user: Api):
    file, project = await add_file(world), await add_project(world)
    assert user.id is not None
    await grant(world, file, "user", user.id)
    await grant(world, file, "project", project)
    later = {"id": uuid4(), "file_id": await add_file(world), "grantee_type": "project", "grantee_id": project}
    await world.insert(file_access_grants, later | {"granted_at": START + timedelta(hours=1)})
    query = f"""query ($file: UUID!, $project: UUID!) {{
        file(localId: $file) {{ grants(filter: {{granteeType: {{in: [PROJECT, GROUP]}}}}) {{ nodes {{ granteeId }} }} }}
        project(localId: $project) {{
            newest: grants(orderBy: [{{field: GRANTED_AT, direction: DESC}}], first: 1) {{ nodes {{ localId }} }}
            one: grants(filter: {{fileId: {{eq: "{file}"}}}}) {{ totalCount }}
        }} }}"""
    assert await ask(admin, query, file=str(file), project=str(project)) == {
        "file": {"grants": {"nodes": [{"granteeId": str(project)}]}},
        "project": {"newest": {"nodes": [{"localId": str(later["id"])}]}, "one": {"totalCount": 1}},
    }


async def test_what_went_wrong_in_a_run(world: World, admin: Api):
    run = await add_run(world)
    lines = enumerate(["info", "error", "warning", "error"], 1)
    rows = [{"id": uuid4(), "run_id": run, "line": line, "at": START, "level": level} for line, level in lines]
    await world.insert(run_log, *(row | {"message": f"line {row['line']}"} for row in rows))
    query = """query ($run: UUID!) { harvestRun(localId: $run) {
        log(filter: {level: {eq: "error"}}, orderBy: [{field: LINE, direction: DESC}]) { nodes { line message } } } }"""
    assert (await ask(admin, query, run=str(run)))["harvestRun"] == {
        "log": {"nodes": [{"line": 4, "message": "line 4"}, {"line": 2, "message": "line 2"}]}
    }


async def test_personal_tokens(user: Api):
    make = """mutation ($name: String!) { createPersonalToken(
        input: {name: $name, scopes: [INSTRUMENTS_READ], expiresAt: "2026-12-24T00:00:00Z"}) { token } }"""
    for name in ("b", "a", "c"):
        await ask(user, make, name=name)
    arguments = 'filter: {name: {in: ["a", "b"]}, lastUsedAt: {isNull: true}}, orderBy: [{field: NAME}]'
    assert await found(user, "personalTokens", arguments, "name") == ["a", "b"]
