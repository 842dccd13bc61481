"""GraphQL over server-sent events, each operation on a connection of its own, over real sockets."""

from __future__ import annotations

import httpx
import pytest

from tests.app.subscriptions.support import CHANGES, PROGRESS, Live, comes_true, events

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

ME = "{ me { email } }"
STREAM = {"accept": "text/event-stream"}


async def whole(live: Live, method: str = "POST", **request) -> httpx.Response:
    async with httpx.AsyncClient(base_url=live.address) as client:
        headers = STREAM | request.pop("headers", {})
        return await client.request(method, "/graphql", headers=headers, **request)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_a_query(live: Live):
    reply = await whole(live, json={"query": ME}, headers=bearer(live.user))
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert reply.headers["cache-control"] == "no-store, no-transform"
    assert reply.text == 'event: next\ndata: {"data":{"me":{"email":"bob@example.org"}}}\n\nevent: complete\ndata: \n\n'


async def test_progress_until_the_end(live: Live):
    run = await live.run()
    async with events(live.address, live.admin, PROGRESS, run=run.id) as stream:
        told = [await stream.receive()]
        await run.progress(found=1)
        told.append(await stream.receive())
        await run.finish()
        told += [await stream.receive() for _ in range(2)]
    states = [(name, data and data["data"]["runProgress"]["run"]["state"]) for name, data in told]
    assert states == [("next", "RUNNING"), ("next", "RUNNING"), ("next", "SUCCEEDED"), ("complete", None)]
    await live.nothing_is_open()


async def test_a_row_stream(live: Live):
    await live.instrument("a")
    async with events(live.address, live.admin, "subscription { allInstruments { name } }") as stream:
        name, data = await stream.receive()
        assert name == "next"
        assert {"name": "a"} in data["data"]["allInstruments"]
        assert await stream.receive() == ("complete", None)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "{"}, "INVALID_REQUEST"),
        ({"query": "{ nothing }"}, "INVALID_REQUEST"),
        ({"query": PROGRESS, "variables": {"run": "nobody"}}, "INVALID_REQUEST"),
        ({"query": PROGRESS, "variables": {"run": "00000000-0000-0000-0000-000000000000"}}, "NOT_FOUND"),
    ],
)
async def test_errors_are_told_in_the_stream(live: Live, body: dict, code: str):
    reply = await whole(live, json=body, headers=bearer(live.admin))
    assert reply.status_code == 200
    first, complete, end = reply.text.split("\n\n")
    assert first.startswith("event: next\ndata: ")
    assert f'"code":"{code}"' in first
    assert (complete, end) == ("event: complete\ndata: ", "")


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        ({"json": [{"query": ME}]}, 400, "batches are not enabled: send one operation per request"),
        ({"json": {"query": 1}}, 400, "query has to be a GraphQL document"),
        ({"data": {"query": ME}}, 415, "send the request as application/json"),
        (
            {"json": {"query": ME}, "headers": {"x-graphql-event-stream-token": "x"}},
            400,
            "streams are not shared here: send each operation as a request of its own",
        ),
        (
            {"json": {"query": ME}, "headers": {"authorization": "Bearer nobody"}},
            401,
            "Forbidden: the token is not valid, or has expired",
        ),
    ],
)
async def test_what_is_no_such_request(live: Live, request_: dict, status: int, message: str):
    reply = await whole(live, **request_)
    assert (reply.status_code, reply.json()["errors"][0]["message"]) == (status, message)
    await live.nothing_is_open()


async def test_get(serving):
    """As for every GET in production: only with a header that no page of another origin can send."""
    async with serving(SWITCHYARD_PROFILE="production") as live:
        cookie = {"cookie": f"streamweave_auth={live.user}"}
        refused = await whole(live, "GET", params={"query": ME}, headers=cookie)
        assert (refused.status_code, refused.headers["content-type"]) == (400, "application/json; charset=utf-8")
        for headers in (cookie | {"graphql-preflight": "1"}, bearer(live.user)):
            assert '"email":"bob@example.org"' in (await whole(live, "GET", params={"query": ME}, headers=headers)).text


