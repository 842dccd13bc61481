"""What an operation costs at worst, known before anything runs."""

from typing import Any

import pytest
from graphql import get_introspection_query

from core.errors import TooExpensive
from engine.graph import Graph
from engine.limits import Limits
from tests.engine.world import book, books, reference


@pytest.fixture
def dear(world):
    """The same graph, with a budget of 100 nodes."""
    world.graph = Graph(world.graph.strawberry, world.graph.dialect, limits=Limits(nodes=100))
    return world


def objects(value: Any) -> int:
    """How many there are in a reply, itself not counted."""
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(isinstance(each, dict) + objects(each) for each in below)


@pytest.mark.parametrize(
    ("text", "variables", "nodes"),
    [
        ("{ __typename }", {}, 0),
        ("{ books { totalCount } }", {}, 1),
        ("{ books { nodes { title } } }", {}, 1 + 25),
        ("{ books(first: 3) { nodes { title } pageInfo { endCursor } } }", {}, 1 + 3 + 1),
        ("{ books(first: 3, filter: {}) { nodes { title } } }", {}, 1 + 3 + 3),
        ("query($n: Int, $o: [BookOrder!]) { books(first: $n, orderBy: $o) { nodes { title } } }", {"n": 7}, 1 + 7 + 7),
        ("{ books(last: 3) { edges { node { title } } } }", {}, 1 + 3 * 2),
        ("{ books(first: 3) { nodes { author { name } } } }", {}, 1 + 3 * 2),
        ("{ books(first: 3) { nodes { sequels(first: 4) { nodes { title } } } } }", {}, 1 + 3 * (1 + 1 + 4)),
        ("{ books(first: 3) { a: nodes { title } b: nodes { title } } }", {}, 1 + 3 + 3),
        ("query($n: Int) { books(first: $n) { nodes { title } } }", {"n": 7}, 1 + 7),
        ("query($n: Int) { books(first: $n) { nodes { title } } }", {}, 1 + 25),
        ("query($n: Int = 4) { books(first: $n) { nodes { title } } }", {}, 1 + 4),
        ("query($n: Int = 4) { books(first: $n) { nodes { title } } }", {"n": None}, 1 + 25),
        ("query($n: Int) { books(first: $n, last: 9) { nodes { title } } }", {"n": 7}, 1 + 9),
        ("query($n: Int) { books(last: 2) { nodes { copies(first: $n) { nodes { shelf } } } } }", {"n": 3}, 1 + 2 * (2 + 3)),
        ("{ books(first: 3) { nodes @skip(if: true) { title } totalCount } }", {}, 1),
        ("query($y: Boolean!) { books(first: 3) { nodes @include(if: $y) { title } } }", {"y": True}, 4),
        ("query($y: Boolean!) { books(first: 3) { nodes @include(if: $y) { title } } }", {"y": False}, 1),
        ("{ books(first: 2) { ...F ...F } } fragment F on BookConnection { nodes { title } }", {}, 1 + 2),
        ('{ node(id: "x") { id ... on Book { copies(first: 9) { nodes { id } } } ... on Person { name } } }', {}, 1 + 1 + 9),
        ("{ places { name } }", {}, 25),
        ("{ boxes { content { ... on Box { content { ... on Room { name } } } } } }", {}, 25 * (1 + 25 * (1 + 25))),
        ("subscription { allBooks { author { name } } }", {}, 3 * 2),
        ('mutation { must(work: true) rename(input: {bookId: "%s", title: "t"}) { book { title } } }' % ("0" * 32), {}, 2),
    ],
)  # fmt: skip
@pytest.mark.parametrize("run", ["plan", "reference"])
def test_every_list_counts_as_long_as_it_was_asked_for(world, run, text, variables, nodes):
    operation = world.prepare(text) if run == "plan" else reference(world.graph, text)
    assert operation.nodes(variables) == nodes


def test_the_dearest_of_several_types_counts(world):
    text = 'query($n: Int) { node(id: "x") { ... on Book { copies(first: $n) { nodes { id } } } ... on Person { books { nodes { id } } } } }'
    operation = world.prepare(text)
    assert [operation.nodes({"n": number}) for number in (1, 50)] == [1 + 1 + 25, 1 + 1 + 50]


@pytest.mark.parametrize("run", ["plan", "reference"])
async def test_over_the_budget_nothing_is_executed(dear, run):
    text = "query($n: Int!) { books(first: $n) { nodes { sequels(first: 9) { nodes { title } } } } }"
    operation = dear.prepare(text) if run == "plan" else reference(dear.graph, text)
    outcome = await operation.execute(dear.context(), {"n": 10})
    (error,) = outcome.errors
    assert (outcome.data, error.path) == (None, None)
    assert isinstance(error.original_error, TooExpensive)
    assert error.message == "the operation asks for up to 111 nodes; at most 100 are allowed"
    assert dear.store.texts == []
    assert (await operation.execute(dear.context(), {"n": 9})).errors == []


async def test_so_is_a_stream(dear):
    text = "subscription { allBooks { sequels(first: 40) { nodes { title } } } }"
    (outcome,) = [each async for each in dear.prepare(text).stream(dear.context(), {})]
    assert [error.message for error in outcome.errors] == ["the operation asks for up to 126 nodes; at most 100 are allowed"]
    assert dear.store.texts == []


def test_refused_variables_have_no_cost(world):
    assert world.prepare("query($n: Int!) { books(first: $n) { totalCount } }").nodes({"n": "many"}) is None


async def test_introspection_has_a_cost_close_to_what_it_is(world):
    text = get_introspection_query()
    operation = world.prepare(text)
    nodes = operation.nodes({})
    found = objects((await operation.execute(world.context(), {})).data)
    assert nodes is not None
    assert found / 2 < nodes < found * 2
    many = "{" + " ".join(f"a{number}: __schema {{ types {{ fields {{ args {{ name }} }} }} }}" for number in range(60)) + "}"
    assert (world.prepare(many).nodes({}) or 0) > nodes * 5


async def test_a_full_reply_costs_what_was_said(world):
    await world.add(books, *(book(number, sequel_of=None if number == 1 else book(1)["id"]) for number in range(1, 9)))
    text = "{ books(first: 8) { nodes { title } edges { node { title } } pageInfo { endCursor } } }"
    operation = world.prepare(text)
    outcome = await operation.execute(world.context(), {})
    assert objects(outcome.data) == operation.nodes({}) == 1 + 8 + 16 + 1
