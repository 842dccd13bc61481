"""Batches with arguments, pages of what no table holds, streams of what a store yields, and arguments that decide who may ask."""

from __future__ import annotations

import pytest

from engine.kinds import Asked
from tests.engine.world import book, books, copies, key, loaded, shown

LETTERS = "{ books(first: 3) { nodes { title letters(%s) { %s } } } }"
PAGES = "totalCount nodes { sign place } edges { cursor node { sign } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor offset size }"


@pytest.fixture
async def rows(world):
    await world.add(books, *(book(number) for number in range(1, 5)))
    await world.add(copies, {"number": 1, "book_id": key(1), "shelf": "A", "bought": 1})


async def both(world, text, variables=None):
    """What the plan answers, which is what the reference answers."""
    answer = await world.run(text, variables)
    other = await world.reference(text, variables)
    assert (loaded(answer), shown(answer.errors)) == (other.data, shown(other.errors))
    return answer


@pytest.mark.parametrize("arguments", ["", "first: 2", "last: 2", "offset: 1, first: 1", 'beyond: "m"', "first: 0"])
async def test_pages_of_a_store_are_pages(world, rows, arguments):
    text = (LETTERS % (arguments, PAGES)).replace("()", "")
    assert (await both(world, text)).errors == []


async def test_a_page_goes_on_from_its_cursor(world, rows):
    text = LETTERS.replace("first: 3", "first: 1") % ("first: 2", "nodes { sign } pageInfo { endCursor }")
    (book,) = (await world.data(text))["books"]["nodes"]
    cursor = book["letters"]["pageInfo"]["endCursor"]
    text = LETTERS.replace("first: 3", "first: 1") % (
        f'first: 1, after: "{cursor}"',
        "nodes { place } pageInfo { hasPreviousPage }",
    )
    (next_,) = (await both(world, text)).data["books"]["nodes"]
    assert next_["letters"] == {"nodes": [{"place": 2}], "pageInfo": {"hasPreviousPage": True}}
    text = LETTERS.replace("first: 3", "first: 1") % (f'before: "{cursor}", last: 5', "nodes { place }")
    (before,) = (await both(world, text)).data["books"]["nodes"]
    assert before["letters"]["nodes"] == [{"place": 0}]


async def test_a_batch_knows_its_arguments_and_what_is_wanted_and_is_called_once(world, rows):
    await world.data(LETTERS % ('beyond: "a", first: 5', "totalCount"))
    await world.data(LETTERS % ('beyond: "a"', "nodes { sign }"))
    await world.data(LETTERS.replace("(%s)", "") % "pageInfo { hasNextPage }")
    assert world.services.asked == [
        Asked({"beyond": "a", "first": 5}, rows=False, more=False, total=True),
        Asked({"beyond": "a"}, rows=True, more=False, total=False),
        Asked({}, rows=True, more=True, total=False),
    ]


async def test_a_page_costs_what_it_may_hold(world):
    prepared = world.prepare(LETTERS % ("first: 40", "nodes { sign }"))
    assert prepared.nodes({}) == 1 + 3 * (1 + 1 + 40)


async def test_what_fails_for_one_parent_is_its_own_error(world):
    await world.add(books, *(book(number, title=title) for number, title in enumerate(("Ab", "C", "X"), 1)))
    answer = await both(world, "{ books { nodes { letters { totalCount } } } }")
    assert shown(answer.errors) == [("no letters", ["books", "nodes", 2, "letters"])]
    counted = [{"letters": {"totalCount": 2}}, {"letters": {"totalCount": 1}}, {"letters": None}]
    assert answer.data == {"books": {"nodes": counted}}


async def test_pieces_come_one_after_another(world):
    text = "subscription ($to: Int!) { numbers(to: $to) }"
    outcomes = [each async for each in world.prepare(text).stream(world.context(), {"to": 5})]
    assert [each.data for each in outcomes] == [{"numbers": 0}, {"numbers": 1}, {"numbers": 2}, None, {"numbers": 4}]
    assert world.services.log == ["counted"]


async def test_pieces_that_fail_end_with_an_error(world):
    text = "subscription { numbers(to: 20) }"
    outcomes = [each async for each in world.prepare(text).stream(world.context(), {})]
    assert [each.data for each in outcomes[-2:]] == [{"numbers": 12}, None]
    assert [error.message for error in outcomes[-1].errors] == ["unlucky"]


async def test_pieces_are_left_in_order(world):
    stream = world.prepare("subscription { numbers(to: 20) }").stream(world.context(), {})
    assert (await anext(stream)).data == {"numbers": 0}
    await stream.aclose()
    assert world.services.log == ["counted"]


@pytest.mark.parametrize("field", ["{ lentCopy(localId: 1, card: %s) { shelf } }", "{ lentBooks(card: %s) { totalCount } }"])
async def test_arguments_may_decide_who_may_ask(world, rows, field):
    refused = await both(world, field % '"lost"')
    assert [error.message for error in refused.errors] == ["no card"]
    assert (await both(world, field % '"valid"')).errors == []
