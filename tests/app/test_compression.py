"""Replies are compressed as the client asks; what their headers say then; what is left alone."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import brotli
import httpx
import pytest
import zstandard
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from app.compression import OFF_THE_LOOP, SMALLEST, Compressed, chosen

TEXT = b'{"a": 1, "b": [1, 2, 3]}' * 100
CODINGS = ("zstd", "br", "gzip")


def unpacked(coding: str, packed: bytes) -> bytes:
    """Also of what has not ended yet."""
    match coding:
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(packed)
        case "br":
            decompressor = brotli.Decompressor()
            pieces = [decompressor.process(packed)]
            while pieces[-1]:  # it gives away some kilobytes at a time
                pieces.append(decompressor.process(b""))
            return b"".join(pieces)
        case _:
            return zlib.decompressobj(31).decompress(packed)


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("", None),
        ("identity", None),
        ("deflate", None),
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("br;q=0.5, gzip;q=0.8", "gzip"),
        ("zstd;q=0, *", "br"),
        ("*", "zstd"),
        ("*;q=0", None),
        ("gzip;q=0", None),
        ("gzip;q=0.000", None),
        ("gzip; Q=0.5", "gzip"),
        ("gzip;q=2", None),
        ("gzip;q=nonsense", None),
        ("identity;q=1, gzip;q=0.5", None),
        ("identity;q=0.5, gzip", "gzip"),
        ("identity;q=0", None),
        (", ,", None),
    ],
)
def test_what_is_chosen(accepted, coding):
    assert chosen(accepted) == coding


async def call(endpoint, accepted: str | None, method: str = "GET", **headers: str) -> tuple[httpx.Response, bytes]:
    """The reply, and its body as it was sent."""
    app = Compressed(Starlette(routes=[Route("/", endpoint, methods=["GET", "HEAD", "POST"])]))
    sent = headers | ({} if accepted is None else {"accept-encoding": accepted})
    request = httpx.Request(method, "http://test/", headers=sent)
    reply = await httpx.ASGITransport(app).handle_async_request(request)
    assert isinstance(reply.stream, httpx.AsyncByteStream)
    return reply, b"".join([chunk async for chunk in reply.stream])


def fixed(body: bytes = TEXT, media: str = "application/json", status: int = 200, **headers: str):
    async def endpoint(_: Request) -> Response:
        return Response(body, status, headers, media)

    return endpoint


@pytest.mark.parametrize("size", [SMALLEST, OFF_THE_LOOP * 4])
@pytest.mark.parametrize("coding", CODINGS)
async def test_a_whole_reply(coding, size):
    body = (TEXT * (size // len(TEXT) + 1))[:size]
    reply, packed = await call(fixed(body), coding)
    assert len(packed) < size
    assert unpacked(coding, packed) == body
    assert dict(reply.headers) == {
        "content-length": str(len(packed)),
        "content-type": "application/json",
        "content-encoding": coding,
        "vary": "Accept-Encoding",
    }


@pytest.mark.parametrize("accepted", [None, "identity", "gzip;q=0"])
async def test_who_does_not_ask_is_told_that_others_may(accepted):
    reply, body = await call(fixed(), accepted)
    assert body == TEXT
    assert dict(reply.headers) == {
        "content-length": str(len(TEXT)),
        "content-type": "application/json",
        "vary": "Accept-Encoding",
    }


@pytest.mark.parametrize(
    "endpoint",
    [
        fixed(b"x" * (SMALLEST - 1)),
        fixed(media="image/png"),
        fixed(media="text/event-stream"),
        fixed(status=206),
        fixed(**{"Content-Encoding": "gzip"}),
        fixed(**{"Cache-Control": "no-store, no-transform"}),
    ],
    ids=["small", "picture", "events", "part", "compressed", "no-transform"],
)
async def test_what_stays_as_it_is(endpoint):
    plain, body = await call(endpoint, None)
    reply, same = await call(endpoint, "gzip")
    assert same == body
    assert reply.headers == plain.headers


async def test_other_vary_headers_stay():
    reply, _ = await call(fixed(Vary="Authorization"), "gzip")
    assert reply.headers.get_list("vary", split_commas=True) == ["Authorization", "Accept-Encoding"]


async def test_a_strong_tag_becomes_weak():
    for given, sent in (('"a"', 'W/"a"'), ('W/"a"', 'W/"a"')):
        assert (await call(fixed(ETag=given), "gzip"))[0].headers["etag"] == sent
        assert (await call(fixed(b"", "text/plain", 304, ETag=given), "gzip"))[0].headers["etag"] == sent
        assert (await call(fixed(ETag=given), None))[0].headers["etag"] == given


async def test_head_tells_the_same():
    async def endpoint(_: Request) -> Response:
        return Response(b"", headers={"Content-Length": str(len(TEXT)), "ETag": '"a"'}, media_type="application/json")

    head, nothing = await call(endpoint, "gzip", "HEAD")
    reply, _ = await call(fixed(ETag='"a"'), "gzip")
    assert nothing == b""
    assert {**head.headers} == {name: value for name, value in reply.headers.items() if name != "content-length"}


@pytest.mark.parametrize("coding", CODINGS)
async def test_every_piece_of_a_stream_can_be_read_at_once(coding):
    seen: list[bytes] = []
    pieces = [b"[1", b",2", b"", b",3" * 50_000, b"]"]
    go_on = asyncio.Event()

    async def stream() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece
            if piece:
                await go_on.wait()
                go_on.clear()

    async def endpoint(_: Request) -> Response:
        return StreamingResponse(stream(), media_type="application/json")

    app = Compressed(Starlette(routes=[Route("/", endpoint)]))
    packed = b""

    async def send(message) -> None:
        nonlocal packed
        if message["type"] == "http.response.start":
            headers = dict(message["headers"])
            assert headers[b"content-encoding"] == coding.encode()
            assert b"content-length" not in headers
        elif message["body"]:
            packed += message["body"]
            seen.append(unpacked(coding, packed))
            go_on.set()

    async def receive():
        await asyncio.sleep(60)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"accept-encoding", coding.encode())], "asgi": {}}
    scope |= {"query_string": b"", "root_path": "", "server": ("test", 80), "scheme": "http", "http_version": "1.1"}
    await app(scope, receive, send)
    assert list(dict.fromkeys(seen)) == [b"[1", b"[1,2", b"[1,2" + pieces[3], b"[1,2" + pieces[3] + b"]"]


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_long_stream_takes_little_memory(coding):
    async def stream() -> AsyncIterator[bytes]:
        for number in range(400):
            yield b"%d" % number * 20_000

    async def endpoint(_: Request) -> Response:
        return StreamingResponse(stream(), media_type="application/json")

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"accept-encoding", coding.encode())], "asgi": {}}
    scope |= {"query_string": b"", "root_path": "", "server": ("test", 80), "scheme": "http", "http_version": "1.1"}

    async def receive():
        await asyncio.sleep(60)

    async def send(_) -> None:
        pass

    tracemalloc.start()
    try:
        await Compressed(Starlette(routes=[Route("/", endpoint)]))(scope, receive, send)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


async def test_a_stream_that_is_cut_is_not_ended():
    async def stream() -> AsyncIterator[bytes]:
        yield TEXT
        raise ValueError("broken")

    async def endpoint(_: Request) -> Response:
        return StreamingResponse(stream(), media_type="application/json")

    with pytest.raises(ValueError, match="broken"):
        await call(endpoint, "gzip")


# --- the server --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/instruments", "/api/files", "/openapi.json", "/schema.graphql", "/docs"])
async def test_the_server_does_so(world, path):
    plain, packed = [await world.admin.request("GET", path, headers={"accept-encoding": each}) for each in ("identity", "gzip")]
    assert plain.status_code == packed.status_code == 200
    assert packed.content == plain.content
    compressed = len(plain.content) >= SMALLEST or path == "/api/files"
    assert ("content-encoding" in packed.headers) is compressed
    assert "Accept-Encoding" in packed.headers["vary"]


async def test_a_secret_is_sent_as_it_is(world):
    login = {"username": world.admin.email, "password": "correct horse"}
    reply = await world.anonymous.request("POST", "/auth/jwt/login", data=login, headers={"accept-encoding": "gzip"})
    assert (reply.status_code, reply.headers["cache-control"]) == (200, "no-store, no-transform")
    assert "content-encoding" not in reply.headers


async def test_it_can_be_turned_off(assembled):
    async with assembled(SWITCHYARD_COMPRESSION=False) as world:
        reply = await world.anonymous.request("GET", "/openapi.json", headers={"accept-encoding": "gzip"})
        assert ("content-encoding" in reply.headers, "vary" in reply.headers) == (False, False)


async def test_the_standard_library_reads_it():
    assert gzip.decompress((await call(fixed(), "gzip"))[1]) == TEXT
    assert (await call(lambda _: JSONResponse({"a": "b" * 1000}), "br"))[0].headers["content-encoding"] == "br"
