"""Forgotten passwords and verified addresses, from the request to the link in the mail and back: contract §2."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.contract.instruments.test_accounts import shape, signed_in
from tests.contract.support import PASSWORD, START, Api, World, fault, places, refused, running, told
from tests.smtp import PASSWORD as MAIL_PASSWORD
from tests.smtp import USERNAME, Running, mail_server

FORGOT, RESET = "/auth/forgot-password", "/auth/reset-password"
REQUEST, VERIFY = "/auth/request-verify-token", "/auth/verify"
BAD_RESET, BAD_VERIFY = refused(400, "RESET_PASSWORD_BAD_TOKEN"), refused(400, "VERIFY_USER_BAD_TOKEN")
ACCEPTED = (202, None)


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    """A mail server that wants to be encrypted and signed in."""
    folder = tmp_path_factory.mktemp("mail")
    with mail_server(folder, "starttls", auth=True) as server:
        yield server, folder / "mail.pem"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def application(mails: tuple[Running, Path], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    server, certificate = mails
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(certificate))
        async with running(
            tmp_path_factory.mktemp("mailing"),
            SMTP_ENABLED=True,
            SMTP_HOST="127.0.0.1",
            SMTP_PORT=server.port,
            SMTP_USERNAME=USERNAME,
            SMTP_PASSWORD=MAIL_PASSWORD,
            SMTP_FROM="Switchyard <switchyard@example.org>",
            SWITCHYARD_PUBLIC_URL="https://switchyard.example.org",
        ) as world:
            yield world


class Mailing:
    """The application, and what it mails."""

    def __init__(self, world: World, server: Running) -> None:
        self.world, self.received = world, server.received

    async def sent(self) -> list[tuple[str, str]]:
        """To whom, and the link of each letter so far."""
        while waiting := self.world.parts.outbox._waiting:
            await asyncio.wait(waiting)
        letters, self.received.letters[:] = list(self.received.letters), []
        return [(letter["To"], re.findall(r"^https://\S+$", letter.get_content(), re.MULTILINE)[0]) for letter in letters]

    async def token(self, path: str, email: str) -> str:
        """Of the link that comes for a request."""
        assert told(await self.world.anonymous().post(path, json={"email": email})) == ACCEPTED
        ((to, link),) = await self.sent()
        assert to == email
        return link.partition("?token=")[2]


@pytest_asyncio.fixture(loop_scope="session")
async def mailing(application: World, mails: tuple[Running, Path]) -> AsyncIterator[Mailing]:
    mailing = Mailing(application, mails[0])
    yield mailing
    await mailing.sent()
    await application.clear()


@pytest_asyncio.fixture(loop_scope="session")
async def eve(mailing: Mailing) -> Api:
    return await mailing.world.person("eve@example.org")


class TestForgotPassword:
    async def test_the_link_leads_to_a_new_password(self, mailing: Mailing, eve: Api):
        anonymous = mailing.world.anonymous()
        assert told(await anonymous.post(FORGOT, json={"email": "EVE@example.org"})) == ACCEPTED

        ((to, link),) = await mailing.sent()
        page, _, token = link.partition("?token=")
        assert (to, page) == ("eve@example.org", "https://switchyard.example.org/reset-password")
        assert told(await anonymous.post(RESET, json={"token": token, "password": "battery staple"})) == (200, None)
        await signed_in(anonymous, "eve@example.org", "battery staple")
        old = await anonymous.post("/auth/jwt/login", data={"username": "eve@example.org", "password": PASSWORD})
        assert told(old) == refused(400, "LOGIN_BAD_CREDENTIALS")
        assert told(await eve.get("/users/me")) == refused(401, "Unauthorized"), "the older session has ended"
        assert told(await anonymous.post(RESET, json={"token": token, "password": "once more!"})) == BAD_RESET

    async def test_a_token_is_good_for_an_hour(self, mailing: Mailing, eve: Api):
        token = await mailing.token(FORGOT, "eve@example.org")
        mailing.world.clock.advance(minutes=60)

        reply = await mailing.world.anonymous().post(RESET, json={"token": token, "password": "battery staple"})

        assert told(reply) == BAD_RESET

    async def test_a_changed_password_ends_it(self, mailing: Mailing, eve: Api):
        token = await mailing.token(FORGOT, "eve@example.org")
        await eve.patch("/users/me", json={"password": "chosen meanwhile"})

        reply = await mailing.world.anonymous().post(RESET, json={"token": token, "password": "battery staple"})

        assert told(reply) == BAD_RESET

    async def test_deletion_and_deactivation_end_it(self, mailing: Mailing, eve: Api):
        ada = await mailing.world.person("ada@example.org", "admin")
        token = await mailing.token(FORGOT, "eve@example.org")
        body = {"token": token, "password": "battery staple"}

        await ada.patch(f"/users/{eve.id}", json={"is_active": False})
        assert told(await mailing.world.anonymous().post(RESET, json=body)) == BAD_RESET
        await ada.patch(f"/users/{eve.id}", json={"is_active": True})
        await ada.delete(f"/api/admin/users/{eve.id}")
        assert told(await mailing.world.anonymous().post(RESET, json=body)) == BAD_RESET
        await ada.delete(f"/users/{eve.id}")
        assert told(await mailing.world.anonymous().post(RESET, json=body)) == BAD_RESET

    async def test_a_short_password(self, mailing: Mailing, eve: Api):
        token = await mailing.token(FORGOT, "eve@example.org")

        reply = await mailing.world.anonymous().post(RESET, json={"token": token, "password": "short"})

        detail = {"code": "RESET_PASSWORD_INVALID_PASSWORD", "reason": "Password should be at least 8 characters"}
        assert told(reply) == refused(400, detail)

    async def test_other_tokens_do_not_count(self, mailing: Mailing, eve: Api):
        session = eve.headers["Authorization"].partition(" ")[2]
        verify = await mailing.token(REQUEST, "eve@example.org")
        for token in ("", "x", "a.b.c", session, verify):
            reply = await mailing.world.anonymous().post(RESET, json={"token": token, "password": "battery staple"})
            assert told(reply) == BAD_RESET

    async def test_nobody_else_gets_a_mail(self, mailing: Mailing):
        await mailing.world.person("gone@example.org", deleted_at=START)
        await mailing.world.person("off@example.org", is_active=False)

        for name in ("gone", "off", "nobody"):
            for path in (FORGOT, REQUEST):
                assert told(await mailing.world.anonymous().post(path, json={"email": f"{name}@example.org"})) == ACCEPTED

        assert await mailing.sent() == []

    async def test_a_mailbox_is_not_flooded(self, mailing: Mailing, eve: Api):
        for _ in range(5):
            assert told(await mailing.world.anonymous().post(FORGOT, json={"email": "eve@example.org"})) == ACCEPTED

        assert len(await mailing.sent()) == 3


class TestVerification:
    async def test_the_link_verifies_the_address(self, mailing: Mailing, eve: Api):
        anonymous = mailing.world.anonymous()
        assert told(await anonymous.post(REQUEST, json={"email": "eve@example.org"})) == ACCEPTED

        ((_, link),) = await mailing.sent()
        page, _, token = link.partition("?token=")
        assert page == "https://switchyard.example.org/verify-email"
        verified = {"id": str(eve.id), **shape("eve@example.org", is_verified=True)}
        assert told(await anonymous.post(VERIFY, json={"token": token})) == (200, verified)
        assert told(await eve.get("/users/me")) == (200, verified)
        assert told(await anonymous.post(VERIFY, json={"token": token})) == refused(400, "VERIFY_USER_ALREADY_VERIFIED")
        assert told(await anonymous.post(REQUEST, json={"email": "eve@example.org"})) == ACCEPTED
        assert await mailing.sent() == []

    async def test_whoever_asks_sees_whose_address_it_was(self, mailing: Mailing, eve: Api):
        """A session of somebody else does not keep it from them, and an admin's stays an admin's."""
        for role in ("user", "admin"):
            other = await mailing.world.person(f"{role}@example.org", role)
            token = await mailing.token(REQUEST, "eve@example.org")
            verified = {"id": str(eve.id), **shape("eve@example.org", is_verified=True)}
            assert told(await other.post(VERIFY, json={"token": token})) == (200, verified)
            assert (await other.get("/users/me")).json()["email"] == f"{role}@example.org"
            root = await mailing.world.person(f"root-{role}@example.org", "admin", is_superuser=True)
            await root.patch(f"/users/{eve.id}", json={"is_verified": False})

    async def test_a_new_address_ends_the_token(self, mailing: Mailing, eve: Api):
        token = await mailing.token(REQUEST, "eve@example.org")
        await eve.patch("/users/me", json={"email": "eva@example.org"})

        assert told(await mailing.world.anonymous().post(VERIFY, json={"token": token})) == BAD_VERIFY

    async def test_a_token_is_good_for_an_hour(self, mailing: Mailing, eve: Api):
        token = await mailing.token(REQUEST, "eve@example.org")
        mailing.world.clock.advance(minutes=60)

        assert told(await mailing.world.anonymous().post(VERIFY, json={"token": token})) == BAD_VERIFY

    async def test_other_tokens_do_not_count(self, mailing: Mailing, eve: Api):
        for token in ("", "x", await mailing.token(FORGOT, "eve@example.org")):
            assert told(await mailing.world.anonymous().post(VERIFY, json={"token": token})) == BAD_VERIFY

    async def test_the_token_is_for_nothing_else(self, mailing: Mailing, eve: Api):
        """In one operation, what follows is not done as the person whose mail it was."""
        token = await mailing.token(REQUEST, "eve@example.org")
        bob = await mailing.world.person("bob@example.org")
        query = """mutation ($token: String!) {
            verifyEmail(input: {token: $token}) { user { email isVerified } }
            updateMe(input: {password: "battery staple"}) { user { email } }
        }"""

        answer = (await bob.post("/graphql", json={"query": query, "variables": {"token": token}})).json()

        assert answer["data"] == {"verifyEmail": {"user": {"email": "eve@example.org", "isVerified": True}}, "updateMe": None}
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        await signed_in(mailing.world.anonymous(), "eve@example.org", PASSWORD)


async def test_no_token_is_stored_or_logged(mailing: Mailing, eve: Api, caplog: pytest.LogCaptureFixture):
    token = await mailing.token(FORGOT, "eve@example.org")

    assert token.encode() not in await mailing.world.stored_bytes()
    assert not [record for record in caplog.records if record.name != "mail.log" and token in record.getMessage()]


async def test_graphql_has_the_same(mailing: Mailing, eve: Api):
    anonymous = mailing.world.anonymous()

    async def ask(query: str, **variables: str) -> Any:
        answer = (await anonymous.post("/graphql", json={"query": query, "variables": variables})).json()
        assert "errors" not in answer, answer
        return answer["data"]

    asked = 'mutation { requestPasswordReset(input: {email: "eve@example.org"}) { email } }'
    assert await ask(asked) == {"requestPasswordReset": {"email": "eve@example.org"}}
    ((_, link),) = await mailing.sent()
    reset = 'mutation ($t: String!) { resetPassword(input: {token: $t, password: "battery staple"}) { userId } }'
    assert await ask(reset, t=link.partition("?token=")[2]) == {"resetPassword": {"userId": str(eve.id)}}
    asked = 'mutation { requestVerification(input: {email: "eve@example.org"}) { email } }'
    assert await ask(asked) == {"requestVerification": {"email": "eve@example.org"}}
    ((_, link),) = await mailing.sent()
    verify = "mutation ($t: String!) { verifyEmail(input: {token: $t}) { user { localId isVerified } } }"
    assert await ask(verify, t=link.partition("?token=")[2]) == {
        "verifyEmail": {"user": {"localId": str(eve.id), "isVerified": True}}
    }


class TestWithoutMailServer:
    """Off by default, and then silent: the application of all other tests."""

    @pytest.mark.parametrize("path", [FORGOT, REQUEST])
    async def test_it_is_accepted(self, anonymous: Api, user: Api, path: str):
        for email in ("bob@example.org", "nobody@example.org"):
            assert told(await anonymous.post(path, json={"email": email})) == ACCEPTED

    @pytest.mark.parametrize("path", [FORGOT, REQUEST])
    @pytest.mark.parametrize("email", ["", "eve", "eve@", 7, None, "x" * 400 + "@example.org"], ids=lambda each: str(each)[:9])
    async def test_a_bad_address(self, anonymous: Api, path: str, email: object):
        assert places(await anonymous.post(path, json={"email": email})) == [["body", "email"]]

    @pytest.mark.parametrize("path", [FORGOT, REQUEST])
    async def test_no_address(self, anonymous: Api, path: str):
        assert told(await anonymous.post(path, json={})) == refused(
            422, [fault("missing", ["body", "email"], "Field required", {})]
        )

    async def test_a_bad_token(self, anonymous: Api):
        assert told(await anonymous.post(RESET, json={"token": "x", "password": "battery staple"})) == BAD_RESET
        assert told(await anonymous.post(VERIFY, json={"token": "x"})) == BAD_VERIFY

    async def test_missing_members(self, anonymous: Api):
        password = {"password": "**********"}
        reply = await anonymous.post(RESET, json={"password": "battery staple"})
        assert told(reply) == refused(422, [fault("missing", ["body", "token"], "Field required", password)])
        assert places(await anonymous.post(RESET, json={"token": "x"})) == [["body", "password"]]
        assert places(await anonymous.post(VERIFY, json={})) == [["body", "token"]]
        assert places(await anonymous.post(VERIFY, json={"token": "x" * 5000})) == [["body", "token"]]
        assert "xxx" not in (await anonymous.post(VERIFY, json={"token": "x" * 5000})).text
