"""A change under an `Idempotency-Key` is made once, and answered alike as long as the key is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from app import idempotency
from app.idempotency import Idempotency
from core.vocabulary import KeyState
from jobs.retention import forget_keys
from storage.sql.tables import idempotency_keys, instruments, personal_tokens
from tests.contract.support import Api, World, bearer, fault, running
from tests.docs.support import ADMIN, demo_server
from tests.postgres import BOTH, cloned

pytestmark = pytest.mark.slow  # an application of its own for each

NEW = {"name": "NMR", "cifs_host": "nas", "cifs_share": "share"}
CREATE = """mutation Create($name: String!) {
  createInstrument(input: { name: $name, cifsHost: "nas", cifsShare: "share" }) { instrument { localId name } }
}"""
KEY = {"Idempotency-Key": "a"}
UNDER_WAY = "A request with this Idempotency-Key is under way: ask again in a moment"
NOT_KEPT = "The change under this Idempotency-Key was made, and its reply was not kept: look at what is stored"
OTHER_REQUEST = "This Idempotency-Key was used for another request: a new request needs a new key"


@pytest.fixture(params=BOTH)
def database(request) -> Iterator[dict[str, str]]:
    if request.param == "sqlite":
        yield {}
        return
    with cloned() as url:
        yield {"SWITCHYARD_DATABASE_URL": url}


@pytest_asyncio.fixture(loop_scope="session")
async def world(database, tmp_path) -> AsyncIterator[World]:
    async with running(tmp_path, **database) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def admin(world) -> Api:
    return await world.person("ada@example.org", "admin")


async def create(api: Api, key: str = "a", **body) -> httpx.Response:
    return await api.post("/api/instruments", json=NEW | body, headers={"Idempotency-Key": key})


async def ask(api: Api, name: str = "NMR", key: str = "a") -> httpx.Response:
    return await api.post("/graphql", json={"query": CREATE, "variables": {"name": name}}, headers={"Idempotency-Key": key})


def signed_in_again(world, api: Api) -> Api:
    """A token lasts an hour."""
    return replace(api, headers=bearer(world.parts.services.tokens.issue(api.id, 1)))


async def names(world) -> list[str]:
    return sorted(row["name"] for row in await world.rows(instruments))


@pytest.mark.parametrize("make", [create, ask])
async def test_the_second_reply_is_the_first(world, admin, make):
    first, second = await make(admin), await make(admin)
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert first.status_code in {200, 201}
    assert second.headers["content-type"] == first.headers["content-type"]
    assert second.headers["cache-control"] == first.headers["cache-control"] == "no-store"
    assert ("idempotent-replayed" in first.headers, second.headers["idempotent-replayed"]) == (False, "true")
    assert await names(world) == ["NMR"]


async def test_a_reply_without_a_body(world, admin):
    row = await admin.made("/api/instruments", **NEW)
    first, second = [await admin.delete(f"/api/instruments/{row['id']}", headers=KEY) for _ in range(2)]
    assert (first.status_code, second.status_code, second.content) == (204, 204, b"")


async def test_another_key_is_another_change(world, admin):
    await create(admin), await create(admin, "b")
    await ask(admin), await ask(admin, key="b")
    assert await names(world) == ["NMR"] * 4


async def test_a_key_belongs_to_one_person(world, admin):
    await create(admin)
    assert (await create(await world.person("eve@example.org", "admin"))).headers.get("idempotent-replayed") is None
    assert await names(world) == ["NMR"] * 2


async def test_without_a_person_there_is_no_key(world):
    for email, status in (("a@example.org", 201), ("b@example.org", 201), ("a@example.org", 400)):
        body = {"email": email, "password": "correct horse"}
        assert (await world.anonymous().post("/auth/register", json=body, headers=KEY)).status_code == status
    assert await world.rows(idempotency_keys) == []


async def test_another_request_under_the_key(world, admin):
    await create(admin)
    reply = await create(admin, name="other")
    assert (reply.status_code, reply.json()) == (
        422,
        {"detail": [fault("value_error", ["header", "idempotency-key"], OTHER_REQUEST, "a")]},
    )
    await ask(admin)
    reply = await ask(admin, "other")
    error = {"message": OTHER_REQUEST, "extensions": {"code": "INVALID_INPUT"}}
    assert (reply.status_code, reply.json()) == (422, {"errors": [error]})
    assert await names(world) == ["NMR"] * 2


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é"])
async def test_no_key(world, admin, key):
    reply = await admin.post("/api/instruments", json=NEW, headers={"Idempotency-Key": key.encode()})
    message = "An Idempotency-Key is one text of 1 to 255 visible ASCII characters"
    assert (reply.status_code, reply.json()["detail"][0]["msg"]) == (422, message)
    reply = await admin.post(
        "/graphql", json={"query": "mutation { logout(input: {}) { userId } }"}, headers={"Idempotency-Key": key.encode()}
    )
    assert (reply.status_code, reply.json()["errors"][0]["message"]) == (422, message)
    assert await names(world) == []


async def test_a_refusal_gives_the_key_back(world, admin):
    body = {"service_account_id": str(uuid4())}
    assert (await create(admin, **body)).status_code == 422
    assert await world.rows(idempotency_keys) == []
    assert (await create(admin)).status_code == 201


async def test_queries_have_no_key(world, admin):
    reply = await admin.post("/graphql", json={"query": "{ me { email } }"}, headers=KEY)
    assert reply.json() == {"data": {"me": {"email": "ada@example.org"}}}
    assert await world.rows(idempotency_keys) == []


async def test_a_batch_has_no_key(tmp_path):
    async with running(tmp_path, SWITCHYARD_BATCH=2) as world:
        admin = await world.person("ada@example.org", "admin")
        reply = await admin.post("/graphql", json=[{"query": CREATE, "variables": {"name": "x"}}], headers=KEY)
        message = "an Idempotency-Key stands for one operation, not for a batch"
        assert (reply.status_code, reply.json()["errors"][0]["message"]) == (400, message)


async def test_who_may_no_longer_do_it_gets_no_old_reply(world, admin):
    await create(admin)
    user = await world.person("bob@example.org")
    admin.headers = user.headers
    assert (await create(admin)).status_code == 403


@pytest.mark.parametrize("make", [create, ask])
async def test_of_many_at_once_one_makes_the_change(world, admin, make):
    replies = await asyncio.gather(*(make(admin) for _ in range(12)))
    assert await names(world) == ["NMR"]
    made = [reply for reply in replies if reply.status_code in {200, 201}]
    busy = [reply for reply in replies if reply.status_code == 409]
    assert len(made) + len(busy) == 12
    assert len({reply.content for reply in made}) == 1
    assert sum("idempotent-replayed" not in reply.headers for reply in made) == 1
    assert all(reply.headers["retry-after"] == "1" and UNDER_WAY in reply.text for reply in busy)


async def test_a_process_that_died_after_the_change(world, admin, monkeypatch):
    with monkeypatch.context() as dying:
        dying.setattr(Idempotency, "_settle", lambda *_: asyncio.sleep(0))
        await create(admin)
    assert [row["state"] for row in await world.rows(idempotency_keys)] == [KeyState.CHANGED]
    assert (await create(admin)).json() == {"detail": UNDER_WAY}
    world.clock.advance(seconds=61)
    reply = await create(admin)
    assert (reply.status_code, reply.json()) == (409, {"detail": NOT_KEPT})
    assert await names(world) == ["NMR"]


async def test_a_process_that_died_before_the_change(world, admin, monkeypatch):
    async def die(*_) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as dying:
        dying.setattr("rest_compat.calls.Call.answer", die)
        with pytest.raises(asyncio.CancelledError):
            await create(admin)
    assert (await create(admin)).json() == {"detail": UNDER_WAY}
    world.clock.advance(seconds=61)
    assert (await create(admin)).status_code == 201
    assert await names(world) == ["NMR"]


async def test_who_was_too_slow_changes_nothing(world, admin, monkeypatch):
    """It lost its key, and its change would be the second."""
    taken = asyncio.Event()

    original = Idempotency._take

    async def take(self, ctx, hold):
        kept = await original(self, ctx, hold)
        if not taken.is_set():
            taken.set()
            world.clock.advance(seconds=61)
            assert (await create(admin)).status_code == 201
        return kept

    monkeypatch.setattr(Idempotency, "_take", take)
    reply = await create(admin)
    assert (reply.status_code, reply.json()) == (409, {"detail": "Another request has taken this Idempotency-Key over"})
    assert await names(world) == ["NMR"]
    assert (await create(admin)).status_code == 201


async def test_a_secret_is_never_stored(world, admin):
    body = {
        "query": """mutation { createPersonalToken(input: { name: "a", scopes: [INSTRUMENTS_READ], expiresAt: "2027-01-01T00:00:00Z" }) {
          token } }"""
    }
    first, second = [await admin.post("/graphql", json=body, headers=KEY) for _ in range(2)]
    token = first.json()["data"]["createPersonalToken"]["token"]
    assert first.headers["cache-control"] == "no-store, no-transform"
    assert (second.status_code, second.json()["errors"][0]["message"]) == (409, NOT_KEPT)
    assert len(await world.rows(personal_tokens)) == 1
    assert token not in repr(await world.rows(idempotency_keys))


async def test_a_large_reply_is_not_kept(world, admin, monkeypatch):
    monkeypatch.setattr(idempotency, "LARGEST", 10)
    assert (await create(admin)).status_code == 201
    assert (await create(admin)).json() == {"detail": NOT_KEPT}
    assert await names(world) == ["NMR"]


async def test_a_reply_that_cannot_be_kept_is_sent_all_the_same(world, admin, monkeypatch, caplog):
    async def fail(*_) -> int:
        raise OSError("the disk is full")

    monkeypatch.setattr(Idempotency, "_write", fail)
    assert (await create(admin)).status_code == 201
    assert "could not be kept" in caplog.text


async def test_a_key_is_kept_for_a_day(world, admin):
    await create(admin)
    world.clock.advance(hours=23, minutes=59)
    admin = signed_in_again(world, admin)
    assert "idempotent-replayed" in (await create(admin)).headers
    assert await forget_keys(world.parts.database, world.clock()) == 0
    world.clock.advance(minutes=1)
    assert "idempotent-replayed" not in (await create(admin)).headers
    assert await names(world) == ["NMR"] * 2


async def test_old_keys_are_removed(world, admin):
    for key in ("a", "b"):
        await create(admin, key)
    world.clock.advance(hours=24)
    assert await forget_keys(world.parts.database, world.clock()) == 2
    assert await world.rows(idempotency_keys) == []


@pytest.mark.slow
def test_over_http(tmp_path):
    with demo_server(tmp_path) as address, httpx.Client(base_url=address) as http:
        token = http.post("/auth/jwt/login", data=ADMIN).json()["access_token"]
        http.headers["authorization"] = f"Bearer {token}"
        schedule = http.get("/api/schedules").json()["items"][0]["id"]

        async def trigger() -> list[httpx.Response]:
            async with httpx.AsyncClient(base_url=address, headers=dict(http.headers)) as client:
                calls = (client.post(f"/api/schedules/{schedule}/trigger", headers=KEY) for _ in range(20))
                return list(await asyncio.gather(*calls))

        replies = asyncio.run(trigger())
        assert {reply.status_code for reply in replies} <= {200, 202, 409}
        again = http.post(f"/api/schedules/{schedule}/trigger", headers=KEY)
        assert {reply.content for reply in replies if reply.status_code != 409} == {again.content}
        assert again.headers["idempotent-replayed"] == "true"
