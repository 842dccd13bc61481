"""One call after the other through the ASGI application: status, headers and the whole body."""

import asyncio
from dataclasses import replace

import pytest

from core.errors import Conflict, Unavailable
from rest_compat.bodies import MEBIBYTE, Bounds
from tests.rest_compat.support import ADMIN, KNOWN, UNKNOWN, USER, World, client, shim

INSTRUMENT = {
    "id": str(KNOWN),
    "name": "Älpha",
    "cifs_host": "nas",
    "service_account_id": None,
    "transfer_adapter": "rclone",
    "transfer_config": None,
    "enabled": True,
    "created_at": "2026-11-21T00:29:27.495180Z",
}
JSON = {"content-type": "application/json"}
TAGGED = {"cache-control": "private, no-cache", "vary": "Authorization, Cookie, Accept"}
UNSTORED = {"cache-control": "no-store"}


def assert_reply(reply, status, body, headers=JSON, caching=None):
    """What is read has a tag, and nothing else may be kept by anybody."""
    read = status == 200 and reply.request.method in {"GET", "HEAD"}
    caching = caching if caching is not None else TAGGED if read else UNSTORED
    assert (reply.status_code, reply.json() if reply.content else None) == (status, body)
    left = {name: value for name, value in reply.headers.items() if name not in {"content-length", "etag"}}
    assert left == headers | caching
    assert ("etag" in reply.headers) is (caching is TAGGED)


async def test_an_envelope(rest):
    reply = await rest.get("/api/instruments?skip=0", headers=ADMIN)
    assert_reply(reply, 200, {"items": [INSTRUMENT], "total": 1, "skip": 0, "limit": 25})
    assert list(reply.json()) == ["items", "total", "skip", "limit"]
    assert "Älpha".encode() in reply.content


async def test_one_record(rest):
    assert_reply(await rest.get(f"/api/instruments/{KNOWN}", headers=ADMIN), 200, INSTRUMENT)


async def test_a_record_that_is_not_there(rest):
    assert_reply(await rest.get(f"/api/instruments/{UNKNOWN}", headers=ADMIN), 404, {"detail": "Instrument not found"})


async def test_create(rest, world):
    new = {"name": "b", "cifs_host": "h", "transfer_adapter": "globus", "id": "ignored", "transfer_config": {"a": [1, None]}}
    reply = await rest.post("/api/instruments", json=new, headers=ADMIN)
    assert_reply(reply, 201, INSTRUMENT | {"name": "b", "cifs_host": "h", "transfer_adapter": "globus"})
    assert world.seen[0].transfer_config == {"a": [1, None]}


async def test_a_patch_holds_what_was_sent_and_nothing_else(rest, world):
    path = f"/api/instruments/{KNOWN}"
    assert_reply(await rest.patch(path, json={}, headers=ADMIN), 200, INSTRUMENT)
    await rest.patch(path, json={"service_account_id": None, "enabled": "no"}, headers=ADMIN)
    await rest.patch(path, json={"service_account_id": str(UNKNOWN)}, headers=ADMIN)
    assert world.seen == [{}, {"service_account_id": None, "enabled": False}, {"service_account_id": UNKNOWN}]


async def test_delete_answers_with_nothing(rest):
    reply = await rest.delete(f"/api/instruments/{KNOWN}", headers=ADMIN)
    assert_reply(reply, 204, None, {})
    assert "content-length" not in reply.headers


async def test_an_acknowledgement_with_a_body(rest):
    reply = await rest.post("/auth/forgot-password", json={"email": "a@b.c"})
    assert (reply.status_code, reply.content) == (202, b"null")


async def test_a_member_of_the_body_for_each_variable(rest):
    path = f"/api/groups/{KNOWN}/members"
    reply = await rest.post(path, json={"user_id": str(UNKNOWN)}, headers=ADMIN)
    assert_reply(reply, 201, {"group_id": str(KNOWN), "user_id": str(UNKNOWN), "note": None})


async def test_a_status_by_type(rest, world):
    path = f"/api/instruments/{KNOWN}/test"
    assert_reply(await rest.get(path, headers=ADMIN), 200, {"status": "ok", "name": "Älpha"})
    world.instruments[KNOWN] = replace(world.instruments[KNOWN], enabled=False)
    assert_reply(await rest.get(path, headers=ADMIN), 502, {"detail": "Path does not exist"})


async def test_a_total_in_a_header(rest):
    reply = await rest.get("/api/files?limit=5", headers=ADMIN)
    assert_reply(reply, 200, [], JSON | {"x-total-count": "0"})


async def test_login_by_form_with_its_cookie(rest):
    reply = await rest.post(
        "/auth/jwt/login", data={"username": "a", "password": "secret", "grant_type": "password", "scope": ""}
    )
    cookie = {"set-cookie": "streamweave_auth=token; HttpOnly"}
    assert_reply(reply, 200, {"access_token": "a", "token_type": "bearer"}, JSON | cookie)


async def test_a_refusal(rest):
    reply = await rest.post("/auth/jwt/login", data={"username": "a", "password": "wrong"})
    assert_reply(reply, 400, {"detail": "LOGIN_BAD_CREDENTIALS"})


