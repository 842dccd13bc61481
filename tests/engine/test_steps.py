"""Resolvers and objects: what they may return and raise."""

import asyncio

import pytest

from core.ids import encode_global_id
from tests.engine.world import Box, Room, loaded, shown


async def test_a_resolver_sees_where_it_was_asked(world):
    text = 'query($x: Int = 1) { x: here echo(text: "a", times: $x) }'
    assert await world.data(text) == {"x": "here ['x'] {'x': 1}", "echo": "a"}
    assert (await world.reference(text)).data == await world.data(text)


async def test_awaitables_within_a_list_are_awaited(world):
    outcome = await world.run("{ numbers }")
    assert outcome.data == {"numbers": [1, 2, None, None]}
    assert shown(outcome.errors) == [("no three", ["numbers", 2])]


async def test_an_error_that_is_returned_is_raised(world):
    outcome = await world.run("{ returned }")
    assert outcome.data == {"returned": None}
    assert shown(outcome.errors) == [("returned", ["returned"])]


async def test_one_object_that_fails_leaves_the_others(world):
    world.services.places = [Box(name="a", weight=1), Box(name="b", weight=9), Box(name="c", weight=1)]
    outcome = await world.run("{ places { name ... on Box { strength } } }")
    assert outcome.data == {"places": [{"name": "a", "strength": 3}, None, {"name": "c", "strength": 3}]}
    assert shown(outcome.errors) == [("too heavy", ["places", 1, "strength"])]


async def test_any_iterable_is_a_list(world):
    world.services.places = (place for place in [Room(name="a"), None])
    assert await world.data("{ places { name } }") == {"places": [{"name": "a"}, None]}


@pytest.mark.parametrize("value", [None, 3, "text", {"name": "a"}])
async def test_what_is_no_list_is_an_error(world, value):
    world.services.places = value
    outcome = await world.run("{ places { name } }")
    assert outcome.data is None
    assert shown(outcome.errors) == shown((await world.reference("{ places { name } }")).errors)


async def test_an_object_of_an_unknown_type_is_an_error(world):
    world.services.places = [object(), Room(name="a")]
    outcome = await world.run("{ places { name } }")
    assert outcome.data == {"places": [None, {"name": "a"}]}
    (error,) = outcome.errors
    assert error.path == ["places", 0]


async def test_a_missing_object_that_must_be_there(world):
    world.services.places = [None]
    outcome = await world.run("{ firstPlace { name } }")
    assert outcome.data is None
    assert shown(outcome.errors) == [("Cannot return null for non-nullable field Query.firstPlace.", ["firstPlace"])]


async def test_cancelling_is_no_error_of_a_field(world):
    class Stuck:
        def __getattr__(self, name):
            raise asyncio.CancelledError

    world.services = Stuck()
    with pytest.raises(asyncio.CancelledError):
        await world.prepare("{ places { name } }").execute(world.context(), {})


@pytest.mark.parametrize(
    "text", ["", "zzz", encode_global_id("Book", "no uuid"), encode_global_id("Copy", "one"), "QQ", "ü", "\0"]
)
async def test_what_is_no_global_id_is_refused(world, text):
    outcome = await world.run("query($id: ID!) { node(id: $id) { id } }", {"id": text})
    assert outcome.data == {"node": None}
    assert shown(outcome.errors) == [("not a global id", ["node"])]


@pytest.mark.parametrize(
    "text", [encode_global_id("Genre", "1"), encode_global_id("Room", "1"), encode_global_id("Copy", "9" * 30)]
)
async def test_a_global_id_of_nothing_is_null(world, text):
    outcome = await world.run("query($id: ID!) { node(id: $id) { id } }", {"id": text})
    assert (loaded(outcome), outcome.errors) == ({"node": None}, [])
