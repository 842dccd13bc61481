"""The protocol graphql-transport-ws over real sockets: what is said, what is refused, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from engine.relations import ManyRelation
from tests.app.subscriptions.support import A_WHILE, CHANGES, PROGRESS, Live, comes_true, socket, soon

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

ME = "{ me { email } }"


# --- what is said ------------------------------------------------------------------------------------------------------


async def test_ping_and_pong(live: Live):
    async with socket(live.address, "") as client:
        await client.send(type="pong")
        await client.send(type="ping", payload={"any": "thing"})
        assert await client.receive() == {"type": "pong"}


async def test_a_query(live: Live):
    async with socket(live.address, live.user) as client:
        await client.subscribe(ME)
        assert await client.receive() == {"id": "1", "type": "next", "payload": {"data": {"me": {"email": "bob@example.org"}}}}
        assert await client.receive() == {"id": "1", "type": "complete"}


async def test_a_mutation(live: Live):
    mutation = 'mutation { updateMe(input: { email: "bob@example.org" }) { user { email } } }'
    async with socket(live.address, live.user) as client:
        await client.subscribe(mutation)
        assert await client.next("updateMe") == {"user": {"email": "bob@example.org"}}


async def test_an_id_can_be_used_again(live: Live):
    async with socket(live.address, live.user) as client:
        for _ in range(3):
            await client.send(id="same", type="subscribe", payload={"query": ME})
            assert [(await client.receive())["type"] for _ in range(2)] == ["next", "complete"]


async def test_a_trusted_document_by_its_id(serving, tmp_path):
    (tmp_path / "me.json").write_text(json.dumps({"me": ME}))
    settings = {"SWITCHYARD_DOCUMENTS": "trusted", "SWITCHYARD_TRUSTED_DOCUMENTS": str(tmp_path / "me.json")}
    async with serving(**settings) as live, socket(live.address, live.user) as client:
        await client.send(id="1", type="subscribe", payload={"documentId": "me"})
        assert await client.next("me") == {"email": "bob@example.org"}
        await client.receive()
        await client.send(id="2", type="subscribe", payload={"query": "{ me { id } }"})
        (error,) = (await client.receive())["payload"]
        assert error["extensions"] == {"code": "DOCUMENT_NOT_TRUSTED"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ nothing }", "INVALID_REQUEST"),
        ("{", "INVALID_REQUEST"),
        ("query ($of: UUID!) { instrument(localId: $of) { id } }", "INVALID_REQUEST"),
        ("subscription { changes(id: 1) { cursor } runLog(localId: 1) { lines { line } } }", "INVALID_REQUEST"),
    ],
)
async def test_what_cannot_be_executed_is_an_error(live: Live, query: str, code: str):
    async with socket(live.address, live.admin) as client:
        await client.subscribe(query)
        message = await client.receive()
        assert (message["type"], message["payload"][0]["extensions"]) == ("error", {"code": code})
        await client.send(type="ping")
        assert await client.receive() == {"type": "pong"}


async def test_what_fails_while_it_is_executed_is_a_result(live: Live):
    async with socket(live.address, live.user) as client:
        await client.subscribe(PROGRESS, run="00000000-0000-0000-0000-000000000000")
        message = await client.receive()
        (error,) = message["payload"]["errors"]
        assert (message["type"], message["payload"]["data"], error["path"]) == ("next", None, ["runProgress"])
        assert error["extensions"] == {"code": "FORBIDDEN"}
        assert await client.receive() == {"id": "1", "type": "complete"}


async def test_a_row_stream(live: Live):
    for name in ("a", "b"):
        await live.instrument(name)
    async with socket(live.address, live.admin) as client:
        await client.subscribe("subscription { allInstruments { name } }")
        assert {"a", "b"} <= {row["name"] for row in await client.next("allInstruments")}
        assert await client.receive() == {"id": "1", "type": "complete"}


async def test_a_message_of_any_length(live: Live):
    """Its length is written in one, two or eight bytes."""
    async with socket(live.address, "") as client:
        for length in (10, 100, 1000, 30_000, 70_000):
            alias = "a" * length
            await client.subscribe(f"{{ {alias}: __typename }}")
            assert await client.next(alias) == "Query"
            assert (await client.receive())["type"] == "complete"


# --- what is refused ---------------------------------------------------------------------------------------------------

INIT: dict[str, Any] = {"type": "connection_init"}
ASK: dict[str, Any] = {"id": "1", "type": "subscribe", "payload": {"query": ME}}
FOLLOW = {"id": "1", "type": "subscribe", "payload": {"query": CHANGES, "variables": {"id": "x"}}}
INVALID = "Invalid message received"


@pytest.mark.parametrize(
    ("messages", "code", "reason"),
    [
        ([ASK], 4401, "Unauthorized"),
        ([INIT, INIT], 4429, "Too many initialisation requests"),
        (["{"], 4400, INVALID),
        (["[]"], 4400, INVALID),
        (["[" * 100_000], 4400, INVALID),
        ([b"{}"], 4400, INVALID),
        ([{"type": "start"}], 4400, INVALID),
        ([{"type": 1}], 4400, INVALID),
        ([{}], 4400, INVALID),
        ([{"type": "connection_init", "payload": []}], 4400, f"{INVALID}: payload has to be an object"),
        ([INIT, ASK | {"id": ""}], 4400, f"{INVALID}: id has to be a text"),
        ([INIT, ASK | {"id": 1}], 4400, f"{INVALID}: id has to be a text"),
        ([INIT, ASK | {"id": "x" * 257}], 4400, f"{INVALID}: id has to be a text"),
        ([INIT, {"type": "complete"}], 4400, f"{INVALID}: id has to be a text"),
        ([INIT, ASK | {"payload": None}], 4400, f"{INVALID}: payload has to be an object"),
        ([INIT, ASK | {"payload": {"query": 1}}], 4400, f"{INVALID}: query has to be a GraphQL document"),
        ([INIT, ASK | {"payload": {"query": ME, "variables": []}}], 4400, f"{INVALID}: variables has to be an object"),
        ([{"type": "connection_init", "payload": {"authorization": "Bearer x"}}], 4403, "Forbidden: the token is not valid"),
    ],
)
async def test_violations(live: Live, messages: list[Any], code: int, reason: str):
    async with socket(live.address) as client:
        for message in messages:
            await client.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))
        found = await client.closed()
        assert (found[0], found[1][: len(reason)]) == (code, reason)
    await live.nothing_is_open()


async def test_an_id_that_is_in_use(live: Live):
    _, node = await live.instrument()
    async with socket(live.address, live.admin) as client:
        await client.subscribe(CHANGES, id=node)
        await client.next("changes")
        await client.send(**ASK)
        assert await client.closed() == (4409, "Subscriber for 1 already exists")
    await live.nothing_is_open()


async def test_who_says_nothing(live: Live, monkeypatch):
    monkeypatch.setattr("app.subscriptions.websocket.INITIALISATION", 0.1)
    async with socket(live.address) as client:
        assert await client.closed() == (4408, "Connection initialisation timeout")


@pytest.mark.parametrize("spoken", [None, ["graphql-ws"]])
async def test_another_protocol(live: Live, spoken: list[str] | None):
    async with socket(live.address, subprotocols=spoken) as client:
        assert await client.closed() == (4406, "Subprotocol not acceptable")


async def test_a_message_that_is_too_large(serving):
    async with serving(SWITCHYARD_SOCKET_MESSAGE=1000) as live, socket(live.address, "") as client:
        await client.send(type="ping", payload={"x": "y" * 1000})
        assert (await client.closed())[0] == 1009


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [
        (None, True),
        ("{address}", True),
        ("https://lab.example.org", True),
        ("https://evil.example.org", False),
        ("https://lab.example.org.evil.org", False),
        ("null", False),
        ("", False),
    ],
)
async def test_pages_of_other_origins(serving, origin: str | None, welcome: bool):
    """A browser would send the cookie along."""
    async with serving(SWITCHYARD_CORS_ORIGINS="https://lab.example.org") as live:
        headers = {} if origin is None else {"origin": origin.format(address=live.address)}
        if welcome:
            async with socket(live.address, "", additional_headers=headers):
                return
        with pytest.raises(InvalidStatus) as refusal:
            async with socket(live.address, "", additional_headers=headers):
                pass
        assert refusal.value.response.status_code == 403


async def test_the_cookie_of_a_page(live: Live):
    headers = {"cookie": f"streamweave_auth={live.user}", "origin": live.address}
    async with socket(live.address, "", additional_headers=headers) as client:
        await client.subscribe(ME)
        assert await client.next("me") == {"email": "bob@example.org"}


async def test_the_header_of_a_program(live: Live):
    async with socket(live.address, "", additional_headers={"authorization": f"Bearer {live.user}"}) as client:
        await client.subscribe(ME)
        assert await client.next("me") == {"email": "bob@example.org"}


async def test_other_paths_are_no_sockets(live: Live):
    with pytest.raises(InvalidStatus) as refusal:
        async with socket(live.address.replace("http", "ws", 1) + "/api/instruments/x?", ""):
            pass
    assert refusal.value.response.status_code == 403


async def test_a_head_that_is_none_for_a_socket(live: Live):
    with pytest.raises(InvalidStatus) as refusal:
        async with socket(live.address, "", additional_headers={"x": "y" * 9000}):
            pass
    assert refusal.value.response.status_code == 400


# --- bounds ------------------------------------------------------------------------------------------------------------


async def test_operations_of_one_socket(serving):
    async with serving(SWITCHYARD_SOCKET_OPERATIONS=2) as live, socket(live.address, live.admin) as client:
        _, node = await live.instrument()
        for _ in range(2):
            await client.subscribe(CHANGES, id=node)
            await client.next("changes")
        await client.subscribe(ME)
        refused = {"message": "more than 2 operations on one socket", "extensions": {"code": "RATE_LIMITED"}}
        assert await client.receive() == {"id": "3", "type": "error", "payload": [refused]}
        await client.send(id="1", type="complete")
        await client.subscribe(ME)
        assert await client.next("me") == {"email": "ada@example.org"}


async def test_operations_of_all_sockets(serving):
    async with serving(SWITCHYARD_SUBSCRIPTIONS=1) as live, socket(live.address, live.admin) as client:
        _, node = await live.instrument()
        await client.subscribe(CHANGES, id=node)
        await client.next("changes")
        async with socket(live.address, live.user) as other:
            await other.subscribe(ME)
            message = await other.receive()
            assert (message["type"], message["payload"][0]["extensions"]) == ("error", {"code": "RATE_LIMITED"})


async def test_sockets(serving):
    async with serving(SWITCHYARD_SOCKETS=1) as live:
        async with socket(live.address, ""):
            with pytest.raises(InvalidStatus) as refusal:
                async with socket(live.address, ""):
                    pass
            assert refusal.value.response.status_code == 503
        await asyncio.sleep(0.1)  # until the server has seen that it was closed
        async with socket(live.address, ""):
            pass


async def test_requests_of_a_socket_are_counted(serving):
    async with serving(SWITCHYARD_RATE=2) as live, socket(live.address, live.user) as client:
        await client.subscribe(ME)
        assert await client.next("me")
        await client.receive()
        await client.subscribe(ME)
        message = await client.receive()
        assert (message["type"], message["payload"][0]["extensions"]) == ("error", {"code": "RATE_LIMITED"})


# --- nothing stays behind ----------------------------------------------------------------------------------------------


async def test_a_client_that_completes(live: Live):
    _, node = await live.instrument()
    async with socket(live.address, live.admin) as client:
        await client.subscribe(CHANGES, id=node)
        await client.next("changes")
        assert live.counted("switchyard_operations_open") == 1
        await client.send(id="1", type="complete")
        await comes_true(lambda: live.counted("switchyard_operations_open") == 0)
    await live.nothing_is_open()


async def test_a_client_that_vanishes(live: Live):
    _, node = await live.instrument()
    async with socket(live.address, live.admin) as client:
        for _ in range(5):
            await client.subscribe(CHANGES, id=node)
            await client.next("changes")
        client.connection.transport.abort()
        await live.nothing_is_open()


async def test_a_client_that_takes_nothing(live: Live, monkeypatch):
    """Of a long list the server reads what the client has room for; others are told meanwhile."""
    read = 0
    rows = [await live.instrument("x" * 200) for _ in range(50)]

    async def endless(self: ManyRelation, ctx: Any, arguments: Any) -> Any:
        nonlocal read
        found = await batches(self, ctx, arguments).__anext__()
        while True:
            read += 1
            yield found * 100

    batches = ManyRelation.batches
    monkeypatch.setattr(ManyRelation, "batches", endless)
    raw = sockets.create_connection(tuple(live.address.removeprefix("http://").split(":")))
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 65536)
    async with socket(live.address, live.admin, sock=raw) as slow, socket(live.address, live.admin) as quick:
        await quick.subscribe(CHANGES, id=rows[0][1])
        await quick.next("changes")
        slow.connection.transport.pause_reading()
        await slow.subscribe("subscription { allInstruments { name description } }")
        await asyncio.sleep(A_WHILE)
        assert 0 < read < 10
        before = read
        await live.rename(rows[0][0], "new")
        assert (await quick.next("changes"))["node"]["name"] == "new"
        assert read == before
        slow.connection.transport.resume_reading()
        await soon(slow.next("allInstruments"))
    await live.nothing_is_open()
