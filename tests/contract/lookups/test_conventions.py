"""Results, failures, paging: contract §4."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import Unavailable
from tests.contract.lookups.declaring import (
    ACCESS,
    CONTROL,
    COUNTRIES,
    EDIT,
    OK,
    TENANT,
    declare,
    erred,
    failed,
    listed,
    not_found,
    of_id,
    upload,
    write,
)
from tests.contract.support import Api, World, running, told

JSON_ROUTES = [
    ("POST", CONTROL),
    ("PUT", f"{CONTROL}/countries.{TENANT}"),
    ("POST", f"/{TENANT}/lookup/countries.{TENANT}"),
    ("PUT", f"/{TENANT}/lookup/countries.{TENANT}"),
    ("PUT", f"/{TENANT}/lookup/countries.{TENANT}/CZ"),
]
LISTS = [
    "/standard/lookup-control",
    "/standard/lookup/countries.standard",
    "/standard/lookup/countries.standard/by?field=name&value=x",
]


@pytest.mark.parametrize(("method", "path"), JSON_ROUTES)
class TestBodies:
    @pytest.mark.parametrize("content", [b"", b"{", b'{"a":}', b"\xff", b"NaN", b'{"name": Infinity}'])
    async def test_what_is_no_json(self, editor: Api, countries: str, method: str, path: str, content: bytes):
        reply = await editor.request(method, path, content=content, headers={"content-type": "application/json"})
        assert erred(reply, 400) == "400: Failed to parse JSON request"

    @pytest.mark.parametrize("body", [None, [], "text", 7, True])
    async def test_what_is_no_object(self, editor: Api, countries: str, method: str, path: str, body: object):
        await write(editor, countries, ["CZ"])
        erred(await editor.request(method, path, json=body), 400)

    @pytest.mark.parametrize("sent", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
    async def test_another_content_type(self, editor: Api, countries: str, method: str, path: str, sent: str | None):
        headers = {} if sent is None else {"content-type": sent}
        reply = await editor.request(method, path, content=b"{}", headers=headers)
        assert erred(reply, 400).startswith("400: Unsupported content-type")

    async def test_json_with_a_charset(self, editor: Api, countries: str, method: str, path: str):
        await write(editor, countries, ["CZ"])
        body = b'{"keys":["CZ"]}' if "lookup/" in path else b'{"name":"new"}' if path == CONTROL else b'{"label":"new"}'
        reply = await editor.request(method, path, content=body, headers={"content-type": "application/json; charset=utf-8"})
        assert (reply.status_code, reply.json()["result"]) == (200, "OK")


@pytest.mark.parametrize(
    "path", ["/standard/lookup", "/standard/lookup/", "/standard/lookup-control/a/b", "/standard/lookup/a/b/c"]
)
async def test_an_unknown_route(editor: Api, path: str):
    assert not_found(await editor.get(path)) == "404: Not Found"


async def test_a_wrong_method(editor: Api, countries: str):
    reply = await editor.patch(countries)
    assert erred(reply, 405) == "405: Method Not Allowed"
    assert erred(await editor.request("POST", f"{countries}/CZ"), 405) == "405: Method Not Allowed"


@pytest.mark.parametrize("value", ["", "=true", "=1", "=t", "=y", "=yes"])
async def test_pretty(editor: Api, value: str):
    assert (await editor.get(f"{CONTROL}?pretty{value}")).text == '{\n    "data": [],\n    "count": 0\n}\n'


async def test_storage_that_does_not_answer(world: World, editor: Api, countries: str, monkeypatch: pytest.MonkeyPatch):
    async def fail(*_: object, **__: object) -> None:
        raise Unavailable("the store does not answer")

    for name in ("page", "upload"):
        monkeypatch.setattr(world.parts.services.lookups.store, name, fail)
    assert failed(await editor.get(countries), 503) == "the store does not answer"
    assert failed(await upload(editor, countries, "_id\nCZ\n"), 503) == "the store does not answer"


# --- pages -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("name", ["p", "i"])
@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", ""])
async def test_what_is_no_page(editor: Api, countries: str, path: str, name: str, value: str):
    failed(await editor.get(f"{path}{'&' if '?' in path else '?'}{name}={value}"))


async def test_pages(editor: Api, countries: str):
    for code in ("CZ", "AT", "DE", "SK", "PL"):
        await write(editor, countries, [code], {"name": "x"})
    for path in (countries + "?", f"{countries}/by?field=name&value=x&"):
        pages = [(await editor.get(f"{path}p={page}&i=2")).json() for page in (1, 2, 3, 4, 10**30)]
        assert [page["count"] for page in pages] == [5] * 5
        ids = [[each["_id"] for each in page["data"]] for page in pages]
        assert ids == [["AT", "CZ"], ["DE", "PL"], ["SK"], [], []]
        assert (await editor.get(f"{path}i=99999")).json()["count"] == 5


async def test_pages_of_lookups(editor: Api):
    for name in ("c", "a", "b"):
        await declare(editor, COUNTRIES | {"name": name})
    reply = await editor.get(f"{CONTROL}?p=2&i=2")
    assert ([each["id"] for each in reply.json()["data"]], reply.json()["count"]) == (["c.standard"], 3)


# --- the filter --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ČES", ["CZ"]),
        ("  česko  ", ["CZ"]),
        ("cesko", []),
        ("", ["CZ", "SK", "odd"]),
        ("  ", ["CZ", "SK", "odd"]),
        ("k", ["CZ", "SK"]),
        ("*", ["odd"]),
        ("%", ["odd"]),
        ("_", ["odd"]),
        ("?", ["odd"]),
        ("\\", ["odd"]),
        ("%_", ["odd"]),
        ("cz", ["CZ"]),
        ("1000", []),
        ("CZČesko", []),
    ],
)
async def test_the_filter(editor: Api, countries: str, text: str, found: list[str]):
    await write(editor, countries, ["CZ"], {"name": "Česko", "people": 10_000_000})
    await write(editor, countries, ["SK"], {"name": "Slovensko"})
    await write(editor, countries, ["odd"], {"name": "*?%_\\"})
    for path in (countries, f"{countries}/by"):
        reply = await editor.get(path, params={"f": text} | ({"field": "_id", "value": "CZ"} if "by" in path else {}))
        ids = [each["_id"] for each in reply.json()["data"]]
        assert ids == ([each for each in found if each == "CZ"] if "by" in path else found)


# --- the order ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", ["A", "B", "a", "b"]),
        ("?s_id=d", ["b", "a", "B", "A"]),
        ("?sname=a", ["a", "A", "B", "b"]),
        ("?sname=d", ["A", "B", "a", "b"]),
        ("?sname=", ["A", "B", "a", "b"]),
        ("?scode=d", ["b", "a", "B", "A"]),
        ("?speople=a", ["B", "A", "b", "a"]),
        ("?speople=d", ["b", "A", "B", "a"]),
        ("?sname=a&speople=a", ["a", "B", "A", "b"]),
        ("?speople=a&sname=a", ["B", "A", "b", "a"]),
        ("?snothing=a&s_id=d", ["b", "a", "B", "A"]),
        ("?slocation=a", ["b", "a", "A", "B"]),
        ("?s_exp=a", ["B", "A", "a", "b"]),
        ("?s_exp=d", ["A", "B", "a", "b"]),
    ],
)
async def test_the_order(editor: Api, countries: str, query: str, ids: list[str]):
    later = 1_900_000_000
    await write(editor, countries, ["A"], {"name": "b", "people": 9, "location": 3}, _exp=later + 1)
    await write(editor, countries, ["B"], {"name": "b", "people": 2}, _exp=later)
    await write(editor, countries, ["a"], {"name": "B", "location": 2})
    await write(editor, countries, ["b"], {"people": 10**19, "location": 1})
    assert await listed(editor, countries, query) == ids


# --- limits ------------------------------------------------------------------------------------------------------------


async def test_a_file_above_the_limit(tmp_path: Path):
    async with running(tmp_path, SWITCHYARD_UPLOAD_LIMIT=100) as world:
        editor = world.vouched({TENANT: [ACCESS, EDIT]})
        path = await declare(editor)
        assert told(await upload(editor, path, "_id\n" + "x" * 96)) == (200, {"result": "OK", "count": 1})
        failed(await upload(editor, path, "_id\n" + "y" * 97), 413)
        failed(await upload(editor, path, "_id\n" + "z" * 200_000), 413)
        assert len(await listed(editor, path)) == 1


async def test_a_repeated_request_is_made_once(editor: Api):
    key = {"Idempotency-Key": "one"}
    first = await editor.post(CONTROL, json=COUNTRIES, headers=key)
    assert told(await editor.post(CONTROL, json=COUNTRIES, headers=key)) == told(first)
    failed(await editor.post(CONTROL, json=COUNTRIES), 409)


async def test_deleting_is_acknowledged(editor: Api, countries: str):
    await write(editor, countries, ["CZ"])
    assert told(await editor.delete(of_id(countries, "CZ"))) == OK
