"""Files, transfers and runs found by what is known of them, and where a file came from. GraphQL only: REST has no such calls."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from core.vocabulary import RunState, TransferStatus
from storage.sql.tables import links, runs
from tests.contract.instruments.records import add_file, add_instrument, add_location, add_transfer, give_access
from tests.contract.support import START, Api, World


async def ask(who: Api, query: str, **variables: Any) -> Any:
    reply = await who.post("/graphql", json={"query": query, "variables": variables})
    answer = reply.json()
    assert "errors" not in answer, answer
    return answer["data"]


async def names(who: Api, arguments: str) -> list[str]:
    """Of the files, in their order."""
    found = await ask(who, f"{{ files({arguments}) {{ nodes {{ filename }} }} }}")
    return [node["filename"] for node in found["files"]["nodes"]]


async def add_run(world: World, **columns: Any) -> UUID:
    row = {"id": uuid4(), "number": len(await world.rows(runs)) + 1, "kind": "harvest", "parameters": {}, "attempt": 1}
    row |= {"state": RunState.SUCCEEDED, "created_at": START, **columns}
    await world.insert(runs, row)
    key: UUID = row["id"]
    return key


async def link(world: World, file: UUID, kind: str, key: UUID, after: int = 0, how: str = "produced_by") -> None:
    row = {"id": uuid4(), "from_type": "FileRecord", "from_id": str(file), "to_type": kind, "to_id": str(key)}
    await world.insert(links, row | {"kind": how, "created_at": START + timedelta(seconds=after)})


class TestFiles:
    @pytest.mark.parametrize(
        ("arguments", "found"),
        [
            ('filter: {filename: {startsWith: "run_"}}, orderBy: [{field: FILENAME}]', ["run_1.csv", "run_2.csv"]),
            ('filter: {filename: {contains: "RUN"}}, orderBy: [{field: SIZE}]', ["run_2.csv", "Run.txt", "run_1.csv"]),
            ('filter: {sourcePath: {startsWith: "2026/"}}', ["run_1.csv"]),
            ('filter: {checksum: {eq: "00000000000000aa"}}', ["run_2.csv"]),
            ('filter: {persistentId: {in: ["ark:/99999/fk4one"]}}', ["run_1.csv"]),
            ("filter: {size: {isNull: true}}", ["notes"]),
            ('filter: {sourceModifiedAt: {lt: "2026-11-21T00:00:00Z"}}', ["Run.txt"]),
            ("orderBy: [{field: SIZE, direction: DESC}], first: 2", ["run_1.csv", "Run.txt"]),
            ("orderBy: [{field: SOURCE_MODIFIED_AT}, {field: FILENAME, direction: DESC}], first: 2", ["Run.txt", "run_2.csv"]),
        ],
    )
    async def test_by_what_is_known_of_them(self, world: World, admin: Api, arguments: str, found: list[str]):
        instrument = await add_instrument(world)
        one = {"source_path": "2026/run_1.csv", "persistent_id": "ark:/99999/fk4one", "size_bytes": 9}
        await add_file(world, instrument, filename="run_1.csv", **one)
        await add_file(world, instrument, filename="run_2.csv", xxhash="00000000000000aa", size_bytes=2)
        await add_file(world, instrument, filename="Run.txt", size_bytes=5, source_mtime=START - timedelta(days=1))
        await add_file(world, instrument, filename="notes", size_bytes=None, source_mtime=None)
        assert await names(admin, arguments) == found

    async def test_whatever_the_filter_one_finds_what_one_may_see(self, world: World, user: Api):
        instrument = await add_instrument(world)
        await add_file(world, instrument, filename="mine")
        await add_file(world, filename="not mine")
        assert user.id is not None
        await give_access(world, user.id, instrument)
        assert await names(user, 'filter: {filename: {contains: "mine"}}') == ["mine"]
        assert await names(user, 'filter: {not: {filename: {eq: "mine"}}}') == []

    async def test_the_older_arguments_go_on(self, world: World, admin: Api):
        instrument = await add_instrument(world)
        await add_file(world, instrument, filename="here")
        await add_file(world, filename="there")
        arguments = f'instrumentId: "{instrument}", filter: {{filename: {{contains: "here"}}}}'
        assert await names(admin, arguments) == ["here"]


class TestPersistentIds:
    QUERY = "query($ark: String!) { fileByPersistentId(persistentId: $ark) { filename } }"

    async def test_an_ark_leads_to_its_file(self, world: World, admin: Api, user: Api):
        await add_file(world, persistent_id="ark:/99999/fk4one", filename="one")
        found = {"fileByPersistentId": {"filename": "one"}}
        assert await ask(admin, self.QUERY, ark="ark:/99999/fk4one") == found
        assert await ask(user, self.QUERY, ark="ark:/99999/fk4one") == {"fileByPersistentId": None}

    @pytest.mark.parametrize("ark", ["", "ark:/99999/fk4two", "ARK:/99999/FK4ONE", "x" * 5000, "\U0001f600"])
    async def test_what_is_none_leads_nowhere(self, world: World, admin: Api, ark: str):
        await add_file(world, persistent_id="ark:/99999/fk4one")
        assert await ask(admin, self.QUERY, ark=ark) == {"fileByPersistentId": None}

    async def test_anonymous_is_asked_who_it_is(self, anonymous: Api):
        reply = await anonymous.post("/graphql", json={"query": self.QUERY, "variables": {"ark": "x"}})
        assert reply.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


class TestOtherLists:
    async def test_transfers(self, world: World, admin: Api):
        file, location, run = await add_file(world), await add_location(world), uuid4()
        await add_transfer(world, file, location, status=TransferStatus.FAILED, run_id=run)
        await add_transfer(world, file, location, completed_at=START)
        await add_transfer(world, file)
        query = "query($filter: TransferFilter) { transfers(filter: $filter) { totalCount } }"
        for filter_, count in (
            ({"runId": {"eq": str(run)}, "status": {"in": ["FAILED", "PENDING"]}}, 1),
            ({"storageLocationId": {"eq": str(location)}}, 2),
            ({"completedAt": {"isNull": True}}, 2),
        ):
            assert await ask(admin, query, filter=filter_) == {"transfers": {"totalCount": count}}

    async def test_runs(self, world: World, admin: Api):
        instrument = await add_instrument(world)
        older = await add_run(world, target_id=instrument, created_at=START - timedelta(hours=1))
        newer = await add_run(world, target_id=instrument, finished_at=START)
        await add_run(world, kind="other", target_id=instrument)
        query = """query($instrument: UUID!) {
            harvestRuns(filter: {instrumentId: {eq: $instrument}}, orderBy: [{field: CREATED_AT}]) { nodes { localId } } }"""
        found = await ask(admin, query, instrument=str(instrument))
        assert found == {"harvestRuns": {"nodes": [{"localId": str(older)}, {"localId": str(newer)}]}}

    async def test_instruments(self, world: World, user: Api):
        for name in ("b", "a"):
            await add_instrument(world, name=name)
        found = await ask(user, "{ instruments(orderBy: [{field: NAME}]) { nodes { name } } }")
        assert found == {"instruments": {"nodes": [{"name": "a"}, {"name": "b"}]}}


class TestOrigins:
    QUERY = "{ files(orderBy: [{field: FILENAME}]) { nodes { filename producedBy { __typename id state ... on HarvestRun { attempt } } } } }"

    async def test_a_file_names_the_run_that_copied_it_last(self, world: World, admin: Api):
        older, newer = await add_run(world), await add_run(world, state=RunState.FAILED)
        file = await add_file(world, filename="a")
        await link(world, file, "HarvestRun", newer, after=1)
        await link(world, file, "HarvestRun", older)
        await link(world, await add_file(world, filename="b"), "HarvestRun", uuid4())
        await add_file(world, filename="c")
        first, *others = (await ask(admin, self.QUERY))["files"]["nodes"]
        assert first["producedBy"] | {"id": ...} == {"__typename": "HarvestRun", "id": ..., "state": "FAILED", "attempt": 1}
        assert [node["producedBy"] for node in others] == [None, None]

    async def test_each_end_has_its_own_visibility(self, world: World, user: Api):
        instrument = await add_instrument(world)
        file = await add_file(world, instrument, filename="a")
        await link(world, file, "HarvestRun", await add_run(world))
        assert user.id is not None
        await give_access(world, user.id, instrument)
        assert (await ask(user, self.QUERY))["files"]["nodes"] == [{"filename": "a", "producedBy": None}]

    async def test_what_was_made_of_what(self, world: World, admin: Api, user: Api):
        instrument = await add_instrument(world)
        raw, seen = await add_file(world, instrument, filename="raw"), await add_file(world, instrument, filename="seen")
        hidden, run = await add_file(world, filename="hidden"), await add_run(world)
        for place, made in enumerate((seen, hidden)):
            await link(world, made, "FileRecord", raw, place, "derived_from")
        await link(world, raw, "HarvestRun", run, how="consumed_by")
        query = """query($id: UUID!) { file(localId: $id) {
            consumedBy { state } upstream { ... on FileRecord { filename } } downstream { ... on FileRecord { filename } } } }"""
        found = await ask(admin, query, id=str(raw))
        made_of_it = [{"filename": "hidden"}, {"filename": "seen"}]
        assert found["file"] == {"consumedBy": [{"state": "SUCCEEDED"}], "upstream": [], "downstream": made_of_it}
        found = await ask(admin, query, id=str(seen))
        assert found["file"] == {"consumedBy": [], "upstream": [{"filename": "raw"}], "downstream": []}
        assert user.id is not None
        await give_access(world, user.id, instrument)
        found = await ask(user, query, id=str(raw))
        assert found["file"] == {"consumedBy": [], "upstream": [], "downstream": [{"filename": "seen"}]}

    @pytest.mark.parametrize("kind", ["FileRecord", "Nothing", "RunLogLine"])
    async def test_what_made_a_file_is_a_run(self, world: World, admin: Api, kind: str):
        file = await add_file(world, filename="a")
        await link(world, file, kind, file)
        assert (await ask(admin, self.QUERY))["files"]["nodes"] == [{"filename": "a", "producedBy": None}]

    async def test_fields_of_an_interface(self, world: World, admin: Api):
        file = await add_file(world)
        found = await ask(admin, "query($id: UUID!) { file(localId: $id) { id } me { id } }", id=str(file))
        query = """query($file: ID!, $me: ID!) {
            file: node(id: $file) { ... on DataAsset { size checksum producedBy { state } } }
            me: node(id: $me) { ... on Actor { email } } }"""
        assert await ask(admin, query, file=found["file"]["id"], me=found["me"]["id"]) == {
            "file": {"size": 14, "checksum": "d6a06c8f22ac88e4", "producedBy": None},
            "me": {"email": "ada@example.org"},
        }
