"""Several operations in one request: off unless set; in order, each for itself, each counted."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from app.graphql_http import GRAPHQL_JSON
from app.graphql_request import JSON
from tests.conftest import PASSWORD

pytestmark = pytest.mark.slow  # an application of its own for each

ME = {"query": "{ me { email } }"}
BOB = {"data": {"me": {"email": "bob@example.org"}}}


async def post(caller, body: Any, **headers: str) -> tuple[int, str, Any]:
    reply = await caller.request("POST", "/graphql", json=body, headers=headers)
    return reply.status_code, reply.headers["content-type"].partition(";")[0], reply.json()


def refusal(message: str, code: str = "INVALID_REQUEST", **more: Any) -> dict[str, Any]:
    return {"errors": [{"message": message, **more, "extensions": {"code": code}}]}


@pytest.fixture
async def batching(assembled):
    async with assembled(SWITCHYARD_BATCH="4") as world:
        yield world


async def test_an_answer_for_each_in_their_order(batching):
    other = {"query": "query A { __typename } query B { me { isActive } }", "operationName": "B"}
    answers = [BOB, {"data": {"me": {"isActive": True}}}, BOB]
    for accept in (JSON, GRAPHQL_JSON, "*/*"):
        assert await post(batching.user, [ME, other, ME], accept=accept) == (200, JSON, answers)
    assert await post(batching.user, [ME]) == (200, JSON, [BOB])
    assert await post(batching.user, ME) == (200, JSON, BOB)


async def test_a_mistake_in_one_is_no_mistake_in_others(batching):
    sent = [{"query": "{ nothing }"}, ME, {"query": "{ me { email }"}, {"query": "query ($a: Int!) { me { email } }"}]
    status, _, answers = await post(batching.user, sent)
    assert status == 200
    assert ["data" in answer for answer in answers] == [False, True, False, False]
    assert answers[1] == BOB

    wrong_id = {"query": "{ __typename }", "documentId": "sha256:" + "0" * 64}
    assert (await post(batching.user, [wrong_id, ME]))[2] == [refusal("query is not the document that the id names"), BOB]


async def test_what_fails_unforeseen_fails_alone(batching, monkeypatch):
    from app.graphql_http import GraphQLEndpoint

    found = GraphQLEndpoint._operation

    def broken(self, asked, method):
        if asked.query == "{ broken }":
            raise RuntimeError("hunter2")
        return found(self, asked, method)

    monkeypatch.setattr(GraphQLEndpoint, "_operation", broken)
    status, _, (failed, answer) = await post(batching.user, [{"query": "{ broken }"}, ME])
    assert (status, answer, failed["errors"][0]["extensions"]["code"]) == (200, BOB, "INTERNAL")
    assert "hunter2" not in str(failed)


async def test_what_one_changes_the_next_one_sees(batching):
    update = {
        "query": "mutation ($email: String!) { updateMe(input: {email: $email}) { user { email } } }",
        "variables": {"email": f"{uuid4()}@example.org"},
    }
    carol = await batching.person(f"{uuid4()}@example.org")
    changed = {"email": update["variables"]["email"]}
    answers = (await post(carol, [ME, update, ME]))[2]
    assert answers == [
        {"data": {"me": {"email": carol.email}}},
        {"data": {"updateMe": {"user": changed}}},
        {"data": {"me": changed}},
    ]


async def test_who_registers_in_one_is_nobody_in_the_next(batching):
    register = {
        "query": "mutation ($new: RegisterInput!) { register(input: $new) { user { email } } }",
        "variables": {"new": {"email": f"{uuid4()}@example.org", "password": PASSWORD}},
    }
    _, _, (registered, answer) = await post(batching.anonymous, [register, ME])
    assert registered["data"]["register"]["user"] == {"email": register["variables"]["new"]["email"]}
    assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "0 operations in one batch; from 1 to 4 are allowed"),
        ([ME] * 5, "5 operations in one batch; from 1 to 4 are allowed"),
        ([ME, "{ me }"], "each operation of a batch has to be a JSON object"),
        ([ME, [ME]], "each operation of a batch has to be a JSON object"),
        ([ME, {"query": 7}], "query has to be a GraphQL document"),
        ([ME, {"query": "{ me }", "variables": []}], "variables has to be an object"),
    ],
)
async def test_what_is_no_batch(batching, body, message):
    assert await post(batching.user, body) == (400, JSON, refusal(message))


async def test_each_operation_keeps_the_limits(batching):
    expensive = {"query": "{ instruments(first: 500) { nodes { files(first: 500) { nodes { id } } } } }"}
    answers = (await post(batching.user, [expensive, ME]))[2]
    assert (answers[0]["errors"][0]["extensions"]["code"], answers[1]) == ("TOO_EXPENSIVE", BOB)


async def test_each_operation_is_counted(assembled):
    async with assembled(SWITCHYARD_BATCH="4", SWITCHYARD_RATE="10") as world:
        assert [(await post(world.user, [ME] * 4))[0] for _ in range(3)] == [200, 200, 429]
        assert (await post(world.user, [ME] * 2))[0] == 200


async def test_off_unless_set(world):
    message = "batches are not enabled: send one operation per request"
    assert await post(world.user, [ME]) == (400, JSON, refusal(message))
