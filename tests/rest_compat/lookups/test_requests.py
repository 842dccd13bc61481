"""What a request says beyond names and values: pages by number, orders, files, what it is about."""

from uuid import UUID

import pytest

from core.errors import InvalidInput
from core.uploads import Room
from rest_compat.bodies import Bounds
from tests.rest_compat.lookups.support import EDITOR, shim
from tests.rest_compat.support import client

HERE = "/standard/lookup/countries.standard"


@pytest.mark.parametrize(
    ("query", "offset", "size"),
    [
        ("", 0, 10_000),
        ("?p=3&i=20", 40, 20),
        ("?p=2", 10_000, 10_000),
        ("?i=10001", 0, 10_000),
        ("?p=007&i=1", 6, 1),
        ("?p=99999999999999999999999999", 2**31 - 1, 10_000),
        ("?p=2&p=4&i=5", 15, 5),
    ],
)
async def test_a_page_by_number(rest, world, query, offset, size):
    assert (await rest.get(HERE + query)).status_code == 200
    assert world.seen[-1] == (None, "PACKED", [], offset, size)


@pytest.mark.parametrize("value", ["0", "-1", "1.0", "x", "", " 1", "1e3", "٣"])
@pytest.mark.parametrize("name", ["p", "i"])
async def test_what_is_no_number_of_a_page(rest, name, value):
    reply = await rest.get(HERE, params={name: value})
    said = f"{name}: Input should be a whole number from 1 on"
    assert (reply.status_code, reply.json()) == (400, {"result": "FAIL", "error": said})


async def test_both_numbers_of_a_page_are_told(rest):
    reply = await rest.get(HERE, params={"p": "a", "i": "b"})
    assert reply.json()["error"].count("whole number") == 2


async def test_an_order_is_that_of_the_query(rest, world):
    await rest.get(HERE + "?sname=a&f=x&s_id=d&s=a&spop=&sname=b")
    order = [("name", "ASC"), ("_id", "DESC"), ("pop", "DESC"), ("name", "DESC")]
    assert world.seen[-1] == ("x", "PACKED", order, 0, 10_000)


async def test_an_enumeration_is_spelled_in_lower_case(rest, world):
    assert (await rest.get(HERE + "?geopoint=dms")).status_code == 200
    assert world.seen[-1][1] == "DMS"
    assert (await rest.get(HERE + "?geopoint=DMS")).status_code == 400


@pytest.mark.parametrize(
    ("path", "about"),
    [
        (HERE, {"tenant": "standard", "lookupId": "countries.standard"}),
        ("/standard/lookup/a%2Fb", {"tenant": "standard", "lookupId": "a/b"}),
    ],
)
async def test_what_a_query_is_about(rest, world, path, about):
    await rest.get(path)
    assert world.seen[0] == about


async def test_a_change_is_about_what_the_path_tells(rest, world):
    await rest.post(HERE, json={"keys": ["CZ"]})
    assert world.seen == [{"tenant": "standard", "lookupId": "countries.standard"}, {"keys": ["CZ"]}]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nowhere/lookup/a", 404),
        ("/closed/lookup/a", 403),
        ("/standard/lookup/a.other", 401),
        ("/standard/lookup/gone", 404),
        ("/standard/lookup/here?tenant=x", 400),
    ],
)
async def test_what_is_not_there_is_told_before_the_body_is_read(rest, path, status):
    reply = await rest.post(path, content=b"{" * 20_000, headers={"content-type": "text/plain"})
    assert reply.status_code == status


async def test_a_tenant_is_looked_for_before_anybody_signs_in(anonymous):
    assert (await anonymous.get("/nowhere/lookup/a")).status_code == 404
    assert (await anonymous.get("/closed/lookup/a")).status_code == 401


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_an_acknowledgement_stands_beside_what_is_returned(rest, method):
    reply = await rest.request(method, HERE, json={})
    assert reply.text == '{"result":"OK","_id":"CZ"}'


async def test_a_call_that_returns_nothing_is_acknowledged(rest):
    reply = await rest.delete(HERE + "/CZ")
    assert (reply.status_code, reply.text) == (200, '{"result":"OK"}')


@pytest.mark.parametrize("body", [[], "text", 7, {}, {"n": 2**64 - 1}, {"ü": [None]}])
async def test_a_body_is_passed_on_as_it_is(rest, world, body):
    assert (await rest.post(HERE, json=body)).status_code == 200
    assert world.seen[-1] == body


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[1,]", b'{"a": NaN}', b"\xff"])
async def test_a_body_that_is_no_json(rest, content):
    reply = await rest.post(HERE, content=content, headers={"content-type": "application/json"})
    assert reply.status_code == 400
    assert {**reply.json(), "uuid": UUID(reply.json()["uuid"]).version} == {
        "result": "ERROR",
        "message": "400: Failed to parse JSON request",
        "uuid": 4,
    }


