"""GraphQL over HTTP: which requests are answered, in which media type, with which status, and what errors look like."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio
import sqlalchemy
from graphql import get_introspection_query
from starlette.requests import ClientDisconnect

from app.graphql_http import GRAPHQL_JSON, accepted
from app.graphql_request import JSON
from core.errors import Unavailable
from tests import postgres
from tests.conftest import PASSWORD

ME = "{ me { email } }"
BOTH = "query A { me { email } } query B { me { isActive } }"
BOB = {"data": {"me": {"email": "bob@example.org"}}}
FIXED = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
READ = {"cache-control": "private, no-cache", "vary": "Authorization, Cookie, Accept, Accept-Encoding"}
"""Of a query that was asked with GET, and answered."""


async def post(caller, body: Any = None, *, accept: str | None = None, content: bytes | str | None = None, **headers: str):
    sent = {"content-type": JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    sent |= {"accept": accept} if accept is not None else {}
    return await caller.request(
        "POST", "/graphql", content=json.dumps(body) if content is None else content, headers={"accept": "", **sent}
    )


async def get(caller, *, method: str = "GET", accept: str = "", **query: str):
    return await caller.request(method, f"/graphql?{urlencode(query)}", headers={"accept": accept})


def told(reply: httpx.Response) -> tuple[int, str, Any]:
    """Status, media type and body, once every answer's own headers were looked at."""
    read = reply.request.method != "POST" and reply.status_code == 200 and "errors" not in reply.json()
    assert (FIXED | (READ if read else {})).items() <= dict(reply.headers).items()
    assert ("etag" in reply.headers) is read
    media, _, charset = reply.headers["content-type"].partition("; ")
    assert charset == "charset=utf-8"
    return reply.status_code, media, reply.json()


def refusal(message: str, code: str = "INVALID_REQUEST", **more: Any) -> dict[str, Any]:
    return {"errors": [{"message": message, **more, "extensions": {"code": code}}]}


# --- requests that are answered ----------------------------------------------------------------------------------------


async def test_post(world):
    reply = await post(world.user, {"query": ME})
    assert told(reply) == (200, JSON, BOB)
    counted = {"ratelimit", "ratelimit-policy"}
    assert set(reply.headers) == {*FIXED, *counted, "vary", "content-type", "content-length", "x-request-id"}


@pytest.mark.parametrize(
    ("query", "directive"),
    [("{ ... @defer { me { email } } }", "@defer"), ("{ instruments(first: 1) { nodes @stream { name } } }", "@stream")],
)
async def test_an_answer_comes_in_one_piece(world, query, directive):
    reply = await post(world.user, {"query": query}, accept=GRAPHQL_JSON)
    error = {"message": f"Unknown directive '{directive}'.", "extensions": {"code": "INVALID_REQUEST"}}
    (told_error,) = reply.json()["errors"]
    assert (reply.status_code, told_error | {"locations": None}) == (400, error | {"locations": None})


async def test_get_with_variables_and_operation_name(world):
    query = "query A { me { email } } query B($no: Boolean!) { me { email isActive @skip(if: $no) } }"
    assert told(await get(world.user, query=query, operationName="B", variables='{"no": true}')) == (200, JSON, BOB)


async def test_absent_null_and_empty_parts(world):
    body = {"query": ME, "variables": None, "operationName": None, "extensions": None, "id": 7}
    assert told(await post(world.user, body)) == (200, JSON, BOB)
    assert told(await post(world.user, {"query": ME, "variables": {}, "operationName": "", "extensions": {}}))[2] == BOB
    assert told(await get(world.user, query=ME, variables="", operationName="", extensions=""))[2] == BOB


async def test_operation_name_chooses(world):
    assert told(await post(world.user, {"query": BOTH, "operationName": "A"})) == (200, JSON, BOB)
    assert told(await post(world.user, {"query": BOTH, "operationName": "B"}))[2] == {"data": {"me": {"isActive": True}}}


async def test_head_is_get_without_a_body(world):
    reply = await get(world.user, method="HEAD", query=ME)
    assert (reply.status_code, reply.headers["content-type"]) == (200, f"{JSON}; charset=utf-8")


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'],
)
async def test_json_in_utf_8(world, content_type):
    body = json.dumps({"query": ME + " # Ä"}, ensure_ascii=False).encode()
    assert told(await post(world.user, content=body, content_type=content_type)) == (200, JSON, BOB)


