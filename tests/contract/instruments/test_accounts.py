"""Registering, and what people change about themselves: contract §2."""

from __future__ import annotations

from typing import Any

import pytest

from storage.sql.tables import memberships, users
from tests.contract.support import (
    ODD,
    PASSWORD,
    START,
    UUID_PATTERN,
    Api,
    World,
    bearer,
    fault,
    places,
    refused,
    send,
    told,
)

REGISTER = "/auth/register"
EVE = {"email": "eve@example.org", "password": "battery staple"}


def shape(email: str, role: str = "user", **others: Any) -> dict[str, Any]:
    """A user without the id, in the documented order."""
    return {
        "email": email,
        "is_active": True,
        "is_superuser": False,
        "is_verified": False,
        "role": role,
        "deleted_at": None,
        **others,
    }


async def signed_in(anonymous: Api, email: str, password: str) -> dict[str, str]:
    reply = await anonymous.post("/auth/jwt/login", data={"username": email, "password": password})
    assert reply.status_code == 200, reply.text
    return bearer(reply.json()["access_token"])


class TestRegister:
    async def test_it_returns_the_user(self, anonymous: Api):
        status, body = told(await anonymous.post(REGISTER, json=EVE))

        key = body.pop("id")
        assert (status, body) == (201, shape("eve@example.org"))
        assert UUID_PATTERN.fullmatch(key)

    async def test_the_user_can_sign_in(self, anonymous: Api):
        row = (await anonymous.post(REGISTER, json=EVE)).json()

        headers = await signed_in(anonymous, EVE["email"], EVE["password"])

        assert told(await anonymous.get("/users/me", headers=headers)) == (200, row)

    @pytest.mark.parametrize("email", ["bob@example.org", "BOB@example.org", "bob@EXAMPLE.org"])
    async def test_an_address_that_is_taken(self, anonymous: Api, user: Api, email: str):
        reply = await anonymous.post(REGISTER, json={**EVE, "email": email})

        assert told(reply) == refused(400, "REGISTER_USER_ALREADY_EXISTS")

    async def test_deleted_users_keep_their_address(self, world: World, anonymous: Api):
        await world.person("Bob@example.org", deleted_at=START)

        reply = await anonymous.post(REGISTER, json={**EVE, "email": "bob@example.org"})

        assert told(reply) == refused(400, "REGISTER_USER_ALREADY_EXISTS")

    @pytest.mark.parametrize("email", ["eve", "", "eve@", "@example.org", "eve@example", "eve @example.org", "a\0@example.org"])
    async def test_a_bad_address(self, anonymous: Api, email: str):
        assert places(await anonymous.post(REGISTER, json={**EVE, "email": email})) == [["body", "email"]]

    @pytest.mark.parametrize(
        "email", [None, 7, ["eve@example.org"], "x" * 400 + "@example.org"], ids=lambda each: str(each)[:9]
    )
    async def test_no_address(self, anonymous: Api, email: object):
        assert places(await anonymous.post(REGISTER, json={**EVE, "email": email})) == [["body", "email"]]

    @pytest.mark.parametrize("field", ["email", "password"])
    async def test_a_missing_field(self, anonymous: Api, field: str):
        body = {name: value for name, value in EVE.items() if name != field}

        reply = await anonymous.post(REGISTER, json=body)

        shown = {name: "**********" if name == "password" else value for name, value in body.items()}
        assert told(reply) == refused(422, [fault("missing", ["body", field], "Field required", shown)])

    async def test_no_body(self, anonymous: Api):
        assert told(await anonymous.post(REGISTER)) == refused(422, [fault("missing", ["body"], "Field required", None)])

    @pytest.mark.parametrize("password", ["", "x", "1234567"])
    async def test_a_short_password(self, world: World, anonymous: Api, password: str):
        status, body = told(await anonymous.post(REGISTER, json={**EVE, "password": password}))

        reason = body["detail"].pop("reason")
        assert (status, body) == (400, {"detail": {"code": "REGISTER_INVALID_PASSWORD"}})
        assert isinstance(reason, str)
        assert reason
        assert await world.rows(users) == []

    async def test_eight_characters_are_enough(self, anonymous: Api):
        assert (await anonymous.post(REGISTER, json={**EVE, "password": "12345678"})).status_code == 201

    async def test_flags_are_ignored(self, anonymous: Api):
        flags = {"is_active": False, "is_superuser": True, "is_verified": True, "id": 7, "deleted_at": "x", "colour": None}

        status, body = told(await anonymous.post(REGISTER, json={**EVE, **flags}))

        assert (status, body) == (201, {"id": body["id"], **shape("eve@example.org")})

    async def test_nobody_makes_themselves_an_admin(self, world: World, anonymous: Api):
        status, body = told(await anonymous.post(REGISTER, json={**EVE, "role": "admin"}))

        assert (status, body["role"]) == (201, "user")
        assert [row["role"] for row in await world.rows(memberships)] == ["user"]
        headers = await signed_in(anonymous, EVE["email"], EVE["password"])
        assert told(await anonymous.get("/api/schedules", headers=headers)) == refused(403, "Admin access required")

    async def test_a_user_makes_nobody_an_admin(self, user: Api):
        status, body = told(await user.post(REGISTER, json={**EVE, "role": "admin"}))

        assert (status, body["role"], body["email"]) == (201, "user", "eve@example.org")

    @pytest.mark.parametrize("role", ["admin", "user"])
    async def test_an_admin_says_which_role(self, admin: Api, anonymous: Api, role: str):
        status, body = told(await admin.post(REGISTER, json={**EVE, "role": role}))

        assert (status, body) == (201, {"id": body["id"], **shape("eve@example.org", role)})
        headers = await signed_in(anonymous, EVE["email"], EVE["password"])
        assert (await anonymous.get("/users/me", headers=headers)).json()["role"] == role

    async def test_an_admin_who_says_none_registers_a_user(self, admin: Api):
        assert (await admin.post(REGISTER, json=EVE)).json()["role"] == "user"

    async def test_an_admins_token_that_was_revoked_says_nothing(self, admin: Api):
        await admin.post("/auth/jwt/logout")

        assert (await admin.post(REGISTER, json={**EVE, "role": "admin"})).json()["role"] == "user"

    @pytest.mark.parametrize("role", ["root", "", "ADMIN", None, 7], ids=repr)
    async def test_another_role(self, anonymous: Api, admin: Api, role: object):
        for api in (anonymous, admin):
            assert places(await api.post(REGISTER, json={**EVE, "role": role})) == [["body", "role"]]

    async def test_another_role_in_words(self, anonymous: Api):
        reply = await anonymous.post(REGISTER, json={**EVE, "role": "root"})

        message = "Input should be 'admin' or 'user'"
        expected = fault("enum", ["body", "role"], message, "root", expected="'admin' or 'user'")
        assert told(reply) == refused(422, [expected])

    async def test_registering_somebody_leaves_oneself_as_one_is(self, admin: Api):
        await admin.post(REGISTER, json=EVE)

        assert (await admin.get("/users/me")).json()["id"] == str(admin.id)

    async def test_no_reply_holds_the_password(self, anonymous: Api):
        accepted = await anonymous.post(REGISTER, json=EVE)
        refused_as_taken = await anonymous.post(REGISTER, json=EVE)
        with_a_bad_address = await anonymous.post(REGISTER, json={**EVE, "email": "eve"})

        for reply in (accepted, refused_as_taken, with_a_bad_address):
            assert "battery" not in reply.text
            assert "argon2" not in reply.text


