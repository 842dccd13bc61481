"""Signing in and out: contract §2, "Tokens"."""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import jwt
import pytest
from pwdlib.hashers.bcrypt import BcryptHasher
from sqlalchemy import select, update

from storage.sql.tables import users
from tests.contract.support import PASSWORD, START, Api, TickingClock, World, bearer, fault, places, refused, running, told

LOGINS = ("/auth/jwt/login", "/auth/cookie/login")
LOGOUTS = ("/auth/jwt/logout", "/auth/cookie/logout")
UNAUTHORIZED = refused(401, "Unauthorized")
BAD_CREDENTIALS = refused(400, "LOGIN_BAD_CREDENTIALS")


@pytest.fixture(params=LOGINS)
def login(request: pytest.FixtureRequest) -> str:
    """Both ways to sign in."""
    path: str = request.param
    return path


def form(email: str, password: str = PASSWORD, **others: str) -> dict[str, str]:
    return {"username": email, "password": password, **others}


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


class TestJwtLogin:
    async def test_it_returns_a_bearer_token(self, anonymous: Api, user: Api):
        status, body = told(await anonymous.post("/auth/jwt/login", data=form("bob@example.org")))

        assert (status, list(body), body["token_type"]) == (200, ["access_token", "token_type"], "bearer")
        assert (await anonymous.get("/users/me", headers=bearer(body["access_token"]))).json()["id"] == str(user.id)

    async def test_the_token_is_a_jwt_with_the_documented_claims(self, anonymous: Api, user: Api):
        token = (await anonymous.post("/auth/jwt/login", data=form("bob@example.org"))).json()["access_token"]

        claims = claims_of(token)
        assert jwt.get_unverified_header(token)["alg"] == "HS256"
        assert (claims["sub"], claims["aud"]) == (str(user.id), ["fastapi-users:auth"])
        assert claims["exp"] == int(START.timestamp()) + 3600

    async def test_the_lifetime_is_a_setting(self, tmp_path: Path):
        async with running(tmp_path, JWT_LIFETIME_SECONDS=60) as world:
            await world.person("bob@example.org")
            token = (await world.anonymous().post("/auth/jwt/login", data=form("bob@example.org"))).json()["access_token"]
            cookie = await world.anonymous().post("/auth/cookie/login", data=form("bob@example.org"))

            assert claims_of(token)["exp"] == int(START.timestamp()) + 60
            assert "Max-Age=60;" in cookie.headers["set-cookie"]


class TestBothLogins:
    async def test_the_address_is_read_in_any_case(self, anonymous: Api, user: Api, login: str):
        assert (await anonymous.post(login, data=form("BOB@Example.ORG"))).is_success

    async def test_other_fields_of_the_form_are_ignored(self, anonymous: Api, user: Api, login: str):
        others = {"grant_type": "password", "scope": "a b", "client_id": "x", "client_secret": "y"}

        assert (await anonymous.post(login, data=form("bob@example.org", **others))).is_success

    async def test_another_grant_type_is_422(self, anonymous: Api, user: Api, login: str):
        reply = await anonymous.post(login, data=form("bob@example.org", grant_type="client_credentials"))

        assert places(reply) == [["body", "grant_type"]]

    @pytest.mark.parametrize("password", ["wrong", "Correct horse", "correct horse ", "\0", "x" * 5000])
    async def test_a_wrong_password(self, anonymous: Api, user: Api, login: str, password: str):
        assert told(await anonymous.post(login, data=form("bob@example.org", password))) == BAD_CREDENTIALS

    @pytest.mark.parametrize("email", ["nobody@example.org", "bob", "\0", "x" * 5000, "bob@example.org "])
    async def test_an_unknown_address(self, anonymous: Api, user: Api, login: str, email: str):
        assert told(await anonymous.post(login, data=form(email))) == BAD_CREDENTIALS

    @pytest.mark.parametrize("columns", [{"is_active": False}, {"deleted_at": START}], ids=str)
    async def test_somebody_who_may_not(self, world: World, anonymous: Api, login: str, columns: dict[str, Any]):
        await world.person("bob@example.org", **columns)

        assert told(await anonymous.post(login, data=form("bob@example.org"))) == BAD_CREDENTIALS

    @pytest.mark.parametrize("field", ["username", "password"])
    async def test_a_missing_field(self, anonymous: Api, login: str, field: str):
        data = {name: value for name, value in form("bob@example.org").items() if name != field}

        reply = await anonymous.post(login, data=data)

        assert told(reply) == refused(422, [fault("missing", ["body", field], "Field required", None)])

    async def test_json_is_no_form(self, anonymous: Api, user: Api, login: str):
        reply = await anonymous.post(login, json=form("bob@example.org"))

        assert places(reply) == [["body", "username"], ["body", "password"]]

    async def test_no_body(self, anonymous: Api, login: str):
        assert places(await anonymous.post(login)) == [["body", "username"], ["body", "password"]]

    @pytest.mark.parametrize("raw", [b"%FF=%00&&&=", b"username=%ED%A0%80&password=%FF", b"username=a&username=b&password=c"])
    async def test_an_odd_form(self, anonymous: Api, login: str, raw: bytes):
        reply = await anonymous.post(login, content=raw, headers={"content-type": "application/x-www-form-urlencoded"})

        assert reply.status_code in {400, 422}

    async def test_a_bcrypt_hash_is_accepted_and_upgraded(self, world: World, anonymous: Api, login: str):
        await world.person("eve@example.org", password_hash=BcryptHasher(rounds=4).hash(PASSWORD))

        assert (await anonymous.post(login, data=form("eve@example.org"))).is_success

        (eve,) = await world.rows(users)
        assert eve["password_hash"].startswith("$argon2")
        assert (await anonymous.post(login, data=form("eve@example.org"))).is_success

    async def test_a_token_that_comes_along_does_not_matter(self, world: World, user: Api, login: str):
        stranger = Api(world, bearer("foreign"))

        assert (await stranger.post(login, data=form("bob@example.org"))).is_success


