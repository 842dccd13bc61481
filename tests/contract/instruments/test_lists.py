"""The two shapes of lists: contract §1, "Lists"."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.contract.instruments.resources import INSTRUMENTS, RESOURCES, SERVICE_ACCOUNTS, STORAGE_LOCATIONS, Resource
from tests.contract.support import Api, TickingClock, ids, refused, running, told

ENVELOPED = [resource for resource in RESOURCES if resource.enveloped]


def of_one_moment(resource: Resource, rows: list[dict[str, Any]]) -> list[str]:
    """The ids of rows that were made in that order at one moment, as they are listed."""
    return ids(rows) if resource.by_insertion else sorted(ids(rows))


async def many(admin: Api, resource: Resource, count: int) -> list[dict[str, Any]]:
    body = await resource.body(admin)
    return [await admin.made(resource.path, **resource.another(body)) for _ in range(count)]


@pytest.mark.parametrize("resource", ENVELOPED, ids=str)
class TestEnvelope:
    async def test_it_is_empty_at_first(self, admin: Api, resource: Resource):
        reply = await admin.get(resource.path)

        assert (reply.status_code, reply.text) == (200, '{"items":[],"total":0,"skip":0,"limit":25}')

    async def test_it_shows_25_unless_asked(self, admin: Api, resource: Resource, clock: TickingClock):
        clock.tick = timedelta(milliseconds=1)
        rows = await many(admin, resource, 27)

        assert told(await admin.get(resource.path)) == (200, {"items": rows[:25], "total": 27, "skip": 0, "limit": 25})

    async def test_a_page(self, admin: Api, resource: Resource, clock: TickingClock):
        clock.tick = timedelta(milliseconds=1)
        rows = await many(admin, resource, 5)

        reply = await admin.get(f"{resource.path}?skip=1&limit=2")

        assert told(reply) == (200, {"items": rows[1:3], "total": 5, "skip": 1, "limit": 2})

    async def test_skip_alone_and_limit_alone(self, admin: Api, resource: Resource, clock: TickingClock):
        clock.tick = timedelta(milliseconds=1)
        rows = await many(admin, resource, 3)

        skipped, limited = await admin.get(f"{resource.path}?skip=2"), await admin.get(f"{resource.path}?limit=500")

        assert told(skipped) == (200, {"items": rows[2:], "total": 3, "skip": 2, "limit": 25})
        assert told(limited) == (200, {"items": rows, "total": 3, "skip": 0, "limit": 500})

    async def test_past_the_end_there_is_nothing(self, admin: Api, resource: Resource):
        await many(admin, resource, 2)

        reply = await admin.get(f"{resource.path}?skip=2")

        assert told(reply) == (200, {"items": [], "total": 2, "skip": 2, "limit": 25})

    async def test_rows_of_one_moment_come_by_their_ids(self, admin: Api, resource: Resource):
        rows = await many(admin, resource, 6)

        assert ids((await admin.get(resource.path)).json()["items"]) == of_one_moment(resource, rows)

    async def test_pages_are_disjoint_and_complete(self, admin: Api, resource: Resource, clock: TickingClock):
        first = await many(admin, resource, 4)
        clock.advance(seconds=1)
        second = await many(admin, resource, 4)

        pages = [(await admin.get(f"{resource.path}?skip={skip}&limit=3")).json()["items"] for skip in range(0, 9, 3)]

        assert [len(page) for page in pages] == [3, 3, 2]
        assert ids([row for page in pages for row in page]) == of_one_moment(resource, first) + of_one_moment(resource, second)

    async def test_the_total_is_of_what_the_filter_leaves(self, admin: Api, resource: Resource):
        rows = await many(admin, resource, 3)
        await admin.delete(f"{resource.path}/{rows[1]['id']}")

        live = (await admin.get(f"{resource.path}?limit=1")).json()
        every = (await admin.get(f"{resource.path}?limit=1&include_deleted=true")).json()

        assert (live["total"], every["total"]) == (2, 3)

    async def test_include_deleted_is_false_when_it_says_so(self, admin: Api, resource: Resource):
        (row,) = await many(admin, resource, 1)
        await admin.delete(f"{resource.path}/{row['id']}")

        assert (await admin.get(f"{resource.path}?include_deleted=false")).json()["total"] == 0

    async def test_unknown_parameters_are_ignored(self, admin: Api, resource: Resource):
        assert (await admin.get(f"{resource.path}?sort=name&enabled=true&q=x")).json()["limit"] == 25


@pytest.mark.parametrize("resource", ENVELOPED, ids=str)
class TestShapeArray:
    """[EXT] A bare, complete array, if a request asks for it."""

    async def test_it_is_complete(self, admin: Api, resource: Resource, clock: TickingClock):
        clock.tick = timedelta(milliseconds=1)
        rows = await many(admin, resource, 27)

        assert told(await admin.get(f"{resource.path}?shape=array")) == (200, rows)

    async def test_it_is_empty_at_first(self, admin: Api, resource: Resource):
        assert told(await admin.get(f"{resource.path}?shape=array")) == (200, [])

    async def test_deleted_rows_are_in_it_if_asked(self, admin: Api, resource: Resource):
        rows = await many(admin, resource, 2)
        await admin.delete(f"{resource.path}/{rows[0]['id']}")

        live = await admin.get(f"{resource.path}?shape=array")
        every = await admin.get(f"{resource.path}?shape=array&include_deleted=true")

        assert (ids(live.json()), len(every.json())) == ([rows[1]["id"]], 2)

    async def test_it_asks_for_the_same_role(self, anonymous: Api, user: Api, resource: Resource):
        reply = await user.get(f"{resource.path}?shape=array")

        assert told(await anonymous.get(f"{resource.path}?shape=array")) == refused(401, "Unauthorized")
        assert reply.status_code == (await user.get(resource.path)).status_code


class TestListShapeSetting:
    """[EXT] `LIST_SHAPE=array` counts when neither `skip` nor `limit` is there."""

    async def test_it_decides_for_requests_without_paging(self, tmp_path: Path):
        async with running(tmp_path, LIST_SHAPE="array") as world:
            admin = await world.person("ada@example.org", "admin")
            row = await INSTRUMENTS.create(admin)

            assert told(await admin.get("/api/instruments")) == (200, [row])
            assert told(await admin.get("/api/instruments?include_deleted=true")) == (200, [row])
            for query, skip, limit in (("skip=0", 0, 25), ("limit=25", 0, 25), ("skip=0&limit=500", 0, 500)):
                envelope = {"items": [row], "total": 1, "skip": skip, "limit": limit}
                assert told(await admin.get(f"/api/instruments?{query}")) == (200, envelope)
            assert told(await admin.get("/api/storage-locations")) == (200, [])
            assert told(await admin.get("/api/schedules")) == (200, [])


class TestBareArrays:
    async def test_service_accounts_come_all_at_once(self, admin: Api, clock: TickingClock):
        clock.tick = timedelta(milliseconds=1)
        rows = await many(admin, SERVICE_ACCOUNTS, 27)

        assert told(await admin.get("/api/service-accounts")) == (200, rows)

    @pytest.mark.parametrize("path", ["/api/service-accounts", "/api/files", "/api/transfers"])
    async def test_an_empty_one(self, admin: Api, path: str):
        reply = await admin.get(path)

        assert (reply.status_code, reply.content) == (200, b"[]")
        assert "x-total-count" not in reply.headers


@pytest.mark.parametrize("resource", [INSTRUMENTS, STORAGE_LOCATIONS], ids=str)
class TestUsers:
    """Any logged-in user may list these two; configurations are hidden from them."""

    @pytest.mark.parametrize("query", ["", "?shape=array", "?skip=0&limit=500"])
    async def test_the_list_has_the_same_keys(self, admin: Api, user: Api, resource: Resource, query: str):
        config = "transfer_config" if resource is INSTRUMENTS else "connection_config"
        row = await resource.create(admin, **{config: {"secret": "of the house"}})

        status, body = told(await user.get(resource.path + query))

        (shown,) = body if isinstance(body, list) else body["items"]
        assert (status, list(shown), shown) == (200, list(row), {**row, config: None})

    async def test_anonymous_gets_none(self, anonymous: Api, resource: Resource):
        assert told(await anonymous.get(resource.path)) == refused(401, "Unauthorized")


@pytest.mark.parametrize("path", ["/api/service-accounts", "/api/schedules"])
async def test_other_lists_are_for_admins(user: Api, anonymous: Api, path: str):
    assert told(await user.get(path)) == refused(403, "Admin access required")
    assert told(await anonymous.get(path)) == refused(401, "Unauthorized")