async def test_a_mutation_needs_post(live: Live):
    mutation = 'mutation { updateMe(input: { email: "other@example.org" }) { user { email } } }'
    reply = await whole(live, "GET", params={"query": mutation}, headers=bearer(live.user))
    assert reply.text.startswith('event: next\ndata: {"errors":[{"message":"a mutation needs POST"')
    assert "bob@example.org" in (await whole(live, json={"query": ME}, headers=bearer(live.user))).text


async def test_silence_is_broken_by_comments(live: Live, monkeypatch):
    monkeypatch.setattr("app.subscriptions.sse.KEEP_ALIVE", 0.1)
    _, node = await live.instrument()
    async with events(live.address, live.admin, CHANGES, id=node) as stream:
        assert (await stream.receive())[0] == "next"
        assert await stream.receive() == ("", None)


async def test_a_client_that_leaves(live: Live):
    _, node = await live.instrument()
    async with events(live.address, live.admin, CHANGES, id=node) as stream:
        await stream.receive()
        assert live.counted("switchyard_operations_open") == 1
    await live.nothing_is_open()


async def test_a_stream_takes_no_place_of_a_request(serving):
    async with serving(SWITCHYARD_REQUESTS=2) as live:
        _, node = await live.instrument()
        async with (
            events(live.address, live.admin, CHANGES, id=node) as one,
            events(live.address, live.admin, CHANGES, id=node) as two,
            events(live.address, live.admin, CHANGES, id=node) as three,
        ):
            for stream in (one, two, three):
                assert (await stream.receive())[0] == "next"
            assert live.counted("switchyard_requests_under_way") == 0
            assert (await whole(live, json={"query": ME}, headers=bearer(live.user))).status_code == 200


async def test_operations_of_all_streams(serving):
    async with serving(SWITCHYARD_SUBSCRIPTIONS=1) as live:
        _, node = await live.instrument()
        async with events(live.address, live.admin, CHANGES, id=node) as stream:
            await stream.receive()
            reply = await whole(live, json={"query": ME}, headers=bearer(live.user))
            assert '"code":"RATE_LIMITED"' in reply.text


async def test_who_loses_their_rights_hears_nothing_more(live: Live):
    run, who = await live.run(), await live.world.person("leaver@example.org", "admin")
    token = who.headers["Authorization"].removeprefix("Bearer ")
    async with events(live.address, token, PROGRESS, run=run.id) as stream:
        await stream.receive()
        await who.request("POST", "/auth/jwt/logout")
        await run.progress(secret=1)
        name, data = await stream.receive()
        error = {"message": "Unauthorized: the credentials are no longer valid", "extensions": {"code": "UNAUTHENTICATED"}}
        assert (name, data) == ("next", {"errors": [error]})
        assert await stream.receive() == ("complete", None)
    await live.nothing_is_open()


async def test_too_many_requests(serving):
    async with serving(SWITCHYARD_RATE=1) as live:
        assert (await whole(live, json={"query": ME}, headers=bearer(live.user))).status_code == 200
        reply = await whole(live, json={"query": ME}, headers=bearer(live.user))
        assert (reply.status_code, reply.json()["errors"][0]["extensions"]) == (429, {"code": "RATE_LIMITED"})
        assert int(reply.headers["retry-after"]) > 0


async def test_it_is_only_for_who_asks_for_it(live: Live):
    for accept in ("application/json, text/event-stream", "*/*", "text/*"):
        reply = await whole(live, json={"query": ME}, headers=bearer(live.user) | {"accept": accept})
        assert reply.headers["content-type"] != "text/event-stream; charset=utf-8"
    await comes_true(lambda: live.counted("switchyard_operations_open") == 0)