class TestTooManyFailures:
    """An extension: a status that the contract does not have, for what it does not speak of."""

    CLOSED = refused(429, "Too many failed sign-ins: try again in 900 seconds")

    @pytest.mark.parametrize("email", ["bob@example.org", "nobody@example.org"])
    async def test_of_one_account(self, anonymous: Api, user: Api, login: str, email: str):
        for number in range(10):
            reply = await anonymous.post(LOGINS[number % 2], data=form(email, "wrong"))
            assert told(reply) == BAD_CREDENTIALS

        for password in ("wrong", PASSWORD):
            reply = await anonymous.post(login, data=form(email, password))
            assert (told(reply), reply.headers["retry-after"]) == (self.CLOSED, "900")
            assert "set-cookie" not in reply.headers

    async def test_from_one_address(self, anonymous: Api, user: Api, login: str):
        for number in range(50):
            assert told(await anonymous.post(login, data=form(f"{number}@example.org"))) == BAD_CREDENTIALS

        assert told(await anonymous.post(login, data=form("bob@example.org"))) == self.CLOSED

    async def test_they_are_forgotten(self, anonymous: Api, user: Api, clock: TickingClock, login: str):
        for _ in range(10):
            await anonymous.post(login, data=form("bob@example.org", "wrong"))

        clock.advance(seconds=900)
        assert (await anonymous.post(login, data=form("bob@example.org"))).is_success

    async def test_who_is_in_stays_in(self, anonymous: Api, user: Api):
        for _ in range(11):
            await anonymous.post("/auth/jwt/login", data=form("bob@example.org", "wrong"))

        assert (await user.get("/users/me")).status_code == 200

    async def test_the_bounds_are_settings(self, tmp_path: Path):
        settings = {"LOGIN_ATTEMPTS": 1, "LOGIN_ATTEMPTS_PER_ADDRESS": 2, "LOGIN_WINDOW": 60}
        async with running(tmp_path, **{f"SWITCHYARD_{name}": value for name, value in settings.items()}) as world:
            names = ["bob", "bob", "eve", "zoe"]
            replies = [await world.anonymous().post("/auth/jwt/login", data=form(f"{name}@example.org")) for name in names]

            assert [reply.status_code for reply in replies] == [400, 429, 400, 429]
            assert {reply.headers.get("retry-after") for reply in replies} == {None, "60"}

    async def test_in_graphql(self, anonymous: Api, user: Api):
        """One operation may guess more than once; it gains nothing."""
        guess = 'login(input: {username: "bob@example.org", password: "%s"}) { accessToken }'
        guesses = " ".join(f"a{number}: {guess % number}" for number in range(12)) + f" right: {guess % PASSWORD}"

        reply = await anonymous.post("/graphql", json={"query": f"mutation {{ {guesses} }}"})

        assert [error["extensions"]["code"] for error in reply.json()["errors"]] == ["REFUSED"] * 10 + ["RATE_LIMITED"] * 3
        assert set(reply.json()["data"].values()) == {None}
        assert reply.headers.get_list("retry-after") == ["900"]


