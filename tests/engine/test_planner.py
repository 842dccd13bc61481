"""What a plan sends to the store: how many statements, and what stands in them."""

from itertools import product

import pytest
from graphql import parse as parse_document

from engine.admission import MOST_VARIANTS
from engine.operation import Leaves, UnplannableError
from engine.plan import Plan
from tests.engine.world import book, books, copies, key, people

LOWER = Leaves(lower_case_enums=True)


@pytest.fixture
async def shelves(world):
    await world.add(people, {"id": key(7), "name": "Ada"}, {"id": key(8), "name": "Bob"})
    await world.add(books, *(book(number, author_id=key(7 + number % 2)) for number in range(1, 6)))
    await world.add(books, book(6, author_id=key(7), sequel_of=key(1)))
    await world.add(
        copies, *({"number": number, "book_id": key(number % 6 + 1), "shelf": "A", "bought": number} for number in range(1, 13))
    )
    return world


async def test_one_statement_per_relation_per_level_whatever_the_number_of_parents(shelves):
    data = await shelves.data("{ books { nodes { author { books { nodes { copies { nodes { book { title } } } } } } } } }")
    assert len(data["books"]["nodes"]) == 6
    assert len(shelves.store.texts) == 5


async def test_parents_with_the_same_key_share_a_row(shelves):
    data = await shelves.data("{ books(last: 2) { nodes { author { name } } } }")
    assert data == {"books": {"nodes": [{"author": {"name": "Bob"}}, {"author": {"name": "Ada"}}]}}
    assert len(shelves.store.texts) == 2


async def test_only_the_columns_asked_for_are_read(shelves):
    await shelves.data("{ books { nodes { title } } }")
    (text,) = shelves.store.texts
    assert text.split("FROM")[0].split() == ["SELECT", "books.title", "AS", "c0"]


async def test_a_field_asked_for_twice_is_read_once(shelves):
    await shelves.data("{ books { nodes { title again: title } edges { node { title } } } }")
    (text,) = shelves.store.texts
    assert text.count("books.title AS c") == 1


async def test_aliases_of_a_relation_are_relations_of_their_own(shelves):
    data = await shelves.data(
        "{ book(localId: $id) { a: copies(first: 1) { nodes { localId } } b: copies(last: 1) { nodes { localId } } } }".replace(
            "$id", f'"{key(1)}"'
        )
    )
    assert data == {"book": {"a": {"nodes": [{"localId": 6}]}, "b": {"nodes": [{"localId": 12}]}}}
    assert len(shelves.store.texts) == 3


@pytest.mark.parametrize(
    ("selection", "statements"),
    [
        ("__typename", 0),
        ("pageInfo { offset size __typename }", 0),
        ("totalCount", 1),
        ("all: totalCount place: pageInfo { size }", 1),
        ("nodes { title }", 1),
        ("pageInfo { hasNextPage }", 1),
        ("edges { cursor }", 1),
        ("edges { __typename }", 1),
        ("totalCount nodes { title }", 2),
        ("... { totalCount } ... on BookConnection { pageInfo { endCursor } }", 2),
    ],
)
async def test_a_page_costs_what_is_selected_of_it(shelves, selection, statements):
    await shelves.data(f"{{ books {{ {selection} }} }}")
    assert len(shelves.store.texts) == statements


async def test_sort_columns_are_read_for_cursors_only(shelves):
    await shelves.data("{ booksByPrice { nodes { pages } pageInfo { hasNextPage } } }")
    assert "books.price AS c" not in shelves.store.texts[0]
    await shelves.data("{ booksByPrice { nodes { pages } pageInfo { endCursor } } }")
    assert "books.price AS c" in shelves.store.texts[0]


async def test_typename_everywhere(shelves):
    data = await shelves.data(
        "{ __typename books(first: 1) { __typename edges { __typename node { __typename } } pageInfo { __typename } } }"
    )
    page = {
        "__typename": "BookConnection",
        "edges": [{"__typename": "BookEdge", "node": {"__typename": "Book"}}],
        "pageInfo": {"__typename": "PageInfo"},
    }
    assert data == {"__typename": "Query", "books": page}


async def test_typename_alone_asks_nothing(world):
    assert await world.data("{ __typename other: __typename }") == {"__typename": "Query", "other": "Query"}
    assert world.store.texts == []