# --- media types -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "media"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (GRAPHQL_JSON, GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}; charset=utf-8", GRAPHQL_JSON),
        (GRAPHQL_JSON.upper(), GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}, {JSON}", GRAPHQL_JSON),
        (f"{JSON}, {GRAPHQL_JSON}", JSON),
        (f"{JSON};q=0.9, {GRAPHQL_JSON}", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0.5, {JSON};q=0.9", JSON),
        (f"{GRAPHQL_JSON};q=0.5, */*;q=0.9", JSON),
        (f"*/*, {GRAPHQL_JSON}", GRAPHQL_JSON),
        (f"{JSON};q=0, */*", GRAPHQL_JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),
        (f"{GRAPHQL_JSON};q=much", GRAPHQL_JSON),
        (f"{JSON}, multipart/mixed", JSON),
        ("text/html", None),
        ("*/*;q=0", None),
        (f"{JSON};q=0.0, {GRAPHQL_JSON};q=0", None),
        ("application/json-seq", None),
    ],
)
async def test_accept(world, header, media):
    assert accepted(header) == media
    message = f"this endpoint answers {GRAPHQL_JSON} and {JSON}"
    expected = (200, media, BOB) if media else (406, JSON, refusal(message))
    assert told(await post(world.user, {"query": ME}, accept=header)) == expected


async def test_accept_in_two_headers(world):
    headers = [("accept", "text/html"), ("accept", GRAPHQL_JSON), *world.user.headers.items()]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(world.app), base_url="http://switchyard.test") as client:
        client.headers.clear()
        assert told(await client.get("/graphql", params={"query": ME}, headers=headers)) == (200, GRAPHQL_JSON, BOB)


@pytest.mark.parametrize(("media", "status"), [(JSON, 200), (GRAPHQL_JSON, 400)])
@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param(
            {"query": "{ me { email }"},
            refusal("Syntax Error: Expected Name, found <EOF>.", locations=[{"line": 1, "column": 15}]),
            id="syntax",
        ),
        pytest.param(
            {"query": "{ nothing }"},
            refusal("Cannot query field 'nothing' on type 'Query'.", locations=[{"line": 1, "column": 3}]),
            id="validation",
        ),
        pytest.param(
            {"query": "query ($id: UUID!) { instrument(localId: $id) { name } }"},
            refusal(
                "Variable '$id' has invalid value: Expected a value of non-null type 'UUID!' to be provided.",
                locations=[{"line": 1, "column": 8}],
            ),
            id="variable",
        ),
        pytest.param(
            {"query": BOTH}, refusal("Must provide operation name if query contains multiple operations."), id="which"
        ),
        pytest.param({"query": BOTH, "operationName": "C"}, refusal("Unknown operation named 'C'."), id="unknown"),
        pytest.param({"query": "fragment F on User { email }"}, None, id="no operation"),
        pytest.param(
            {"query": "subscription { allInstruments { name } }"},
            refusal(
                "a subscription needs a connection that stays: "
                "Accept: text/event-stream, or a WebSocket with graphql-transport-ws",
                "NOT_SUPPORTED",
            ),
            id="subscription",
        ),
    ],
)
async def test_what_is_not_executed(world, body, error, media, status):
    found = told(await post(world.admin, body, accept=media))
    assert found[:2] == (status, media)
    assert "data" not in found[2]
    if error is not None:
        assert found[2] == error


# --- requests that are none --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("media", [JSON, GRAPHQL_JSON])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "query has to be a GraphQL document"),
        ({"query": ""}, "query has to be a GraphQL document"),
        ({"query": None}, "query has to be a GraphQL document"),
        ({"query": 7}, "query has to be a GraphQL document"),
        ({"query": [ME]}, "query has to be a GraphQL document"),
        ({"query": ME, "operationName": 7}, "operationName has to be a string"),
        ({"query": ME, "operationName": {}}, "operationName has to be a string"),
        ({"query": ME, "variables": 7}, "variables has to be an object"),
        ({"query": ME, "variables": "{}"}, "variables has to be an object"),
        ({"query": ME, "variables": [{}]}, "variables has to be an object"),
        ({"query": ME, "extensions": 7}, "extensions has to be an object"),
        ({"query": ME, "extensions": []}, "extensions has to be an object"),
        ([{"query": ME}], "batches are not enabled: send one operation per request"),
        ([], "batches are not enabled: send one operation per request"),
        ("query", "the body is not a JSON object"),
        (None, "the body is not a JSON object"),
    ],
)
async def test_malformed_requests(world, body, message, media):
    assert told(await post(world.user, content=json.dumps(body), accept=media)) == (400, media, refusal(message))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"query": ', id="cut off"),
        pytest.param(b'{"query": "\xff"}', id="not UTF-8"),
        pytest.param(b"\xef\xbb\xbf" + json.dumps({"query": ME}).encode(), id="byte order mark"),  # RFC 8259 section 8.1
        pytest.param(b'{"query": "{ me { email } }", "variables": {"a": "\\ud800"}}', id="half a surrogate pair"),
        pytest.param(b'{"query": "{ me { email } }", "variables": {"a": NaN}}', id="no number"),
        pytest.param(b'{"query": "{ me { email } }", "variables": {"a": 1e999}}', id="infinite number"),
        pytest.param(b'{"query": "{ me { email } }", "variables": {"a": ' + b"9" * 5000 + b"}}", id="number too long"),
        pytest.param(b'{"variables": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001, id="too deep"),
    ],
)
async def test_malformed_json(world, content):
    status, media, body = told(await post(world.user, content=content, accept=GRAPHQL_JSON))
    assert (status, media, set(body)) == (400, GRAPHQL_JSON, {"errors"})
    assert body["errors"][0]["message"].startswith("the body is not JSON: ")


