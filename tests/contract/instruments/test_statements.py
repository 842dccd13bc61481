"""How many SQL statements a request takes: the same for one row and for many. Design §3."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from urllib.parse import quote

import pytest
from sqlalchemy import event

from core.sql import Bound, Row
from tests.contract.instruments.records import (
    add_file,
    add_files,
    add_instrument,
    add_location,
    add_transfer,
    add_transfers,
    transfer_row,
)
from tests.contract.instruments.resources import RESOURCES, Resource
from tests.contract.support import Api, World

AUTHENTICATION, ROWS, COUNT = 1, 1, 1

Statements = Callable[[Api, str], Awaitable[int]]


@pytest.fixture
def statements(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Statements]:
    """How many it takes to answer a GET: the reads of plans, and whatever goes another way."""
    database, seen = world.parts.database, list[str]()
    fetch_all = database.fetch_all

    async def counting(queries: Sequence[Bound]) -> list[list[Row]]:
        seen.extend(text for text, _ in queries)
        return await fetch_all(queries)

    def also(_connection: object, _cursor: object, text: str, *_: object) -> None:
        seen.append(text)

    async def ask(api: Api, path: str) -> int:
        seen.clear()
        assert (await api.get(path)).status_code == 200
        return len(seen)

    monkeypatch.setattr(database, "fetch_all", counting)
    event.listen(database.engine.sync_engine, "before_cursor_execute", also)
    yield ask
    event.remove(database.engine.sync_engine, "before_cursor_execute", also)


@pytest.mark.parametrize("count", [0, 1, 20])
class TestLists:
    @pytest.mark.parametrize("resource", [each for each in RESOURCES if each.enveloped], ids=str)
    async def test_an_envelope(self, admin: Api, statements: Statements, resource: Resource, count: int):
        body = await resource.body(admin)
        for _ in range(count):
            await admin.made(resource.path, **resource.another(body))

        assert await statements(admin, resource.path) == AUTHENTICATION + ROWS + COUNT
        assert await statements(admin, f"{resource.path}?shape=array") == AUTHENTICATION + ROWS

    async def test_a_bare_array(self, admin: Api, statements: Statements, count: int):
        for number in range(count):
            await admin.made("/api/service-accounts", name=str(number), username="x", password="x")

        assert await statements(admin, "/api/service-accounts") == AUTHENTICATION + ROWS

    @pytest.mark.parametrize("role", ["admin", "user"])
    async def test_files_and_transfers(self, world: World, statements: Statements, role: str, count: int):
        person = await world.person("eve@example.org", role)
        files = await add_files(world, await add_instrument(world), count, owner_id=person.id) if count else []
        location = await add_location(world)
        if files:
            await add_transfers(world, [transfer_row(file["id"], location) for file in files])

        for path in ("/api/files", "/api/transfers"):
            assert await statements(person, path) == AUTHENTICATION + ROWS
            assert await statements(person, f"{path}?skip=0&limit=500") == AUTHENTICATION + ROWS + COUNT

    @pytest.mark.parametrize("role", ["admin", "user"])
    async def test_files_of_acquisitions(self, world: World, statements: Statements, role: str, count: int):
        person = await world.person("eve@example.org", role)
        instrument = await add_instrument(world)
        for number in range(count):
            await add_files(world, instrument, 2, owner_id=person.id, acquisition=f"{number}.d")

        files = "{ files { nodes { acquisitionFiles { totalCount nodes { filename } } } } }"
        below = ROWS + COUNT if count else 0
        assert await statements(person, f"/graphql?query={quote(files)}") == AUTHENTICATION + ROWS + below


class TestSingleRows:
    async def test_a_managed_row(self, admin: Api, statements: Statements, resource: Resource):
        row = await resource.create(admin)

        assert await statements(admin, f"{resource.path}/{row['id']}") == AUTHENTICATION + ROWS

    @pytest.mark.parametrize("role", ["admin", "user"])
    async def test_a_file_and_a_transfer(self, world: World, statements: Statements, role: str):
        person = await world.person("eve@example.org", role)
        file = await add_file(world, owner_id=person.id)
        transfer = await add_transfer(world, file)

        assert await statements(person, f"/api/files/{file}") == AUTHENTICATION + ROWS
        assert await statements(person, f"/api/transfers/{transfer}") == AUTHENTICATION + ROWS

    async def test_oneself(self, user: Api, statements: Statements):
        assert await statements(user, "/users/me") == AUTHENTICATION + ROWS