class TestTokens:
    """What is no valid token is 401, everywhere the same."""

    @pytest.fixture
    def forged(self, user: Api) -> Callable[..., str]:
        """The user's token with other claims, another key or another algorithm."""
        claims = claims_of(user.headers["Authorization"].removeprefix("Bearer "))

        def forge(key: str = "x" * 32, algorithm: str = "HS256", **others: object) -> str:
            return jwt.encode({**claims, **others}, key, algorithm=algorithm)

        return forge

    @pytest.mark.parametrize(
        "header", ["", "Bearer", "Bearer ", "Bearer foreign", "Bearer a.b.c", "Basic YTpi", "Token x", "Bearer \xff"], ids=repr
    )
    async def test_what_is_none(self, anonymous: Api, user: Api, header: str):
        assert told(await anonymous.get("/users/me", headers={"Authorization": header.encode("latin-1")})) == UNAUTHORIZED

    async def test_none_at_all(self, anonymous: Api):
        assert told(await anonymous.get("/users/me")) == UNAUTHORIZED

    async def test_one_under_another_scheme(self, anonymous: Api, user: Api):
        token = user.headers["Authorization"].removeprefix("Bearer ")

        for header in (token, f"Basic {token}", f"Token {token}"):
            assert told(await anonymous.get("/users/me", headers={"Authorization": header})) == UNAUTHORIZED

    async def test_one_signed_by_somebody_else(self, anonymous: Api, forged: Callable[..., str]):
        assert told(await anonymous.get("/users/me", headers=bearer(forged()))) == UNAUTHORIZED

    async def test_one_without_a_signature(self, anonymous: Api, forged: Callable[..., str]):
        assert told(await anonymous.get("/users/me", headers=bearer(forged("", "none")))) == UNAUTHORIZED

    async def test_an_expired_one(self, user: Api, clock: TickingClock):
        clock.advance(seconds=3599)
        assert (await user.get("/users/me")).status_code == 200

        clock.advance(seconds=1)
        assert told(await user.get("/users/me")) == UNAUTHORIZED

    @pytest.mark.parametrize("columns", [{"is_active": False}, {"deleted_at": START}], ids=str)
    async def test_that_of_somebody_who_may_not_sign_in(self, world: World, user: Api, columns: dict[str, Any]):
        async with world.parts.database.transaction() as transaction:
            await transaction.execute(update(users).values(columns))

        assert told(await user.get("/users/me")) == UNAUTHORIZED

    @pytest.mark.parametrize("word", ["bearer", "BEARER", "Bearer"])
    async def test_the_scheme_is_read_in_any_case(self, anonymous: Api, user: Api, word: str):
        token = user.headers["Authorization"].removeprefix("Bearer ")

        assert (await anonymous.get("/users/me", headers={"Authorization": f"{word} {token}"})).status_code == 200


class TestLogout:
    @pytest.mark.parametrize("path", LOGOUTS)
    async def test_the_token_is_refused_from_now_on(self, user: Api, path: str):
        reply = await user.post(path)

        assert (reply.status_code, reply.content) == (204, b"")
        assert told(await user.get("/users/me")) == UNAUTHORIZED
        assert told(await user.post(path)) == UNAUTHORIZED

    async def test_other_tokens_of_the_same_person_stay(self, anonymous: Api, user: Api):
        other = (await anonymous.post("/auth/jwt/login", data=form("bob@example.org"))).json()["access_token"]

        await user.post("/auth/jwt/logout")

        assert (await anonymous.get("/users/me", headers=bearer(other))).status_code == 200

    async def test_one_can_sign_in_again(self, anonymous: Api, user: Api):
        await user.post("/auth/jwt/logout")

        assert (await anonymous.post("/auth/jwt/login", data=form("bob@example.org"))).status_code == 200

    @pytest.mark.parametrize("path", LOGOUTS)
    async def test_nobody_is_401(self, anonymous: Api, path: str):
        assert told(await anonymous.post(path)) == UNAUTHORIZED

    async def test_a_changed_password_ends_every_session(self, anonymous: Api, user: Api):
        older = (await anonymous.post("/auth/jwt/login", data=form("bob@example.org"))).json()["access_token"]

        assert (await user.patch("/users/me", json={"password": "battery staple"})).status_code == 200

        assert told(await user.get("/users/me")) == UNAUTHORIZED
        assert told(await anonymous.get("/users/me", headers=bearer(older))) == UNAUTHORIZED
        assert told(await anonymous.post("/auth/jwt/login", data=form("bob@example.org"))) == BAD_CREDENTIALS
        newer = await anonymous.post("/auth/jwt/login", data=form("bob@example.org", "battery staple"))
        assert (await anonymous.get("/users/me", headers=bearer(newer.json()["access_token"]))).status_code == 200


