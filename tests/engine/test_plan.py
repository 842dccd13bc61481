"""Plans at work: broken values and where their errors are, mutations one after another, streams batch by batch."""

import asyncio

import orjson
import pytest

from core.errors import Conflict, Forbidden, Unauthenticated
from engine import levels
from engine.plan import Plan
from tests.engine.world import ADMIN, Box, Room, book, books, key, loaded, principals, reference, shown
from tests.postgres import only_sqlite

# --- broken values ---------------------------------------------------------------------------------------------------


async def test_a_null_that_must_not_be_empties_what_may_be_null(world):
    await world.add(books, book(1), book(2, title=None, sequel_of=key(1)), book(3, sequel_of=key(2)))
    outcome = await world.run(f'{{ book(localId: "{key(3)}") {{ title sequelOf {{ pages title sequelOf {{ title }} }} }} }}')
    assert outcome.data == {"book": {"title": "Book 03", "sequelOf": None}}
    assert shown(outcome.errors) == [("Cannot return null for non-nullable field Book.title.", ["book", "sequelOf", "title"])]
    (place,) = outcome.errors[0].locations
    assert (place.line, place.column) == (1, 82)


async def test_a_null_deep_in_lists_that_must_not_be_null_empties_everything(world):
    await world.add(books, book(1), book(2, title=None))
    outcome = await world.run("{ books { nodes { title } } }")
    assert outcome.data is None
    assert shown(outcome.errors) == [("Cannot return null for non-nullable field Book.title.", ["books", "nodes", 1, "title"])]


@only_sqlite
@pytest.mark.parametrize(
    ("columns", "field", "message"),
    [
        ({"genre": "zzz"}, "genre", "Enum 'Genre' cannot represent value: 'zzz'"),
        ({"pages": 2**31}, "pages", "Int cannot represent non 32-bit signed integer value: 2147483648"),
        ({"pages": "many"}, "pages", "Int cannot represent non-integer value: 'many'"),
        ({"price": float("inf")}, "price", "Float cannot represent non numeric value: inf"),
        ({"notes": "{"}, "strictNotes", "unexpected end of data: line 1 column 2 (char 1)"),
        ({"notes": "null"}, "strictNotes", "Cannot return null for non-nullable field Book.strictNotes."),
        ({"title": b"raw"}, "title", "String cannot represent value: b'raw'"),
    ],
)
async def test_a_stored_value_that_its_type_forbids_is_a_located_error(world, columns, field, message):
    await world.add(books, book(1), book(2, sequel_of=key(1)) | columns)
    text = f'{{ broken: book(localId: "{key(2)}") {{ {field} }} whole: book(localId: "{key(1)}") {{ {field} }} }}'
    outcome = await world.run(text)
    assert shown(outcome.errors) == [(message, ["broken", field])]
    assert loaded(outcome)["broken"] in (None, {field: None})
    assert loaded(outcome)["whole"][field] is not None or field == "price"


async def test_the_same_broken_row_is_an_error_for_each_of_its_parents(world):
    await world.add(books, book(1, title=None), book(2, sequel_of=key(1)), book(3, sequel_of=key(1)))
    outcome = await world.run("{ books(first: 2) { nodes { sequelOf { title } } } }")
    assert outcome.data == {"books": {"nodes": [{"sequelOf": None}, {"sequelOf": None}]}}
    message = "Cannot return null for non-nullable field Book.title."
    assert shown(outcome.errors) == [(message, ["books", "nodes", number, "sequelOf", "title"]) for number in (0, 1)]


async def test_a_batch_may_fail_for_some_or_for_all(world):
    await world.add(books, book(1), book(13, sequel_of=key(1)), book(14, sequel_of=key(13)), book(15, sequel_of=key(14)))
    outcome = await world.run("{ books { nodes { sequelOf { pages popularity } } } }")
    assert outcome.data == {
        "books": {
            "nodes": [{"sequelOf": None}, {"sequelOf": {"pages": 1, "popularity": 1}}, {"sequelOf": None}, {"sequelOf": None}]
        }
    }
    assert shown(outcome.errors) == [
        ("Cannot return null for non-nullable field Book.popularity.", ["books", "nodes", 3, "sequelOf", "popularity"]),
        ("unheard of", ["books", "nodes", 2, "sequelOf", "popularity"]),
    ]
    await world.add(books, book(16, title="fail all"))
    outcome = await world.run("{ books { nodes { popularity } } }")
    assert outcome.data is None
    assert len(outcome.errors) == 5


async def test_stored_values_reach_the_wire_in_their_form(world):
    row = book(1, size=2**62, price=1.5, lent=1, notes='{"a":  [1e400]}', printed_at="2026-11-21T00:29:27.000000Z")
    await world.add(books, row | {"notes": '{"b":[1.0,"é"]}'}, book(2, printed_at="2026-11-21T00:29:27.495180Z", notes=None))
    outcome = await world.run("{ books { nodes { localId size price lent notes printedAt genre } } }")
    assert outcome.errors == []
    first, second = orjson.loads(orjson.dumps(outcome.data))["books"]["nodes"]
    assert first == {
        "localId": str(key(1)),
        "size": 2**62,
        "price": 1.5,
        "lent": True,
        "notes": {"b": [1.0, "é"]},
        "printedAt": "2026-11-21T00:29:27Z",
        "genre": "SCIENCE",
    }
    assert (second["lent"], second["notes"], second["printedAt"]) == (False, None, "2026-11-21T00:29:27.495180Z")
    assert b'{"b":[1.0,"\xc3\xa9"]}' in orjson.dumps(outcome.data)


