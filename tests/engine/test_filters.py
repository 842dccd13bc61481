"""Lists under a client's own filter and order: what they hold, what cursors are worth, what is refused."""

import pytest
import strawberry
from sqlalchemy.dialects import sqlite
from strawberry.schema.config import StrawberryConfig

from core.errors import Forbidden, InvalidInput, NotSupported
from engine.choices import MOST_CONDITIONS, MOST_LEVELS, MOST_VALUES, choice, choices
from engine.connection import Connection
from engine.constraints import ConstraintDirective
from engine.declare import ascending, many
from engine.graph import Graph
from engine.scalars import SCALARS
from tests.engine.world import ADMIN, OWNER, STRANGER, Person, book, books, key, people, principals, signed_in


@pytest.fixture
async def shelf(world):
    await world.add(people, {"id": key(7), "name": "Ada", "age": 36}, {"id": key(8), "name": "Bob", "age": 70})
    await world.add(
        books,
        book(1, title="Able.raw", author_id=key(7), size=5, price=2.5, genre="poetry"),
        book(2, title="able.RAW", author_id=key(7), size=None, price=9, lent=1, printed_at="2026-11-21T00:00:00.000000Z"),
        book(3, title="Ämter", author_id=key(7), size=3, price=2.5, owner_id=STRANGER, sequel_of=key(1)),
        book(4, title="100%_b", author_id=key(8), size=2**40, price=None),
    )
    return world


QUERY = "query($filter: BookFilter, $order: [BookOrder!]) { books(filter: $filter, orderBy: $order) { totalCount nodes { localId } } }"


async def found(world, filter_=None, order=None):
    """The numbers of the books; in order, if there is one."""
    page = (await world.data(QUERY, {"filter": filter_, "order": order}))["books"]
    numbers = [int(node["localId"].replace("-", ""), 16) for node in page["nodes"]]
    assert page["totalCount"] == len(numbers)
    return numbers if order else sorted(numbers)


async def refusal(world, text, variables=None):
    outcome = await world.run(text, variables or {})
    (error,) = outcome.errors
    return error.original_error


@pytest.mark.parametrize(
    ("filter_", "numbers"),
    [
        (None, [1, 2, 3, 4]),
        ({}, [1, 2, 3, 4]),
        ({"title": {}}, [1, 2, 3, 4]),
        ({"title": {"eq": "Able.raw"}}, [1]),
        ({"title": {"in": ["Able.raw", "Ämter", "nothing"]}}, [1, 3]),
        ({"title": {"in": []}}, []),
        ({"title": {"startsWith": "Able"}}, [1]),
        ({"title": {"startsWith": "100%_"}}, [4]),
        ({"title": {"startsWith": "Ä"}}, [3]),
        ({"title": {"startsWith": "\U0010ffff"}}, []),
        ({"title": {"startsWith": "\ud7ff"}}, []),
        ({"title": {"contains": "LE.r"}}, [1, 2]),
        ({"title": {"contains": "%_"}}, [4]),
        ({"title": {"contains": "ä"}}, []),
        ({"title": {"contains": "Ä"}}, [3]),
        ({"genre": {"eq": "POETRY"}}, [1]),
        ({"genre": {"in": ["POETRY", "SCIENCE"]}}, [1, 2, 3, 4]),
        ({"localId": {"in": [str(key(2)), str(key(3))]}}, [2, 3]),
        ({"sequelOf": {"eq": str(key(1))}}, [3]),
        ({"lent": {"eq": True}}, [2]),
        ({"size": {"gt": 3, "lte": 2**40}}, [1, 4]),
        ({"size": {"in": [3, 2**40]}}, [3, 4]),
        ({"size": {"isNull": True}}, [2]),
        ({"size": {"isNull": False}}, [1, 3, 4]),
        ({"price": {"gte": 2.5, "lt": 9}}, [1, 3]),
        ({"printedAt": {"in": ["2026-11-21T01:00:00+01:00"]}}, [2]),
        ({"printedAt": {"lt": "2026-11-21T00:00:00Z"}}, []),
        ({"size": {"gt": 3}, "lent": {"eq": False}}, [1, 4]),
        ({"and": []}, [1, 2, 3, 4]),
        ({"or": []}, []),
        ({"or": [{"size": {"eq": 3}}, {"price": {"eq": 9}}]}, [2, 3]),
        ({"and": [{"size": {"gt": 2}}, {"size": {"lt": 5}}]}, [3]),
        ({"not": {"size": {"gt": 3}}}, [2, 3]),
        ({"not": {"not": {"size": {"gt": 3}}}}, [1, 4]),
        ({"not": {}}, []),
        ({"title": {"contains": "a"}, "or": [{"not": {"size": {"eq": 5}}}, {"genre": {"eq": "POETRY"}}]}, [1, 2]),
    ],
    ids=str,
)
async def test_a_filter_says_which_rows(shelf, filter_, numbers):
    assert await found(shelf, filter_) == numbers


