"""Bad input of every kind, as bytes, and what the server may answer to it. Clients here are raw sockets: libraries refuse to send it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tests.app.test_uploads import AT, BOUNDARY, MEASURE, ONE, body, file

PATIENCE = 30.0
"""Seconds for an answer while everybody else floods the server."""

BUSY = {503, 504}

ME = "{ me { email } }"
BOMB = (
    "{ me { ...F0 } } "
    + " ".join(f"fragment F{n} on User {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60))
    + " fragment F60 on User { id }"
)


@dataclass(frozen=True)
class Target:
    """The server, and somebody whom it knows."""

    host: str
    port: int
    token: str


@asynccontextmanager
async def connection(target: Target) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Gone without a word at the end."""
    reader, writer = await asyncio.open_connection(target.host, target.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Everything until the server closes the connection."""
    data = b""
    with suppress(ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while piece := await reader.read(2**16):
                data += piece
    return data


# --- HTTP --------------------------------------------------------------------------------------------------------------


def request(target: Target, content: bytes, *, path: str = "/graphql", method: str = "POST", **headers: str) -> bytes:
    sent = {"Host": "x", "Connection": "close", "Content-Type": "application/json", "Content-Length": str(len(content))}
    sent |= {"Authorization": f"Bearer {target.token}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content


async def answer(target: Target, sent: bytes) -> tuple[int, bytes]:
    """Status and body."""
    async with connection(target) as (reader, writer):
        writer.write(sent)
        with suppress(ConnectionError):
            await writer.drain()
        head, _, content = (await rest(reader)).partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]) if head else 0, content


@dataclass(frozen=True)
class Kind:
    """Bad input of one kind: how it is made, and with which statuses it is answered."""

    make: Callable[[random.Random, Target], bytes]
    statuses: frozenset[int]


def graphql(query: str, **variables: Any) -> bytes:
    return json.dumps({"query": query, "variables": variables}).encode()


def fixed(statuses: set[int], *contents: bytes, **options: str) -> Kind:
    return Kind(lambda chance, target: request(target, chance.choice(contents), **options), frozenset(statuses))


def _mutated(chance: random.Random, whole: bytes) -> bytes:
    """Some of its bytes changed, removed or repeated."""
    data = bytearray(whole)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randint(1, 40)]
            case 2:
                data[at:at] = data[at : at + chance.randint(1, 40)]
            case _:
                del data[at:]
        if not data:
            return b""
    return bytes(data)


def _multipart(chance: random.Random, target: Target) -> bytes:
    whole = body(
        {"query": MEASURE, "variables": {"input": {"content": None, "more": [None]}}},
        {"0": [AT], "1": ["variables.input.more.0"]},
        file(b"x" * 3000),
        file(name="1"),
    )
    return request(target, _mutated(chance, whole), Content_Type=f'multipart/form-data; boundary="{BOUNDARY}"')


def _json(chance: random.Random, target: Target) -> bytes:
    return request(
        target,
        _mutated(chance, graphql("query ($a: Int, $b: String) { files(first: $a, after: $b) { totalCount } }", a=1, b="x")),
    )


def _rest(chance: random.Random, target: Target) -> bytes:
    new = {"name": "NMR", "cifs_host": "nas", "cifs_share": "share", "transfer_adapter": "rclone"}
    return request(target, _mutated(chance, json.dumps(new).encode()), path="/api/instruments")


def _map(chance: random.Random, target: Target) -> bytes:
    """A map that fits nothing."""
    paths = chance.choice(
        [
            [],
            {},
            {"0": []},
            {"0": [7]},
            {"0": ["variables.x"]},
            {"0": [AT, AT]},
            {"0": ["query"]},
            {"1": [AT]},
            {"0": ["variables." + "x." * 400]},
            "{",
            "null",
        ]
    )
    return request(target, body(ONE, paths, file()), Content_Type=f'multipart/form-data; boundary="{BOUNDARY}"')


def _garbage(chance: random.Random, target: Target) -> bytes:
    return chance.choice(
        [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
            b"GARBAGE\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
            b"POST /graphql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            chance.randbytes(200) + b"\r\n\r\n",
        ]
    )


HTTP: dict[str, Kind] = {
    "malformed JSON": fixed({400}, b"", b"{", b'{"query": ', b'{"query": "\xff"}', b'{"query": "{a}", "variables": {"a": NaN}}', b"[" * 100_000, b'{"a":' * 50_000, b'{"query": "' + b"\\ud800" * 3 + b'"}'),
    "wrong types": fixed({400}, *(json.dumps(each).encode() for each in (7, None, [], "x", {}, {"query": 7}, {"query": ME, "variables": []}, {"query": ME, "operationName": {}}, [{"query": ME}] * 10))),
    "wrong variables": fixed({200}, *(graphql("query ($a: Int!) { files(first: $a) { totalCount } }", a=value) for value in ("x", None, 1.5, [], {}, 10**30, True))),
    "JSON with some bytes changed": Kind(_json, frozenset({200, 400})),
    "a REST body with some bytes changed": Kind(_rest, frozenset({201, 400, 422})),
    "deep documents": fixed({200}, graphql("{a" * 4000 + "}" * 4000), graphql("{ me(a: " + "[" * 4000 + "]" * 4000 + ") { id } }"), graphql("{ " + "files { nodes { instrument { " * 30 + "id" + " } } }" * 30 + " }")),
    "wide documents": fixed({200}, graphql("{ " + " ".join(f"a{n}: __typename" for n in range(3000)) + " }"), graphql("{ " + "me { id } " * 2000 + "}"), graphql("{ __typename " + "@a" * 3000 + "}"), graphql(BOMB), graphql("{ instruments(first: 500) { nodes { files(first: 500) { nodes { id } } } } }")),
    "documents of 10 MB": fixed({200}, graphql("{ " + "me { email } " * 770_000 + "}"), graphql(ME + " #" + "x" * 10**7)),
    "bodies of 20 MB": fixed({413}, b"x" * 20 * 2**20),
    "other types": fixed({415}, graphql(ME), Content_Type="text/plain"),
    "compressed bodies": fixed({415}, graphql(ME), Content_Encoding="gzip"),
    "replies that nobody has": fixed({406}, graphql(ME), Accept="image/png"),
    "broken maps": Kind(_map, frozenset({400})),
    "multipart bodies with some bytes changed": Kind(_multipart, frozenset({200, 400})),
    "multipart of another page": fixed({400}, body(ONE, {"0": [AT]}, file()), Authorization="Basic eA==", Content_Type=f'multipart/form-data; boundary="{BOUNDARY}"'),
    "streams of nothing": fixed({200, 400}, b"{", graphql("subscription { nothing }"), graphql("{"), graphql('subscription { changes(id: "x") { cursor } }'), Accept="text/event-stream"),
    "no HTTP": Kind(_garbage, frozenset({400, 408})),
    "large heads": fixed({431}, b"", X="x" * 40_000),
    "long targets": fixed({414}, b"", path="/graphql?query=" + "x" * 20_000, method="GET"),
    "other methods": fixed({405}, b"", method="PATCH"),
    "wrong tokens": fixed({200}, graphql("{ instruments { totalCount } }"), Authorization="Bearer swy_nonsense"),
}  # fmt: skip


async def http(kind: Kind, chance: random.Random, target: Target) -> str | None:
    """What is wrong with the answer, if anything is."""
    status, content = await answer(target, kind.make(chance, target))
    if status not in kind.statuses | BUSY:
        return f"answered with {status}: {content[:500]!r}"
    return "an internal error" if b'"INTERNAL"' in content else None


# --- half of a request -------------------------------------------------------------------------------------------------


async def half_open(chance: random.Random, target: Target) -> str | None:
    """Some bytes of a request, then nothing, then gone."""
    whole = request(target, graphql(ME))
    async with connection(target) as (_, writer):
        writer.write(whole[: chance.randrange(len(whole))])
        await asyncio.sleep(chance.uniform(0, 4))
    return None


async def dropped_upload(chance: random.Random, target: Target) -> str | None:
    """A client that goes away amid a file."""
    head = body(ONE, {"0": [AT]}, file(b"")).removesuffix(f"\r\n--{BOUNDARY}--\r\n".encode())
    start = request(target, b"", Content_Type=f'multipart/form-data; boundary="{BOUNDARY}"', Content_Length=str(10**8))
    async with connection(target) as (_, writer):
        writer.write(start + head)
        for _ in range(chance.randrange(20)):
            writer.write(chance.randbytes(2**16))
            with suppress(ConnectionError):
                await writer.drain()
        await asyncio.sleep(chance.uniform(0, 0.2))
    return None


async def dropped_stream(chance: random.Random, target: Target) -> str | None:
    """A client that goes away amid events."""
    sent = request(target, graphql("subscription { allInstruments { name } }"), Accept="text/event-stream")
    async with connection(target) as (reader, writer):
        writer.write(sent)
        with suppress(ConnectionError):
            await reader.read(chance.randint(1, 100))
    return None


async def unread_reply(chance: random.Random, target: Target) -> str | None:
    """A client that asks on and on and takes nothing."""
    async with connection(target) as (_, writer):
        writer.write(request(target, graphql(ME), Connection="keep-alive") * 20)
        await asyncio.sleep(chance.uniform(0, 1))
    return None


# --- sockets -----------------------------------------------------------------------------------------------------------


def frame(content: bytes, *, first: int = 0x81, masked: bool = True, announced: int | None = None) -> bytes:
    size, bit = len(content) if announced is None else announced, 0x80 if masked else 0
    if size < 126:
        head = bytes([first, bit | size])
    elif size < 2**16:
        head = bytes([first, bit | 126]) + size.to_bytes(2)
    else:
        head = bytes([first, bit | 127]) + size.to_bytes(8)
    return head + (b"\0\0\0\0" if masked else b"") + content


def say(**message: Any) -> bytes:
    return frame(json.dumps(message).encode())


def subscribe(name: Any = "1", query: Any = ME, **more: Any) -> bytes:
    return say(id=name, type="subscribe", payload={"query": query} | more)


INIT = say(type="connection_init")

SOCKETS: dict[str, tuple[bytes, set[int]]] = {
    "no JSON": (frame(b"{"), {4400}),
    "no object": (frame(b"[]"), {4400}),
    "binary": (frame(b"{}", first=0x82), {4400}),
    "unknown message": (say(type="nonsense"), {4400}),
    "deep JSON": (frame(b"[" * 60_000), {4400}),
    "nothing at all": (b"", {4408}),
    "subscribe first": (subscribe(), {4401}),
    "initialised twice": (INIT + INIT, {4429}),
    "payload of another type": (say(type="connection_init", payload=7), {4400}),
    "a wrong token": (say(type="connection_init", payload={"Authorization": "Bearer nonsense"}), {4403}),
    "no id": (INIT + subscribe(name=7), {4400}),
    "long id": (INIT + subscribe(name="x" * 1000), {4400}),
    "no document": (INIT + subscribe(query=7), {4400}),
    "variables of another type": (INIT + subscribe(variables=[]), {4400}),
    "unmasked": (frame(b"{}", masked=False), {1002}),
    "reserved opcode": (frame(b"", first=0x83), {1002}),
    "reserved bit": (frame(b"{}", first=0xC1), {1002}),
    "long ping": (frame(b"x" * 126, first=0x89), {1002}),
    "ping in parts": (frame(b"x", first=0x09), {1002}),
    "no Unicode": (frame(b"\xff\xfe"), {1007}),
    "continuation of nothing": (frame(b"x", first=0x80), {1002}),
    "too large": (frame(b"x" * 1000, announced=2**21), {1009}),
    "larger than any": (frame(b"x", announced=2**62), {1009}),
    "close with half a code": (frame(b"\x03", first=0x88), {1002}),
    "close with a code that is none": (frame((42).to_bytes(2), first=0x88), {1002}),
}


async def socket(name: str, target: Target) -> str | None:
    """One violation, and the code with which the socket is closed."""
    sent, codes = SOCKETS[name]
    async with connection(target) as (reader, writer):
        status = await _upgrade(reader, writer)
        if status == 503:
            return None
        if status != 101:
            return f"no upgrade: {status}"
        writer.write(sent)
        code = await _close_code(reader)
    return None if code in codes else f"closed with {code}, not {codes}"


async def dropped_socket(chance: random.Random, target: Target) -> str | None:
    """A client that follows things and goes away."""
    async with connection(target) as (reader, writer):
        if await _upgrade(reader, writer) == 101:
            writer.write(say(type="connection_init", payload={"Authorization": f"Bearer {target.token}"}))
            for number in range(chance.randint(1, 20)):
                query = chance.choice(
                    [ME, "{", "subscription { allInstruments { name } }", 'subscription { changes(id: "x") { cursor } }']
                )
                writer.write(subscribe(str(number), query))
            await asyncio.sleep(chance.uniform(0, 0.5))
    return None


async def _upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    writer.write(
        b"GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    )
    try:
        async with asyncio.timeout(PATIENCE):
            return int((await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1])
    except (ConnectionError, asyncio.IncompleteReadError):
        return 0


async def _close_code(reader: asyncio.StreamReader) -> int | None:
    """None if the connection ends without one."""
    data = b""
    with suppress(ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while closed_with(data) is None and (piece := await reader.read(2**16)):
                data += piece
    return closed_with(data)


def closed_with(data: bytes) -> int | None:
    """The code of the close frame among what a server has sent."""
    while len(data) > 1:
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4]), 4
        if data[0] == 0x88:
            return int.from_bytes(data[start : start + 2]) if size else 1005
        data = data[start + size :]
    return None
