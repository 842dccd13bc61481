"""Who has an answer already is told so: tags, `If-None-Match`, and who may keep what."""

from __future__ import annotations

import pytest

from rest_compat.caching import has

QUERY = "/graphql?query={me{email}}"
READ = ["/api/instruments", "/users/me", QUERY]
DOCUMENTS = ["/schema.graphql", "/schema.json", "/openapi.json", "/openapi/instruments.json"]
PAGES = ["/docs", "/graphiql", "/"]


async def get(caller, path: str, tag: str | None = None, method: str = "GET", **headers: str):
    return await caller.request(method, path, headers=headers | ({} if tag is None else {"if-none-match": tag}))


@pytest.mark.parametrize(
    ("given", "known"),
    [
        (None, False),
        ("", False),
        ('"a"', True),
        ('W/"a"', True),
        ('"b", W/"a"', True),
        ('"b"', False),
        ("a", False),
        ("*", True),
        (" * ", True),
    ],
)
def test_the_tags_that_a_client_names(given, known):
    headers = {} if given is None else {"if-none-match": given}
    assert has('"a"', headers) is has('W/"a"', headers) is known


@pytest.mark.parametrize("path", READ)
async def test_what_is_read_has_a_weak_tag_and_is_asked_for_again(world, path):
    reply = await get(world.admin, path)
    assert reply.status_code == 200
    assert reply.headers["etag"].startswith('W/"')
    assert reply.headers["cache-control"] == "private, no-cache"
    assert reply.headers["vary"] == "Authorization, Cookie, Accept, Accept-Encoding"


@pytest.mark.parametrize("path", [*READ, *DOCUMENTS, *PAGES])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_who_has_it_is_told_so(world, path, coding, method):
    headers = {"accept-encoding": coding}
    reply = await get(world.admin, path, **headers)
    again = await get(world.admin, path, reply.headers["etag"], method, **headers)
    assert (again.status_code, again.content) == (304, b"")
    same = {"etag", "cache-control", "vary"}
    assert {name: again.headers.get(name) for name in same} == {name: reply.headers.get(name) for name in same}
    assert "content-length" not in again.headers
    other = await get(world.admin, path, '"other"', method, **headers)
    assert (other.status_code, other.headers["etag"]) == (200, reply.headers["etag"])


async def test_another_person_has_another_answer(world):
    tag = (await get(world.admin, "/users/me")).headers["etag"]
    assert (await get(world.user, "/users/me", tag)).status_code == 200


async def test_a_change_is_seen(world):
    tag = (await get(world.admin, "/api/instruments")).headers["etag"]
    new = {"name": "conditional", "cifs_host": "nas", "cifs_share": "share"}
    assert (await world.admin.request("POST", "/api/instruments", json=new)).status_code == 201
    assert (await get(world.admin, "/api/instruments", tag)).status_code == 200


@pytest.mark.parametrize("path", ["/api/files", "/api/files/nonsense", "/graphql?query={nothing}", "/graphql?query={"])
async def test_streams_and_refusals_are_kept_by_nobody(world, path):
    reply = await get(world.admin, path, "*")
    assert reply.status_code != 304
    assert (reply.headers["cache-control"], "etag" in reply.headers) == ("no-store", False)


async def test_a_post_has_no_tag(world):
    reply = await world.admin.request("POST", "/graphql", json={"query": "{ me { email } }"}, headers={"if-none-match": "*"})
    assert (reply.status_code, reply.headers["cache-control"], "etag" in reply.headers) == (200, "no-store", False)


async def test_who_may_not_see_it_is_not_told_whether_it_changed(world):
    assert (await get(world.anonymous, "/api/instruments", "*")).status_code == 401


@pytest.mark.parametrize("path", DOCUMENTS)
async def test_documents_have_a_strong_tag_and_may_be_kept_for_minutes(world, path):
    reply = await get(world.anonymous, path, **{"accept-encoding": "identity"})
    assert reply.headers["etag"].startswith('"')
    assert reply.headers["cache-control"] == "public, max-age=300"


async def test_head_of_a_stream_tells_no_length(world):
    reply = await get(world.admin, "/api/files", method="HEAD")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    assert "content-length" not in reply.headers


async def test_introspection_as_a_document(world):
    told = (await get(world.anonymous, "/schema.json")).json()
    assert told["data"]["__schema"]["queryType"]["name"] == "Query"


@pytest.mark.slow
async def test_where_introspection_is_off_there_is_no_document(assembled):
    async with assembled(SWITCHYARD_PROFILE="production") as world:
        assert (await get(world.anonymous, "/schema.json")).status_code == 404