# --- guards ----------------------------------------------------------------------------------------------------------


async def test_a_guard_refuses_its_field_and_no_other(world):
    world.viewer = principals("user")
    outcome = await world.run("{ books { totalCount } __typename }")
    assert outcome == ({"books": {"totalCount": 0}, "__typename": "Query"}, [])
    outcome = await world.run("{ people { totalCount } }")
    assert outcome.data is None
    assert shown(outcome.errors) == [("librarians only", ["people"])]
    assert isinstance(outcome.errors[0].original_error, Forbidden)
    assert not any("people" in text for text in world.store.texts)


async def test_guards_can_be_asked_alone(world):
    operation = world.prepare("query($y: Boolean!) { books { totalCount } people @include(if: $y) { totalCount } }")
    operation.guard(world.context())
    world.viewer = principals("user")
    operation.guard(world.context())  # the field may be left out, so its guard waits until it runs
    world.viewer = principals(None)
    with pytest.raises(Unauthenticated):
        operation.guard(world.context())


# --- mutations -------------------------------------------------------------------------------------------------------

RENAME = 'mutation($a: String!, $b: String!) { a: rename(input: {bookId: "%s", title: $a}) { note book { title } } b: rename(input: {bookId: "%s", title: $b}) { book { title } } }' % (key(1), key(1))  # fmt: skip # noqa: UP031


async def test_mutations_run_one_after_another_each_with_its_selection(world):
    await world.add(books, book(1))
    data = await world.data(RENAME, {"a": "first", "b": "second"})
    assert data == {"a": {"note": "done", "book": {"title": "first"}}, "b": {"book": {"title": "second"}}}
    assert world.services.log == ["rename first", "rename second"]


async def test_a_mutation_that_must_not_be_null_ends_the_others_when_it_fails(world):
    await world.add(books, book(1))
    outcome = await world.run(RENAME, {"a": "taken", "b": "second"})
    assert outcome.data is None
    assert shown(outcome.errors) == [("taken", ["a"])]
    assert world.services.log == ["rename taken"]
    outcome = await world.run("mutation { a: must(work: true) b: must(work: false) c: must(work: true) }")
    assert shown(outcome.errors) == [("does not work", ["b"])]
    assert world.services.log == ["rename taken", "must True", "must False"]


async def test_a_payload_that_cannot_be_read_back_leaves_the_change(world):
    await world.add(books, book(1))
    world.store.fail_on = "FROM books"
    outcome = await world.run(RENAME, {"a": "first", "b": "second"})
    assert outcome.data == {"a": {"note": "done", "book": None}, "b": {"book": None}}
    assert shown(outcome.errors) == [("the store is down", ["a", "book"]), ("the store is down", ["b", "book"])]
    world.store.fail_on = None
    assert (await world.data("{ books { nodes { title } } }")) == {"books": {"nodes": [{"title": "second"}]}}


async def test_a_payload_shows_a_row_that_was_deleted(world):
    await world.add(books, book(1, deleted_at="2026-11-21T00:00:00.000000Z"))
    data = await world.data(RENAME, {"a": "one", "b": "two"})
    assert data["b"] == {"book": {"title": "two"}}


async def test_a_broken_constraint_stops_everything_before_it_begins(world):
    outcome = await world.run(RENAME, {"a": "fine", "b": "far too long a title"})
    assert outcome.data is None
    (error,) = outcome.errors
    assert error.message == "input.title: String should have at most 12 characters"
    assert world.services.log == []


# --- streams ---------------------------------------------------------------------------------------------------------


async def test_a_stream_yields_every_row_in_batches(world):
    await world.add(books, *(book(number) for number in range(1, 8)))
    outcomes = await world.stream("subscription { found: allBooks { title } }")
    assert [[row["title"][-1] for row in outcome.data["found"]] for outcome in outcomes] == [list("123"), list("456"), ["7"]]
    assert len(world.store.texts) == 3


async def test_each_batch_completes_its_relations(world):
    await world.add(books, *(book(number, sequel_of=key(1)) for number in range(1, 7)))
    await world.stream("subscription { allBooks { sequelOf { title } } }")
    assert len(world.store.texts) == 2 * 2 + 1  # the last batch was full, so one more is asked for


@pytest.mark.parametrize("rows", [0, 3])
async def test_a_stream_ends_without_an_empty_batch(world, rows):
    await world.add(books, *(book(number) for number in range(1, rows + 1)))
    assert len(await world.stream("subscription { allBooks { title } }")) == rows // 3