async def test_malformed_query_string(world):
    for name in ("variables", "extensions"):
        status, _, body = told(await get(world.user, query=ME, **{name: "{"}))
        assert (status, body["errors"][0]["message"].split(":")[0]) == (400, f"{name} is not JSON")
        assert told(await get(world.user, query=ME, **{name: "[]"}))[2] == refusal(f"{name} has to be an object")
    assert told(await get(world.user, variables="{}")) == (400, JSON, refusal("query has to be a GraphQL document"))


@pytest.mark.parametrize("cookie", [False, True])
@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/mixed; boundary=x", "application/jsonp", "json"],
)
async def test_only_json_is_read(world, content_type, cookie):
    """A page of another origin can send these without being asked, with the cookie of whoever looks at it."""
    headers = {"content-type": content_type}
    if cookie:
        headers["cookie"] = f"streamweave_auth={world.admin.headers['Authorization'].partition(' ')[2]}"
    content = json.dumps({"query": "mutation { logout(input: {cookie: true}) { userId } }"})
    reply = await post(world.anonymous, content=content, **headers)
    assert told(reply) == (415, JSON, refusal("send the request as application/json", "UNSUPPORTED_MEDIA"))
    assert "set-cookie" not in reply.headers


async def test_only_utf_8_is_read(world):
    reply = await post(world.user, {"query": ME}, content_type="application/json; charset=latin-1")
    assert told(reply) == (415, JSON, refusal("send the request in UTF-8", "UNSUPPORTED_MEDIA"))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_get_never_changes_anything(world, method):
    register = 'mutation { register(input: {email: "eve@example.org", password: "long enough"}) { user { email } } }'
    reply = await get(world.admin, method=method, query=register)
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    if method == "GET":
        assert told(reply) == (405, JSON, refusal("a mutation needs POST"))
    query = f"query A {ME} {register}".replace("mutation", "mutation B")
    assert told(await get(world.user, query=query, operationName="A")) == (200, JSON, BOB)
    assert (await get(world.user, query=query, operationName="B")).status_code == 405


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods(world, method):
    reply = await world.user.request(method, "/graphql", json={"query": ME})
    assert (reply.status_code, reply.headers["content-type"]) == (405, "application/problem+json")
    assert reply.json()["detail"] == "Method Not Allowed"
    assert set(reply.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


class Body:
    """A request body in parts, which remembers how many of them were asked for."""

    def __init__(self, *parts: bytes, disconnects: bool = False) -> None:
        self.messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        self.messages += [{"type": "http.disconnect"}] if disconnects else []
        self.read = 0

    async def __call__(self):
        self.read += 1
        return self.messages[self.read - 1]


async def send_raw(world, body: Body, **headers: str) -> list[dict[str, Any]]:
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "raw_path": b"/graphql",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), *((n.encode(), v.encode()) for n, v in headers.items())],
    }
    sent: list[dict[str, Any]] = []

    async def send(message):
        sent.append(message)

    await world.app(scope, body, send)
    return sent


async def test_a_body_over_the_limit_is_not_read_to_its_end(assembled_small):
    body = Body(*[b"x" * 60] * 10)
    start, end = await send_raw(assembled_small, body)
    assert (start["status"], json.loads(end["body"])) == (413, refusal("the body is larger than 100 bytes", "TOO_LARGE"))
    assert body.read == 2


async def test_an_announced_body_over_the_limit_is_not_read_at_all(assembled_small):
    body = Body(b"x")
    start, _ = await send_raw(assembled_small, body, **{"content-length": "101"})
    assert (start["status"], body.read) == (413, 0)


