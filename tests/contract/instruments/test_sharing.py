"""Groups, projects and their members, grants, access to instruments: contract §3 [EXT], §9 and §10."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from storage.sql.tables import audit_log
from tests.contract.instruments.records import add_file, add_group, add_instrument, add_project
from tests.contract.instruments.resources import GROUPS, PROJECTS, Resource
from tests.contract.support import (
    NOT_A_UUID,
    NOW,
    START,
    UNKNOWN,
    UUID_PATTERN,
    Api,
    TickingClock,
    World,
    fault,
    ids,
    places,
    refused,
    told,
    uuid_fault,
)


async def audited(world: World, kind: str) -> list[Any]:
    """What was done to things of that kind."""
    rows = sorted(await world.rows(audit_log), key=lambda row: row["number"])
    return [(str(row["entity_id"]), row["action"], row["changes"]) for row in rows if row["entity_type"] == kind]


@pytest.mark.parametrize("resource", [GROUPS, PROJECTS], ids=str)
class TestNames:
    """[FIX] 409 with a string, where REAL is 500."""

    async def test_another_one_is_409(self, admin: Api, resource: Resource):
        row = await resource.create(admin)

        reply = await admin.post(resource.path, json={"name": row["name"]})

        assert told(reply) == refused(409, f"A {resource.noun.lower()} with this name already exists")

    async def test_a_deleted_one_keeps_its_name(self, admin: Api, resource: Resource):
        row = await resource.create(admin)
        await admin.delete(f"{resource.path}/{row['id']}")

        reply = await admin.post(resource.path, json={"name": row["name"]})

        assert told(reply) == refused(409, f"A deleted {resource.noun.lower()} with this name already exists")

    async def test_a_patch_is_409_and_changes_nothing(self, admin: Api, resource: Resource):
        row, other = await resource.create(admin), await resource.create(admin)

        reply = await admin.patch(f"{resource.path}/{other['id']}", json={"name": row["name"], "description": "x"})

        assert told(reply) == refused(409, f"A {resource.noun.lower()} with this name already exists")
        assert told(await admin.get(f"{resource.path}/{other['id']}")) == (200, other)

    async def test_names_differ_by_case(self, admin: Api, resource: Resource):
        await resource.create(admin, name="Lab")

        assert (await admin.post(resource.path, json={"name": "LAB"})).status_code == 201


class TestGroupMembers:
    async def test_a_new_one(self, world: World, admin: Api, user: Api):
        group = await GROUPS.create(admin)
        path = f"/api/groups/{group['id']}/members"

        reply = await admin.post(path, json={"user_id": str(user.id)})

        row = {"group_id": group["id"], "user_id": str(user.id), "email": user.email}
        assert told(reply) == (201, row)
        assert told(await admin.get(path)) == (200, [row])
        assert await audited(world, "group") == [
            (group["id"], "create", None),
            (group["id"], "update", {"member": {"before": None, "after": str(user.id)}}),
        ]

    async def test_an_empty_group(self, world: World, admin: Api):
        assert told(await admin.get(f"/api/groups/{await add_group(world)}/members")) == (200, [])

    async def test_they_come_in_the_order_in_which_they_came(self, world: World, admin: Api, clock: TickingClock):
        clock.tick = timedelta(milliseconds=1)
        group = await add_group(world)
        people = [await world.person(f"{number}@example.org") for number in (3, 1, 2)]
        for person in people:
            await admin.post(f"/api/groups/{group}/members", json={"user_id": str(person.id)})

        rows = (await admin.get(f"/api/groups/{group}/members")).json()

        assert [row["user_id"] for row in rows] == [str(person.id) for person in people]

    async def test_all_members_are_listed(self, world: World, admin: Api):
        people = [await world.person(f"{number}@example.org") for number in range(250)]
        group = await add_group(world, *(person.id for person in people if person.id))

        rows = (await admin.get(f"/api/groups/{group}/members")).json()

        assert [row["user_id"] for row in rows] == sorted(str(person.id) for person in people)

    async def test_a_member_is_no_new_one(self, world: World, admin: Api, user: Api):
        assert user.id
        group = await add_group(world, user.id)

        reply = await admin.post(f"/api/groups/{group}/members", json={"user_id": str(user.id)})

        assert told(reply) == refused(409, "User already in group")

    async def test_an_unknown_person(self, world: World, admin: Api):
        reply = await admin.post(f"/api/groups/{await add_group(world)}/members", json={"user_id": UNKNOWN})

        assert told(reply) == refused(404, "User not found")

    async def test_a_deleted_person(self, world: World, admin: Api):
        gone = await world.person("eve@example.org", deleted_at=START)

        reply = await admin.post(f"/api/groups/{await add_group(world)}/members", json={"user_id": str(gone.id)})

        assert told(reply) == refused(404, "User not found")

    async def test_one_leaves(self, world: World, admin: Api, user: Api):
        assert user.id
        group = await add_group(world, user.id)
        path = f"/api/groups/{group}/members"

        assert told(await admin.delete(f"{path}/{user.id}")) == (204, None)
        assert told(await admin.get(path)) == (200, [])
        assert told(await admin.delete(f"{path}/{user.id}")) == refused(404, "Membership not found")
        assert await audited(world, "group") == [(str(group), "update", {"member": {"before": str(user.id), "after": None}})]

    async def test_a_body_without_a_person(self, world: World, admin: Api):
        path = f"/api/groups/{await add_group(world)}/members"

        assert told(await admin.post(path, json={})) == refused(
            422, [fault("missing", ["body", "user_id"], "Field required", {})]
        )
        assert told(await admin.post(path, json={"user_id": NOT_A_UUID})) == refused(422, [uuid_fault("body", "user_id")])


class TestProjectMembers:
    async def test_a_person(self, world: World, admin: Api, user: Api):
        project = await PROJECTS.create(admin)
        path = f"/api/projects/{project['id']}/members"

        status, row = told(await admin.post(path, json={"member_type": "user", "member_id": str(user.id)}))

        assert UUID_PATTERN.fullmatch(row["id"])
        assert (status, list(row)) == (201, ["id", "project_id", "member_type", "member_id", "email"])
        assert list(row.values())[1:] == [project["id"], "user", str(user.id), user.email]
        assert told(await admin.get(path)) == (200, [row])
        assert await audited(world, "project") == [
            (project["id"], "create", None),
            (project["id"], "update", {"user": {"before": None, "after": str(user.id)}}),
        ]

    async def test_a_group_has_no_address(self, world: World, admin: Api):
        project, group = await add_project(world), await add_group(world)

        status, row = told(
            await admin.post(f"/api/projects/{project}/members", json={"member_type": "group", "member_id": str(group)})
        )

        assert (status, row["member_type"], row["member_id"], row["email"]) == (201, "group", str(group), None)

    @pytest.mark.parametrize("kind", ["user", "group"])
    async def test_a_member_is_no_new_one(self, world: World, admin: Api, user: Api, kind: str):
        assert user.id
        member = user.id if kind == "user" else await add_group(world)
        project = await add_project(world, (kind, member))

        reply = await admin.post(f"/api/projects/{project}/members", json={"member_type": kind, "member_id": str(member)})

        assert told(reply) == refused(409, "Member already in project")

    @pytest.mark.parametrize(("kind", "noun"), [("user", "User"), ("group", "Group")])
    async def test_an_unknown_member(self, world: World, admin: Api, kind: str, noun: str):
        project = await add_project(world)

        reply = await admin.post(f"/api/projects/{project}/members", json={"member_type": kind, "member_id": UNKNOWN})

        assert told(reply) == refused(404, f"{noun} not found")

    async def test_a_project_is_no_member(self, world: World, admin: Api):
        path, other = f"/api/projects/{await add_project(world)}/members", await add_project(world)

        reply = await admin.post(path, json={"member_type": "project", "member_id": str(other)})

        (problem,) = reply.json()["detail"]
        assert (reply.status_code, problem["type"], problem["msg"]) == (422, "enum", "Input should be 'user' or 'group'")

    async def test_one_leaves_by_its_own_id(self, world: World, admin: Api, user: Api):
        project = await add_project(world)
        path = f"/api/projects/{project}/members"
        row = await admin.made(path, member_type="user", member_id=str(user.id))

        assert told(await admin.delete(f"{path}/{row['id']}")) == refused(404, "Membership not found")
        assert told(await admin.delete(f"{path}/{user.id}")) == (204, None)
        assert told(await admin.get(path)) == (200, [])
        assert (await audited(world, "project"))[-1] == (
            str(project),
            "update",
            {"user": {"before": str(user.id), "after": None}},
        )


class TestGrants:
    @pytest.mark.parametrize("kind", ["user", "group", "project"])
    async def test_a_new_one(self, world: World, admin: Api, user: Api, kind: str):
        file = await add_file(world)
        grantees = {"user": user.id, "group": await add_group(world), "project": await add_project(world)}
        body = {"grantee_type": kind, "grantee_id": str(grantees[kind])}

        status, row = told(await admin.post(f"/api/files/{file}/access", json=body))

        assert (status, list(row)) == (201, ["id", "file_id", "grantee_type", "grantee_id", "granted_at"])
        assert row == {"id": row["id"], "file_id": str(file), **body, "granted_at": NOW}
        assert told(await admin.get(f"/api/files/{file}/access")) == (200, [row])
        assert await audited(world, "file") == [(str(file), "update", {kind: {"before": None, "after": body["grantee_id"]}})]

    async def test_it_opens_the_file_until_it_is_revoked(self, world: World, admin: Api, user: Api):
        file = await add_file(world)
        grant = await admin.made(f"/api/files/{file}/access", grantee_type="user", grantee_id=str(user.id))

        assert (await user.get(f"/api/files/{file}")).status_code == 200
        assert told(await admin.delete(f"/api/files/{file}/access/{grant['id']}")) == (204, None)
        assert (await user.get(f"/api/files/{file}")).status_code == 404
        assert (await audited(world, "file"))[-1] == (str(file), "update", {"user": {"before": str(user.id), "after": None}})

    async def test_the_same_again_is_the_same_row(self, world: World, admin: Api, user: Api, clock: TickingClock):
        """[FIX] REAL stores it twice."""
        path = f"/api/files/{await add_file(world)}/access"
        body = {"grantee_type": "user", "grantee_id": str(user.id)}
        first = await admin.made(path, **body)
        clock.advance(seconds=1)

        assert told(await admin.post(path, json=body)) == (201, first)
        assert told(await admin.get(path)) == (200, [first])
        assert len(await audited(world, "file")) == 1

    @pytest.mark.parametrize("kind", ["user", "group", "project"])
    async def test_an_unknown_grantee_is_named(self, world: World, admin: Api, kind: str):
        """REAL does not ask; §1: an unknown foreign id is 422."""
        path = f"/api/files/{await add_file(world)}/access"

        reply = await admin.post(path, json={"grantee_type": kind, "grantee_id": UNKNOWN})

        message = f"{kind.capitalize()} does not exist"
        assert told(reply) == refused(422, [fault("value_error", ["body", "grantee_id"], message, UNKNOWN)])

    async def test_ids_are_looked_up_within_their_kind(self, world: World, admin: Api, user: Api):
        path = f"/api/files/{await add_file(world)}/access"

        reply = await admin.post(path, json={"grantee_type": "group", "grantee_id": str(user.id)})

        assert places(reply) == [["body", "grantee_id"]]

    async def test_another_kind_is_422(self, world: World, admin: Api, user: Api):
        reply = await admin.post(
            f"/api/files/{await add_file(world)}/access", json={"grantee_type": "robot", "grantee_id": str(user.id)}
        )

        (problem,) = reply.json()["detail"]
        assert (problem["loc"], problem["msg"]) == (
            ["body", "grantee_type"],
            "Input should be 'user', 'group' or 'project'",
        )

    async def test_a_grant_of_another_file_is_not_found(self, world: World, admin: Api, user: Api):
        file, other = await add_file(world), await add_file(world)
        grant = await admin.made(f"/api/files/{file}/access", grantee_type="user", grantee_id=str(user.id))

        assert told(await admin.delete(f"/api/files/{other}/access/{grant['id']}")) == refused(404, "Grant not found")
        assert told(await admin.delete(f"/api/files/{file}/access/{UNKNOWN}")) == refused(404, "Grant not found")
        assert ids((await admin.get(f"/api/files/{file}/access")).json()) == [grant["id"]]


class TestInstrumentAccess:
    """[EXT] The management that DOC's `UserInstrumentAccess` lacks."""

    async def test_it_opens_all_files_until_it_ends(self, world: World, admin: Api, user: Api):
        instrument = await add_instrument(world)
        file, path = await add_file(world, instrument), f"/api/instruments/{instrument}/access"

        reply = await admin.post(path, json={"user_id": str(user.id)})

        row = {"instrument_id": str(instrument), "user_id": str(user.id), "email": user.email}
        assert told(reply) == (201, row)
        assert told(await admin.get(path)) == (200, [row])
        assert ids((await user.get("/api/files")).json()) == [str(file)]
        assert told(await admin.delete(f"{path}/{user.id}")) == (204, None)
        assert told(await user.get("/api/files")) == (200, [])
        assert told(await admin.delete(f"{path}/{user.id}")) == refused(404, "Access not found")
        assert await audited(world, "instrument") == [
            (str(instrument), "update", {"access": {"before": None, "after": str(user.id)}}),
            (str(instrument), "update", {"access": {"before": str(user.id), "after": None}}),
        ]

    async def test_twice_is_409(self, world: World, admin: Api, user: Api):
        path = f"/api/instruments/{await add_instrument(world)}/access"
        await admin.made(path, user_id=str(user.id))

        assert told(await admin.post(path, json={"user_id": str(user.id)})) == refused(409, "User already has access")

    async def test_an_unknown_person(self, world: World, admin: Api):
        path = f"/api/instruments/{await add_instrument(world)}/access"

        assert told(await admin.post(path, json={"user_id": UNKNOWN})) == refused(404, "User not found")


