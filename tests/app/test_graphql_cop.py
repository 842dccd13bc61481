"""The 13 checks of graphql-cop, against a server process in the production profile, as anybody and as an admin.

Each asks what the tool asks and looks for what it calls a finding; then for the answer that there has to be instead.
docs/security.md lists them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.app.test_server import serving

pytestmark = pytest.mark.slow

ADMIN = {"username": "ada@example.org", "password": "correct horse"}
TYPENAME = {"data": {"__typename": "Query"}}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = {
        "SWITCHYARD_PROFILE": "production",
        "ADMIN_EMAIL": ADMIN["username"],
        "ADMIN_PASSWORD": ADMIN["password"],
    }
    with serving(tmp_path_factory.mktemp("production"), "--workers", "0", **settings) as server:
        yield server.address


@pytest.fixture(params=["anybody", "admin"])
def client(address: str, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """With the cookie of an admin, which is what a page of another origin would ride on."""
    with httpx.Client(base_url=address) as client:
        if request.param == "admin":
            assert client.post("/auth/cookie/login", data=ADMIN).status_code == 204
            (cookie,) = client.cookies.jar
            cookie.secure = False  # here it is sent without HTTPS
        yield client


def ask(client: httpx.Client, query: str) -> dict[str, Any]:
    return dict(client.post("/graphql", json={"query": query}).json())


def refusal(message: str, code: str) -> dict[str, Any]:
    return {"errors": [{"message": message, "extensions": {"code": code}}]}


def test_the_server_answers_at_all(client):
    """Or there would be no finding anywhere."""
    assert ask(client, "query { __typename }") == TYPENAME


# --- denial of service -------------------------------------------------------------------------------------------------


def test_alias_overloading(client):
    aliases = " ".join(f"alias{number}: __typename" for number in range(101))
    message = "101 aliases in one document; at most 60 are allowed"
    assert ask(client, f"query {{ {aliases} }}") == refusal(message, "TOO_EXPENSIVE")


def test_batch_queries(client):
    reply = client.post("/graphql", json=[{"query": "query { __typename }"}] * 10)
    message = "batches are not enabled: send one operation per request"
    assert (reply.status_code, reply.json()) == (400, refusal(message, "INVALID_REQUEST"))


def test_circular_introspection(client):
    query = "name"
    for field in ("type", "fields") * 4:
        query = f"{field} {{ {query} }}"
    message = "introspection is turned off on this server"
    assert ask(client, f"query {{ __schema {{ types {{ {query} }} }} }}") == refusal(message, "NOT_SUPPORTED")


def test_directive_overloading(client):
    message = "10 directives in one place; at most 5 are allowed"
    assert ask(client, f"query {{ __typename {'@aa' * 10} }}") == refusal(message, "TOO_EXPENSIVE")


def test_field_duplication(client):
    message = "499 repeated selections in one document; at most 60 are allowed"
    assert ask(client, f"query {{ {'__typename ' * 500} }}") == refusal(message, "TOO_EXPENSIVE")


# --- what it tells about itself ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "query { __schema { directive } }",
        "query { instrumets { x } }",
        "query { instruments { nodes { nam } } }",
        "query { instruments(frist: 1) { totalCount } }",
        "query ($a: Strin) { me { email } }",
        "query { me { email @skp } }",
        "mutation { createPersonalToken(input: {nam: 1}) { token } }",
        "mutation { createPersonalToken(input: {scopes: [INSTRUMENTS_REED]}) { token } }",
    ],
)
def test_field_suggestions(client, query):
    answer = ask(client, query)
    assert "data" not in answer
    assert "did you mean" not in str(answer).lower()


def test_introspection(client):
    message = "introspection is turned off on this server"
    for query in ("query { __schema { types { name } } }", 'query { __type(name: "Query") { name } }'):
        assert ask(client, query) == refusal(message, "NOT_SUPPORTED")
    for path in ("/schema.graphql", "/schema.json"):
        reply = client.get(path)
        assert (reply.status_code, reply.json()["detail"]) == (404, message)


@pytest.mark.parametrize("path", ["/graphiql", "/playground", "/console", "/graphql"])
def test_graphiql(client, path):
    reply = client.get(path, headers={"Accept": "text/html"})
    assert reply.status_code in {404, 406}
    for word in ("graphiql.min.css", "graphql playground", "graphiql", "graphql-playground"):
        assert word not in reply.text.lower()


def test_what_stands_in_the_explorers_place(client):
    reply = client.get("/graphiql")
    assert (reply.status_code, reply.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "<code>SWITCHYARD_INTROSPECTION=on</code>" in reply.text


def test_trace_mode(client):
    for query in ("query { __typename }", "query { nothing }", "{ me { email } }"):
        answer = ask(client, query)
        assert "extensions" not in answer
        for word in ("tracing", "stacktrace", "traceback", "exception"):
            assert word not in str(answer).lower()


def test_unhandled_errors(client):
    answer = ask(client, "qwerty cop { abc }")
    assert answer == {
        "errors": [
            {
                "message": "Syntax Error: Unexpected Name 'qwerty'.",
                "locations": [{"line": 1, "column": 1}],
                "extensions": {"code": "INVALID_REQUEST"},
            }
        ]
    }


# --- requests of other sites' pages ------------------------------------------------------------------------------------


def test_get_queries(client):
    reply = client.get("/graphql", params={"query": "{__typename}"})
    message = "a GET needs a bearer token, or the header GraphQL-Preflight with any value"
    assert (reply.status_code, reply.json()) == (400, refusal(message, "INVALID_REQUEST"))


def test_get_mutations(client):
    """Neither of a page of another site, nor of anybody else."""
    query = {"query": "mutation {__typename}"}
    assert client.get("/graphql", params=query).status_code == 400
    reply = client.get("/graphql", params=query, headers={"GraphQL-Preflight": "1"})
    assert (reply.status_code, reply.json()) == (405, refusal("a mutation needs POST", "INVALID_REQUEST"))


def test_url_encoded_posts(client):
    query = {"query": "query {__typename}"}
    message = "send the request as application/json"
    for options in ({"params": query}, {"data": query}):
        reply = client.post("/graphql", **options)
        assert (reply.status_code, reply.json()) == (415, refusal(message, "UNSUPPORTED_MEDIA"))


@pytest.mark.parametrize(
    "headers",
    [
        {"GraphQL-Preflight": "1"},
        {"GraphQL-Require-Preflight": ""},
        {"Apollo-Require-Preflight": "true"},
        {"X-Requested-With": "XMLHttpRequest"},
        {"Content-Type": "application/json"},
        {"Authorization": "Bearer whatever"},
    ],
    ids=str,
)
def test_a_get_that_no_form_can_send(client, headers):
    reply = client.get("/graphql", params={"query": "{__typename}"}, headers=headers)
    assert (reply.status_code, reply.json()) == (200, TYPENAME)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Authorization": "Basic YWRhOng="},
        {"Accept": "application/json", "Accept-Language": "en", "Origin": "https://example.org"},
    ],
    ids=str,
)
def test_a_get_that_a_form_can_send(client, headers):
    assert client.get("/graphql", params={"query": "{__typename}"}, headers=headers).status_code == 400
    assert client.head("/graphql", params={"query": "{__typename}"}, headers=headers).status_code == 400