def attributes(set_cookie: str) -> tuple[str, str, set[str]]:
    """Name, value, attributes as they are written."""
    first, *rest = set_cookie.split("; ")
    name, _, value = first.partition("=")
    return name, value, set(rest)


class TestCookie:
    @pytest.fixture
    def bearing(self, world: World) -> Callable[[str], Api]:
        """Somebody who sends a cookie."""
        return lambda token: Api(world, {"Cookie": f"streamweave_auth={token}"})

    async def test_the_login_sets_it(self, anonymous: Api, user: Api, bearing: Callable[[str], Api]):
        reply = await anonymous.post("/auth/cookie/login", data=form("bob@example.org"))

        (header,) = reply.headers.get_list("set-cookie")
        name, token, others = attributes(header)
        assert (reply.status_code, reply.content) == (204, b"")
        assert name == "streamweave_auth"
        assert others == {"HttpOnly", "Max-Age=3600", "Path=/", "SameSite=lax", "Secure"}
        assert (await bearing(token).get("/users/me")).json()["id"] == str(user.id)

    async def test_without_secure_if_the_settings_say_so(self, tmp_path: Path):
        async with running(tmp_path, COOKIE_SECURE="false") as world:
            await world.person("bob@example.org")
            reply = await world.anonymous().post("/auth/cookie/login", data=form("bob@example.org"))

            assert attributes(reply.headers["set-cookie"])[2] == {"HttpOnly", "Max-Age=3600", "Path=/", "SameSite=lax"}

    async def test_a_refused_login_sets_none(self, anonymous: Api, user: Api):
        reply = await anonymous.post("/auth/cookie/login", data=form("bob@example.org", "wrong"))

        assert "set-cookie" not in reply.headers

    async def test_the_jwt_login_sets_none(self, anonymous: Api, user: Api):
        assert "set-cookie" not in (await anonymous.post("/auth/jwt/login", data=form("bob@example.org"))).headers

    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "/users/me"), ("GET", "/api/instruments"), ("GET", "/api/files"), ("POST", "/api/service-accounts")],
    )
    async def test_every_route_accepts_it(self, admin: Api, bearing: Callable[[str], Api], method: str, path: str):
        body = {"name": "x", "username": "x", "password": "x"} if method == "POST" else None
        token = admin.headers["Authorization"].removeprefix("Bearer ")

        assert (await bearing(token).request(method, path, json=body)).is_success

    async def test_the_logout_removes_and_refuses_it(self, anonymous: Api, user: Api, bearing: Callable[[str], Api]):
        login = await anonymous.post("/auth/cookie/login", data=form("bob@example.org"))
        session = bearing(attributes(login.headers["set-cookie"])[1])

        reply = await session.post("/auth/cookie/logout")

        morsel = SimpleCookie(reply.headers["set-cookie"])["streamweave_auth"]
        assert (reply.status_code, reply.content) == (204, b"")
        assert (morsel.value, morsel["max-age"], morsel["path"], morsel["samesite"]) == ("", "0", "/", "lax")
        assert told(await session.get("/users/me")) == UNAUTHORIZED


async def test_no_password_is_stored_as_it_is(world: World, anonymous: Api):
    await anonymous.post("/auth/register", json={"email": "eve@example.org", "password": "plain to see"})

    (stored,) = await world.parts.database.all(select(users.c.password_hash))
    assert stored["password_hash"].startswith("$argon2id$")
    assert b"plain to see" not in await world.stored_bytes()
