"""Plans against graphql-core: random operations over random, partly broken data must give the same bytes and the same errors.

A slice is a hundred operations; each has seeds of its own. `TEST_EFFORT=10` makes slices ten times as long.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import orjson
import pytest
import strawberry
from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    parse,
    validate,
    visit,
)
from sqlalchemy import MetaData

import schema.root
import storage.sql.tables
from core.context import Context
from core.identity import INSTRUMENTS, Principal, Principals
from engine.errors import explain_error
from engine.graph import Graph
from engine.operation import Operation, Outcome
from engine.plan import Plan
from storage.sql.opening import open_database
from tests.effort import EFFORT
from tests.engine.fuzz import POOL, Operations, fill, pool_key, relaxed
from tests.engine.world import HOUSE, Box, CountingStore, Room, World, build_schema, metadata, reference

DATABASES_OF_A_SLICE = max(1, round(4 * EFFORT))
PER_DATABASE = 25

# graphql-core leaves coroutines behind when a sibling has failed already; they are warned of whenever they are collected.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def slices(count: int) -> pytest.MarkDecorator:
    """The first belongs to `make check`, all of them to `make test`."""
    first, *others = range(count)
    return pytest.mark.parametrize("part", [first, *(pytest.param(each, marks=pytest.mark.slow) for each in others)])


@dataclass
class Tally:
    """What was compared, so that a generator gone wrong cannot pass for equality."""

    run: int = 0
    invalid: int = 0
    with_errors: int = 0
    excused: int = 0
    objects: int = 0

    def holds(self) -> None:
        assert self.run == DATABASES_OF_A_SLICE * PER_DATABASE
        assert self.invalid < self.run
        assert self.run / 20 < self.with_errors < self.run * 0.85  # the world of the tests refuses much, on purpose
        assert self.excused < self.run / 2
        assert self.objects > self.run / 2


async def both(graph: Graph, text: str, variables: dict[str, Any], context: Any) -> tuple[Operation, Any, Any]:
    """The plan, and what it and graphql-core answer."""
    operation = graph.prepare(parse(text))
    assert isinstance(operation, Plan), text
    core = reference(graph, text)
    if text.startswith("subscription"):
        planned = [outcome async for outcome in operation.stream(context(), variables)]
        return operation, planned, [outcome async for outcome in core.stream(context(), variables)]
    planned = [await operation.execute(context(), variables)]
    return operation, planned, [await core.execute(context(), variables)]


def compare(planned: Sequence[Outcome], core: Sequence[Outcome], tally: Tally) -> None:
    assert [orjson.dumps(outcome.data) for outcome in planned] == [orjson.dumps(outcome.data) for outcome in core]
    for one, other in zip(planned, core, strict=True):
        tally.with_errors += bool(other.errors)
        mine, theirs = _errors(one), _errors(other)
        if mine != theirs:
            tally.excused += 1
        for path, *_ in mine ^ theirs:
            nulled = _nulled(other.data, path or ())
            assert nulled is not None, (mine - theirs, theirs - mine)
            for errors in (mine, theirs):  # the specification leaves open which one is told
                assert any((found or ())[: len(nulled)] == nulled for found, *_ in errors), (mine - theirs, theirs - mine)


def _errors(outcome: Outcome) -> set[tuple[Any, ...]]:
    """Path, message, places and code of each."""
    return {_shown(error) for error in outcome.errors}


def _shown(error: GraphQLError) -> tuple[Any, ...]:
    ctx: Any = Context(sql=None, report=lambda cause: f"{type(cause).__name__}: {cause}")  # type: ignore[arg-type]
    told = explain_error(ctx, error)
    places = tuple((place.line, place.column) for place in told.locations or ())
    return told.path and tuple(told.path), told.message, places, orjson.dumps(told.extensions)


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


def objects(data: Any, leaves: frozenset[str]) -> int:
    """How many there are in an answer, itself not counted; what is below those names is one value, whatever it is made of."""
    if isinstance(data, dict):
        below = [value for name, value in data.items() if name not in leaves]
    else:
        below = data if isinstance(data, list) else []
    return sum(isinstance(each, dict) + objects(each, leaves) for each in below)


def json_names(schema: GraphQLSchema, text: str) -> frozenset[str]:
    """Under which names the operation asks for JSON."""
    found = set()
    info = TypeInfo(schema)

    class Names(Visitor):
        def enter_field(self, node: FieldNode, *_: Any) -> None:
            kind = info.get_type()
            if kind is not None and get_named_type(kind).name == "JSON":
                found.add((node.alias or node.name).value)

    visit(parse(text), TypeInfoVisitor(info, Names()))
    return frozenset(found)


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
    """An admin, a user with access to some rows, or nobody."""
    role = random.choice([*["admin"] * 4, *["user"] * 3, None])
    return Principals([] if role is None else [Principal(domain, pool_key(random.randint(1, POOL)), role)])


class Bench:
    """One graph over one database that is filled again and again."""

    def __init__(self, url: str, world: World, tables: Any, domain: str) -> None:
        self.url, self.world, self.tables, self.domain = url, world, tables, domain
        self.tally = Tally()

    async def compare(self, part: int, kinds: Sequence[str]) -> None:
        for number in range(DATABASES_OF_A_SLICE):
            seed = part * DATABASES_OF_A_SLICE + number
            random = Random(seed)
            await self.refill(seed)
            made = Operations(self.world.graph.schema, random)
            for _ in range(PER_DATABASE):
                text, variables = self._valid(made, random.choice(kinds))
                self.world.viewer = viewer(random, self.domain)
                self.world.services.places = [place(random) for _ in range(3)]
                try:
                    await self._one(seed, made, text, variables)
                except Exception as error:
                    raise AssertionError(f"seed {seed}: {text} {variables}") from error
        self.tally.holds()

    async def refill(self, seed: int) -> None:
        """The same rows for the same seed."""
        random = Random(f"rows {seed}")
        await fill(self.url, self.tables.sorted_tables, random, broken=random.choice([0, 0.01, 0.1]))

    def _valid(self, made: Operations, kind: str) -> tuple[str, dict[str, Any]]:
        while True:
            text, variables = getattr(made, kind)()
            if not validate(self.world.graph.schema, parse(text)):
                return text, variables
            self.tally.invalid += 1

    async def _one(self, seed: int, made: Operations, text: str, variables: dict[str, Any]) -> None:
        self.tally.run += 1
        if text.startswith("mutation"):
            await self._changes(seed, text, variables)
            return
        operation, planned, core = await both(self.world.graph, text, variables, self.world.context)
        compare(planned, core, self.tally)
        nodes = operation.nodes(variables)
        leaves = json_names(self.world.graph.schema, text)
        for outcome in planned:
            made.seen(outcome.data)
            found = objects(outcome.data, leaves)
            self.tally.objects += found
            assert found == 0 or (nodes is not None and found <= nodes)

    async def _changes(self, seed: int, text: str, variables: dict[str, Any]) -> None:
        """Each on the rows as they were; what was done and what is left must be the same, too."""
        plan, core = self.world.graph.prepare(parse(text)), reference(self.world.graph, text)
        assert isinstance(plan, Plan), text
        found = []
        for operation in (plan, core):
            await self.refill(seed)
            self.world.services.log.clear()
            outcome = await operation.execute(self.world.context(), variables)
            left = await self.world.run("{ books(first: 50) { nodes { localId title } } }")
            found.append((outcome, list(self.world.services.log), orjson.dumps(left.data), len(left.errors)))
            self.tally.objects += objects(outcome.data, frozenset())
        compare([found[0][0]], [found[1][0]], self.tally)
        assert found[0][1:] == found[1][1:]


@pytest.fixture
async def books_bench(database_url: str) -> AsyncIterator[Bench]:
    async with opened(database_url, build_schema(), metadata, HOUSE) as bench:
        yield bench


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with opened(database_url, schema.root.build_schema(), storage.sql.tables.metadata, INSTRUMENTS) as bench:
        yield bench


@asynccontextmanager
async def opened(url: str, built: strawberry.Schema, tables: MetaData, domain: str) -> AsyncIterator[Bench]:
    """A graph over its own tables, without the constraints that keep rows whole."""
    database, lax = await open_database(url), relaxed(tables)
    async with database.engine.begin() as connection:
        await connection.run_sync(lax.create_all)
    yield Bench(url, World(Graph(built, database.dialect), CountingStore(database)), lax, domain)
    await database.close()
    gc.collect()  # so that what is left behind is warned of here


@slices(20)
async def test_plans_answer_as_graphql_core_does(bench: Bench, part: int) -> None:
    """Two thousand in all, on each database."""
    await bench.compare(part, [*["query"] * 6, "subscription"])


@slices(5)
async def test_so_they_do_where_the_schema_has_everything(books_bench: Bench, part: int) -> None:
    """Unions, lists in lists, batches that fail, resolvers that are late, changes one after another."""
    await books_bench.compare(part, [*["query"] * 5, "subscription", "mutation"])