@pytest.mark.parametrize(
    ("order", "numbers"),
    [
        ([{"field": "SIZE"}], [3, 1, 4, 2]),
        ([{"field": "SIZE", "direction": "DESC"}], [4, 1, 3, 2]),
        ([{"field": "PRICE"}, {"field": "SIZE"}], [3, 1, 2, 4]),
        ([{"field": "PRICE", "direction": "DESC"}, {"field": "SIZE"}], [2, 3, 1, 4]),
        ([{"field": "GENRE"}], [1, 2, 3, 4]),
        ([{"field": "TITLE"}], [4, 1, 2, 3]),
    ],
    ids=str,
)
async def test_an_order_puts_nulls_last_and_ends_with_the_key(shelf, order, numbers):
    assert await found(shelf, None, order) == numbers


@pytest.mark.parametrize("direction", ["ASC", "DESC"])
@pytest.mark.parametrize("field", ["PRICE", "SIZE", "TITLE"])
async def test_a_walk_under_filter_and_order_meets_every_row_once(shelf, field, direction):
    filter_, order = {"not": {"title": {"eq": "Ämter"}}}, [{"field": field, "direction": direction}]
    query = """query($filter: BookFilter, $order: [BookOrder!], $after: String) {
        books(first: 1, after: $after, filter: $filter, orderBy: $order) { nodes { title } pageInfo { endCursor hasNextPage } }
    }"""
    whole = await shelf.data(query.replace("first: 1", "first: 9"), {"filter": filter_, "order": order})
    walked, after = [], None
    while True:
        page = (await shelf.data(query, {"filter": filter_, "order": order, "after": after}))["books"]
        walked += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert walked == whole["books"]["nodes"]
    assert len(walked) == 3


@pytest.mark.parametrize(
    "changed",
    [
        {"filter": {"size": {"gt": 1}}},
        {"filter": {"size": {"gte": 0}}},
        {"filter": None},
        {"order": [{"field": "SIZE", "direction": "DESC"}]},
        {"order": [{"field": "PRICE"}]},
        {"order": None},
    ],
    ids=str,
)
async def test_a_cursor_is_refused_under_another_filter_or_order(shelf, changed):
    query = """query($filter: BookFilter, $order: [BookOrder!], $after: String) {
        books(first: 1, after: $after, filter: $filter, orderBy: $order) { edges { cursor } }
    }"""
    given = {"filter": {"size": {"gt": 0}}, "order": [{"field": "SIZE"}]}
    cursor = (await shelf.data(query, given))["books"]["edges"][0]["cursor"]
    assert (await shelf.data(query, {**given, "after": cursor}))["books"]["edges"]
    refused = await refusal(shelf, query, {**given, **changed, "after": cursor})
    assert isinstance(refused, InvalidInput)
    assert (refused.field, refused.detail) == ("after", "this cursor belongs to another list, filter or order")


async def test_lists_below_parents_are_filtered_and_sorted_too(shelf):
    query = """{ persons { nodes { name books(first: 2, filter: {size: {isNull: false}}, orderBy: [{field: SIZE, direction: DESC}]) {
        totalCount nodes { title } } } } }"""
    assert await shelf.data(query) == {
        "persons": {
            "nodes": [
                {"name": "Ada", "books": {"totalCount": 2, "nodes": [{"title": "Able.raw"}, {"title": "Ämter"}]}},
                {"name": "Bob", "books": {"totalCount": 1, "nodes": [{"title": "100%_b"}]}},
            ]
        }
    }
    assert len(shelf.store.texts) == 3


async def test_a_filter_finds_nothing_that_the_viewer_does_not_see(shelf):
    shelf.viewer = principals("user", OWNER)
    assert await found(shelf, {"or": [{"title": {"eq": "Ämter"}}, {"not": {"title": {"eq": "Ämter"}}}]}) == [1, 2, 4]


