"""Files: contract §9. Who sees which is in `test_visibility`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from storage.sql.tables import file_records
from tests.contract.instruments.records import add_file, add_files, add_instrument, file_row, moments
from tests.contract.support import START, UNKNOWN, Api, World, ids, refused, told

PATH = "/api/files"
# The contract's own example, byte for byte: keys in their order, compact, metadata_ with its underscore.
EXAMPLE = (
    '{"id":"7d4bb140-a51f-4ca1-95a0-769b417c9b05","persistent_id":"ark:/99999/fk4j5srvhjdx5batkzft6tqkwmjrm",'
    '"persistent_id_type":"ark","instrument_id":"61b08ff4-4e91-44b0-9276-07254109da6d",'
    '"source_path":"20260115_sampleA/run_001.csv","filename":"run_001.csv","size_bytes":14,'
    '"source_mtime":"2026-11-21T00:28:06.249000Z","xxhash":"d6a06c8f22ac88e4","sha256":null,'
    '"first_discovered_at":"2026-11-21T00:29:27.163465Z",'
    '"metadata_":{"date":"20260115","sample":"sampleA","run":"001","opt":null},"owner_id":null}'
)


async def add_example(world: World) -> UUID:
    instrument = await add_instrument(world, id=UUID("61b08ff4-4e91-44b0-9276-07254109da6d"))
    return await add_file(
        world,
        instrument,
        id=UUID("7d4bb140-a51f-4ca1-95a0-769b417c9b05"),
        persistent_id="ark:/99999/fk4j5srvhjdx5batkzft6tqkwmjrm",
        source_path="20260115_sampleA/run_001.csv",
        filename="run_001.csv",
        source_mtime=datetime(2026, 11, 21, 0, 28, 6, 249000, tzinfo=UTC),
        first_discovered_at=datetime(2026, 11, 21, 0, 29, 27, 163465, tzinfo=UTC),
        metadata_={"date": "20260115", "sample": "sampleA", "run": "001", "opt": None},
    )


class TestShape:
    async def test_a_single_one(self, world: World, admin: Api):
        key = await add_example(world)

        reply = await admin.get(f"{PATH}/{key}")

        assert (reply.status_code, reply.text) == (200, EXAMPLE)

    async def test_the_list(self, world: World, admin: Api):
        await add_example(world)

        reply = await admin.get(PATH)

        assert (reply.status_code, reply.headers["content-type"], reply.text) == (200, "application/json", f"[{EXAMPLE}]")

    async def test_a_slice(self, world: World, admin: Api):
        await add_example(world)

        reply = await admin.get(f"{PATH}?limit=1")

        assert (reply.status_code, reply.headers["x-total-count"], reply.text) == (200, "1", f"[{EXAMPLE}]")

    async def test_a_file_of_which_little_is_known(self, world: World, admin: Api):
        unknown = dict.fromkeys(["size_bytes", "source_mtime", "xxhash", "metadata_"])
        key = await add_file(world, source_path="ü/測 量.csv", filename="測 量.csv", **unknown)

        row = (await admin.get(f"{PATH}/{key}")).json()

        assert (row["source_path"], row["filename"]) == ("ü/測 量.csv", "測 量.csv")
        assert [row[name] for name in (*unknown, "sha256", "owner_id")] == [None] * 6

    @pytest.mark.parametrize("size", [0, 2**31, 2**53 + 1, 2**63 - 1])
    async def test_any_size_is_exact(self, world: World, admin: Api, size: int):
        key = await add_file(world, size_bytes=size)

        assert f'"size_bytes":{size},' in (await admin.get(f"{PATH}/{key}")).text
        assert f'"size_bytes":{size},' in (await admin.get(PATH)).text

    async def test_an_owner(self, world: World, user: Api):
        key = await add_file(world, owner_id=user.id)

        assert (await user.get(f"{PATH}/{key}")).json()["owner_id"] == str(user.id)


class TestList:
    async def test_the_newest_come_first(self, world: World, admin: Api):
        instrument = await add_instrument(world)
        rows = [file_row(instrument, first_discovered_at=at) for at in moments(5)]
        await world.insert(file_records, *rows)

        assert ids((await admin.get(PATH)).json()) == [str(row["id"]) for row in reversed(rows)]

    async def test_only_those_of_an_instrument(self, world: World, admin: Api):
        instrument = await add_instrument(world)
        key = await add_file(world, instrument)
        await add_file(world)

        assert ids((await admin.get(PATH, params={"instrument_id": str(instrument)})).json()) == [str(key)]

    @pytest.mark.parametrize("query", ["", "&limit=5"])
    async def test_none_of_an_unknown_instrument(self, world: World, admin: Api, query: str):
        await add_file(world)

        assert told(await admin.get(f"{PATH}?instrument_id={UNKNOWN}{query}")) == (200, [])

    async def test_an_empty_filter_is_no_uuid(self, admin: Api):
        assert (await admin.get(f"{PATH}?instrument_id=")).status_code == 422

    async def test_a_slice_with_its_total(self, world: World, admin: Api):
        instrument = await add_instrument(world)
        rows = [file_row(instrument, first_discovered_at=at) for at in moments(30)]
        await world.insert(file_records, *rows)
        newest = [str(row["id"]) for row in reversed(rows)]

        for query, expected in {
            "limit=2": newest[:2],
            "skip=28": newest[28:],
            "skip=3&limit=4": newest[3:7],
            "skip=0": newest[:25],
            "skip=30": [],
            "skip=99&limit=1": [],
        }.items():
            reply = await admin.get(f"{PATH}?{query}")
            assert (ids(reply.json()), reply.headers["x-total-count"]) == (expected, "30")

    async def test_the_total_is_of_what_the_filter_leaves(self, world: World, admin: Api):
        instrument = await add_instrument(world)
        await add_files(world, instrument, 3)
        await add_file(world)

        reply = await admin.get(f"{PATH}?instrument_id={instrument}&limit=1")

        assert (len(reply.json()), reply.headers["x-total-count"]) == (1, "3")

    async def test_a_long_list_is_all_its_pages(self, world: World, admin: Api):
        """More rows than any batch of a stream has, some of one moment."""
        instrument = await add_instrument(world)
        rows = [file_row(instrument, first_discovered_at=at) for at in moments(1300) for _ in range(2)]
        await world.insert(file_records, *rows)

        streamed = (await admin.get(PATH)).json()
        pages: list[dict[str, Any]] = []
        for skip in range(0, 2600, 500):
            pages += (await admin.get(f"{PATH}?skip={skip}&limit=500")).json()

        assert streamed == pages
        assert set(ids(streamed)) == {str(row["id"]) for row in rows}
        discovered = [row["first_discovered_at"] for row in streamed]
        assert discovered == sorted(discovered, reverse=True)


class TestSingle:
    async def test_an_unknown_one(self, admin: Api, user: Api):
        for api in (admin, user):
            assert told(await api.get(f"{PATH}/{UNKNOWN}")) == refused(404, "File not found")

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    @pytest.mark.parametrize("path", [PATH, f"{PATH}/{UNKNOWN}"])
    async def test_it_is_only_read(self, admin: Api, method: str, path: str):
        reply = await admin.request(method, path)

        assert told(reply) == refused(405, "Method Not Allowed")
        assert set(reply.headers["allow"].split(", ")) - {"HEAD"} == {"GET"}

    @pytest.mark.parametrize("path", [PATH, f"{PATH}?limit=1", f"{PATH}/{UNKNOWN}", f"{PATH}/abc", f"{PATH}?instrument_id=abc"])
    async def test_nobody_is_401(self, anonymous: Api, path: str):
        assert told(await anonymous.get(path)) == refused(401, "Unauthorized")

    async def test_a_bad_id_is_422_for_users_too(self, user: Api):
        status, body = told(await user.get(f"{PATH}/abc"))

        assert (status, [each["loc"] for each in body["detail"]]) == (422, [["path", "file_id"]])


async def test_files_of_a_deleted_instrument_stay(world: World, admin: Api):
    key = await add_file(world, await add_instrument(world, deleted_at=START))

    assert ids((await admin.get(PATH)).json()) == [str(key)]