PARENTS = [
    ("/api/groups/{}/members", "group_id", "Group", {"user_id": UNKNOWN}),
    ("/api/projects/{}/members", "project_id", "Project", {"member_type": "user", "member_id": UNKNOWN}),
    ("/api/files/{}/access", "file_id", "File", {"grantee_type": "user", "grantee_id": UNKNOWN}),
    ("/api/instruments/{}/access", "instrument_id", "Instrument", {"user_id": UNKNOWN}),
]


@pytest.mark.parametrize(("path", "parameter", "noun", "body"), PARENTS)
class TestWhatTheyBelongTo:
    async def test_one_that_is_unknown(self, admin: Api, path: str, parameter: str, noun: str, body: Any):
        path = path.format(UNKNOWN)

        assert told(await admin.get(path)) == refused(404, f"{noun} not found")
        assert told(await admin.post(path, json=body)) == refused(404, f"{noun} not found")
        assert told(await admin.delete(f"{path}/{uuid4()}")) == refused(404, f"{noun} not found")

    async def test_a_bad_id(self, admin: Api, path: str, parameter: str, noun: str, body: Any):
        path = path.format(NOT_A_UUID)

        assert told(await admin.get(path)) == refused(422, [uuid_fault("path", parameter)])
        assert told(await admin.post(path, json=body)) == refused(422, [uuid_fault("path", parameter)])

    async def test_others_are_refused(self, user: Api, anonymous: Api, path: str, parameter: str, noun: str, body: Any):
        path = path.format(NOT_A_UUID)

        for caller, reply in ((anonymous, refused(401, "Unauthorized")), (user, refused(403, "Admin access required"))):
            assert told(await caller.get(path)) == reply
            assert told(await caller.post(path, json={})) == reply
            assert told(await caller.delete(f"{path}/{NOT_A_UUID}")) == reply


@pytest.mark.parametrize(("resource", "noun"), [(GROUPS, "Group"), (PROJECTS, "Project")], ids=str)
async def test_what_is_deleted_has_no_members(admin: Api, resource: Resource, noun: str):
    row = await resource.create(admin)
    await admin.delete(f"{resource.path}/{row['id']}")

    assert told(await admin.get(f"{resource.path}/{row['id']}/members")) == refused(404, f"{noun} not found")
