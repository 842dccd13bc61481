"""Row streams: one JSON array, never whole in memory, never cut off unnoticed."""

import json
from uuid import UUID

import pytest

from core.errors import Unavailable
from rest_compat.calls import StreamCut
from rest_compat.streams import json_array
from tests.rest_compat.support import ADMIN, KNOWN, FileRecord, client, shim

ROWS = [
    FileRecord(local_id=UUID(int=number), source_path=f"run/{number}", size_bytes=2**63, metadata={"n": number})
    for number in range(5)
]
SENT = [
    {"id": str(row.local_id), "source_path": row.source_path, "size_bytes": 2**63, "metadata_": row.metadata} for row in ROWS
]


async def chunks(*batches):
    async def rest():
        for batch in batches[1:]:
            yield batch

    return [chunk async for chunk in json_array(batches[0], rest())]


@pytest.mark.parametrize("batches", [[[]], [[1], [2, 3]], [[], [1]], [[1], []], [[], [], [1, 2], [], [3]]])
async def test_an_array_of_all_rows(batches):
    assert json.loads(b"".join(await chunks(*batches))) == [row for batch in batches for row in batch]


async def test_a_chunk_per_batch():
    assert await chunks([1, 2], [3]) == [b"[1,2", b",3", b"]"]


async def test_all_rows(rest, world):
    world.batches = [ROWS[:2], ROWS[2:]]
    reply = await rest.get("/api/files", headers=ADMIN)
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    assert (reply.status_code, reply.json(), dict(reply.headers)) == (200, SENT, headers)
    assert world.closed


async def test_no_rows(rest):
    assert (await rest.get("/api/files", headers=ADMIN)).content == b"[]"


async def test_the_slice_is_an_alternate(rest, world):
    world.batches = [ROWS[:2], ROWS[2:]]
    reply = await rest.get("/api/files?skip=1&limit=2", headers=ADMIN)
    assert (reply.json(), reply.headers["x-total-count"]) == (SENT[1:3], "5")


async def test_a_stream_checks_its_arguments(rest):
    reply = await rest.get("/api/files?instrument_id=", headers=ADMIN)
    assert reply.status_code == 422
    assert reply.json()["detail"][0]["loc"] == ["query", "instrument_id"]
    assert (await rest.get(f"/api/files?instrument_id={KNOWN}", headers=ADMIN)).json() == []


async def test_a_stream_is_guarded(rest):
    assert (await rest.get("/api/files")).status_code == 401


async def test_a_failure_before_the_first_row_has_its_status(rest, world):
    world.failure = Unavailable("no store")
    reply = await rest.get("/api/files", headers=ADMIN)
    assert (reply.status_code, reply.json()) == (503, {"detail": "no store"})


async def test_a_failure_after_the_first_row_cuts_the_reply(world):
    world.batches = [ROWS]
    world.failure = RuntimeError("lost")
    sent = []

    async def send(message):
        sent.append(message)

    with pytest.raises(StreamCut, match="files_all: see error error-1"):
        await shim(world)(scope(), never, send)
    assert sent[0]["status"] == 200
    assert not b"".join(message["body"] for message in sent[1:]).endswith(b"]")
    assert all(message["more_body"] for message in sent[1:])


async def test_a_reader_that_goes_away_ends_the_stream(world):
    world.batches = [ROWS] * 1000
    sent = 0

    async def send(message):
        nonlocal sent
        sent += 1
        if sent == 3:
            raise OSError("connection lost")

    await shim(world)(scope(), never, send)
    assert sent == 3
    assert world.closed


async def test_head_runs_up_to_the_first_batch(rest, world):
    world.batches = [ROWS] * 3
    reply = await rest.head("/api/files", headers=ADMIN)
    assert (reply.status_code, reply.content, reply.headers["content-type"]) == (200, b"", "application/json")
    assert world.closed


async def test_an_envelope_as_an_array(world):
    async with client(shim(world)) as rest:
        reply = await rest.get("/api/instruments?shape=array", headers=ADMIN)
    assert [each["name"] for each in reply.json()] == ["Älpha"]


async def test_the_server_setting_for_arrays_yields_to_paging(world):
    async with client(shim(world, list_shape="array")) as rest:
        assert isinstance((await rest.get("/api/instruments", headers=ADMIN)).json(), list)
        assert isinstance((await rest.get("/api/instruments?limit=5", headers=ADMIN)).json(), dict)
        assert isinstance((await rest.get("/api/instruments?shape=envelope", headers=ADMIN)).json(), dict)


def scope():
    path = "/api/files"
    headers = [(name.encode(), value.encode()) for name, value in ADMIN.items()]
    return {
        "type": "http",
        "asgi": {"spec_version": "2.4"},
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": headers,
    }


async def never():
    raise AssertionError("nothing is received from here")