async def test_a_body_of_exactly_the_limit(assembled_small):
    content = json.dumps({"query": "{ __typename }"}).ljust(100)
    assert told(await post(assembled_small.user, content=content)) == (200, JSON, {"data": {"__typename": "Query"}})


@pytest_asyncio.fixture(loop_scope="session")
async def assembled_small(assembled):
    async with assembled(SWITCHYARD_BODY_LIMIT=100) as world:
        yield world


async def test_a_client_that_goes_away_is_no_error(world, caplog):
    caplog.set_level(logging.INFO, "switchyard")
    assert await send_raw(world, Body(b'{"query": ', disconnects=True)) == []
    (line,) = [record for record in caplog.records if record.name == "switchyard"]
    assert (line.levelname, line.exc_info) == ("INFO", None)
    assert re.fullmatch(r"POST /graphql unanswered \d+\.\d ms [0-9a-f]{16}", line.getMessage())


# --- limits ------------------------------------------------------------------------------------------------------------


def nested(turns: int) -> str:
    return "{ " + "files { nodes { instrument { " * turns + "id" + " } } }" * turns + " }"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        pytest.param(
            "{ me { email } } #" + "x" * 100_000, "the document has 100018 characters; at most 100000 are allowed", id="long"
        ),
        pytest.param("{ me { " + "email " * 10_000 + "} }", "the document has more than 10000 tokens", id="tokens"),
        pytest.param(nested(5), "the document is 16 levels deep; at most 15 are allowed", id="deep"),
        pytest.param(
            "{ me { " + " ".join(f"a{n}: email" for n in range(61)) + " } }",
            "61 aliases in one document; at most 60 are allowed",
            id="aliases",
        ),
        pytest.param("{ " + "me { id } " * 61 + "}", "61 fields in one selection; at most 60 are allowed", id="wide"),
    ],
)
@pytest.mark.parametrize(("media", "status"), [(JSON, 200), (GRAPHQL_JSON, 400)])
async def test_documents_that_are_too_expensive(world, query, message, media, status):
    assert told(await post(world.admin, {"query": query}, accept=media)) == (status, media, refusal(message, "TOO_EXPENSIVE"))


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("{a" * 4000 + "}" * 4000, id="selections"),
        pytest.param("{ me(a: " + "[" * 4000 + "]" * 4000 + ") { id } }", id="lists"),
        pytest.param("query ($a: " + "[" * 3000 + "Int" + "]" * 3000 + ") { me { id } }", id="types"),
        pytest.param("{ me { ...F } } " + "fragment F on User { ...F }", id="endless fragment"),
        pytest.param(
            "{ me { ...F0 } } "
            + " ".join(f"fragment F{n} on User {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60))
            + " fragment F60 on User { id }",
            id="fragment bomb",
        ),
        pytest.param("{ " + "me { id } " * 2000 + "}", id="repeated fields"),
    ],
)
async def test_no_document_breaks_the_server(world, query):
    status, _, body = told(await post(world.user, {"query": query}))
    assert status == 200
    assert "INTERNAL" not in {error["extensions"]["code"] for error in body.get("errors", ())}


@pytest.mark.slow
async def test_limits_are_settings(assembled):
    settings = {"CHARACTERS": 100, "TOKENS": 20, "DEPTH": 2, "ALIASES": 1}
    async with assembled(**{f"SWITCHYARD_DOCUMENT_{name}": value for name, value in settings.items()}) as world:
        for query in (
            "{" + " " * 100,
            "{ me {" + "id " * 20 + "} }",
            "{ files { nodes { id } } }",
            "{ a: __typename b: __typename }",
        ):
            (error,) = (await world.user.ask(query))["errors"]
            assert error["extensions"] == {"code": "TOO_EXPENSIVE"}
        assert await world.user.ask(ME) == BOB


@pytest.mark.slow
async def test_the_largest_introspection_query_is_answered(world):
    query = get_introspection_query(
        descriptions=True,
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
    )
    answer = await world.anonymous.ask(query)
    assert set(answer) == {"data"}
    assert {kind["name"] for kind in answer["data"]["__schema"]["types"]} >= {"Query", "Mutation", "Instrument", "Long"}
    assert (await get(world.anonymous, query=query)).json() == answer


# --- errors ------------------------------------------------------------------------------------------------------------

NOWHERE = "00000000-0000-4000-8000-000000000000"
CREATE = "mutation ($input: CreateInstrumentInput!) { createInstrument(input: $input) { instrument { id } } }"