@pytest.mark.parametrize(
    "arguments",
    [
        "filter: {age: {gt: 40}}",
        "filter: {age: {}}",
        "filter: {or: [{not: {age: {isNull: true}}}]}",
        "orderBy: [{field: NAME}, {field: AGE}]",
    ],
)
async def test_what_the_viewer_may_not_know_is_no_filter_and_no_order(shelf, arguments):
    query = f"{{ persons({arguments}) {{ totalCount nodes {{ name }} }} }}"
    shelf.viewer = principals("user", OWNER)
    refused = await refusal(shelf, query)
    assert isinstance(refused, Forbidden)
    assert refused.detail == "age is not yours to filter or sort by"
    assert shelf.store.texts == []
    shelf.viewer = principals("admin", ADMIN)
    assert "persons" in await shelf.data(query)


def nested(levels):
    return {"title": {"eq": "x"}} if levels == 0 else {"and": [nested(levels - 1)]}


@pytest.mark.parametrize(
    ("filter_", "detail"),
    [
        (nested(MOST_LEVELS + 1), "more than 4 levels of and, or, not"),
        (nested(80), "more than 4 levels of and, or, not"),
        ({"or": [{"size": {"eq": number}} for number in range(MOST_CONDITIONS + 1)]}, "more than 20 comparisons"),
        ({"size": {"in": list(range(MOST_VALUES + 1))}}, "101 values; at most 100 are compared"),
        ({"size": {"eq": 2**63}}, "beyond what is stored: integers have 64 bits"),
        ({"size": {"in": [2**63]}}, "beyond what is stored: integers have 64 bits"),
        ({"title": {"contains": "a\0b"}}, "text may not contain the character U+0000"),
        ({"title": {"eq": None}}, "filter.title.eq: Input should not be null"),
        ({"title": None}, "filter.title: Input should not be null"),
        ({"and": None}, "filter.and: Input should not be null"),
        ({"title": {"startsWith": ""}}, "filter.title.startsWith: String should have at least 1 character"),
        ({"title": {"contains": "x" * 2049}}, "filter.title.contains: String should have at most 2048 characters"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_is_too_much_or_cannot_be_is_refused_in_words(shelf, filter_, detail):
    refused = await refusal(shelf, QUERY, {"filter": filter_})
    assert isinstance(refused, InvalidInput)
    assert refused.detail == detail
    assert shelf.store.texts == []


async def test_a_field_is_sorted_by_once(shelf):
    refused = await refusal(shelf, QUERY, {"order": [{"field": "SIZE"}, {"field": "SIZE", "direction": "DESC"}]})
    assert (refused.detail, refused.field) == ("names a field twice", "order_by")


async def test_values_are_bound_and_never_text(shelf):
    operation = shelf.prepare(QUERY)
    for size in (3, 5):
        for values in (["a"], ["a", "b", "c"]):
            filter_ = {"size": {"eq": size}, "title": {"in": values, "contains": f"secret{size}"}}
            await operation.execute(shelf.context(), {"filter": filter_, "order": [{"field": "PRICE"}]})
    assert len(set(shelf.store.texts)) == 2
    assert len(shelf.store.texts) == 8
    assert not any("secret" in text for text in shelf.store.texts)


async def test_without_filter_and_order_the_statement_is_what_it_was(shelf):
    for text in (
        "{ books { nodes { title } } }",
        "query($f: BookFilter, $o: [BookOrder!]) { books(filter: $f, orderBy: $o) { nodes { title } } }",
    ):
        await shelf.prepare(text).execute(shelf.context(), {})
    plain, chosen = shelf.store.texts
    assert plain == chosen


async def test_only_cursors_of_a_chosen_order_read_the_columns_of_all_orders(shelf):
    for text in (
        "{ books(orderBy: [{field: SIZE}]) { nodes { title } } }",
        "{ books { edges { cursor } } }",
        "{ books(orderBy: [{field: SIZE}]) { edges { cursor } } }",
    ):
        await shelf.prepare(text).execute(shelf.context(), {})
    assert [text.partition("FROM")[0].count("printed_at") for text in shelf.store.texts] == [0, 0, 1]


TELLING = choices("Telling", {"age": choice(people.c.age, int, "Hidden."), "rank": choice(people.c.rank, int, "Shown.")})


@strawberry.type(description="Reading.")
class Query:
    persons: Connection[Person] = many(ascending(people.c.name), "People.", guard=signed_in, choices=TELLING)


def test_a_schema_does_not_let_filters_tell_what_rows_do_not_show():
    schema = strawberry.Schema(Query, schema_directives=[ConstraintDirective], config=StrawberryConfig(scalar_map=SCALARS))
    with pytest.raises(NotSupported) as refused:
        Graph(schema, sqlite.dialect())
    assert refused.value.detail.splitlines()[1:] == [
        "  Query.persons may be filtered by age, which its rows do not show to everybody"
    ]