async def test_every_parent_column_a_relation_needs_is_read_unasked(shelves):
    data = await shelves.data("{ books(first: 1) { nodes { author { name } copies { totalCount } } } }")
    assert data == {"books": {"nodes": [{"author": {"name": "Bob"}, "copies": {"totalCount": 2}}]}}


async def test_a_table_that_refers_to_itself(shelves):
    data = await shelves.data("{ books { nodes { title sequelOf { title } sequels { totalCount nodes { title } } } } }")
    first, last = data["books"]["nodes"][0], data["books"]["nodes"][-1]
    assert first == {"title": "Book 01", "sequelOf": None, "sequels": {"totalCount": 1, "nodes": [{"title": "Book 06"}]}}
    assert last == {"title": "Book 06", "sequelOf": {"title": "Book 01"}, "sequels": {"totalCount": 0, "nodes": []}}
    assert len(shelves.store.texts) == 4


async def test_a_batch_is_called_once_for_all_parents(shelves):
    data = await shelves.data("{ books { nodes { popularity words } } }")
    assert [each["popularity"] for each in data["books"]["nodes"]] == [1, 2, 3, 4, 5, 6]
    assert data["books"]["nodes"][0]["words"] == ["Book", "01"]
    assert shelves.services.batches == [6]
    assert len(shelves.store.texts) == 1


async def test_node_asks_the_table_that_the_id_names(shelves):
    (node,) = (await shelves.data("{ books(first: 1) { nodes { id } } }"))["books"]["nodes"]
    query = (
        f'{{ node(id: "{node["id"]}") {{ __typename id ... on Book {{ title author {{ name }} }} ... on Person {{ name }} }} }}'
    )
    assert await shelves.data(query) == {
        "node": {"__typename": "Book", "id": node["id"], "title": "Book 01", "author": {"name": "Bob"}}
    }
    assert len(shelves.store.texts) == 2


@pytest.mark.parametrize("text", ["{ __schema { queryType { name } } }", '{ __type(name: "Book") { name } }'])
async def test_introspection_is_left_to_graphql_core(world, text):
    assert (await world.run(text)).errors == []
    with pytest.raises(UnplannableError):
        world.graph.prepare(parse_document(text), leaves=LOWER)


async def test_so_is_introspection_that_a_condition_may_bring_in(world):
    text = "query($x: Boolean!) { __typename ... @skip(if: $x) { __schema { queryType { name } } } }"
    assert (await world.run(text, {"x": True})).data == {"__typename": "Query"}
    assert (await world.run(text, {"x": False})).data == {"__typename": "Query", "__schema": {"queryType": {"name": "Query"}}}


async def test_skip_and_include_choose_a_plan_each(shelves):
    query = "query($y: Boolean!, $n: Boolean = false) { books { totalCount @include(if: $y) nodes @skip(if: $n) { title } } }"
    assert await shelves.data(query, {"y": False, "n": True}) == {"books": {}}
    assert shelves.store.texts == []
    assert await shelves.data(query, {"y": True, "n": True}) == {"books": {"totalCount": 6}}
    assert len((await shelves.data(query, {"y": False}))["books"]["nodes"]) == 6


async def test_of_many_conditions_only_recent_combinations_are_kept(shelves):
    names = "abcdefg"
    declared = ", ".join(f"${name}: Boolean!" for name in names)
    fields = " ".join(f"{name}: __typename @include(if: ${name})" for name in names)
    operation = shelves.prepare(f"query({declared}) {{ {fields} }}")
    assert isinstance(operation, Plan)
    for flags in product([False, True], repeat=len(names)):
        chosen = dict(zip(names, flags, strict=True))
        outcome = await operation.execute(shelves.context(), chosen)
        assert outcome.data == {name: "Query" for name, wanted in chosen.items() if wanted}
    assert len(operation._variants) == len(operation._admission._costs) == MOST_VARIANTS


async def test_enum_values_as_a_transport_spells_them(shelves):
    operation = shelves.graph.prepare(parse_document("{ books(first: 1, genre: SCIENCE) { nodes { genre } } }"), leaves=LOWER)
    assert (await operation.execute(shelves.context(), {})).data == {"books": {"nodes": [{"genre": "science"}]}}


async def test_no_text_of_a_client_is_code(world):
    text = '{ echo(text: "\\"; import os #") a__import__: echo(text: "x") }'
    assert await world.data(text) == {"echo": '"; import os #', "a__import__": "x"}