async def test_codes(world):
    unauthenticated = await world.anonymous.ask("{ instruments { totalCount } }")
    forbidden = await world.user.ask("{ serviceAccounts { totalCount } }")
    query = f'mutation {{ deleteInstrument(input: {{localId: "{NOWHERE}"}}) {{ instrument {{ id }} }} }}'
    missing = await world.admin.ask(query)
    for answer, code, path, message in (
        (unauthenticated, "UNAUTHENTICATED", ["instruments"], "Unauthorized"),
        (forbidden, "FORBIDDEN", ["serviceAccounts"], "Admin access required"),
        (missing, "NOT_FOUND", ["deleteInstrument"], "Instrument not found"),
    ):
        (error,) = answer["errors"]
        assert (error["extensions"], error["path"], error["message"]) == ({"code": code}, path, message)
        assert answer["data"] == {path[0]: None}


async def test_problems_name_the_input_in_the_words_of_the_graph(world):
    new = {"name": "x" * 256, "cifsHost": "nas", "cifsShare": "s" * 256}
    answer = await world.admin.ask(CREATE, {"input": new})
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "INVALID_INPUT"
    assert error["extensions"]["problems"] == [
        {
            "path": ["input", name],
            "message": "String should have at most 255 characters",
            "kind": "string_too_long",
        }
        for name in ("name", "cifsShare")
    ]
    assert "data" not in answer


async def test_a_use_case_names_the_field_that_is_to_blame(world):
    new = {"name": "NMR", "cifsHost": "nas", "cifsShare": "share", "serviceAccountId": NOWHERE}
    answer = await world.admin.ask(CREATE, {"input": new})
    (error,) = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["createInstrument"], "INVALID_INPUT")
    assert error["extensions"]["field"] == "serviceAccountId"
    assert error["extensions"]["problems"] == [
        {"path": ["serviceAccountId"], "message": "Service account does not exist", "kind": "value_error"}
    ]


@pytest.mark.parametrize("media", [JSON, GRAPHQL_JSON])
async def test_data_beside_errors(world, media):
    """What could be read is sent; a field that failed is null, with its place among the errors."""
    query = f'{{ me {{ email }} mine: instrument(localId: "{NOWHERE}") {{ id }} }}'
    reply = await post(world.user, {"query": query}, accept=media)
    assert reply.status_code == 200
    assert reply.json()["data"] == {"me": {"email": "bob@example.org"}, "mine": None}
    (error,) = reply.json()["errors"]
    assert (error["path"], error["extensions"]) == (["mine"], {"code": "FORBIDDEN"})
    assert list(reply.json()) == ["errors", "data"]


async def test_suggestions_are_for_developers(world, assembled):
    typo = "{ me { emial } }"
    assert "Did you mean 'email'?" in (await world.user.ask(typo))["errors"][0]["message"]
    async with assembled(SWITCHYARD_PROFILE="production") as production:
        for query, variables in (
            (typo, None),
            ("{ instrments { totalCount } }", None),
            ("query ($i: CreateInstrumentInput!) { me { id } }", {"i": {"nmae": "x"}}),
            (CREATE, {"input": {"nmae": "x"}}),
            (CREATE, {"input": {"name": "x", "cifsHost": "h", "cifsShare": "s", "transferAdapter": "RCLON"}}),
        ):
            answer = await production.admin.ask(query, variables)
            assert answer["errors"]
            assert "Did you mean" not in json.dumps(answer)


@pytest.mark.parametrize("media", [JSON, GRAPHQL_JSON])
async def test_what_nobody_foresaw_is_masked_and_logged_under_an_id(world, monkeypatch, caplog, media):
    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr("schema.instruments.account_mutations.sessions.login", broken)
    query = 'mutation { login(input: {username: "u", password: "p"}) { accessToken } }'
    reply = await post(world.anonymous, {"query": query}, accept=media)
    status, _, body = told(reply)
    (error,) = body["errors"]
    error_id = error["extensions"]["id"]
    assert (status, body["data"], error["path"]) == (200, {"login": None}, ["login"])
    assert error["extensions"] == {"code": "INTERNAL", "id": error_id}
    assert error["message"] == f"Internal error; quote {error_id} when reporting it"
    assert "hunter2" not in reply.text
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert record.getMessage() == f"error {error_id} in request {reply.headers['x-request-id']}"
    assert "hunter2" in str(record.exc_info[1])


