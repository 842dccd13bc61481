"""CSV in and out: contract §9, and the curl lines of the page."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from tests.contract.lookups.declaring import (
    CONTROL,
    COUNTRIES,
    OK,
    TENANT,
    VENDORS,
    declare,
    failed,
    item,
    listed,
    rows,
    upload,
    write,
)
from tests.contract.support import Api, World, told

PEOPLE = {"name": "people", "keys": [{"name": "login"}, {"name": "company"}], "fields": {"city": {}}}
NUMBERS = {"name": "numbers", "type": "lookup/number", "fields": {"v": {}}}
NO_FILE = (400, '{"result":"NO-FILE-UPLOADED"}')


async def items(api: Api, path: str) -> list[dict[str, Any]]:
    """All, without what tells when they were written."""
    data = (await api.get(path)).json()["data"]
    return [{name: value for name, value in each.items() if name not in {"_c", "_m", "_v"}} for each in data]


# --- the page's own lines ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["upload", "import"])
async def test_the_first_curl_line(editor: Api, countries: str, route: str):
    """curl -X POST -H "Content-Type: multipart/form-data" -F "file=@countries.csv" …/upload"""
    files = {"file": ("countries.csv", b"_id;name;ignored\nCZ;Czechia;1\nSK;Slovakia;2\n", "text/csv")}
    reply = await editor.post(f"{countries}/{route}", files=files)
    assert told(reply) == (200, {"result": "OK", "count": 2})
    assert [each["name"] for each in await items(editor, countries)] == ["Czechia", "Slovakia"]


async def test_the_second_curl_line(editor: Api, countries: str):
    """curl -X POST -F "file=@data.csv" …/upload?delimiter=,"""
    reply = await upload(editor, countries, "_id,name\nCZ,Czechia\n", "?delimiter=,")
    assert told(reply) == (200, {"result": "OK", "count": 1})


# --- the request -------------------------------------------------------------------------------------------------------

CLOSED = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f.csv"\r\n\r\n_id\nCZ\r\n--b--\r\n'


@pytest.mark.parametrize(
    ("sent", "content"),
    [
        ("multipart/form-data; boundary=b", CLOSED.replace(b'; filename="f.csv"', b"")),
        ("multipart/form-data; boundary=b", CLOSED[:-6]),
        ("multipart/form-data; boundary=b", b"nonsense"),
        ("multipart/form-data", CLOSED),
        ("text/csv", b"_id\nCZ\n"),
        ("application/json", b"{}"),
        (None, b""),
    ],
)
async def test_no_file(editor: Api, countries: str, sent: str | None, content: bytes):
    headers = {} if sent is None else {"content-type": sent}
    reply = await editor.post(f"{countries}/upload", content=content, headers=headers)
    assert (reply.status_code, reply.text) == NO_FILE
    assert await listed(editor, countries) == []


async def test_the_first_part_with_a_file_name_is_taken(editor: Api, countries: str):
    parts = [("a", (None, b"_id\nXX\n")), ("b", ("1.csv", b"_id\nCZ\n")), ("c", ("2.csv", b"_id\nSK\n"))]
    reply = await editor.post(f"{countries}/upload", files=parts)
    assert told(reply) == (200, {"result": "OK", "count": 1})
    assert await listed(editor, countries) == ["CZ"]


@pytest.mark.parametrize("name", ["../../etc/x", "/tmp/x", "x" * 500, "č.csv", "a\\b"])
async def test_the_name_of_a_file_is_never_a_path(editor: Api, countries: str, world: World, name: str):
    before = sorted(world.folder.rglob("*"))
    assert told(await upload(editor, countries, "_id\nCZ\n", name=name)) == (200, {"result": "OK", "count": 1})
    assert {path.name for path in sorted(world.folder.rglob("*"))} - {path.name for path in before} <= {"uploads"}


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "%0A", "%0D", "%C4%8D%C4%8D"])
async def test_what_is_no_delimiter(editor: Api, countries: str, delimiter: str):
    failed(await upload(editor, countries, "_id;name\nCZ;x\n", f"?delimiter={delimiter}"))


async def test_tabs(editor: Api, countries: str):
    assert told(await upload(editor, countries, "_id\tname\nCZ\tx\n", "?delimiter=%09")) == (200, {"result": "OK", "count": 1})


# --- parsing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("_id;name\r\nCZ;a\r\n", [{"_id": "CZ", "_keys": ["CZ"], "name": "a"}]),
        ("\ufeff_id;name\nCZ;a", [{"_id": "CZ", "_keys": ["CZ"], "name": "a"}]),
        (" _id ; name \n CZ ; a \n", [{"_id": "CZ", "_keys": ["CZ"], "name": "a"}]),
        ('_id;name\nCZ;"a ""b""\nc;d"\n', [{"_id": "CZ", "_keys": ["CZ"], "name": 'a "b"\nc;d'}]),
        ("_id;name\n\nCZ;a\n\n", [{"_id": "CZ", "_keys": ["CZ"], "name": "a"}]),
        ("_id;name\nCZ;a;b;c\n", [{"_id": "CZ", "_keys": ["CZ"], "name": "a"}]),
        ("_id;name;people\nCZ;a\n", [{"_id": "CZ", "_keys": ["CZ"], "name": "a"}]),
        ("_id;name;name\nCZ;a;b\n", [{"_id": "CZ", "_keys": ["CZ"], "name": "b"}]),
        ("_id;name\nCZ;a\nCZ;b\n", [{"_id": "CZ", "_keys": ["CZ"], "name": "b"}]),
        ("_id;name;people\nCZ;a;\nCZ;;7\n", [{"_id": "CZ", "_keys": ["CZ"], "name": "a", "people": 7}]),
        ("_keys;name\nCZ,SK;a\n", [{"_id": "CZ,SK", "_keys": ["CZ,SK"], "name": "a"}]),
        ("code;name\nCZ;a\n", [{"_id": "CZ", "_keys": ["CZ"], "name": "a"}]),
        ("_id;location\nCZ;50.0643081, 14.443938\n", [{"_id": "CZ", "_keys": ["CZ"], "location": 9963493229983947706}]),
        ("_id;location\nCZ;9963493229983947706\n", [{"_id": "CZ", "_keys": ["CZ"], "location": 9963493229983947706}]),
        ("_id;_exp\nCZ;1900000000\nSK;\n", [{"_id": "CZ", "_keys": ["CZ"], "_exp": 1900000000}, {"_id": "SK", "_keys": ["SK"]}]),
        ("_id;name\nČZ;č\n", [{"_id": "ČZ", "_keys": ["ČZ"], "name": "č"}]),
    ],
)  # fmt: skip
async def test_a_file(editor: Api, countries: str, text: str, expected: list[dict[str, Any]]):
    assert (await upload(editor, countries, text)).json()["result"] == "OK"
    assert await items(editor, countries) == expected


async def test_every_row_counts(editor: Api, countries: str):
    assert told(await upload(editor, countries, "_id\nCZ\nCZ\nSK\n")) == (200, {"result": "OK", "count": 3})


async def test_a_row_without_an_id_is_skipped(editor: Api, countries: str):
    reply = await upload(editor, countries, "_id;name\n;a\nCZ;b\n;c\n")
    assert told(reply) == (200, {"result": "OK", "count": 1, "skipped": 2})


@pytest.mark.parametrize("text", ["", "_id;name\n", "\ufeff", "\n\n"])
async def test_a_file_of_nothing(editor: Api, countries: str, text: str):
    assert told(await upload(editor, countries, text)) == (200, {"result": "OK", "count": 0})


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("_keys;city\nJohnDoe, Company 1;x\n", ["9035be88295fb7f582b9109f938dc6eefecd7ccd5d44e9b009185d1ffe78ed95"]),
        ('_keys;city\n"[""Škoda"",""a,b""]";x\n', ["bb910f977b09e90ab4fb72f1d9e3c5bd35abe29940fa4c6a62849fb5d680d627"]),
        ("company;login;city\nCompany 1;JohnDoe;x\n", ["9035be88295fb7f582b9109f938dc6eefecd7ccd5d44e9b009185d1ffe78ed95"]),
        ("_id;_keys\nown;a,b\n", ["own"]),
        ("_id;city\nown;x\n", ["own"]),
    ],
)
async def test_several_keys(editor: Api, text: str, ids: list[str]):
    path = await declare(editor, PEOPLE)
    assert told(await upload(editor, path, text)) == (200, {"result": "OK", "count": 1})
    assert await listed(editor, path) == ids
    shown = (await items(editor, path))[0]["_keys"]
    assert shown == ([] if text.startswith("_id;city") else ["a", "b"] if "own" in text else shown)


async def test_an_id_becomes_canonical(editor: Api):
    path = await declare(editor, NUMBERS)
    assert told(await upload(editor, path, "_id;v\n007;a\n+7;b\n")) == (200, {"result": "OK", "count": 2})
    assert await items(editor, path) == [{"_id": "7", "_keys": [7], "v": "b"}]


async def test_rows_are_merged_into_what_is_there(editor: Api, countries: str):
    await write(editor, countries, ["CZ"], {"name": "a", "people": 1})
    await write(editor, countries, ["AT"], {"name": "z"})
    await upload(editor, countries, "_id;name;people\nCZ;;2\nSK;s;\n")
    shown = [(each["_id"], each.get("name"), each.get("people")) for each in await items(editor, countries)]
    assert shown == [("AT", "z", None), ("CZ", "a", 2), ("SK", "s", None)]


# --- what is wrong with it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("_id;people\nCZ;1\nSK;many\n", ["3", "people"]),
        ("_id;location\nCZ;91, 0\n", ["2", "location"]),
        ("_id;_exp\nCZ;soon\n", ["2", "_exp"]),
        ('_id;name\n"C\nZ2";x\n', ["_id"]),
        (f"_id\n{'x' * 513}\n", ["2", "_id"]),
    ],
)
async def test_a_bad_row(editor: Api, countries: str, text: str, words: list[str]):
    message = failed(await upload(editor, countries, text))
    assert [word for word in words if word not in message] == []
    assert await listed(editor, countries) == []


@pytest.mark.parametrize("keys", ["a", "a,b,c", '"[""a""]"', "a,"])
async def test_bad_keys(editor: Api, keys: str):
    path = await declare(editor, PEOPLE)
    failed(await upload(editor, path, f"_keys;city\n{keys};x\n"))


async def test_a_wrong_delimiter(editor: Api, countries: str):
    assert "delimiter" in failed(await upload(editor, countries, "_id,name\nCZ,Czechia\n"))
    assert "delimiter" in failed(await upload(editor, countries, "name;people\nx;1\n"))


@pytest.mark.parametrize("content", [b"_id;name\nCZ;\xff\n", b"\xff\xfe_\x00", "_id\nč\n".encode("iso8859-2")])
async def test_what_is_no_utf_8(editor: Api, countries: str, content: bytes):
    failed(await upload(editor, countries, content))
    assert await listed(editor, countries) == []


async def test_a_bad_row_far_down_leaves_nothing(editor: Api, countries: str):
    text = "_id;people\n" + "".join(f"c{number};1\n" for number in range(5000)) + "bad;x\n"
    assert "5002" in failed(await upload(editor, countries, text))
    assert await listed(editor, countries) == []


async def test_two_uploads_at_once(editor: Api, countries: str):
    """They interleave by rows, never within one."""
    texts = ["_id;name;people\n" + "".join(f"c{at};{who};{who}\n" for at in range(500)) for who in (1, 2)]
    replies = await asyncio.gather(*(upload(editor, countries, text) for text in texts))
    assert [told(reply) for reply in replies] == [(200, {"result": "OK", "count": 500})] * 2
    found = await items(editor, countries)
    assert len(found) == 500
    assert all(each["name"] == str(each["people"]) for each in found)


# --- export ------------------------------------------------------------------------------------------------------------


async def test_export(editor: Api, countries: str):
    await write(editor, countries, ["SK"], {"name": "a;b", "people": 5}, _exp=1_900_000_000)
    await write(editor, countries, ["CZ"], {"name": "=1+1", "location": 9963493229983947706})
    reply = await editor.get(f"{countries}/export")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert reply.headers["content-disposition"] == f'attachment; filename="countries.{TENANT}.csv"'
    assert rows(reply.text) == [
        "_id;name;people;location",
        'CZ;=1+1;;"50°03\'51.5091""N, 14°26\'38.1769""E"',
        'SK;"a;b";5;',
    ]
    assert rows((await editor.get(f"{countries}/export?exp=true")).text)[::2] == [
        "_id;name;people;location;_exp",
        'SK;"a;b";5;;1900000000',
    ]
    failed(await editor.get(f"{countries}/export?exp=maybe"))


async def test_export_of_nothing(editor: Api, countries: str):
    assert (await editor.get(f"{countries}/export")).text == "_id;name;people;location\r\n"
    assert told(await editor.get(f"{countries}/export_sample")) == (
        200,
        {"result": "OK", "data": "_id;name;people;location\r\n"},
    )


async def test_export_of_several_keys(editor: Api):
    path = await declare(editor, PEOPLE)
    for keys in (["a", "b"], ["a,b", "c"], [" a", "b"], ["[a", "b"]):
        await write(editor, path, keys)
    lines = rows((await editor.get(f"{path}/export")).text)
    assert lines[0] == "_id;_keys;city"
    cells = {line.split(";")[1] for line in lines[1:]}
    assert cells == {'"[""[a"",""b""]"', '"["" a"",""b""]"', '"[""a,b"",""c""]"', "a,b"}


async def test_a_sample(editor: Api, countries: str):
    await upload(editor, countries, "_id;name\n" + "".join(f"c{at};n\n" for at in range(9)))
    reply = await editor.get(f"{countries}/export_sample")
    assert reply.json().keys() == {"result", "data"}
    assert rows(reply.json()["data"]) == ["_id;name;people;location", *(f"c{at};n;;" for at in range(5))]


@pytest.mark.parametrize("declaration", [COUNTRIES, PEOPLE, VENDORS], ids=["countries", "people", "vendors"])
async def test_there_and_back_again(editor: Api, declaration: dict[str, Any]):
    path = await declare(editor, declaration)
    fields: dict[str, Any] = {"name": 'a;"b"\nč', "people": 2**64 - 1, "location": 2**64 - 1, "city": "=x"}
    fields |= {"vendor": "@", "seen": "2026-01-01T00:00:00.5Z", "score": 0.1, "own": False}
    keys = {"countries": [["CZ"], ["a;b"]], "people": [["a", "b,c"], ["[", "č"]], "vendors": [["aabbccddeeff"], ["1" * 12]]}
    for at, each in enumerate(keys[declaration["name"]]):
        await write(editor, path, each, fields, **({"_exp": 1_900_000_000.5} if at else {}))
    before = await items(editor, path)
    text = (await editor.get(f"{path}/export?exp=true")).text
    assert told(await editor.delete(f"{CONTROL}/{path.rpartition('/')[2]}/items")) == OK
    assert told(await upload(editor, path, text)) == (200, {"result": "OK", "count": 2})
    assert await items(editor, path) == before


async def test_more_than_a_page(editor: Api, countries: str):
    """§4.3: every page is reachable, also past the first 10,000 rows."""
    text = "_id;people\n" + "".join(f"{at:05d};{at}\n" for at in range(10_050))
    assert told(await upload(editor, countries, text)) == (200, {"result": "OK", "count": 10_050})
    reply = await editor.get(f"{countries}?p=2")
    assert (reply.json()["count"], reply.json()["data"][0]["_id"], len(reply.json()["data"])) == (10_050, "10000", 50)
    assert (await editor.get(f"{countries}?p=1005&i=10&speople=d")).json()["data"][-1]["_id"] == "00000"
    assert len(rows((await editor.get(f"{countries}/export")).text)) == 10_051


async def test_nothing_of_an_upload_stays_behind(editor: Api, countries: str, world: World):
    await upload(editor, countries, "_id\nCZ\n")
    failed(await upload(editor, countries, "_id;people\nCZ;x\n"))
    assert [name for folder, _, names in os.walk(world.folder) for name in names if "uploads" in folder] == []


async def test_an_item_after_an_upload(editor: Api, countries: str):
    await upload(editor, countries, "_id;name\na/b;x\n")
    assert await item(editor, countries, "a/b") == {"_id": "a/b", "_keys": ["a/b"], "name": "x"}
