"""Files over GraphQL: which multipart requests are answered, what the others are told, and that no file stays."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest
import pytest_asyncio
import strawberry

from app.graphql_http import GRAPHQL_JSON
from app.graphql_request import JSON
from core.uploads import BLOCK, Upload
from tests.app.uploading import build_schema
from tests.conftest import World, _assembled

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEASURE = "mutation ($input: MeasureInput!) { measure(input: $input) { filename contentType size sha256 } }"
PUBLIC = "mutation ($file: Upload!) { measurePublicly(content: $file) { size } }"
ONE = {"query": MEASURE, "variables": {"input": {"content": None}}}
AT = "variables.input.content"
PREFLIGHT = {"GraphQL-Preflight": "1"}
MOST = 300_000
BOUNDARY = "--a boundary of ours"


@cache
def schema_with_files(_: str) -> strawberry.Schema:
    return build_schema()


@asynccontextmanager
async def with_files(folder: Path, **settings: Any) -> AsyncIterator[World]:
    with patch("tests.sharing.schema_for", schema_with_files):
        async with _assembled(folder, **settings) as world:
            yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory):
    bounds = {"SWITCHYARD_UPLOAD_LIMIT": MOST, "SWITCHYARD_UPLOADS": 2, "SWITCHYARD_BODY_LIMIT": 5000}
    async with with_files(tmp_path_factory.mktemp("uploads"), **bounds, SWITCHYARD_REQUEST_TIMEOUT=1) as world:
        yield world


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    """No test leaves a temporary file: neither a name in a folder nor a file that is held open."""
    before = unnamed()
    yield
    assert unnamed() == before


def unnamed(pid: int | str = "self") -> set[str]:
    """Files that a process holds open and that no folder names."""
    found = set()
    for number in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(number.readlink())
        except OSError:
            continue
        if target.endswith("(deleted)") and target.startswith("/") and "/dev/" not in target:
            found.add(target)
    return found


def part(name: str, content: bytes | str, *, filename: str | None = None, headers: str = "") -> bytes:
    named = "" if filename is None else f'; filename="{filename}"'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n{headers}\r\n'
    return head.encode() + (content.encode() if isinstance(content, str) else content) + b"\r\n"


def body(operations: Any, paths: Any, *files: bytes) -> bytes:
    asked = (each if isinstance(each, str) else json.dumps(each) for each in (operations, paths))
    parts = [part(name, text) for name, text in zip(("operations", "map"), asked, strict=True)]
    return b"".join([*parts, *files, f"--{BOUNDARY}--\r\n".encode()])


def file(content: bytes = b"a;b\r\n1;2\r\n", name: str = "0") -> bytes:
    return part(name, content, filename=f"{name}.csv", headers="Content-Type: text/csv\r\n")


def measured(content: bytes, name: str = "0.csv", media: str = "text/csv") -> dict[str, Any]:
    return {"filename": name, "contentType": media, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


async def send(caller, content: Any, *, boundary: str = BOUNDARY, accept: str = GRAPHQL_JSON, **headers: str) -> httpx.Response:
    given = {"content-type": f'multipart/form-data; boundary="{boundary}"', "accept": accept}
    return await caller.request("POST", "/graphql", content=content, headers=given | headers)


def refusal(message: str, code: str = "INVALID_REQUEST") -> dict[str, Any]:
    return {"errors": [{"message": message, "extensions": {"code": code}}]}


# --- what is answered --------------------------------------------------------------------------------------------------


async def test_a_file(world):
    content = b"a;b\r\n1;2\r\n"
    reply = await send(world.user, body(ONE, {"0": [AT]}, file(content)))
    assert (reply.status_code, reply.json()) == (200, {"data": {"measure": [measured(content)]}})


async def test_a_file_of_several_blocks_in_small_pieces(world):
    content = os.urandom(BLOCK + 12_345)
    whole = body(ONE, {"0": [AT]}, file(content))

    async def pieces():
        for at in range(0, len(whole), 999):
            yield whole[at : at + 999]

    reply = await send(world.user, pieces())
    assert reply.json() == {"data": {"measure": [measured(content)]}}


@pytest.mark.parametrize("content", [b"", b"\r\n", b"--", f"\r\n--{BOUNDARY}x".encode(), b"\0\xff" * 10])
async def test_content_is_kept_as_it_is(world, content):
    reply = await send(world.user, body(ONE, {"0": [AT]}, file(content)))
    assert reply.json() == {"data": {"measure": [measured(content)]}}


async def test_files_in_lists_and_one_in_two_places(world):
    given = {"input": {"content": None, "more": [None, None, None], "nested": [[None], [None, None]]}}
    paths = {
        "0": [AT, "variables.input.more.2"],
        "b": ["variables.input.more.0"],
        "c": ["variables.input.nested.0.0", "variables.input.nested.1.0", "variables.input.nested.1.1"],
    }
    files = [file(b"1", "c"), file(b"22", "0"), file(b"333", "b")]
    reply = await send(world.user, body({"query": MEASURE, "variables": given}, paths, *files))
    sizes = [each["size"] for each in reply.json()["data"]["measure"]]
    assert sizes == [2, 3, 2, 1, 1, 1]


async def test_as_clients_of_python_send_it(world):
    files = [
        ("operations", (None, json.dumps(ONE), "application/json")),
        ("map", (None, json.dumps({"0": [AT]}))),
        ("0", ("Grüße.csv", b"x", "text/csv")),
    ]
    reply = await world.user.request("POST", "/graphql", files=files)
    assert reply.json() == {"data": {"measure": [measured(b"x", "Grüße.csv")]}}


async def test_a_part_without_name_and_type_of_a_file(world):
    reply = await send(world.user, body(ONE, {"0": [AT]}, part("0", b"x")))
    assert reply.json() == {"data": {"measure": [measured(b"x", "", "application/octet-stream")]}}


async def test_no_file_at_all(world):
    reply = await send(world.user, body({"query": "{ me { email } }"}, {}))
    assert (reply.status_code, reply.json()) == (200, {"data": {"me": {"email": "bob@example.org"}}})


async def test_a_change_under_a_key_knows_the_file_by_its_content(world):
    asked = {"query": MEASURE, "variables": {"input": {"content": None, "note": "keep"}}}
    key = {"Idempotency-Key": "3f6c2a"}
    first, again, other = [
        await send(world.user, body(asked, {"0": [AT]}, file(content)), **key) for content in (b"x", b"x", b"y")
    ]
    assert first.json() == again.json() == {"data": {"measure": [measured(b"x")]}}
    assert (first.headers.get("idempotent-replayed"), again.headers.get("idempotent-replayed")) == (None, "true")
    message = "This Idempotency-Key was used for another request: a new request needs a new key"
    assert (other.status_code, other.json()) == (422, refusal(message, "INVALID_INPUT"))


# --- who may -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic YWRhOng="}, {"Origin": "https://example.org"}], ids=str)
@pytest.mark.parametrize("cookie", [False, True])
async def test_what_a_page_of_another_origin_can_send(world, headers, cookie):
    sent = dict(headers)
    if cookie:
        sent["Cookie"] = f"streamweave_auth={world.user.headers['Authorization'].partition(' ')[2]}"
    reply = await send(world.anonymous, body(ONE, {"0": [AT]}, file()), **sent)
    message = (
        "multipart/form-data needs a bearer token, or the header GraphQL-Preflight with any value, "
        "since a page of any origin can send it without them"
    )
    assert (reply.status_code, reply.json()) == (400, refusal(message))
    logout = {"query": "mutation { logout(input: {cookie: true}) { userId } }"}
    assert "set-cookie" not in (await send(world.anonymous, body(logout, {}), **sent)).headers


@pytest.mark.parametrize(
    "name", ["GraphQL-Preflight", "GraphQL-Require-Preflight", "Apollo-Require-Preflight", "X-Requested-With"]
)
async def test_a_cookie_with_a_header_that_no_form_can_send(world, name):
    cookie = f"streamweave_auth={world.user.headers['Authorization'].partition(' ')[2]}"
    reply = await send(world.anonymous, body(ONE, {"0": [AT]}, file(b"x")), Cookie=cookie, **{name: ""})
    assert reply.json() == {"data": {"measure": [measured(b"x")]}}


async def test_form_fields_of_a_page_are_no_request(world):
    reply = await send(world.anonymous, part("query", "{ me { email } }") + f"--{BOUNDARY}--\r\n".encode(), **PREFLIGHT)
    message = "the part 'operations' is missing: send operations, then map, then the files"
    assert (reply.status_code, reply.json()) == (400, refusal(message))


class Counted:
    """A body that remembers how much of it was asked for."""

    def __init__(self, *pieces: bytes, then: bytes = b"", times: int = 0) -> None:
        self.pieces, self.then, self.times = pieces, then, times
        self.given = 0

    async def __aiter__(self):
        for piece in (*self.pieces, *([self.then] * self.times)):
            self.given += len(piece)
            yield piece


@pytest.mark.parametrize(
    ("operations", "path", "code", "message"),
    [
        pytest.param(ONE, AT, "UNAUTHENTICATED", "Unauthorized", id="guard"),
        pytest.param(
            {"query": "{ nothing }", "variables": {"a": None}},
            "variables.a",
            "INVALID_REQUEST",
            "Cannot query field 'nothing' on type 'Query'.",
            id="document",
        ),
        pytest.param(
            {"query": PUBLIC, "variables": {"other": None}},
            "variables.other",
            "INVALID_REQUEST",
            "the map names variables that the operation does not declare: other",
            id="undeclared",
        ),
        pytest.param(
            {"query": "query ($name: String) { __type(name: $name) { name } }", "variables": {"name": None}},
            "variables.name",
            "INVALID_REQUEST",
            None,
            id="no file",
        ),
        pytest.param(
            {
                "query": "mutation ($input: MeasureInput!) { measure(input: $input) { size } }",
                "variables": {"input": {"note": None}},
            },
            "variables.input.note",
            "UNAUTHENTICATED",
            "Unauthorized",
            id="guard before variables",
        ),
    ],
)
async def test_no_file_is_read_of_what_will_not_be_executed(world, operations, path, code, message):
    head = body(operations, {"0": [path]}).removesuffix(f"--{BOUNDARY}--\r\n".encode())
    head += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="0"; filename="x"\r\n\r\n'.encode()
    sent = Counted(head, then=b"x" * 1000, times=200)
    reply = await send(world.anonymous, sent, **PREFLIGHT)
    (error,) = reply.json()["errors"]
    assert (reply.status_code, error["extensions"]["code"]) == (400, code)
    assert message is None or error["message"] == message
    assert sent.given <= len(head) + 1000
    plain = await send(world.anonymous, Counted(head), accept=JSON, **PREFLIGHT)
    assert plain.status_code == 200


async def test_a_file_for_another_kind_of_variable(world):
    given = {"query": MEASURE, "variables": {"input": {"note": None, "anything": None}}}
    for path in ("variables.input.note", "variables.input.anything"):
        reply = await send(world.user, body(given, {"0": [path]}, file()))
        assert reply.status_code == 400
        assert reply.json()["errors"][0]["message"].startswith("Variable '$input' has invalid value")


@pytest.mark.parametrize("value", ['"text"', "7", "{a: 1}", "[]"])
async def test_a_file_is_no_literal(world, value):
    reply = await world.user.request(
        "POST", "/graphql", json={"query": f"mutation {{ measurePublicly(content: {value}) {{ size }} }}"}
    )
    assert "Upload is a file" in reply.json()["errors"][0]["message"]


@pytest.mark.parametrize("value", ["text", 7, {}, None])
async def test_a_file_is_no_json(world, value):
    answer = await world.user.ask(PUBLIC, {"file": value})
    assert "data" not in answer
    assert answer["errors"][0]["message"].startswith("Variable '$file' has invalid value")


# --- what is broken ----------------------------------------------------------------------------------------------------

TWO = {"query": MEASURE, "variables": {"input": {"content": None, "more": [None], "note": "x"}}}
OPERATIONS = part("operations", json.dumps(ONE))
MAP = part("map", json.dumps({"0": [AT]}))
END = f"--{BOUNDARY}--\r\n".encode()
ORDER = "the part {!r} is missing: send operations, then map, then the files"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            body(TWO, "[]"),
            "map has to be an object: names of files, and for each the list of its places in operations",
            id="list",
        ),
        pytest.param(body(TWO, "{"), None, id="no JSON"),
        pytest.param(body("{", {}), None, id="operations no JSON"),
        pytest.param(body("7", {}), "the body is not a JSON object", id="operations no object"),
        pytest.param(body(TWO, {"0": AT}), "the file '0' needs a list of its places in operations", id="no list"),
        pytest.param(body(TWO, {"0": []}), "the file '0' needs a list of its places in operations", id="nowhere"),
        pytest.param(body(TWO, {"0": [7]}), "the file '0' needs a list of its places in operations", id="no path"),
        pytest.param(
            body(TWO, {str(n): [AT] for n in range(21)}), "the map names 21 files; at most 20 are allowed", id="many files"
        ),
        pytest.param(
            body(TWO, {"0": ["variables." + "x" * 500]}), "the map has a place of more than 500 characters", id="long"
        ),
        *(
            pytest.param(body(TWO, {"0": [path]}), f"the map names {path}, which is not in operations", id=path)
            for path in (
                "variables.input.nothing",
                "variables.nothing.content",
                "variables.input.more.1",
                "variables.input.more.-1",
                "variables.input.more.x",
                "variables.input.more.²",
                "variables.input.more.99999999999999999999",
                "variables.input.content.deeper",
                "variables.input.note.0",
                "variables.",
                "variables..",
            )
        ),
        *(
            pytest.param(
                body(TWO, {"0": [path]}), f"the map names {path}: a place of a file begins with variables.", id=path or "empty"
            )
            for path in ("query", "operationName", "variables", "", "0.variables.input.content", "extensions.x")
        ),
        pytest.param(
            body(TWO, {"0": ["variables.input.note"]}),
            "the map names variables.input.note, which is not null in operations",
            id="not null",
        ),
        pytest.param(
            body(TWO, {"0": ["variables.input"]}),
            "the map names variables.input, which is not null in operations",
            id="an object",
        ),
        pytest.param(body(TWO, {"0": [AT, AT]}), f"the map names {AT} twice", id="twice for one"),
        pytest.param(body(TWO, {"0": [AT], "1": [AT]}), f"the map names {AT} twice", id="twice for two"),
        pytest.param(body(ONE, {"0": [AT]}), "the file '0' is in the map and was not sent", id="missing"),
        pytest.param(
            body(ONE, {"0": [AT]}, file(name="1"), file()), "the file '1' was sent and is not in the map", id="not in the map"
        ),
        pytest.param(body(ONE, {"0": [AT]}, file(), file()), "the file '0' was sent twice", id="sent twice"),
        pytest.param(
            body([ONE], {"0": [f"0.{AT}"]}, file()), "batches are not enabled: send one operation per request", id="batch"
        ),
        pytest.param(MAP + OPERATIONS + END, ORDER.format("operations"), id="map first"),
        pytest.param(file() + OPERATIONS + MAP + END, ORDER.format("operations"), id="file first"),
        pytest.param(OPERATIONS + file() + MAP + END, ORDER.format("map"), id="file before map"),
        pytest.param(OPERATIONS + END, ORDER.format("map"), id="no map"),
        pytest.param(END, ORDER.format("operations"), id="no parts"),
        pytest.param(b"", "the body ends before its last boundary", id="empty"),
        pytest.param(OPERATIONS + MAP + file(), "the body ends before its last boundary", id="no end"),
        pytest.param(OPERATIONS + MAP + file()[:-8], "the body ends before its last boundary", id="cut off"),
        pytest.param(OPERATIONS[:40], "the body ends before its last boundary", id="cut off in a header"),
        pytest.param(
            f"--{BOUNDARY}\r\nContent-Type: text/plain\r\n\r\nx\r\n".encode() + END, "a part has no name", id="no disposition"
        ),
        pytest.param(
            OPERATIONS + MAP + part("0", "eA==", filename="x", headers="Content-Transfer-Encoding: base64\r\n") + END,
            "a part has a transfer encoding: send it as it is",
            id="encoded",
        ),
        pytest.param(b"this is no multipart", None, id="other text"),
        pytest.param(part("operations", "x", headers=f"X: {'x' * 10_000}\r\n"), None, id="long header"),
        pytest.param(part("operations", "x", headers="X: x\r\n" * 1000), None, id="many headers"),
    ],
)
async def test_what_is_no_request(world, content, message):
    reply = await send(world.user, content)
    assert (reply.status_code, set(reply.json())) == (400, {"errors"})
    (error,) = reply.json()["errors"]
    assert error["extensions"] == {"code": "INVALID_REQUEST"}
    assert message is None or error["message"] == message


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'x' * 300}"]
)
async def test_no_boundary(world, content_type):
    headers = {"content-type": content_type, "accept": GRAPHQL_JSON}
    reply = await world.user.request("POST", "/graphql", content=body(ONE, {"0": [AT]}, file()), headers=headers)
    assert (reply.status_code, reply.json()["errors"][0]["extensions"]) == (400, {"code": "INVALID_REQUEST"})


async def test_a_stream_of_events_takes_no_files(world):
    reply = await send(world.user, body(ONE, {"0": [AT]}, file()), accept="text/event-stream")
    assert (reply.status_code, reply.json()) == (415, refusal("send the request as application/json", "UNSUPPORTED_MEDIA"))


# --- bounds ------------------------------------------------------------------------------------------------------------


async def test_files_of_exactly_the_limit(world):
    given = {"query": MEASURE, "variables": {"input": {"content": None, "more": [None]}}}
    paths = {"0": [AT], "1": ["variables.input.more.0"]}
    reply = await send(world.user, body(given, paths, file(b"x" * (MOST - 1)), file(b"y", "1")))
    assert [each["size"] for each in reply.json()["data"]["measure"]] == [MOST - 1, 1]
    reply = await send(world.user, body(given, paths, file(b"x" * (MOST - 1)), file(b"yy", "1")))
    assert (reply.status_code, reply.json()) == (413, refusal(f"the files are larger than {MOST} bytes", "TOO_LARGE"))


async def test_a_file_over_the_limit_is_not_read_to_its_end(world):
    head = body(ONE, {"0": [AT]}).removesuffix(END)
    head += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="0"; filename="x"\r\n\r\n'.encode()
    sent = Counted(head, then=b"x" * 10_000, times=10_000)
    reply = await send(world.user, sent)
    assert (reply.status_code, reply.json()) == (413, refusal(f"the files are larger than {MOST} bytes", "TOO_LARGE"))
    assert sent.given < len(head) + MOST + 20_000


async def test_an_announced_body_over_the_limit(world):
    reply = await send(world.user, b"", **{"content-length": str(10**9)})
    assert (reply.status_code, reply.json()["errors"][0]["extensions"]) == (413, {"code": "TOO_LARGE"})


async def test_operations_and_map_have_the_limit_of_a_body(world):
    for operations, paths in ((ONE | {"extensions": {"x": "x" * 5000}}, {}), (ONE, {"0": ["x" * 5000]})):
        reply = await send(world.user, body(operations, paths))
        assert (reply.status_code, reply.json()) == (413, refusal("operations and map are larger than 5000 bytes", "TOO_LARGE"))


async def test_a_body_with_a_content_encoding(world):
    reply = await send(world.user, body(ONE, {"0": [AT]}, file()), **{"content-encoding": "gzip"})
    assert (reply.status_code, reply.json()["errors"][0]["extensions"]) == (415, {"code": "UNSUPPORTED_MEDIA"})


@pytest.mark.slow
async def test_uploads_at_a_time(world):
    thinking = {"query": MEASURE, "variables": {"input": {"content": None, "seconds": 0.5}}}
    replies = await asyncio.gather(*(send(world.user, body(thinking, {"0": [AT]}, file())) for _ in range(3)))
    assert sorted(reply.status_code for reply in replies) == [200, 200, 503]
    (busy,) = (reply for reply in replies if reply.status_code == 503)
    assert busy.json() == refusal("2 uploads are under way: try again in a moment", "UNAVAILABLE")
    assert (await send(world.user, body(ONE, {"0": [AT]}, file()))).status_code == 200


async def test_a_disk_without_room(world, monkeypatch, caplog):
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.uploads.os.write", full)
    reply = await send(world.user, body(ONE, {"0": [AT]}, file()))
    message = "the server has no room for the file now: try again later"
    assert (reply.status_code, reply.json()) == (503, refusal(message, "UNAVAILABLE"))
    (line,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert line.getMessage() == "an upload could not be kept: [Errno 28] No space left on device"


# --- what becomes of the files -----------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_an_operation_that_takes_too_long(world):
    thinking = {"query": MEASURE, "variables": {"input": {"content": None, "seconds": 5}}}
    reply = await send(world.user, body(thinking, {"0": [AT]}, file()))
    assert (reply.status_code, reply.json()["errors"][0]["extensions"]) == (504, {"code": "TIMEOUT"})


async def test_an_operation_that_fails(world, monkeypatch):
    async def broken(*_: Any) -> None:
        raise RuntimeError("hunter2")

    monkeypatch.setattr("tests.app.uploading._measured", broken)
    reply = await send(world.user, body(ONE, {"0": [AT]}, file()))
    assert (reply.status_code, reply.json()["data"]) == (200, {"measure": None})
    assert re.fullmatch("Internal error; quote [0-9a-f]{12} when reporting it", reply.json()["errors"][0]["message"])


async def test_a_client_that_goes_away(world):
    whole = body(ONE, {"0": [AT]}, file(b"x" * (BLOCK + 1000)))
    messages = [{"type": "http.request", "body": whole[:-500], "more_body": True}, {"type": "http.disconnect"}]
    headers = {"content-type": f'multipart/form-data; boundary="{BOUNDARY}"', **world.user.headers}
    scope = {"type": "http", "method": "POST", "path": "/graphql", "raw_path": b"/graphql", "query_string": b""}
    scope["headers"] = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def remember(message: Any) -> None:
        sent.append(message)

    await world.app(scope, receive, remember)
    assert sent == []


async def test_a_task_that_is_cancelled_while_a_thread_writes(tmp_path):
    """The file is closed when the thread is done with it, never before: its number may be another's by then."""
    upload = Upload()

    async def endless():
        while True:
            yield b"x" * BLOCK

    filling = asyncio.create_task(upload.fill(endless(), tmp_path))
    await asyncio.sleep(0.05)
    filling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await filling
    await upload.close()
    assert list(tmp_path.iterdir()) == []


