"""The whole of it: which request reaches which endpoint, the ledger, and paths that are none of ours."""

import pytest

from rest_compat.dialect import Phase
from rest_compat.dialects.instruments import Instruments
from rest_compat.shim import LedgerEntry, RestShim
from tests.rest_compat.support import ADMIN, KNOWN, OPERATIONS, FakeGraph, World, client, context_for, shim


async def test_an_unknown_path_below_ours(rest):
    reply = await rest.get("/api/nothing")
    assert (reply.status_code, reply.json()) == (404, {"detail": "Not Found"})


async def test_an_unknown_path_that_is_not_ours(rest, world):
    scope = {"type": "http", "method": "GET", "path": "/elsewhere", "query_string": b""}
    assert shim(world).match(scope) is None
    assert (await rest.get("/elsewhere")).status_code == 404


async def test_a_wrong_method(rest):
    reply = await rest.put(f"/api/instruments/{KNOWN}")
    assert (reply.status_code, reply.json()) == (405, {"detail": "Method Not Allowed"})
    assert reply.headers["allow"] == "DELETE, GET, HEAD, PATCH"
    assert (await rest.options("/auth/jwt/login")).headers["allow"] == "POST"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
async def test_a_slash_too_many(rest, method):
    reply = await rest.request(method, "/api/instruments/?skip=1&x=%2F", headers=ADMIN)
    assert (reply.status_code, reply.content) == (307, b"")
    assert reply.headers["location"] == "/api/instruments?skip=1&x=%2F"


@pytest.mark.parametrize("path", ["//evil.example/", "/api//", "/api/nothing/"])
async def test_no_redirect_to_where_nothing_is(rest, path):
    assert (await rest.get(f"http://test{path}")).status_code == 404


async def test_a_malformed_id_can_be_no_route_at_all(rest):
    assert (await rest.get(f"/users/{KNOWN}")).json() == str(KNOWN)
    assert (await rest.get("/users/x")).status_code == 404


async def test_broken_escapes_are_no_server_error(rest):
    for path in ("/api/instruments/%ff", "/api/instruments/%zz", "/api/%"):
        scope = {"type": "http", "method": "GET", "path": "/", "raw_path": path.encode(), "query_string": b"", "headers": []}
        sent = []

        async def send(message, sent=sent):
            sent.append(message)

        await shim(World())(scope, None, send)
        assert sent[0]["status"] == 404


def test_the_ledger(world):
    entries = {(entry.method, entry.path): entry for entry in shim(world).routes}
    assert len(entries) == 11
    assert entries["GET", "/api/files"] == LedgerEntry(
        method="GET",
        path="/api/files",
        dialect="instruments",
        operation="files_all",
        place="tests/rest_compat/operations/instruments/files.graphql:1:1",
        alternates=("files_slice",),
    )


@pytest.mark.parametrize(
    ("method", "path", "query", "operation"),
    [
        ("GET", "/api/files", "", "files_all"),
        ("GET", "/api/files", "limit=", "files_slice"),
        ("GET", "/api/instruments", "shape=array&skip=1", "instruments_all"),
        ("GET", "/api/instruments", "shape=envelope", "instruments_list"),
        ("HEAD", "/api/instruments/x", "", "instruments_get"),
        ("PUT", "/api/instruments", "", None),
        ("GET", "/gone", "", None),
    ],
)
def test_which_endpoint_would_serve_a_request(world, method, path, query, operation):
    endpoint = shim(world).resolve(method, path, query)
    assert (endpoint and endpoint.declared.name) == operation


async def test_reserved_first_segments(world, tmp_path):
    (tmp_path / "instruments").mkdir()
    document = 'query a($x: String!) @rest(method: GET, path: "/{x}/y", dialect: INSTRUMENTS) { echo(text: $x) @unwrap }'
    (tmp_path / "instruments" / "a.graphql").write_text(document)
    async with client(shim(world, tmp_path, reserved=frozenset({"graphql"}))) as rest:
        assert (await rest.get("/a%2Fb/y")).json() == "a/b"
        assert (await rest.get("/graphql/y")).status_code == 404


async def test_a_dialect_may_bind_the_path_before_the_guard(world):
    class PathFirst(Instruments):
        phases = (Phase.BIND_PATH, Phase.GUARD, Phase.READ_BODY, Phase.BIND)

    async with client(RestShim(FakeGraph(), OPERATIONS, [PathFirst()], context_for(world))) as rest:
        assert (await rest.get("/api/instruments/no-uuid")).status_code == 422
        assert (await rest.patch(f"/api/instruments/{KNOWN}", content=b"{")).status_code == 401
        reply = await rest.patch(f"/api/instruments/{KNOWN}", json={"enabled": False}, headers=ADMIN)
        assert (reply.status_code, reply.json()["id"]) == (200, str(KNOWN))
