"""Documents by their id: what is executed, what is refused, and that nobody but the operator adds one."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import pytest_asyncio
from graphql import get_introspection_query

from app.graphql_http import GRAPHQL_JSON
from app.graphql_request import JSON
from app.settings import Settings
from app.wiring import check_operations
from tests.app.test_graphql_http import BOB, ME, get, post, refusal, told

pytestmark = pytest.mark.slow  # an application of its own for each

LOGOUT = "mutation { logout(input: {}) { userId } }"
UNKNOWN = "query Unknown { me { email } }"
NOT_FOUND = "there is no document under this id: documents are added by the operator only, not by sending them"
NOT_TRUSTED = "only trusted documents are executed here: send the id of one as documentId"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def apollo(text: str, **more: Any) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": sha256(text), **more}}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "documents"
    folder.mkdir()
    for name, text in (("me", ME), ("logout", LOGOUT)):
        (folder / f"{name}.graphql").write_bytes(text.encode())
    return folder


@pytest_asyncio.fixture(loop_scope="session")
async def some(assembled, folder):
    """Trusted documents beside any others."""
    async with assembled(SWITCHYARD_TRUSTED_DOCUMENTS=folder) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def only(assembled, folder):
    """Trusted documents and nothing else."""
    async with assembled(SWITCHYARD_TRUSTED_DOCUMENTS=folder, SWITCHYARD_DOCUMENTS="trusted") as world:
        yield world


@pytest.mark.parametrize(
    "body",
    [
        {"documentId": f"sha256:{sha256(ME)}"},
        {"documentId": f"sha256:{sha256(ME)}", "query": None},
        {"documentId": f"sha256:{sha256(ME)}", "query": ME},
        {"extensions": apollo(ME)},
        {"extensions": apollo(ME), "query": ME},
        {"extensions": apollo(ME), "documentId": f"sha256:{sha256(ME)}"},
        {"query": ME},
    ],
)
@pytest.mark.parametrize("mode", ["any", "trusted"])
async def test_a_document_by_its_id(assembled, folder, body, mode):
    async with assembled(SWITCHYARD_TRUSTED_DOCUMENTS=folder, SWITCHYARD_DOCUMENTS=mode) as world:
        assert told(await post(world.user, body)) == (200, JSON, BOB)


async def test_a_document_by_its_id_in_the_query_string(only):
    assert told(await get(only.user, documentId=f"sha256:{sha256(ME)}")) == (200, JSON, BOB)
    assert told(await get(only.user, extensions=json.dumps(apollo(ME)))) == (200, JSON, BOB)


async def test_a_mutation_by_its_id_needs_post(only):
    reply = await get(only.user, documentId=f"sha256:{sha256(LOGOUT)}")
    assert told(reply) == (405, JSON, refusal("a mutation needs POST"))
    caller = await only.person("eve@example.org")
    answer = (await post(caller, {"documentId": f"sha256:{sha256(LOGOUT)}"})).json()
    assert answer == {"data": {"logout": {"userId": str(caller.id)}}}


@pytest.mark.parametrize(("media", "status"), [(JSON, 200), (GRAPHQL_JSON, 400)])
@pytest.mark.parametrize("body", [{"documentId": "nothing"}, {"extensions": apollo(UNKNOWN)}])
async def test_an_unknown_id(some, world, body, media, status):
    assert told(await post(some.user, body, accept=media)) == (status, media, refusal(NOT_FOUND, "PERSISTED_QUERY_NOT_FOUND"))
    without = refusal(NOT_FOUND, "PERSISTED_QUERY_NOT_SUPPORTED")  # so that Apollo's clients stop asking
    assert told(await post(world.user, body, accept=media)) == (status, media, without)


async def test_a_text_that_comes_with_its_id_is_executed_and_not_kept(some):
    """As Apollo's clients do it once they are told that the id is unknown."""
    assert told(await post(some.user, {"query": UNKNOWN, "extensions": apollo(UNKNOWN)})) == (200, JSON, BOB)
    again = told(await post(some.user, {"extensions": apollo(UNKNOWN)}))
    assert again == (200, JSON, refusal(NOT_FOUND, "PERSISTED_QUERY_NOT_FOUND"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"documentId": ""}, "documentId has to be a string that is not empty"),
        ({"documentId": 7}, "documentId has to be a string that is not empty"),
        ({"documentId": "a", "query": ""}, "query has to be a GraphQL document"),
        ({"documentId": "a", "query": 7}, "query has to be a GraphQL document"),
        ({"documentId": "a", "query": ME}, "query is not the document that the id names"),
        ({"extensions": apollo(ME), "query": UNKNOWN}, "query is not the document that the id names"),
        ({"extensions": apollo(ME), "documentId": "a"}, "documentId and persistedQuery name different documents"),
        *(
            ({"extensions": {"persistedQuery": broken}}, None)
            for broken in (7, {}, [], {"version": 1}, {"version": 2, "sha256Hash": "0" * 64}, {"version": 1, "sha256Hash": "A" * 64})
        ),
    ],
)  # fmt: skip
async def test_malformed_ids(some, body, message):
    message = message or "persistedQuery has to be version 1 with the sha256Hash of a document: 64 digits, in lower case"
    assert told(await post(some.user, body)) == (400, JSON, refusal(message))


@pytest.mark.parametrize(("media", "status"), [(JSON, 200), (GRAPHQL_JSON, 400)])
@pytest.mark.parametrize(
    "text", [UNKNOWN, ME + " ", "{ syntax", get_introspection_query()], ids=["other", "longer", "broken", "introspection"]
)
async def test_nothing_else_is_executed(only, text, media, status):
    """Nor parsed: a text of a client means nothing here. The explorer's introspection is no exception."""
    expected = (status, media, refusal(NOT_TRUSTED, "DOCUMENT_NOT_TRUSTED"))
    for body in ({"query": text}, {"query": text, "extensions": apollo(text)}):
        assert told(await post(only.user, body, accept=media)) == expected
    assert len(only.parts.graph._refusals) == 0


async def test_rest_routes_have_documents_of_their_own(only):
    assert (await only.user.request("GET", "/api/instruments")).status_code == 200


async def test_only_trusted_documents_and_none_there(assembled, folder):
    with pytest.raises(ValueError, match="say in SWITCHYARD_TRUSTED_DOCUMENTS where the documents are"):
        async with assembled(SWITCHYARD_DOCUMENTS="trusted"):
            pass
    (folder / "me.graphql").write_text("{ mee { email } }")
    with pytest.raises(ValueError, match=r"me\.graphql:1:3: Cannot query field 'mee'"):
        async with assembled(SWITCHYARD_TRUSTED_DOCUMENTS=folder):
            pass


def test_they_are_checked_without_a_start(folder):
    (folder / "me.graphql").write_text("{ mee { email } }")
    with pytest.raises(ValueError, match=r"me\.graphql:1:3: Cannot query field 'mee'"):
        check_operations(Settings(_env_file=None, SWITCHYARD_TRUSTED_DOCUMENTS=folder))
