"""Live subscriptions: each look stands for itself. Payloads lead to rows of one type or of any, one or several."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig

from core.errors import NotFound
from core.ids import GlobalId, decode_global_id, encode_global_id
from engine.declare import Node, Round, live, lookup, one, some
from engine.explain import explain
from engine.graph import Graph
from engine.scalars import SCALARS
from tests.engine.world import OWNER, Book, Copy, Room, World, book, books, key, principals, reference, shown, signed_in


@strawberry.type(description="What was looked at.")
class News:
    count: int = strawberry.field(description="How often.")
    found: strawberry.Private[GlobalId]
    keys: strawberry.Private[list[UUID]]
    node: Node | None = one("found", "Any one thing.")
    others: list[Book] = some("keys", "Some things.")


async def look(ctx: Any, arguments: Any, place: int | None) -> Round:
    count = (arguments.get("after") or 0) if place is None else place
    if count >= 3:
        return Round(None, count, ended=True)
    if arguments["id"] == "nothing":
        raise NotFound("Nothing not found")
    wanted = decode_global_id(arguments["id"])
    return Round(News(count=count, found=wanted, keys=[key(2), key(9), key(1)]), count + 1, more=count == 1)


@strawberry.type(description="Reading.")
class Query:
    book: Book | None = lookup(UUID, "A book.", guard=signed_in)


@strawberry.type(description="Following.")
class Subscription:
    news: News = live(
        look,
        "News.",
        topic=lambda arguments: ("books", decode_global_id(arguments["id"]).local_id),
        guard=signed_in,
        arguments={"id": (strawberry.ID, "Of what."), "after": (int | None, "From where.")},
    )


TEXT = """subscription ($id: ID!, $after: Int) {
  news(id: $id, after: $after) { count node { id ... on Book { title } } others { title } }
}"""


@pytest.fixture
async def living(world: World) -> World:
    schema = strawberry.Schema(
        query=Query, subscription=Subscription, types=[Room, Copy], config=StrawberryConfig(scalar_map=SCALARS)
    )
    await world.add(books, book(1, title="one", owner_id=OWNER), book(2, title="two"))
    return World(Graph(schema, world.store.dialect), world.store)


def node(number: int) -> str:
    return encode_global_id("Book", str(key(number)))


async def test_looks_go_on_from_their_place(living: World):
    following = living.prepare(TEXT).live({"id": node(1)})
    assert following is not None
    assert following.topic == ("books", str(key(1)))
    one_ = {"id": node(1), "title": "one"}
    others = [{"title": "two"}, {"title": "one"}]
    looks = [await following.look(living.context(), place) for place in (None, 1, 1, 2, 3)]
    assert [each.outcome and each.outcome.data for each in looks] == [
        {"news": {"count": 0, "node": one_, "others": others}},
        {"news": {"count": 1, "node": one_, "others": others}},
        {"news": {"count": 1, "node": one_, "others": others}},
        {"news": {"count": 2, "node": one_, "others": others}},
        None,
    ]
    assert [(each.place, each.ended, each.more) for each in looks] == [
        (1, False, False),
        (2, False, True),
        (2, False, True),
        (3, False, False),
        (3, True, False),
    ]


@pytest.mark.parametrize("given", [{"id": "nothing"}, {"id": ""}, {}, {"id": "x", "after": 3}])
async def test_what_is_wrong_is_told_by_the_first_look(living: World, given: dict):
    operation = living.prepare(TEXT)
    assert operation.live(given) is None
    told = await living.stream(TEXT, given)
    referred = [each async for each in reference(living.graph, TEXT).stream(living.context(), given)]
    assert [(each.data, shown(each.errors)) for each in told] == [(each.data, shown(each.errors)) for each in referred]


async def test_the_reference_looks_once_and_sees_the_same(living: World):
    for role in ("admin", "user"):
        living.viewer = principals(role)
        planned = await living.stream(TEXT, {"id": node(1)})
        referred = [each async for each in reference(living.graph, TEXT).stream(living.context(), {"id": node(1)})]
        assert [each.data for each in planned] == [each.data for each in referred]
        assert planned[0].errors == referred[0].errors == []


async def test_what_a_viewer_does_not_see_is_left_out(living: World):
    living.viewer = principals("user", key(77))
    (outcome,) = await living.stream(TEXT, {"id": node(1)})
    assert outcome.data == {"news": {"count": 0, "node": None, "others": [{"title": "two"}]}}


async def test_the_guard_is_asked_at_each_look(living: World):
    following = living.prepare(TEXT).live({"id": node(1)})
    assert following is not None
    living.viewer = principals(None)
    look = await following.look(living.context(), 1)
    assert look.ended
    assert look.outcome is not None
    assert isinstance(look.outcome.errors[0], GraphQLError)
    assert look.outcome.errors[0].path == ["news"]


async def test_a_statement_for_all_of_them(living: World):
    living.store.texts.clear()
    await living.stream(TEXT, {"id": node(1)})
    assert len(living.store.texts) == 2


def test_it_is_explained(living: World):
    lines = explain(living.prepare(TEXT), ()).splitlines()
    assert lines[0] == "news: looks again when what it follows has changed"
    steps = [line.strip() for line in lines if line.startswith(("    node", "    others"))]
    assert steps == ["node: one of Copy, Book, Person", "others: some"]
