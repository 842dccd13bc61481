"""Plans against graphql-core: random operations over random, partly broken data must give the same bytes and the same errors.

`SWITCHYARD_FUZZ=2000` asks for that many operations per schema.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from graphql import parse, validate

import schema.root
import storage.sql.tables
from core.context import Context
from core.identity import INSTRUMENTS, Principal, Principals
from engine.graph import Graph
from engine.operation import Outcome
from engine.plan import Plan
from storage.sql.opening import open_database
from tests.engine.fuzz import POOL, Operations, fill, pool_key
from tests.engine.world import HOUSE, Box, CountingStore, Room, World, build_schema, metadata, reference

OPERATIONS = int(os.environ.get("SWITCHYARD_FUZZ", "75"))
PER_DATABASE = 25


@dataclass
class Tally:
    """What was compared, so that a generator gone wrong cannot pass for equality."""

    run: int = 0
    invalid: int = 0
    with_errors: int = 0
    excused: int = 0


async def both(graph: Graph, text: str, variables: dict[str, Any], context: Any) -> tuple[Any, Any]:
    """What a plan and what graphql-core answer."""
    operation = graph.prepare(parse(text))
    assert isinstance(operation, Plan), text
    core = reference(graph, text)
    if text.startswith("subscription"):
        return (
            [outcome async for outcome in operation.stream(context(), variables)],
            [outcome async for outcome in core.stream(context(), variables)],
        )
    return [await operation.execute(context(), variables)], [await core.execute(context(), variables)]


def compare(planned: Sequence[Outcome], core: Sequence[Outcome], tally: Tally) -> None:
    assert [orjson.dumps(outcome.data) for outcome in planned] == [orjson.dumps(outcome.data) for outcome in core]
    for one, other in zip(planned, core, strict=True):
        tally.with_errors += bool(other.errors)
        mine, theirs = _errors(one), _errors(other)
        if mine != theirs:
            tally.excused += 1
        for _, path, _ in mine ^ theirs:
            nulled = _nulled(other.data, path or ())
            assert nulled is not None, (mine - theirs, theirs - mine)
            for errors in (mine, theirs):  # the specification leaves open which one is told
                assert any((found or ())[: len(nulled)] == nulled for _, found, _ in errors), (mine - theirs, theirs - mine)


def _errors(outcome: Outcome) -> set[tuple[str, Any, Any]]:
    return {
        (error.message, error.path and tuple(error.path), error.formatted_locations) for error in map(_Shown, outcome.errors)
    }


class _Shown:
    def __init__(self, error: Any) -> None:
        self.message, self.path = error.message, error.path
        self.formatted_locations = tuple((place.line, place.column) for place in error.locations or ())


def _nulled(data: Any, path: Sequence[Any]) -> tuple[Any, ...] | None:
    """The position above (or at) the path that is null; None if the path leads to a value."""
    for depth, part in enumerate(path):
        if data is None:
            return tuple(path[:depth])
        try:
            data = data[part]
        except (KeyError, IndexError):
            return None
    return tuple(path) if data is None else None


def place(random: Random, depth: int = 2) -> Any:
    """A random object; some hold what their type forbids."""
    name = random.choice(["hall", None, {"no": "text"}]) if random.random() < 0.1 else "hall"
    if random.random() < 0.5 or depth == 0:
        return Room(name=name, seats=random.choice([1, None, 2**40, "many"]))
    content = [None if random.random() < 0.1 else place(random, depth - 1) for _ in range(random.randint(0, 3))]
    return Box(
        name=name, weight=random.choice([1.0, 3, float("nan"), "heavy"]), content=random.choice([content, tuple(content)])
    )


def viewer(random: Random, domain: str) -> Principals:
    role = random.choice([*["admin"] * 4, *["user"] * 3, None])
    return Principals([] if role is None else [Principal(domain, pool_key(random.randint(1, POOL)), role)])


def tally_holds(tally: Tally) -> None:
    assert tally.run >= OPERATIONS
    assert tally.invalid < tally.run
    assert tally.with_errors > tally.run / 20


async def operations(graph: Graph, random: Random, tally: Tally) -> Any:
    """Valid ones only."""
    made, count = Operations(graph.schema, random), 0
    while count < PER_DATABASE:
        text, variables = made.subscription() if random.random() < 0.15 else made.query()
        if validate(graph.schema, parse(text)):
            tally.invalid += 1
            continue
        count += 1
        tally.run += 1
        yield text, variables


# graphql-core leaves coroutines behind when a sibling has failed already; they are warned of whenever they are collected.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["books", "switchyard"])
async def test_plans_answer_as_graphql_core_does(name: str, tmp_path: Path) -> None:
    path, tally = tmp_path / "fuzz.db", Tally()
    database = await open_database(f"sqlite+aiosqlite:///{path}")
    tables = metadata if name == "books" else storage.sql.tables.metadata
    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(tables.create_all)
        graph = Graph(build_schema() if name == "books" else schema.root.build_schema(), database.dialect)
        world = World(graph, CountingStore(database))
        for seed in range(-(-OPERATIONS // PER_DATABASE)):
            random = Random(seed)
            fill(path, tables.sorted_tables, random, broken=random.choice([0, 0.01, 0.1]))
            async for text, variables in operations(graph, random, tally):
                world.viewer = viewer(random, HOUSE if name == "books" else INSTRUMENTS)
                world.services.places = [place(random) for _ in range(3)]
                context: Any = world.context if name == "books" else lambda: Context(sql=database, principals=world.viewer)
                planned, core = await both(graph, text, variables, context)
                try:
                    compare(planned, core, tally)
                except AssertionError as error:
                    raise AssertionError(f"seed {seed}: {text} {variables}") from error
    finally:
        await database.close()
        gc.collect()  # so that what is left behind is warned of here
    tally_holds(tally)