@pytest.mark.parametrize(("headers", "status", "detail"), [({}, 401, "Unauthorized"), (USER, 403, "Admin access required")])
@pytest.mark.parametrize("body", [b"{", b"x" * 100])
async def test_the_guard_comes_before_path_query_and_body(rest, headers, status, detail, body):
    reply = await rest.patch("/api/instruments/no-uuid?limit=x", content=body, headers=headers)
    assert_reply(reply, status, {"detail": detail})


async def test_the_body_is_not_read_before_the_guard_has_passed():
    async def receive():
        raise AssertionError("read")

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/api/instruments", "query_string": b"", "headers": []}
    await shim(World())(scope, receive, send)
    assert sent[0]["status"] == 401


async def test_validation_comes_before_existence(rest):
    reply = await rest.patch(f"/api/instruments/{UNKNOWN}", json={"name": 1}, headers=ADMIN)
    assert reply.status_code == 422
    assert_reply(
        await rest.patch(f"/api/instruments/{UNKNOWN}", json={}, headers=ADMIN), 404, {"detail": "Instrument not found"}
    )


async def test_what_a_use_case_finds_is_where_it_was_sent(rest):
    new = {"name": "b", "cifs_host": "h", "service_account_id": str(UNKNOWN)}
    reply = await rest.post("/api/instruments", json=new, headers=ADMIN)
    fault = {
        "type": "value_error",
        "loc": ["body", "service_account_id"],
        "msg": "Unknown service account",
        "input": str(UNKNOWN),
    }
    assert_reply(reply, 422, {"detail": [fault]})


async def test_the_unforeseen_is_masked_and_reported(rest, world):
    world.failure = RuntimeError("secret")
    reply = await rest.get(f"/api/instruments/{KNOWN}", headers=ADMIN)
    assert_reply(reply, 500, {"detail": "Internal error; quote error-1 when reporting it"})


@pytest.mark.parametrize(("failure", "status"), [(Unavailable("the database does not answer"), 503), (Conflict("taken"), 409)])
async def test_domain_errors_keep_their_words(rest, world, failure, status):
    world.failure = failure
    assert_reply(await rest.get(f"/api/instruments/{KNOWN}", headers=ADMIN), status, {"detail": failure.detail})


async def test_a_failure_to_authenticate_is_rendered_too(world, caplog):
    async def broken(request):
        raise RuntimeError("no keys")

    app = shim(world)
    app._context_for = broken
    async with client(app) as rest:
        reply = await rest.get("/api/instruments")
    assert reply.status_code == 500
    (record,) = [record for record in caplog.records if record.name == "rest_compat.calls"]
    assert record.args[0] in reply.json()["detail"]


async def test_head_has_the_headers_of_get_and_no_body(rest):
    got, head = [await rest.request(method, "/api/instruments", headers=ADMIN) for method in ("GET", "HEAD")]
    assert (head.status_code, head.content, head.headers) == (200, b"", got.headers)


async def test_the_size_limit(world):
    async with client(shim(world, bounds=Bounds(body=20))) as rest:
        announced = await rest.post("/api/instruments", content=b" " * 21, headers=ADMIN)

        async def chunks():
            for _ in range(3):
                yield b" " * 10

        chunked = await rest.post("/api/instruments", content=chunks(), headers=ADMIN)
        form = await rest.post("/auth/jwt/login", data={"username": "a" * 30})
    for reply in (announced, chunked, form):
        assert_reply(reply, 413, {"detail": "The body is larger than 20 bytes"})


async def test_the_size_limit_of_replies(world):
    async with client(shim(world, bounds=Bounds(reply=20))) as rest:
        reply = await rest.get("/api/instruments", headers=ADMIN)
    detail = "The reply is larger than 20 bytes: ask for less, page by page or as a stream of rows"
    assert_reply(reply, 413, {"detail": detail})


async def test_a_stream_has_no_size_limit(world):
    async with client(shim(world, bounds=Bounds(reply=1))) as rest:
        assert (await rest.get("/api/files", headers=ADMIN)).json() == []


@pytest.mark.parametrize("encoding", ["gzip", "identity, br"])
async def test_a_body_with_a_content_encoding(rest, encoding):
    reply = await rest.post("/api/instruments", content=b"{}", headers={**ADMIN, "content-encoding": encoding})
    assert_reply(reply, 415, {"detail": "Send the body as it is, without a content encoding"})


def test_the_default_limit_is_16_mebibytes(world):
    assert shim(world)._bounds == Bounds(body=16 * MEBIBYTE, reply=64 * MEBIBYTE)


async def test_a_client_that_goes_away_while_sending_gets_nothing(world):
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/auth/forgot-password", "query_string": b"", "headers": []}
    await shim(world)(scope, receive, send)
    assert sent == []


async def test_calls_do_not_share_state(rest):
    replies = await asyncio.gather(
        *(rest.get(f"/api/instruments/{KNOWN}", headers=headers) for headers in (ADMIN, USER, {}) * 5)
    )
    assert [reply.status_code for reply in replies] == [200, 403, 401] * 5