async def test_conditions_and_filters_hold_in_a_stream(world):
    await world.add(books, book(1), book(2, genre="poetry"))
    text = "subscription($genre: Genre, $y: Boolean!) { allBooks(genre: $genre) { title pages @include(if: $y) } }"
    (outcome,) = await world.stream(text, {"genre": "POETRY", "y": False})
    assert outcome == ({"allBooks": [{"title": "Book 02"}]}, [])


async def test_a_broken_row_empties_its_batch_and_the_stream_goes_on(world):
    await world.add(books, *(book(number) for number in (1, 2, 3)), book(4, pages=None), book(5))
    first, second = await world.stream("subscription { allBooks { title pages } }")
    assert len(first.data["allBooks"]) == 3
    assert second.data is None
    assert shown(second.errors) == [("Cannot return null for non-nullable field Book.pages.", ["allBooks", 0, "pages"])]


@pytest.mark.parametrize("run", ["plan", "reference"])
async def test_a_stream_that_fails_says_so_and_ends(world, run):
    await world.add(books, *(book(number) for number in range(1, 6)))
    text = "subscription { allBooks { title } }"
    operation = world.prepare(text) if run == "plan" else reference(world.graph, text)
    outcomes = []
    async for outcome in operation.stream(world.context(), {}):
        outcomes.append(outcome)
        world.store.fail_on = "books"
    assert [outcome.data is None for outcome in outcomes] == [False, True]
    assert shown(outcomes[1].errors) == [("the store is down", ["allBooks"])]
    assert isinstance(outcomes[1].errors[0].original_error, Conflict)


@pytest.mark.parametrize("run", ["plan", "reference"])
async def test_a_stream_that_is_refused_is_one_outcome(world, run):
    world.viewer = principals(None)
    text = "subscription { allBooks { title } }"
    operation = world.prepare(text) if run == "plan" else reference(world.graph, text)
    (outcome,) = [outcome async for outcome in operation.stream(world.context(), {})]
    assert outcome.data is None
    assert shown(outcome.errors) == [("Unauthorized", ["allBooks"])]
    assert world.store.texts == []


async def test_variables_that_are_refused_end_a_stream(world):
    (outcome,) = await world.stream("subscription($g: Genre) { allBooks(genre: $g) { title } }", {"g": "zzz"})
    assert outcome.data is None
    assert outcome.errors[0].path is None


async def test_a_stream_that_is_left_asks_no_more(world):
    await world.add(books, *(book(number) for number in range(1, 8)))
    outcomes = world.prepare("subscription { allBooks { title } }").stream(world.context(), {})
    assert (await anext(outcomes)).errors == []
    await outcomes.aclose()
    assert len(world.store.texts) == 1


# --- several requests at once ----------------------------------------------------------------------------------------


async def test_requests_that_share_a_plan_do_not_share_their_rows(world):
    await world.add(books, book(1), book(2, owner_id=ADMIN))
    operation = world.prepare("query($n: Int) { books(first: $n) { totalCount nodes { title } } }")
    assert isinstance(operation, Plan)
    viewers = [principals("admin", ADMIN), principals("user"), principals("user", ADMIN)]
    contexts = []
    for world.viewer in viewers:
        contexts.append(world.context())
    found = await asyncio.gather(*(operation.execute(each, {"n": n}) for n, each in enumerate(contexts)))
    assert [outcome.data["books"]["totalCount"] for outcome in found] == [2, 1, 2]
    assert [len(outcome.data["books"]["nodes"]) for outcome in found] == [0, 1, 2]


async def test_objects_and_rows_in_one_operation(world):
    world.services.places = [Room(name="hall", seats=3), Box(name="crate", content=[Room(name="toy"), Box(name="inner")])]
    await world.add(books, book(1))
    data = await world.data(
        "{ places { __typename name ... on Room { seats doors(count: 3) } ... on Box { strength content { ... on Box { weight } } } }"
        " books { nodes { title } } }"
    )
    assert data == {
        "places": [
            {"__typename": "Room", "name": "hall", "seats": 3, "doors": ["door 0", "door 1", None]},
            {"__typename": "Box", "name": "crate", "strength": 3, "content": [{}, {"weight": 1.5}]},
        ],
        "books": {"nodes": [{"title": "Book 01"}]},
    }


async def test_others_have_their_turn_while_a_long_level_is_built(world, monkeypatch):
    monkeypatch.setattr(levels, "TURN", 2)
    world.services.places = [Room(name=str(number)) for number in range(5)]
    turns = []

    async def other():
        while True:
            turns.append(None)
            await asyncio.sleep(0)

    running = asyncio.create_task(other())
    await asyncio.sleep(0)
    begun = len(turns)
    data = await world.data("{ places { name } }")
    running.cancel()
    assert (data, len(turns) - begun) == ({"places": [{"name": str(number)} for number in range(5)]}, 2)


async def test_an_error_in_a_later_turn_is_told_where_it_is(world, monkeypatch):
    monkeypatch.setattr(levels, "TURN", 2)
    world.services.places = [Room(name="a"), Room(name="b"), Room(name="c"), Room(name=object())]
    outcome = await world.run("{ places { name } }")
    assert [error.path for error in outcome.errors] == [["places", 3, "name"]]