class TestMe:
    @pytest.mark.parametrize("role", ["user", "admin"])
    async def test_it_tells_who_one_is(self, world: World, role: str):
        person = await world.person("Eve@example.org", role, is_verified=True)

        status, body = told(await person.get("/users/me"))

        assert (status, body) == (200, {"id": str(person.id), **shape("Eve@example.org", role, is_verified=True)})
        assert list(body) == ["id", *shape("")]

    async def test_nobody_is_401(self, anonymous: Api):
        assert told(await anonymous.get("/users/me")) == refused(401, "Unauthorized")
        assert told(await anonymous.patch("/users/me", json={"email": 7})) == refused(401, "Unauthorized")

    async def test_a_new_address(self, anonymous: Api, user: Api):
        status, body = told(await user.patch("/users/me", json={"email": "robert@example.org"}))

        assert (status, body) == (200, {"id": str(user.id), **shape("robert@example.org")})
        assert told(await user.get("/users/me")) == (200, body)
        await signed_in(anonymous, "Robert@example.org", PASSWORD)

    @pytest.mark.parametrize("email", ["ada@example.org", "ADA@Example.org"])
    async def test_an_address_that_is_taken(self, admin: Api, user: Api, email: str):
        reply = await user.patch("/users/me", json={"email": email})

        assert told(reply) == refused(400, "UPDATE_USER_EMAIL_ALREADY_EXISTS")
        assert (await user.get("/users/me")).json()["email"] == "bob@example.org"

    @pytest.mark.parametrize("email", ["bob@example.org", "Bob@example.org"])
    async def test_ones_own_address_is_not(self, user: Api, email: str):
        assert (await user.patch("/users/me", json={"email": email})).status_code == 200

    @pytest.mark.parametrize("email", ["bob", "", 7, None], ids=repr)
    async def test_a_bad_address(self, user: Api, email: object):
        assert places(await user.patch("/users/me", json={"email": email})) == [["body", "email"]]

    async def test_a_short_password(self, user: Api, anonymous: Api):
        status, body = told(await user.patch("/users/me", json={"password": "1234567"}))

        assert (status, body["detail"]["code"]) == (400, "UPDATE_USER_INVALID_PASSWORD")
        assert (await user.get("/users/me")).status_code == 200
        await signed_in(anonymous, "bob@example.org", PASSWORD)

    @pytest.mark.parametrize("password", [None, 7], ids=repr)
    async def test_no_password(self, user: Api, password: object):
        assert places(await user.patch("/users/me", json={"password": password})) == [["body", "password"]]

    async def test_role_and_flags_are_ignored(self, user: Api):
        others = {"role": "admin", "is_active": False, "is_superuser": True, "is_verified": True, "id": 7, "deleted_at": 7}

        reply = await user.patch("/users/me", json=others)

        assert told(reply) == (200, {"id": str(user.id), **shape("bob@example.org")})
        assert told(await user.get("/api/schedules")) == refused(403, "Admin access required")

    async def test_nothing_is_a_change_too(self, user: Api):
        before = (await user.get("/users/me")).json()

        assert told(await user.patch("/users/me", json={})) == (200, before)

    async def test_no_reply_holds_the_password(self, user: Api):
        reply = await user.patch("/users/me", json={"password": "battery staple"})

        assert reply.status_code == 200
        assert "battery" not in reply.text
        assert "argon2" not in reply.text


class TestNothingIsTooOdd:
    @pytest.mark.parametrize("field", ["email", "password", "role"])
    async def test_in_a_registration(self, admin: Api, field: str):
        for number, value in enumerate(ODD):
            reply = await send(admin, "POST", REGISTER, {**EVE, "email": f"{number}@example.org", field: value})
            assert reply.status_code in {201, 400, 422}, value

    @pytest.mark.parametrize("field", ["email", "password"])
    async def test_in_a_change(self, world: World, field: str):
        for number, value in enumerate(ODD):
            person = await world.person(f"{number}@example.org")
            reply = await send(person, "PATCH", "/users/me", {field: value})
            assert reply.status_code in {200, 400, 422}, value