async def test_several_readers_of_one_file(tmp_path):
    upload = Upload()
    content = os.urandom(BLOCK * 2 + 7)

    async def once():
        yield content

    await upload.fill(once(), tmp_path / "made" / "when needed")

    async def read(size: int) -> bytes:
        return b"".join([piece async for piece in upload.chunks(size)])

    try:
        assert await asyncio.gather(read(1000), read(BLOCK)) == [content, content]
        assert (await upload.read(3, 5), await upload.read(5, len(content))) == (content[5:8], b"")
        assert str(upload) == f" application/octet-stream {len(content)} {hashlib.sha256(content).hexdigest()}"
    finally:
        await upload.close()
    with pytest.raises(ValueError, match="closed file"):
        await upload.read(1)


# --- batches -----------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def batching(tmp_path_factory):
    async with with_files(tmp_path_factory.mktemp("batching"), SWITCHYARD_BATCH=3) as world:
        yield world


async def test_files_of_several_operations(batching):
    asked = [ONE, {"query": PUBLIC, "variables": {"file": None}}, {"query": "{ me { email } }"}]
    paths = {"0": [f"0.{AT}"], "1": ["1.variables.file"]}
    reply = await send(batching.user, body(asked, paths, file(b"x"), file(b"yy", "1")))
    expected = [{"measure": [measured(b"x")]}, {"measurePublicly": {"size": 2}}, {"me": {"email": "bob@example.org"}}]
    assert (reply.status_code, reply.json()) == (200, [{"data": each} for each in expected])