@pytest.mark.parametrize("sent", ["text/plain", "application/x-www-form-urlencoded", "application/yaml", None])
async def test_a_body_of_another_type(rest, sent):
    reply = await rest.post(HERE, content=b"{}", headers={} if sent is None else {"content-type": sent})
    assert (reply.status_code, reply.json()["result"]) == (400, "ERROR")
    assert reply.json()["message"].startswith("400: Unsupported content-type")


async def test_a_body_that_is_too_large(rest):
    reply = await rest.post(HERE, json={"a": "x" * 10_000})
    assert (reply.status_code, reply.json()) == (413, {"result": "FAIL", "error": "The body is larger than 10000 bytes"})


async def test_what_a_use_case_finds_wrong(rest, world):
    world.failure = InvalidInput("name: it is too long", field="name")
    reply = await rest.post(HERE, json={})
    assert (reply.status_code, reply.json()) == (400, {"result": "FAIL", "error": "name: it is too long"})


# --- files -------------------------------------------------------------------------------------------------------------


async def test_a_file(rest, world):
    reply = await rest.post(HERE + "/upload", files={"anything": ("../../etc/x", b"_id\nCZ\n")})
    assert (reply.status_code, reply.text) == (200, '{"result":"OK","count":7}')
    assert world.seen[-1] == ("../../etc/x", 7, b"_id\nCZ\n")


async def test_the_first_part_with_a_file_name_is_the_file(rest, world):
    parts = [("a", (None, b"text")), ("b", ("1.csv", b"skip1")), ("c", ("2.csv", b"second"))]
    reply = await rest.post(HERE + "/upload", files=parts)
    assert reply.text == '{"result":"OK","count":5,"skipped":1}'
    assert world.seen[-1] == ("1.csv", 5, b"skip1")


CLOSED = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f.csv"\r\n\r\nx\r\n--b--\r\n'


@pytest.mark.parametrize(
    ("sent", "content"),
    [
        pytest.param("multipart/form-data; boundary=b", CLOSED.replace(b'; filename="f.csv"', b""), id="no file"),
        pytest.param("multipart/form-data; boundary=b", CLOSED[:-6], id="cut off"),
        pytest.param("multipart/form-data; boundary=b", b"", id="empty"),
        pytest.param("multipart/form-data; boundary=b", b"--c\r\n", id="another boundary"),
        pytest.param("multipart/form-data", CLOSED, id="no boundary"),
        pytest.param("text/csv", b"_id\nCZ\n", id="no multipart"),
        pytest.param(None, b"", id="nothing"),
    ],
)
async def test_no_file(rest, world, sent, content):
    reply = await rest.post(HERE + "/upload", content=content, headers={} if sent is None else {"content-type": sent})
    assert (reply.status_code, reply.text) == (400, '{"result":"NO-FILE-UPLOADED"}')
    assert len(world.seen) == 1  # what it is about


async def test_a_file_that_is_too_large(rest):
    reply = await rest.post(HERE + "/upload", files={"f": ("f.csv", b"x" * 1001)})
    assert (reply.status_code, reply.json()) == (413, {"result": "FAIL", "error": "The file is larger than 1000 bytes"})
    reply = await rest.post(HERE + "/upload", files={"f": ("f.csv", b"x" * 100_000)})
    assert (reply.status_code, reply.json()) == (413, {"result": "FAIL", "error": "The file is larger than 1000 bytes"})
    assert (await rest.post(HERE + "/upload", files={"f": ("f.csv", b"x" * 1000)})).status_code == 200


async def test_too_many_files_at_a_time(world, tmp_path):
    bounds = Bounds(room=Room(tmp_path, 1000, most=1))
    async with client(shim(world, bounds)) as rest:
        with bounds.room.turn():
            reply = await rest.post(HERE + "/upload", files={"f": ("f.csv", b"x")}, headers=EDITOR)
        told = {"result": "FAIL", "error": "1 uploads are under way: try again in a moment"}
        assert (reply.status_code, reply.json()) == (503, told)
        assert (await rest.post(HERE + "/upload", files={"f": ("f.csv", b"x")}, headers=EDITOR)).status_code == 200
    assert bounds.room.under_way == 0
