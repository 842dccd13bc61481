"""The documented operations of the real schema: how many statements each sends, and that none comes near the budget."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random
from typing import Any
from uuid import UUID

import pytest
from graphql import OperationType, Undefined, get_named_type
from sqlalchemy import update

import storage.sql.tables
from app.settings import Settings
from app.wiring import check_operations, rest_shim
from core.identity import INSTRUMENTS, Principal, Principals
from engine.graph import Graph
from engine.limits import Limits
from rest_compat.dialects.lookups import Lookups
from rest_compat.directives import Source
from storage.sql.opening import open_database
from tests.engine.fuzz import fill, relaxed
from tests.engine.world import CountingStore, World
from tests.sharing import load_once, schema_for

ONE = UUID(int=1)

WHOLE: dict[str, dict[str, Any]] = {
    "instruments": {"deleted_at": None},
    "file_records": {"instrument_id": ONE},
    "file_transfers": {"file_id": ONE, "storage_location_id": ONE, "run_id": ONE},
    "runs": {"kind": "harvest"},
}


@pytest.fixture
async def laboratory(database_url: str) -> AsyncIterator[World]:
    """The real schema over random rows, none of them broken, asked by an admin."""
    database, tables = await open_database(database_url), relaxed(storage.sql.tables.metadata)
    async with database.engine.begin() as connection:
        await connection.run_sync(tables.create_all)
    await fill(database_url, tables.sorted_tables, Random(1), broken=0)
    async with database.transaction() as transaction:  # so that something is on every level
        for name, values in WHOLE.items():
            await transaction.execute(update(tables.tables[name]).values(values))
    admin = Principals([Principal(INSTRUMENTS, ONE, "admin")])
    yield World(Graph(schema_for(database.dialect.name), database.dialect), CountingStore(database), viewer=admin)
    await database.close()


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("{ me { email } }", 1),
        (f'{{ instrument(localId: "{ONE}") {{ name }} }}', 1),
        ("{ files(first: 100) { nodes { id filename } } }", 1),
        ("{ files(first: 100) { totalCount } }", 1),
        ("{ files(first: 100) { nodes { id instrument { name } transfers(first: 3) { nodes { status } } } } }", 3),
        (
            """{ instruments { totalCount nodes { files { totalCount nodes { transfers {
                nodes { storageLocation { name } run { state } } } } } } } }""",
            7,
        ),
    ],
)
async def test_one_for_each_list_edge_and_count(laboratory, text, statements):
    outcome = await laboratory.run(text)
    assert outcome.errors == []
    assert len(laboratory.store.texts) == statements


@pytest.mark.parametrize(
    ("path", "query", "variables", "statements"),
    [
        ("/api/instruments", "", {"skip": 0, "limit": 25}, 2),
        (f"/api/instruments/{ONE}", "", {"instrument_id": ONE}, 1),
        ("/api/files", "limit=100", {"limit": 100, "skip": 0}, 2),
        (f"/api/files/{ONE}", "", {"file_id": ONE}, 1),
        ("/api/transfers", "limit=100", {"limit": 100, "skip": 0}, 2),
    ],
)
async def test_so_do_rest_calls(laboratory, monkeypatch, path, query, variables, statements):
    async def no_context(_: Any) -> Any:
        raise AssertionError("nothing is served here")

    monkeypatch.setattr("rest_compat.shim.load", load_once)
    shim = rest_shim(laboratory.graph, Settings.model_construct(), no_context)
    endpoint = shim.resolve("GET", path, query)
    assert endpoint is not None
    given = {name: str(value) if isinstance(value, UUID) else value for name, value in variables.items()}
    outcome = await endpoint.operation.execute(laboratory.context(), given)
    assert outcome.errors == []
    assert len(laboratory.store.texts) == statements


LARGE = {"lookups_list", "lookup_items_list", "lookup_items_by"}


@pytest.mark.slow
def test_no_rest_call_comes_near_the_budget():
    """Their largest pages cost a tenth of it at most, but for those of lookups, whose contract has pages of 10,000."""
    nodes = {}
    for endpoint in check_operations().endpoints:
        if endpoint.declared.kind is OperationType.MUTATION:
            continue
        largest = {each.variable: _largest(each) for each in endpoint.declared.parameters}
        nodes[endpoint.declared.name] = endpoint.operation.nodes(largest)
    assert len(nodes) > 15
    assert nodes["files_slice"] == 501
    assert None not in nodes.values()
    assert {name for name, each in nodes.items() if each > Limits().nodes / 10} == LARGE
    assert {nodes[name] for name in LARGE} == {10_001, 10_002}


def _largest(parameter: Any) -> Any:
    name = get_named_type(parameter.type).name
    bound = parameter.constraint.max if parameter.constraint is not None else None
    if parameter.source is Source.PAGE and parameter.wire == "size":
        bound = Lookups.pages.largest
    texts = {"String": "x", "GeopointForm": "DMS"} if parameter.required or parameter.default is not Undefined else {}
    return ({"UUID": str(ONE), "Int": 0 if bound is None else bound, "Boolean": True} | texts).get(name)