async def test_an_operation_of_several_that_is_refused(batching):
    asked = [ONE, {"query": PUBLIC, "variables": {"file": None}}]
    paths = {"0": [f"0.{AT}"], "1": ["1.variables.file"]}
    reply = await send(batching.anonymous, body(asked, paths, file(b"x"), file(b"yy", "1")), **PREFLIGHT)
    first, second = reply.json()
    assert (first["errors"][0]["extensions"], second) == (
        {"code": "UNAUTHENTICATED"},
        {"data": {"measurePublicly": {"size": 2}}},
    )


async def test_several_operations_that_are_all_refused(batching):
    reply = await send(batching.anonymous, body([ONE, ONE], {"0": [f"0.{AT}", f"1.{AT}"]}), **PREFLIGHT)
    codes = [each["errors"][0]["extensions"]["code"] for each in reply.json()]
    assert (reply.status_code, codes) == (200, ["UNAUTHENTICATED"] * 2)


@pytest.mark.parametrize("path", ["2.variables.file", "x.variables.file", "-1.variables.file"])
async def test_a_path_into_no_operation(batching, path):
    asked = [{"query": PUBLIC, "variables": {"file": None}}] * 2
    reply = await send(batching.user, body(asked, {"0": [path]}, file()))
    assert (reply.status_code, reply.json()) == (400, refusal(f"the map names {path}, which is not in operations"))


async def test_a_path_without_its_operation(batching):
    asked = [{"query": PUBLIC, "variables": {"file": None}}]
    reply = await send(batching.user, body(asked, {"0": ["variables.file"]}, file()))
    message = "the map names variables.file: a place of a file begins with 0.variables."
    assert (reply.status_code, reply.json()) == (400, refusal(message))
