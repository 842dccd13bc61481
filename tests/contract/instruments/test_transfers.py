"""Transfers: contract §9. Who sees which is in `test_visibility`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from core.vocabulary import TransferStatus
from tests.contract.instruments.records import (
    add_file,
    add_files,
    add_instrument,
    add_location,
    add_transfer,
    add_transfers,
    moments,
    transfer_row,
)
from tests.contract.support import UNKNOWN, Api, World, fault, ids, refused, told

PATH = "/api/transfers"
# The contract's own examples, byte for byte.
COMPLETED = (
    '{"id":"bd7cc0d2-11c9-41cf-b099-a19c4fb47bd0","file_id":"7d4bb140-a51f-4ca1-95a0-769b417c9b05",'
    '"storage_location_id":"7bc9471f-ed4e-4b9b-8e1b-8d2d8fe2e1e2",'
    '"destination_path":"/archive/Harv 1c0671/20260115_sampleA/run_001.csv","transfer_adapter":"rclone",'
    '"status":"completed","bytes_transferred":14,"source_checksum":null,"dest_checksum":"d6a06c8f22ac88e4",'
    '"checksum_verified":false,"started_at":"2026-11-21T00:29:27.174874Z","completed_at":"2026-11-21T00:29:27.399193Z",'
    '"error_message":null,"prefect_flow_run_id":null}'
)
SKIPPED = (
    '{"id":"ea4d4721-b34d-4e02-90a4-285f57e4f71c","file_id":"7d4bb140-a51f-4ca1-95a0-769b417c9b05",'
    '"storage_location_id":"7bc9471f-ed4e-4b9b-8e1b-8d2d8fe2e1e2","destination_path":null,"transfer_adapter":"rclone",'
    '"status":"skipped","bytes_transferred":null,"source_checksum":null,"dest_checksum":null,"checksum_verified":null,'
    '"started_at":null,"completed_at":null,"error_message":"Excluded by pattern \'*.tmp\'","prefect_flow_run_id":null}'
)


async def add_examples(world: World) -> None:
    file = await add_file(world, id=UUID("7d4bb140-a51f-4ca1-95a0-769b417c9b05"))
    location = await add_location(world, id=UUID("7bc9471f-ed4e-4b9b-8e1b-8d2d8fe2e1e2"))
    await add_transfer(
        world,
        file,
        location,
        id=UUID("bd7cc0d2-11c9-41cf-b099-a19c4fb47bd0"),
        destination_path="/archive/Harv 1c0671/20260115_sampleA/run_001.csv",
        bytes_transferred=14,
        dest_checksum="d6a06c8f22ac88e4",
        checksum_verified=False,
        started_at=datetime(2026, 11, 21, 0, 29, 27, 174874, tzinfo=UTC),
        completed_at=datetime(2026, 11, 21, 0, 29, 27, 399193, tzinfo=UTC),
    )
    await add_transfer(
        world,
        file,
        location,
        id=UUID("ea4d4721-b34d-4e02-90a4-285f57e4f71c"),
        status=TransferStatus.SKIPPED,
        started_at=None,
        error_message="Excluded by pattern '*.tmp'",
    )


class TestShape:
    @pytest.mark.parametrize(
        ("key", "expected"),
        [("bd7cc0d2-11c9-41cf-b099-a19c4fb47bd0", COMPLETED), ("ea4d4721-b34d-4e02-90a4-285f57e4f71c", SKIPPED)],
    )
    async def test_a_single_one(self, world: World, admin: Api, key: str, expected: str):
        await add_examples(world)

        reply = await admin.get(f"{PATH}/{key}")

        assert (reply.status_code, reply.text) == (200, expected)

    async def test_the_list(self, world: World, admin: Api):
        await add_examples(world)

        reply = await admin.get(PATH)

        assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
        assert reply.text == f"[{COMPLETED},{SKIPPED}]"

    async def test_a_slice(self, world: World, admin: Api):
        await add_examples(world)

        reply = await admin.get(f"{PATH}?skip=1")

        assert (reply.headers["x-total-count"], reply.text) == ("2", f"[{SKIPPED}]")

    async def test_the_run_that_made_it(self, world: World, admin: Api):
        run = uuid4()
        key = await add_transfer(world, await add_file(world), run_id=run)

        assert (await admin.get(f"{PATH}/{key}")).json()["prefect_flow_run_id"] == str(run)

    @pytest.mark.parametrize("status", ["pending", "in_progress", "completed", "failed", "skipped"])
    async def test_the_statuses(self, world: World, admin: Api, status: str):
        key = await add_transfer(world, await add_file(world), status=TransferStatus(status))

        assert (await admin.get(f"{PATH}/{key}")).json()["status"] == status


class TestList:
    async def test_the_newest_start_comes_first_and_none_last(self, world: World, admin: Api):
        file, location = await add_file(world), await add_location(world)
        rows = [transfer_row(file, location, started_at=at) for at in (None, *moments(4), None)]
        await add_transfers(world, rows)

        listed = (await admin.get(PATH)).json()

        started = [str(row["id"]) for row in reversed(rows) if row["started_at"] is not None]
        assert ids(listed[:4]) == started
        assert [row["started_at"] for row in listed[4:]] == [None, None]

    async def test_only_those_of_a_file(self, world: World, admin: Api):
        file = await add_file(world)
        keys = {str(await add_transfer(world, file)) for _ in range(2)}
        await add_transfer(world, await add_file(world))

        assert set(ids((await admin.get(f"{PATH}?file_id={file}")).json())) == keys

    @pytest.mark.parametrize("query", ["", "&skip=0"])
    async def test_none_of_an_unknown_file(self, world: World, admin: Api, query: str):
        await add_transfer(world, await add_file(world))

        assert told(await admin.get(f"{PATH}?file_id={UNKNOWN}{query}")) == (200, [])

    @pytest.mark.parametrize("query", ["", "&limit=500"])
    async def test_only_those_with_a_status(self, world: World, admin: Api, query: str):
        file = await add_file(world)
        keys = {status: str(await add_transfer(world, file, status=status)) for status in TransferStatus}

        for status, key in keys.items():
            reply = await admin.get(f"{PATH}?status={status.value}{query}")
            assert ids(reply.json()) == [key]
            assert reply.headers.get("x-total-count") == ("1" if query else None)

    async def test_both_filters(self, world: World, admin: Api):
        file = await add_file(world)
        failed = await add_transfer(world, file, status=TransferStatus.FAILED)
        await add_transfer(world, file)
        await add_transfer(world, await add_file(world), status=TransferStatus.FAILED)

        assert ids((await admin.get(f"{PATH}?status=failed&file_id={file}")).json()) == [str(failed)]

    @pytest.mark.parametrize("status", ["lost", "", "FAILED"])
    async def test_another_status(self, admin: Api, status: str):
        expected = "'pending', 'in_progress', 'completed', 'failed' or 'skipped'"
        problem = fault("enum", ["query", "status"], f"Input should be {expected}", status, expected=expected)

        assert told(await admin.get(PATH, params={"status": status})) == refused(422, [problem])

    async def test_a_slice_with_its_total(self, world: World, admin: Api):
        file, location = await add_file(world), await add_location(world)
        rows = [transfer_row(file, location, started_at=at) for at in moments(30)]
        await add_transfers(world, rows)
        newest = [str(row["id"]) for row in reversed(rows)]

        for query, expected in {"limit=2": newest[:2], "skip=28": newest[28:], "skip=0": newest[:25], "skip=30": []}.items():
            reply = await admin.get(f"{PATH}?{query}")
            assert (ids(reply.json()), reply.headers["x-total-count"]) == (expected, "30")

    async def test_a_long_list_is_all_its_pages(self, world: World, admin: Api):
        """More rows than any batch of a stream has; the last thousands have no start, some start at one moment."""
        location = await add_location(world)
        files = await add_files(world, await add_instrument(world), 3)
        starts = [*moments(300), *moments(300), *[None] * 2400]
        rows = [transfer_row(files[number % 3]["id"], location, started_at=at) for number, at in enumerate(starts)]
        await add_transfers(world, rows)

        streamed = (await admin.get(PATH)).json()
        pages: list[dict[str, Any]] = []
        for skip in range(0, len(rows), 500):
            pages += (await admin.get(f"{PATH}?skip={skip}&limit=500")).json()

        assert streamed == pages
        assert set(ids(streamed)) == {str(row["id"]) for row in rows}
        started = [row["started_at"] for row in streamed]
        assert started[:600] == sorted(filter(None, started), reverse=True)
        assert started[600:] == [None] * 2400


class TestSingle:
    async def test_an_unknown_one(self, admin: Api, user: Api):
        for api in (admin, user):
            assert told(await api.get(f"{PATH}/{UNKNOWN}")) == refused(404, "Transfer not found")

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    @pytest.mark.parametrize("path", [PATH, f"{PATH}/{UNKNOWN}"])
    async def test_it_is_only_read(self, admin: Api, method: str, path: str):
        assert told(await admin.request(method, path)) == refused(405, "Method Not Allowed")

    @pytest.mark.parametrize("path", [PATH, f"{PATH}?limit=1", f"{PATH}/{UNKNOWN}", f"{PATH}/abc", f"{PATH}?file_id=abc"])
    async def test_nobody_is_401(self, anonymous: Api, path: str):
        assert told(await anonymous.get(path)) == refused(401, "Unauthorized")

    async def test_a_bad_id_is_422_for_users_too(self, user: Api):
        status, body = told(await user.get(f"{PATH}/abc"))

        assert (status, [each["loc"] for each in body["detail"]]) == (422, [["path", "transfer_id"]])
