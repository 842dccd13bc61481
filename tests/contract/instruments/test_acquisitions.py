"""Files that were written as one measurement, in the graph. REST knows nothing of acquisitions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from storage.sql.tables import file_records
from tests.contract.instruments.records import add_files, add_instrument, file_row, give_access, grant, moments
from tests.contract.instruments.test_finding import ask
from tests.contract.support import Api, World

GLUCOSE, ALANINE = "20260115_glucose_1H", "20260201_alanine_13C"

BESIDE = """query($file: UUID!) { file(localId: $file) {
    acquisition acquisitionFiles { totalCount nodes { sourcePath acquisition } } } }"""


async def measure(world: World, instrument: UUID, acquisition: str | None, *names: str) -> list[UUID]:
    """The files of one measurement, discovered in that order."""
    folder = "" if acquisition is None else f"{acquisition}/"
    rows = [
        file_row(instrument, source_path=f"{folder}{name}", filename=name, acquisition=acquisition, first_discovered_at=at)
        for name, at in zip(names, moments(len(names)), strict=True)
    ]
    await world.insert(file_records, *rows)
    return [row["id"] for row in rows]


def beside(*paths: str, acquisition: str | None = GLUCOSE) -> dict[str, Any]:
    """The answer to that question."""
    nodes = [{"sourcePath": path, "acquisition": acquisition} for path in paths]
    return {"file": {"acquisition": acquisition, "acquisitionFiles": {"totalCount": len(paths), "nodes": nodes}}}


class TestFilesOfOneAcquisition:
    async def test_each_leads_to_all_of_them_and_to_no_other(self, world: World, admin: Api):
        instrument, twin = await add_instrument(world), await add_instrument(world)
        files = await measure(world, instrument, GLUCOSE, "fid", "acqus")
        await measure(world, instrument, ALANINE, "fid", "acqus")
        await measure(world, twin, GLUCOSE, "fid", "acqus")
        for file in files:
            assert await ask(admin, BESIDE, file=str(file)) == beside(f"{GLUCOSE}/fid", f"{GLUCOSE}/acqus")

    async def test_a_file_in_none_has_none_beside_it(self, world: World, admin: Api):
        file, _ = await measure(world, await add_instrument(world), None, "a", "b")
        assert await ask(admin, BESIDE, file=str(file)) == beside(acquisition=None)

    async def test_one_sees_those_that_one_may_see(self, world: World, user: Api):
        shared, hidden = await measure(world, await add_instrument(world), GLUCOSE, "fid", "acqus")
        assert user.id is not None
        await grant(world, shared, "user", user.id)
        assert await ask(user, BESIDE, file=str(shared)) == beside(f"{GLUCOSE}/fid")
        assert await ask(user, BESIDE, file=str(hidden)) == {"file": None}

    async def test_pages_and_filters(self, world: World, admin: Api):
        instrument = await add_instrument(world)
        (file, *_) = await measure(world, instrument, GLUCOSE, "acqu", "acqus", "fid", "procs")
        query = """query($file: UUID!, $after: String) { file(localId: $file) {
            acquisitionFiles(first: 2, after: $after, filter: {filename: {contains: "c"}}) {
                nodes { filename } pageInfo { hasNextPage endCursor } } } }"""
        first = (await ask(admin, query, file=str(file)))["file"]["acquisitionFiles"]
        assert (first["nodes"], first["pageInfo"]["hasNextPage"]) == ([{"filename": "acqu"}, {"filename": "acqus"}], True)
        rest = (await ask(admin, query, file=str(file), after=first["pageInfo"]["endCursor"]))["file"]["acquisitionFiles"]
        assert (rest["nodes"], rest["pageInfo"]["hasNextPage"]) == ([{"filename": "procs"}], False)


class TestFilter:
    @pytest.mark.parametrize(
        ("condition", "found"),
        [
            (f'{{eq: "{GLUCOSE}"}}', ["acqus", "fid"]),
            (f'{{in: ["{ALANINE}", "{GLUCOSE}"]}}', ["1r", "acqus", "fid"]),
            ('{startsWith: "20260201_"}', ["1r"]),
            ("{isNull: true}", ["notes"]),
        ],
    )
    async def test_files_are_found_by_it(self, world: World, admin: Api, condition: str, found: list[str]):
        instrument = await add_instrument(world)
        await measure(world, instrument, GLUCOSE, "fid", "acqus")
        await measure(world, instrument, ALANINE, "1r")
        await measure(world, instrument, None, "notes")
        await measure(world, await add_instrument(world), GLUCOSE, "elsewhere")
        query = f"""query($instrument: UUID!) {{ instrument(localId: $instrument) {{
            files(filter: {{acquisition: {condition}}}, orderBy: [{{field: FILENAME}}]) {{ nodes {{ filename }} }} }} }}"""
        answer = await ask(admin, query, instrument=str(instrument))
        assert [node["filename"] for node in answer["instrument"]["files"]["nodes"]] == found

    async def test_whoever_asks_sees_what_they_may_see(self, world: World, user: Api):
        mine = await add_instrument(world)
        await measure(world, mine, GLUCOSE, "fid")
        await measure(world, await add_instrument(world), GLUCOSE, "acqus")
        assert user.id is not None
        await give_access(world, user.id, mine)
        query = f'{{ files(filter: {{acquisition: {{eq: "{GLUCOSE}"}}}}) {{ nodes {{ filename }} }} }}'
        assert await ask(user, query) == {"files": {"nodes": [{"filename": "fid"}]}}


async def test_in_rest_a_file_is_what_it_was(world: World, admin: Api):
    instrument = await add_instrument(world)
    (plain,) = await add_files(world, instrument)
    (file,) = await measure(world, instrument, GLUCOSE, "fid")
    keys = list((await admin.get(f"/api/files/{plain['id']}")).json())
    reply = await admin.get(f"/api/files/{file}")
    assert list(reply.json()) == keys
    assert "acquisition" not in reply.text
