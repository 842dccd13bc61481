"""What replies look like beyond a selection: CSV, keys out of JSON, for people to read."""

import pytest

from rest_compat.calls import StreamCut

HERE = "/standard/lookup/countries.standard"
ITEM = {"_id": "CZ", "name": "Česko", "pop": 2**64 - 1}


async def test_keys_out_of_json(rest):
    assert (await rest.get(HERE)).json() == {
        "data": [ITEM, {"_id": "a/b", "_exp": 7}, {"_id": "upload"}],
        "count": 3,
    }


@pytest.mark.parametrize(
    ("path", "known"), [("CZ", "CZ"), ("%43Z", "CZ"), ("a%2Fb", "a/b"), ("a%2fb", "a/b"), ("upload", "upload")]
)
async def test_an_id_is_decoded_once(rest, path, known):
    assert (await rest.get(f"{HERE}/{path}")).json()["_id"] == known


@pytest.mark.parametrize("path", ["a%252Fb", "no", "C+Z", "a%20b"])
async def test_an_id_of_nothing(rest, path):
    reply = await rest.get(f"{HERE}/{path}")
    assert reply.status_code == 404
    assert reply.json() == {"result": "NOT-FOUND", "message": "404: Item not found", "uuid": reply.json()["uuid"]}


@pytest.mark.parametrize("path", ["by", "%62y", "b%79"])
async def test_a_suffix_wins_however_it_is_written(rest, path):
    assert (await rest.get(f"{HERE}/{path}?field=a")).json() == {"count": 3}
    assert (await rest.delete(f"{HERE}/{path}")).json()["message"] == "404: Item not found."


async def test_csv(rest):
    reply = await rest.get(HERE + "/export")
    assert (reply.status_code, reply.content.decode()) == (200, "_id;name\r\nCZ;Česko\r\n")
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert reply.headers["content-disposition"] == 'attachment; filename="countries.standard.csv"'
    assert "content-length" not in reply.headers
    head = await rest.head(HERE + "/export")
    assert (head.content, head.headers) == (b"", reply.headers)


async def test_csv_that_fails_at_once(rest, world):
    world.pieces, world.failure = [], OSError()
    reply = await rest.get(HERE + "/export")
    assert (reply.status_code, reply.json()["message"]) == (500, "Internal Server Error")


async def test_csv_that_fails_later_is_cut(rest, world):
    world.failure = OSError()
    with pytest.raises(StreamCut):
        await rest.get(HERE + "/export")


@pytest.mark.parametrize("value", ["", "=true", "=1", "=t", "=y", "=yes"])
async def test_pretty(rest, value):
    reply = await rest.get(f"{HERE}/CZ?pretty{value}")
    assert reply.text == '{\n    "_id": "CZ",\n    "name": "Česko",\n    "pop": 18446744073709551615\n}\n'


@pytest.mark.parametrize("value", ["false", "0", "no", "x"])
async def test_not_pretty(rest, value):
    reply = await rest.get(f"{HERE}/CZ?pretty={value}")
    assert reply.text == '{"_id":"CZ","name":"Česko","pop":18446744073709551615}'


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nowhere/lookup/a"), ("GET", "/a/lookup-control/x"), ("PATCH", HERE), ("DELETE", HERE + "/no")],
)
async def test_pretty_errors(rest, method, path):
    assert '\n    "result": ' in (await rest.request(method, path + "?pretty")).text
    assert "\n" not in (await rest.request(method, path)).text


@pytest.mark.parametrize("path", ["/a/lookup", "/a/lookup/", "/a/lookup-control/b/c/d", "/a/lookup/b/c/d", "/%2F/lookup/%FF"])
async def test_an_unknown_path_below_a_tenant(rest, path):
    reply = await rest.get(path)
    assert (reply.status_code, reply.json()["message"]) == (404, "404: Not Found")


@pytest.mark.parametrize("path", ["/a/lookups", "/a", "/a/b/lookup", "/api/lookup/b", "/lookup/a"])
async def test_a_path_of_somebody_else(rest, path):
    assert (await rest.get(path)).json() == {"detail": "Not Found"}


async def test_a_wrong_method(rest):
    reply = await rest.patch(HERE)
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD, POST, PUT")
    assert reply.json() == {"result": "ERROR", "message": "405: Method Not Allowed", "uuid": reply.json()["uuid"]}
