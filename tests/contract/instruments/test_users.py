"""People as admins see and manage them, and as they see themselves: contract §2."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from storage.sql.tables import audit_log, group_members, groups, memberships, project_members, projects, users
from tests.contract.instruments.test_accounts import shape, signed_in
from tests.contract.support import (
    NOT_A_UUID,
    NOW,
    ODD,
    PASSWORD,
    START,
    UNKNOWN,
    Api,
    TickingClock,
    World,
    fault,
    ids,
    places,
    refused,
    running,
    send,
    told,
    uuid_fault,
)

ADMIN_ONLY = refused(403, "Admin access required")
UNAUTHORIZED = refused(401, "Unauthorized")
NOT_FOUND = refused(404, "Not Found")
LIST = "/api/admin/users"


def read(person: Api, role: str = "user", **others: Any) -> dict[str, Any]:
    assert person.email
    return {"id": str(person.id), **shape(person.email, role, **others)}


class TestByKey:
    """`/users/{id}`: with the words of the library that the original took for it."""

    async def test_get(self, world: World, admin: Api):
        eve = await world.person("Eve@example.org", is_verified=True)

        assert told(await admin.get(f"/users/{eve.id}")) == (200, read(eve, is_verified=True))

    async def test_patch_changes_everything(self, world: World, anonymous: Api):
        root = await world.person("root@example.org", "admin", is_superuser=True)
        eve = await world.person("eve@example.org")
        flags = {"is_active": True, "is_superuser": True, "is_verified": True}

        reply = await root.patch(
            f"/users/{eve.id}", json={"email": "eva@example.org", "password": "battery staple", "role": "admin", **flags}
        )

        assert told(reply) == (200, {"id": str(eve.id), **shape("eva@example.org", "admin", **flags)})
        assert told(await eve.get("/users/me")) == UNAUTHORIZED
        headers = await signed_in(anonymous, "eva@example.org", "battery staple")
        assert (await anonymous.get(LIST, headers=headers)).status_code == 200

    async def test_an_admin_who_is_no_superuser_may(self, world: World, admin: Api):
        eve = await world.person("eve@example.org")

        assert told(await admin.patch(f"/users/{eve.id}", json={"role": "admin"})) == (200, read(eve, "admin"))

    async def test_who_is_inactive_is_out_until_activated(self, world: World, admin: Api, anonymous: Api):
        eve = await world.person("eve@example.org")

        assert told(await admin.patch(f"/users/{eve.id}", json={"is_active": False})) == (200, read(eve, is_active=False))
        assert told(await eve.get("/users/me")) == UNAUTHORIZED
        login = await anonymous.post("/auth/jwt/login", data={"username": "eve@example.org", "password": PASSWORD})
        assert told(login) == refused(400, "LOGIN_BAD_CREDENTIALS")

        await admin.patch(f"/users/{eve.id}", json={"is_active": "yes"})
        assert (await eve.get("/users/me")).status_code == 200

    async def test_other_keys_are_ignored_and_nothing_is_a_change_too(self, world: World, admin: Api):
        eve = await world.person("eve@example.org")

        for body in ({}, {"id": UNKNOWN, "deleted_at": NOW, "created_at": 7, "colour": None}):
            assert told(await admin.patch(f"/users/{eve.id}", json=body)) == (200, read(eve))

    async def test_a_taken_address(self, admin: Api, user: Api):
        for body in ({"email": "ADA@example.org"}, {"email": "ada@example.org", "role": "admin"}):
            reply = await admin.patch(f"/users/{user.id}", json=body)
            assert told(reply) == refused(400, "UPDATE_USER_EMAIL_ALREADY_EXISTS")
        assert told(await admin.get(f"/users/{user.id}")) == (200, read(user))

    async def test_a_short_password(self, admin: Api, user: Api):
        status, body = told(await admin.patch(f"/users/{user.id}", json={"password": "1234567"}))

        detail = {"code": "UPDATE_USER_INVALID_PASSWORD", "reason": "Password should be at least 8 characters"}
        assert (status, body) == (400, {"detail": detail})

    @pytest.mark.parametrize(
        ("field", "value"),
        [("email", "eve"), ("email", None), ("password", None), ("role", "root"), ("role", None), ("is_active", "perhaps")],
    )
    async def test_a_bad_value(self, admin: Api, user: Api, field: str, value: object):
        assert places(await admin.patch(f"/users/{user.id}", json={field: value})) == [["body", field]]

    async def test_delete_is_for_good(self, world: World, admin: Api, user: Api):
        assert told(await admin.delete(f"/users/{user.id}")) == (204, None)

        assert told(await user.get("/users/me")) == UNAUTHORIZED
        assert told(await admin.post(f"{LIST}/{user.id}/restore")) == refused(404, "Deleted user not found")
        assert {row["id"] for row in await world.rows(users)} == {admin.id}
        again = await world.anonymous().post("/auth/register", json={"email": user.email, "password": "battery staple"})
        assert again.status_code == 201

    async def test_a_deleted_user_can_be_deleted_for_good(self, world: World, admin: Api, user: Api):
        await admin.delete(f"{LIST}/{user.id}")

        assert told(await admin.get(f"/users/{user.id}")) == NOT_FOUND
        assert told(await admin.patch(f"/users/{user.id}", json={})) == NOT_FOUND
        assert told(await admin.delete(f"/users/{user.id}")) == (204, None)
        assert {row["id"] for row in await world.rows(users)} == {admin.id}

    async def test_oneself(self, admin: Api):
        assert told(await admin.get(f"/users/{admin.id}")) == (200, read(admin, "admin"))
        assert told(await admin.delete(f"/users/{admin.id}")) == refused(400, "Cannot delete your own account")
        last = await admin.patch(f"/users/{admin.id}", json={"role": "user"})
        assert told(last) == refused(400, "Cannot remove the last admin")

    @pytest.mark.parametrize("key", [UNKNOWN, NOT_A_UUID, "7", "%00", "None"])
    async def test_unknown_and_malformed_ids(self, admin: Api, key: str):
        for method, body in (("GET", None), ("PATCH", {}), ("PATCH", {"role": "root"}), ("DELETE", None)):
            if (key, body) != (UNKNOWN, {"role": "root"}):  # a bad body of an unknown user is found out first
                options = {} if body is None else {"json": body}
                assert told(await admin.request(method, f"/users/{key}", **options)) == NOT_FOUND

    @pytest.mark.parametrize("key", [UNKNOWN, NOT_A_UUID])
    async def test_for_admins_only(self, anonymous: Api, user: Api, key: str):
        for method in ("GET", "PATCH", "DELETE"):
            assert told(await anonymous.request(method, f"/users/{key}")) == UNAUTHORIZED
            assert told(await user.request(method, f"/users/{key}")) == refused(403, "Forbidden")

    async def test_not_even_oneself(self, user: Api):
        assert told(await user.get(f"/users/{user.id}")) == refused(403, "Forbidden")
        assert told(await user.patch(f"/users/{user.id}", json={"role": "admin"})) == refused(403, "Forbidden")

    async def test_members_of_other_domains_are_left_alone(self, world: World, admin: Api):
        """Design §5."""
        stranger, shared = await world.person("eve@example.org"), await world.person("eva@example.org")
        await world.insert(
            memberships,
            *(
                {"user_id": each.id, "domain": "replication", "role": "user", "created_at": START}
                for each in (stranger, shared)
            ),
        )
        async with world.parts.database.transaction() as tx:
            own = (memberships.c.user_id == stranger.id, memberships.c.domain == "instruments")
            await tx.execute(memberships.delete().where(*own))

        for method, body in (("GET", None), ("PATCH", {"email": "x@example.org"}), ("DELETE", None)):
            options = {} if body is None else {"json": body}
            assert told(await admin.request(method, f"/users/{stranger.id}", **options)) == NOT_FOUND
            if method != "GET":
                reply = await admin.request(method, f"/users/{shared.id}", **options)
                assert told(reply) == refused(403, "Superuser access required: the user is a member of other domains")
        assert ids((await admin.get(f"{LIST}?shape=array")).json()) == [str(admin.id), str(shared.id)]

    async def test_changes_are_audited_without_the_password(self, world: World, admin: Api, user: Api):
        await admin.patch(f"/users/{user.id}", json={"password": "battery staple", "role": "admin"})
        await admin.delete(f"/users/{user.id}")

        logged = [(row["entity_id"], row["action"], row["actor_id"], row["changes"]) for row in await world.rows(audit_log)]
        changes = {"password": {"before": "***", "after": "***"}, "role": {"before": "user", "after": "admin"}}
        assert logged == [(user.id, "update", admin.id, changes), (user.id, "delete", admin.id, None)]

    async def test_nothing_is_too_odd(self, world: World, admin: Api):
        for field in ("email", "password", "role", "is_active", "is_superuser", "is_verified"):
            for number, value in enumerate(ODD):
                eve = await world.person(f"{field}{number}@example.org")
                reply = await send(admin, "PATCH", f"/users/{eve.id}", {field: value})
                assert reply.status_code in {200, 400, 403, 422}, (field, value)


class TestList:
    async def test_the_order_is_that_of_registration(self, world: World, admin: Api):
        zoe, eve = await world.person("zoe@example.org"), await world.person("eve@example.org", is_active=False)
        rows = [read(admin, "admin"), read(zoe), read(eve, is_active=False)]

        assert told(await admin.get(LIST)) == (200, {"items": rows, "total": 3, "skip": 0, "limit": 25})
        assert told(await admin.get(f"{LIST}?skip=1&limit=1")) == (200, {"items": rows[1:2], "total": 3, "skip": 1, "limit": 1})
        assert told(await admin.get(f"{LIST}?shape=array")) == (200, rows)

    async def test_deleted_users_if_asked(self, admin: Api, user: Api):
        await admin.delete(f"{LIST}/{user.id}")

        every = (await admin.get(f"{LIST}?include_deleted=true")).json()

        assert ids((await admin.get(LIST)).json()["items"]) == [str(admin.id)]
        assert every["items"][1] == read(user, deleted_at=NOW)
        assert (await admin.get(f"{LIST}?shape=array&include_deleted=true")).json() == every["items"]

    async def test_the_setting_for_arrays(self, tmp_path: Path):
        async with running(tmp_path, LIST_SHAPE="array") as world:
            admin = await world.person("ada@example.org", "admin")
            assert told(await admin.get(LIST)) == (200, [read(admin, "admin")])
            assert (await admin.get(f"{LIST}?skip=0")).json()["total"] == 1

    @pytest.mark.parametrize("query", ["skip=-1", "limit=0", "limit=501", "limit=x", "include_deleted=perhaps"])
    async def test_bad_parameters(self, admin: Api, query: str):
        assert places(await admin.get(f"{LIST}?{query}")) == [["query", query.partition("=")[0]]]


class TestDeleteAndRestore:
    async def test_both(self, admin: Api, user: Api, anonymous: Api, clock: TickingClock):
        assert told(await admin.delete(f"{LIST}/{user.id}")) == (204, None)
        assert told(await user.get("/users/me")) == UNAUTHORIZED
        login = await anonymous.post("/auth/jwt/login", data={"username": user.email, "password": PASSWORD})
        assert told(login) == refused(400, "LOGIN_BAD_CREDENTIALS")

        clock.tick = timedelta(seconds=1)
        assert told(await admin.post(f"{LIST}/{user.id}/restore")) == (200, read(user))
        await signed_in(anonymous, "bob@example.org", PASSWORD)
        assert told(await user.get("/users/me")) == UNAUTHORIZED, "older tokens have ended for good"

    async def test_refusals(self, admin: Api, user: Api):
        own = await admin.delete(f"{LIST}/{admin.id}")
        await admin.delete(f"{LIST}/{user.id}")

        assert told(own) == refused(400, "Cannot delete your own account")
        for key in (UNKNOWN, str(user.id)):
            assert told(await admin.delete(f"{LIST}/{key}")) == refused(404, "User not found")
        for key in (UNKNOWN, str(admin.id)):
            assert told(await admin.post(f"{LIST}/{key}/restore")) == refused(404, "Deleted user not found")


PATHS = [
    ("GET", LIST),
    ("DELETE", f"{LIST}/{{}}"),
    ("POST", f"{LIST}/{{}}/restore"),
    ("GET", f"{LIST}/{{}}/groups"),
    ("GET", f"{LIST}/{{}}/projects"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_it_is_for_admins_only(anonymous: Api, user: Api, method: str, path: str):
    for key in (NOT_A_UUID, str(user.id)):
        assert told(await anonymous.request(method, path.format(key))) == UNAUTHORIZED
        assert told(await user.request(method, path.format(key))) == ADMIN_ONLY


@pytest.mark.parametrize(("method", "path"), PATHS[1:])
async def test_a_malformed_id(admin: Api, method: str, path: str):
    reply = await admin.request(method, path.format(NOT_A_UUID))
    assert told(reply) == refused(422, [uuid_fault("path", "user_id")])


# --- groups and projects -----------------------------------------------------------------------------------------------------


class Shared:
    """Two groups and four projects: one each for Bob, one through his group, and others that are not his."""

    def __init__(self) -> None:
        self.own, self.other, self.gone = uuid4(), uuid4(), uuid4()
        self.direct, self.through, self.both, self.nobodys, self.lost = (uuid4() for _ in range(5))


def row(name: str, key: UUID) -> Mapping[str, Any]:
    return {"id": key, "name": name, "description": None, "created_at": START, "updated_at": START, "deleted_at": None}


def shown(name: str, key: UUID) -> dict[str, Any]:
    return {"id": str(key), "name": name, "description": None, "created_at": NOW, "updated_at": NOW, "deleted_at": None}


async def share(world: World, user: Api) -> Shared:
    shared = Shared()
    await world.insert(
        groups, row("own", shared.own), row("other", shared.other), {**row("gone", shared.gone), "deleted_at": START}
    )
    names = ("direct", "through", "both", "nobodys")
    lost = {**row("lost", shared.lost), "deleted_at": START}
    await world.insert(projects, *(row(name, getattr(shared, name)) for name in names), lost)
    await world.insert(
        group_members, *({"user_id": user.id, "group_id": key, "created_at": START} for key in (shared.own, shared.gone))
    )
    members = [
        (shared.direct, "user", user.id),
        (shared.through, "group", shared.own),
        (shared.both, "user", user.id),
        (shared.both, "group", shared.own),
        (shared.nobodys, "group", shared.other),
        (shared.nobodys, "group", shared.gone),
        (shared.lost, "user", user.id),
    ]
    await world.insert(
        project_members,
        *(
            {"id": uuid4(), "project_id": project, "member_type": kind, "member_id": key, "created_at": START}
            for project, kind, key in members
        ),
    )
    return shared


def by_id(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda each: str(each["id"]))


class TestGroupsAndProjects:
    async def test_me(self, world: World, user: Api):
        shared = await share(world, user)

        mine = by_id(shown("direct", shared.direct), shown("through", shared.through), shown("both", shared.both))
        body = {**read(user), "groups": [shown("own", shared.own)], "projects": mine}
        assert told(await user.get("/api/me")) == (200, body)

    async def test_me_without_any(self, anonymous: Api, admin: Api):
        assert told(await admin.get("/api/me")) == (200, {**read(admin, "admin"), "groups": [], "projects": []})
        assert told(await anonymous.get("/api/me")) == UNAUTHORIZED

    async def test_an_admin_is_told_of_their_own_only(self, world: World, admin: Api, user: Api):
        await share(world, user)

        body = (await admin.get("/api/me")).json()

        assert (body["groups"], body["projects"]) == ([], [])

    async def test_those_of_somebody(self, world: World, admin: Api, user: Api):
        shared = await share(world, user)

        assert told(await admin.get(f"{LIST}/{user.id}/groups")) == (200, [shown("own", shared.own)])
        direct = by_id(shown("direct", shared.direct), shown("both", shared.both))
        assert told(await admin.get(f"{LIST}/{user.id}/projects")) == (200, direct)
        assert told(await admin.get(f"{LIST}/{admin.id}/groups")) == (200, [])

    @pytest.mark.parametrize("what", ["groups", "projects"])
    async def test_of_nobody(self, world: World, admin: Api, what: str):
        gone = await world.person("gone@example.org", deleted_at=START)

        for key in (UNKNOWN, str(gone.id)):
            assert told(await admin.get(f"{LIST}/{key}/{what}")) == refused(404, "User not found")

    async def test_everything_at_once(self, world: World, user: Api, admin: Api):
        rows = [row(f"{number:04}", uuid4()) for number in range(600)]
        await world.insert(groups, *rows)
        await world.insert(group_members, *({"user_id": user.id, "group_id": each["id"], "created_at": START} for each in rows))

        assert len((await user.get("/api/me")).json()["groups"]) == 600
        assert len((await admin.get(f"{LIST}/{user.id}/groups")).json()) == 600


class TestCheckAdmin:
    async def test_who_is_one(self, anonymous: Api, user: Api, admin: Api):
        path = "/api/auth/check-admin"

        assert told(await admin.get(path)) == (200, {"email": "ada@example.org"})
        assert told(await user.get(path)) == ADMIN_ONLY
        assert told(await anonymous.get(path)) == UNAUTHORIZED

    async def test_by_cookie(self, anonymous: Api, admin: Api):
        cookie = admin.headers["Authorization"].partition(" ")[2]

        reply = await anonymous.get("/api/auth/check-admin", headers={"Cookie": f"streamweave_auth={cookie}"})

        assert told(reply) == (200, {"email": "ada@example.org"})


async def test_missing_members_beside_a_password(admin: Api):
    reply = await admin.post("/api/service-accounts", json={"name": "a", "password": "hunter2-xyzzy"})
    expected = fault("missing", ["body", "username"], "Field required", {"name": "a", "password": "**********"})
    assert told(reply) == refused(422, [expected])