@pytest.mark.parametrize("place", ["app.graphql_http.GraphQLEndpoint._operation", "app.wiring.Contexts.__call__"])
async def test_a_failure_around_the_execution_is_masked_too(world, monkeypatch, caplog, place):
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(place, broken)
    reply = await post(world.user, {"query": ME})
    status, _, body = told(reply)
    error_id = body["errors"][0]["extensions"]["id"]
    message = f"Internal error; quote {error_id} when reporting it"
    assert (status, body) == (500, {"errors": [{"message": message, "extensions": {"code": "INTERNAL", "id": error_id}}]})
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert record.getMessage() == f"error {error_id} in request {reply.headers['x-request-id']}"


async def test_a_store_that_is_down_while_the_caller_is_recognised(world, monkeypatch, caplog):
    async def down(*_: Any) -> None:
        raise Unavailable("the database does not answer")

    monkeypatch.setattr("app.wiring.Contexts.__call__", down)
    assert told(await post(world.user, {"query": ME})) == (503, JSON, refusal("the database does not answer", "UNAVAILABLE"))
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_client_that_goes_away_while_it_is_answered(world, monkeypatch, caplog):
    async def gone(*_: Any) -> None:
        raise ClientDisconnect

    monkeypatch.setattr("app.wiring.Contexts.__call__", gone)
    assert await send_raw(world, Body(json.dumps({"query": ME}).encode(), disconnects=True)) == []
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


# --- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**63, 2**64 - 1, 1.5, "7", True, {}])
async def test_integers_that_are_none(world, value):
    answer = await world.user.ask("query ($n: Int) { instruments(first: $n) { totalCount } }", {"n": value})
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["INVALID_REQUEST"]
    assert "data" not in answer


JSON_CREATE = CREATE.replace("{ id }", "{ transferConfig }")


async def kept(world, config: str) -> Any:
    """What is read back of a JSON value; an error's code if it is refused."""
    given = {"name": "x", "cifsHost": "h", "cifsShare": "s", "transferConfig": {"n": "?"}}
    content = json.dumps({"query": JSON_CREATE, "variables": {"input": given}}).replace('"?"', config)
    reply = await post(world.admin, content=content)
    return reply.json()["errors"][0]["extensions"]["code"] if "errors" in reply.json() else reply.json()["data"]


@pytest.mark.parametrize("number", [-(2**63), 2**63, 2**64 - 1, 0.1, 1e300])
async def test_numbers_are_kept_exactly(world, number):
    assert await kept(world, json.dumps(number)) == {"createInstrument": {"instrument": {"transferConfig": {"n": number}}}}


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**30])
async def test_integers_beyond_64_bits_are_refused(world, number):
    """And never rounded: as a variable and in the document, inside JSON and as an argument."""
    assert await kept(world, str(number)) == "INVALID_INPUT"
    fields = f'name: "x", cifsHost: "h", cifsShare: "s", transferConfig: {{n: {number}}}'
    for query in (
        f"mutation {{ createInstrument(input: {{{fields}}}) {{ instrument {{ id }} }} }}",
        f"{{ instruments(first: {number}) {{ totalCount }} }}",
    ):
        (error,) = (await world.admin.ask(query))["errors"]
        assert error["extensions"]["code"] in {"INVALID_INPUT", "INVALID_REQUEST"}


async def test_a_long_row_of_digits_is_text_like_any_other(world):
    assert await kept(world, '"' + "7" * 50 + '"') == {"createInstrument": {"instrument": {"transferConfig": {"n": "7" * 50}}}}
    assert (await get(world.user, query=ME, variables='{"n": "77777777777777777777"}')).json() == BOB


async def test_text_that_no_store_takes(world):
    """NUL, and half a surrogate pair, which is no text at all."""
    (error,) = (await world.admin.ask(CREATE, {"input": {"name": "a\0b", "cifsHost": "nas", "cifsShare": "share"}}))["errors"]
    assert (error["message"], error["extensions"]["code"]) == ("Text cannot contain NUL characters", "INVALID_INPUT")
    status, _, body = told(await post(world.admin, content=rb'{"query": "{ instruments(after: \"\\ud800\") { totalCount } }"}'))
    assert (status, body["errors"][0]["message"]) == (200, "Syntax Error: Invalid Unicode escape sequence: '\\ud800'.")


# --- effects -----------------------------------------------------------------------------------------------------------

LOGIN = "mutation ($name: String!, $password: String!) { login(input: {username: $name, password: $password, cookie: true}) { accessToken tokenType } }"


async def test_login_sets_the_cookie_that_then_proves_who_one_is(world):
    eve = await world.person("eve@example.org")
    reply = await post(world.anonymous, {"query": LOGIN, "variables": {"name": eve.email, "password": PASSWORD}})
    token = reply.json()["data"]["login"]["accessToken"]
    assert reply.json()["data"]["login"]["tokenType"] == "bearer"
    cookie = reply.headers["set-cookie"]
    assert cookie == f"streamweave_auth={token}; HttpOnly; Max-Age=3600; Path=/; SameSite=lax; Secure"
    sent = {"cookie": f"streamweave_auth={token}"}
    assert (await post(world.anonymous, {"query": ME}, **sent)).json() == {"data": {"me": {"email": eve.email}}}
    reply = await post(world.anonymous, {"query": "mutation { logout(input: {cookie: true}) { userId } }"}, **sent)
    assert reply.json() == {"data": {"logout": {"userId": str(eve.id)}}}
    assert reply.headers["set-cookie"].startswith("streamweave_auth=")
    assert "Max-Age=0" in reply.headers["set-cookie"]
    assert (await post(world.anonymous, {"query": ME}, **sent)).json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_every_cookie_is_sent(world):
    query = "mutation { a: login(input: $) { tokenType } b: login(input: $) { tokenType } }".replace(
        "$", f'{{username: "bob@example.org", password: "{PASSWORD}", cookie: true}}'
    )
    reply = await post(world.anonymous, {"query": query})
    assert len(reply.headers.get_list("set-cookie")) == 2


async def test_a_refused_login_sets_none(world):
    reply = await post(world.anonymous, {"query": LOGIN, "variables": {"name": "bob@example.org", "password": "wrong"}})
    (error,) = reply.json()["errors"]
    assert (error["message"], error["extensions"]["code"]) == ("LOGIN_BAD_CREDENTIALS", "REFUSED")
    assert "set-cookie" not in reply.headers


async def test_nothing_secret_is_logged(world, caplog):
    caplog.set_level(logging.DEBUG)
    for password in (PASSWORD, "wr0ng horse"):
        await post(world.anonymous, {"query": LOGIN, "variables": {"name": "bob@example.org", "password": password}})
    await get(world.user, query=ME, variables='{"password": "hunter2"}')
    await post(world.admin, content='{"query": "hunter2')
    token = world.user.headers["Authorization"].partition(" ")[2]
    logged = "\n".join(
        f"{record.getMessage()} {record.exc_text}"
        for record in caplog.records
        if not record.name.startswith(("httpx", "httpcore"))
    )
    assert "POST /graphql 200" in logged
    for secret in (PASSWORD, "wr0ng horse", "hunter2", token, "argon2", "query="):
        assert secret not in logged


async def test_one_list_that_is_refused_leaves_the_others_their_answers(world):
    answer = await world.user.ask("{ files { totalCount } schedules { totalCount } }")
    assert answer["data"]["schedules"] is None
    assert isinstance(answer["data"]["files"]["totalCount"], int)
    (error,) = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["schedules"], "FORBIDDEN")


# --- cost and time -----------------------------------------------------------------------------------------------------

BOMB = "{ instruments(first: 500) { nodes { files(first: 500) { nodes { id } } } } }"


async def test_the_cost_is_told_to_who_asks_for_it(world):
    query = {"query": "query ($n: Int) { me { email } files(first: $n) { totalCount } }", "variables": {"n": 0}}
    answer = (await post(world.user, query, **{"GraphQL-Cost": "1"})).json()
    assert answer["extensions"] == {"cost": {"nodes": 2, "limit": 50_000}}
    assert list(answer) == ["data", "extensions"]
    assert "extensions" not in (await post(world.user, query)).json()


@pytest.mark.parametrize(("media", "status"), [(JSON, 200), (GRAPHQL_JSON, 400)])
async def test_what_costs_too_much_is_not_executed(world, media, status):
    message = "the operation asks for up to 251001 nodes; at most 50000 are allowed"
    cost = {"extensions": {"cost": {"nodes": 251_001, "limit": 50_000}}}
    expected = refusal(message, "TOO_EXPENSIVE", locations=[{"line": 1, "column": 1}]) | cost
    assert told(await post(world.user, {"query": BOMB}, accept=media)) == (status, media, expected)


async def test_the_explorer_is_far_below_the_budget(world):
    answer = (await post(world.anonymous, {"query": get_introspection_query()}, **{"GraphQL-Cost": ""})).json()
    assert answer["extensions"]["cost"]["nodes"] < 50_000 / 5


@pytest.mark.slow
async def test_the_budget_is_a_setting(assembled):
    async with assembled(SWITCHYARD_NODE_BUDGET=10) as world:
        assert "errors" not in await world.user.ask("{ files(first: 9) { nodes { id } } }")
        (error,) = (await world.user.ask("{ files(first: 10) { nodes { id } } }"))["errors"]
        assert error["extensions"]["code"] == "TOO_EXPENSIVE"


@pytest_asyncio.fixture(loop_scope="session")
async def hurried(assembled):
    """A server that gives nothing more than half a second."""
    async with assembled(SWITCHYARD_REQUEST_TIMEOUT=0.5) as world:
        yield world


LATE = "this took longer than 0.5 seconds, and was ended"


def slow_store(world, monkeypatch, *, reads: int = 0) -> None:
    """From the n-th read on, each takes for ever."""
    fetch_all, count = world.parts.database.fetch_all, 0

    async def slow(queries: Any) -> Any:
        nonlocal count
        count += len(queries)
        if count > reads:
            await asyncio.sleep(60)
        return await fetch_all(queries)

    monkeypatch.setattr(world.parts.database, "fetch_all", slow)


@pytest.mark.slow
@pytest.mark.parametrize("media", [JSON, GRAPHQL_JSON])
async def test_an_operation_has_its_time(hurried, monkeypatch, media):
    slow_store(hurried, monkeypatch, reads=1)  # who asks is found out
    reply = await post(hurried.user, {"query": "{ files { totalCount } }"}, accept=media)
    assert told(reply) == (504, media, refusal(LATE, "TIMEOUT"))


@pytest.mark.slow
async def test_so_has_finding_out_who_asks(hurried, monkeypatch):
    slow_store(hurried, monkeypatch)
    assert told(await post(hurried.user, {"query": ME})) == (504, JSON, refusal(LATE, "TIMEOUT"))
    reply = await hurried.user.request("GET", "/api/files")
    assert (reply.status_code, reply.json()) == (504, {"detail": LATE})


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/api/instruments", "/api/files", "/api/files?limit=3"])
async def test_so_has_a_rest_call(hurried, monkeypatch, path):
    slow_store(hurried, monkeypatch, reads=1)
    reply = await hurried.user.request("GET", path)
    assert (reply.status_code, reply.json()) == (504, {"detail": LATE})


FOREVER = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000000000) SELECT count(*) FROM n"


@pytest.fixture(params=postgres.BOTH)
def store(request) -> Iterator[dict[str, str]]:
    """The setting of each database."""
    if request.param == "sqlite":
        yield {}
        return
    with postgres.cloned() as url:
        yield {"SWITCHYARD_DATABASE_URL": url}


@pytest_asyncio.fixture(loop_scope="session")
async def hurried_store(store, assembled):
    """The same, on each database."""
    async with assembled(SWITCHYARD_REQUEST_TIMEOUT=0.5, **store) as world:
        yield world


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
async def test_a_statement_that_ran_out_of_time_is_ended(hurried_store, monkeypatch):
    """Otherwise its connection would be lost to the next ones."""
    fetch_all = hurried_store.parts.database.fetch_all

    async def slow(queries: Any) -> Any:
        return await fetch_all([(FOREVER, ()) if "file_records" in text else (text, values) for text, values in queries])

    monkeypatch.setattr(hurried_store.parts.database, "fetch_all", slow)
    for _ in range(10):
        reply = await post(hurried_store.user, {"query": "{ files { totalCount } }"})
        assert told(reply) == (504, JSON, refusal(LATE, "TIMEOUT"))
    monkeypatch.undo()
    async with asyncio.timeout(5):
        for _ in range(10):
            assert told(await post(hurried_store.user, {"query": ME})) == (200, JSON, BOB)


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
async def test_a_change_that_ran_out_of_time_is_not_made(hurried_store, monkeypatch):
    async def slow(transaction: Any, *_: Any, **__: Any) -> None:
        await transaction.scalar(sqlalchemy.text(FOREVER))

    monkeypatch.setattr("resolvers.audit.record", slow)  # the row is written, its audit line is not
    new = {"name": "Late", "cifsHost": "nas", "cifsShare": "share"}
    reply = await post(hurried_store.admin, {"query": CREATE, "variables": {"input": new}})
    assert told(reply) == (504, JSON, refusal(LATE, "TIMEOUT"))
    monkeypatch.undo()
    assert await hurried_store.admin.ask("{ instruments { totalCount } }") == {"data": {"instruments": {"totalCount": 0}}}
    object.__setattr__(hurried_store.parts.contexts, "time_limit", 60)  # a busy disk may take longer than half a second
    created = await hurried_store.admin.ask(CREATE, {"input": new})  # and nobody holds the writer's turn
    assert "errors" not in created
