"""Who sees which rows, on every way to them; pages, their arguments and their cursors."""

import base64
from uuid import UUID

import orjson
import pytest

from core.errors import InvalidInput
from core.ids import encode_global_id
from engine.graph import STATEMENTS, Graph
from tests.engine.world import ADMIN, OWNER, STRANGER, book, books, copies, key, loaded, people, principals, shown
from tests.postgres import only_sqlite


@pytest.fixture
async def library(world):
    await world.add(people, {"id": key(7), "name": "Ada"})
    await world.add(
        books,
        book(1, author_id=key(7)),
        book(2, author_id=key(7), owner_id=OWNER),
        book(3, author_id=key(7), owner_id=STRANGER, sequel_of=key(1)),
        book(4, author_id=key(7), deleted_at="2026-11-21T00:00:00.000000Z"),
    )
    await world.add(copies, *({"number": number, "book_id": key(number), "bought": 1} for number in (1, 2, 3, 4)))
    return world


# --- visibility ------------------------------------------------------------------------------------------------------

TITLES = "{ books { totalCount nodes { title } } }"


@pytest.mark.parametrize(
    ("viewer", "titles"),
    [
        (principals("admin", ADMIN), ["Book 01", "Book 02", "Book 03"]),
        (principals("user", OWNER), ["Book 01", "Book 02"]),
        (principals("user", STRANGER), ["Book 01", "Book 03"]),
    ],
)
async def test_a_list_and_its_count_hold_what_the_viewer_sees(library, viewer, titles):
    library.viewer = viewer
    page = (await library.data(TITLES))["books"]
    assert page == {"totalCount": len(titles), "nodes": [{"title": title} for title in titles]}


async def test_so_does_a_list_below_a_parent(library):
    library.viewer = principals("user", OWNER)
    data = await library.data(f'{{ book(localId: "{key(1)}") {{ author {{ books {{ totalCount nodes {{ title }} }} }} }} }}')
    assert data["book"]["author"]["books"] == {"totalCount": 2, "nodes": [{"title": "Book 01"}, {"title": "Book 02"}]}


@pytest.mark.parametrize("number", [3, 9])
async def test_an_invisible_row_is_as_absent_as_a_missing_one(library, number):
    library.viewer = principals("user", OWNER)
    local, node = key(number), encode_global_id("Book", str(key(number)))
    data = await library.data(f'{{ book(localId: "{local}") {{ title }} node(id: "{node}") {{ id }} }}')
    assert data == {"book": None, "node": None}


async def test_an_edge_to_an_invisible_row_is_null(library):
    await library.add(books, book(10, sequel_of=key(3)))
    library.viewer = principals("user", OWNER)
    data = await library.data(f'{{ book(localId: "{key(10)}") {{ title sequelOf {{ title }} }} }}')
    assert data == {"book": {"title": "Book 10", "sequelOf": None}}


async def test_a_stream_holds_what_the_viewer_sees(library):
    library.viewer = principals("user", OWNER)
    (outcome,) = await library.stream("subscription { allBooks { title } }")
    assert outcome == ({"allBooks": [{"title": "Book 01"}, {"title": "Book 02"}]}, [])


async def test_a_predicate_that_asks_another_table(library):
    library.viewer = principals("user", OWNER)
    data = await library.data("{ a: copy(localId: 1) { localId } b: copy(localId: 3) { localId } }")
    assert data == {"a": {"localId": 1}, "b": None}


async def test_the_viewers_id_is_bound_and_never_text(library):
    library.viewer = principals("user", OWNER)
    await library.data("{ books { totalCount nodes { copies { nodes { localId } } } } me { name } }")
    assert len(library.store.texts) == 4
    assert not any(str(OWNER) in text for text in library.store.texts)
    assert str(OWNER) in map(str, library.store.values[0])


async def test_viewers_of_a_role_share_the_text_but_not_the_rows(library):
    operation = library.prepare(TITLES)
    for viewer in (OWNER, STRANGER):
        library.viewer = principals("user", viewer)
        await operation.execute(library.context(), {})
    rows, _, again, _ = library.store.texts
    assert rows == again
    assert library.store.values[0] != library.store.values[2]


async def test_a_hidden_column_is_not_even_read(library):
    library.viewer = principals("user", OWNER)
    data = await library.data("{ books(first: 1) { nodes { secret label } } }")
    assert data == {"books": {"nodes": [{"secret": None, "label": "hidden"}]}}
    assert "books.title AS c" not in library.store.texts[0]


async def test_an_edge_that_is_not_allowed_is_null_and_asks_nothing(library):
    library.viewer = principals("user", OWNER)
    assert await library.data("{ books(first: 1) { nodes { censor { name } } } }") == {"books": {"nodes": [{"censor": None}]}}
    assert len(library.store.texts) == 1
    library.viewer = principals("admin", ADMIN)
    data = await library.data("{ books(first: 1) { nodes { censor { name } } } }")
    assert data == {"books": {"nodes": [{"censor": {"name": "Ada"}}]}}


async def test_deleted_rows_are_left_out_of_lists_and_lookups_but_not_of_edges(library):
    data = await library.data(f'{{ book(localId: "{key(4)}") {{ title }} copy(localId: 4) {{ book {{ title }} }} }}')
    assert data == {"book": None, "copy": {"book": {"title": "Book 04"}}}


async def test_deleted_rows_can_be_asked_for(library):
    data = await library.data("{ books(includeDeleted: true, last: 1) { totalCount nodes { title } } }")
    assert data == {"books": {"totalCount": 4, "nodes": [{"title": "Book 04"}]}}


async def test_the_row_of_whoever_asks(library):
    library.viewer = principals("user", key(7))
    assert await library.data("{ me { name } }") == {"me": {"name": "Ada"}}


# --- filters ---------------------------------------------------------------------------------------------------------


async def test_a_filter_is_added_when_it_is_given(library):
    query = "query($genre: Genre, $title: String) { books(genre: $genre, title: $title) { totalCount } }"
    assert await library.data(query) == {"books": {"totalCount": 3}}
    assert await library.data(query, {"genre": None, "title": None}) == {"books": {"totalCount": 3}}
    assert await library.data(query, {"genre": "POETRY"}) == {"books": {"totalCount": 0}}
    assert await library.data(query, {"genre": "SCIENCE", "title": "Book 02"}) == {"books": {"totalCount": 1}}


@only_sqlite
async def test_text_with_nul_is_text(library):
    await library.add(books, book(20, title="a\0b"))
    query = "query($title: String) { books(title: $title) { nodes { title } } }"
    assert await library.data(query, {"title": "a\0b"}) == {"books": {"nodes": [{"title": "a\0b"}]}}
    assert await library.data(query, {"title": "a"}) == {"books": {"nodes": []}}


async def test_a_number_that_no_column_holds_is_refused_as_a_filter(library):
    outcome = await library.run("query($size: Long) { books(size: $size) { totalCount } }", {"size": 2**63})
    (error,) = outcome.errors
    assert isinstance(error.original_error, InvalidInput)
    assert (error.original_error.field, error.path) == ("size", ["books"])


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, -(2**63), 99])
async def test_a_number_that_no_column_holds_finds_nothing_as_a_key(library, number):
    assert await library.data("query($n: Long!) { bigCopy(localId: $n) { localId } }", {"n": number}) == {"bigCopy": None}


# --- pages -----------------------------------------------------------------------------------------------------------

PAGE = "{ nodes { title } pageInfo { hasNextPage hasPreviousPage startCursor endCursor offset size } }"


@pytest.fixture
async def five(world):
    await world.add(books, *(book(number, price=price) for number, price in enumerate([2.5, None, 2.5, 9, None], start=1)))
    return world


def cursor_of(values, mark="x"):
    return base64.urlsafe_b64encode(orjson.dumps([mark, *values])).decode().rstrip("=")


async def test_pages_forwards(five):
    first = (await five.data(f"{{ books(first: 2) {PAGE} }}"))["books"]
    assert [node["title"] for node in first["nodes"]] == ["Book 01", "Book 02"]
    assert (first["pageInfo"]["hasNextPage"], first["pageInfo"]["hasPreviousPage"]) == (True, False)
    query = f"query($after: String) {{ books(first: 3, after: $after) {PAGE} }}"
    second = (await five.data(query, {"after": first["pageInfo"]["endCursor"]}))["books"]
    assert [node["title"] for node in second["nodes"]] == ["Book 03", "Book 04", "Book 05"]
    assert (second["pageInfo"]["hasNextPage"], second["pageInfo"]["hasPreviousPage"]) == (False, True)


async def test_pages_backwards(five):
    last = (await five.data(f"{{ books(last: 2) {PAGE} }}"))["books"]
    assert [node["title"] for node in last["nodes"]] == ["Book 04", "Book 05"]
    assert (last["pageInfo"]["hasNextPage"], last["pageInfo"]["hasPreviousPage"]) == (False, True)
    query = f"query($before: String) {{ books(last: 2, before: $before) {PAGE} }}"
    before = (await five.data(query, {"before": last["pageInfo"]["startCursor"]}))["books"]
    assert [node["title"] for node in before["nodes"]] == ["Book 02", "Book 03"]
    assert (before["pageInfo"]["hasNextPage"], before["pageInfo"]["hasPreviousPage"]) == (True, True)


async def test_pages_by_offset(five):
    page = (await five.data(f"{{ books(first: 2, offset: 3) {PAGE} }}"))["books"]
    assert [node["title"] for node in page["nodes"]] == ["Book 04", "Book 05"]
    assert page["pageInfo"]["offset"] == 3
    assert page["pageInfo"]["size"] == 2
    assert (page["pageInfo"]["hasNextPage"], page["pageInfo"]["hasPreviousPage"]) == (False, True)


async def test_an_empty_page_has_no_cursors(five):
    page = (await five.data(f"{{ books(first: 0) {PAGE} }}"))["books"]
    info = {"hasNextPage": True, "hasPreviousPage": False, "startCursor": None, "endCursor": None, "offset": 0, "size": 0}
    assert page == {"nodes": [], "pageInfo": info}
    beyond = (await five.data(f"{{ books(offset: {2**31 - 1}) {PAGE} }}"))["books"]
    assert beyond["nodes"] == []


async def test_a_page_of_25_unless_said_otherwise(world):
    await world.add(books, *(book(number) for number in range(1, 31)))
    data = await world.data("{ books { nodes { title } pageInfo { size hasNextPage } } }")
    assert len(data["books"]["nodes"]) == 25
    assert data["books"]["pageInfo"] == {"size": 25, "hasNextPage": True}


async def test_every_parent_has_its_own_page(five):
    await five.add(copies, *({"number": n, "book_id": key(1 + n % 2), "shelf": "A", "bought": 1} for n in range(1, 8)))
    data = await five.data(
        "{ books(first: 2) { nodes { copies(first: 2) { totalCount nodes { localId } pageInfo { hasNextPage } } } } }"
    )
    pages = [node["copies"] for node in data["books"]["nodes"]]
    assert pages == [
        {"totalCount": 3, "nodes": [{"localId": 2}, {"localId": 4}], "pageInfo": {"hasNextPage": True}},
        {"totalCount": 4, "nodes": [{"localId": 1}, {"localId": 3}], "pageInfo": {"hasNextPage": True}},
    ]
    assert len(five.store.texts) == 3


async def test_ties_and_nulls_have_a_fixed_place(five):
    data = await five.data("{ booksByPrice { nodes { title } } }")
    assert [node["title"] for node in data["booksByPrice"]["nodes"]] == ["Book 04", "Book 01", "Book 03", "Book 02", "Book 05"]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("backward", [False, True])
async def test_walking_meets_every_row_once(five, size, backward):
    first, after, end = ("last", "before", "startCursor") if backward else ("first", "after", "endCursor")
    more = "hasPreviousPage" if backward else "hasNextPage"
    query = f"query($at: String) {{ booksByPrice({first}: {size}, {after}: $at) {{ nodes {{ title }} pageInfo {{ {end} {more} }} }} }}"
    met, place, goes_on = [], None, True
    while goes_on:
        page = (await five.data(query, {"at": place}))["booksByPrice"]
        titles = [node["title"] for node in page["nodes"]]
        met = titles + met if backward else met + titles
        place, goes_on = page["pageInfo"][end], page["pageInfo"][more]
    assert met == ["Book 04", "Book 01", "Book 03", "Book 02", "Book 05"]


async def test_a_cursor_of_each_edge_continues_behind_it(five):
    edges = (await five.data("{ booksByPrice { edges { cursor node { title } } } }"))["booksByPrice"]["edges"]
    query = "query($after: String) { booksByPrice(after: $after) { nodes { title } } }"
    for index, edge in enumerate(edges):
        rest = (await five.data(query, {"after": edge["cursor"]}))["booksByPrice"]["nodes"]
        assert rest == [each["node"] for each in edges[index + 1 :]]


@pytest.mark.parametrize(
    "arguments",
    [
        "booksByPrice(first: 1, after: $c)",
        "books(first: 1, after: $c, genre: SCIENCE)",
        "books(includeDeleted: true, after: $c)",
    ],
)
async def test_a_cursor_is_refused_under_another_list_filter_or_order(five, arguments):
    cursor = (await five.data("{ books(first: 1) { pageInfo { endCursor } } }"))["books"]["pageInfo"]["endCursor"]
    outcome = await five.run(f"query($c: String) {{ found: {arguments} {{ nodes {{ title }} }} }}", {"c": cursor})
    assert outcome.data is None
    assert shown(outcome.errors) == [("this cursor belongs to another list, filter or order", ["found"])]
    assert isinstance(outcome.errors[0].original_error, InvalidInput)


@pytest.mark.parametrize(
    "cursor",
    ["", "zzz", "ünïcode", "A", "bm90IGpzb24", cursor_of([]), cursor_of(["a", "b", "c"]), cursor_of([{}, "b"]), cursor_of([None, None]),
     cursor_of(["a", 2**63]), cursor_of(["a", 2**64 - 1]), base64.urlsafe_b64encode(b'["x",1e999,1]').decode(),
     base64.urlsafe_b64encode(b'["x","\\ud800",1]').decode(), base64.urlsafe_b64encode(b'["x",' + b"9" * 400 + b",1]").decode()],
)  # fmt: skip
async def test_what_is_no_cursor_is_refused(five, cursor):
    outcome = await five.run("query($c: String) { books(after: $c) { nodes { title } } }", {"c": cursor})
    (error,) = outcome.errors
    assert isinstance(error.original_error, InvalidInput)
    assert error.original_error.field == "after"


@pytest.mark.parametrize("values", [[10**18, str(UUID(int=1))], ["a", "b"], ["a", 5]])
async def test_a_forged_cursor_of_the_right_list_is_refused_for_values_of_another_kind(five, values):
    cursor = (await five.data("{ books(first: 1) { pageInfo { endCursor } } }"))["books"]["pageInfo"]["endCursor"]
    mark = orjson.loads(base64.urlsafe_b64decode(cursor + "=="))[0]
    outcome = await five.run("query($c: String) { books(after: $c) { nodes { title } } }", {"c": cursor_of(values, mark)})
    assert shown(outcome.errors) == [("not a cursor", ["books"])]


async def test_a_forged_cursor_of_the_right_list_finds_a_place(five):
    cursor = (await five.data("{ books(first: 1) { pageInfo { endCursor } } }"))["books"]["pageInfo"]["endCursor"]
    mark = orjson.loads(base64.urlsafe_b64decode(cursor + "=="))[0]
    outcome = await five.run(
        "query($c: String) { books(after: $c) { nodes { title } } }", {"c": cursor_of(["z" * 1000, str(UUID(int=1))], mark)}
    )
    assert outcome.errors == []


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ("first: 1, last: 1", "last"),
        ('after: "x", last: 1', "after"),
        ('after: "x", before: "x"', "after"),
        ('before: "x", first: 1', "before"),
        ('after: "x", offset: 1', "offset"),
        ("last: 1, offset: 1", "offset"),
    ],
)
async def test_arguments_that_exclude_each_other(five, arguments, field):
    outcome = await five.run(f"{{ books({arguments}) {{ nodes {{ title }} }} }}")
    assert outcome.errors[0].original_error.field == field


async def test_statements_of_a_relation_are_bounded(five):
    five.graph = Graph(five.graph.strawberry, five.graph.dialect, documents=10)
    operation = five.prepare("{ books { nodes { title } } }")
    relation = operation.everything().steps[0].relation
    for number in range(10 * STATEMENTS + 10):
        five.viewer = principals(f"role {number}")
        await operation.execute(five.context(), {})
    assert len(relation._statements) == 10 * STATEMENTS


async def test_a_store_that_fails_is_the_error_of_every_parent(library):
    library.store.fail_on = "JOIN copies ON"
    outcome = await library.run("{ books(first: 2) { totalCount nodes { title copies { nodes { localId } } } } }")
    assert loaded(outcome) is None
    assert shown(outcome.errors) == [("the store is down", ["books", "nodes", number, "copies"]) for number in (0, 1)]


@pytest.mark.parametrize(("asked", "read"), [("nodes { title }", 2), ("nodes { title } pageInfo { hasNextPage }", 3)])
async def test_a_row_more_is_read_only_to_tell_whether_there_is_one(world, asked, read):
    await world.add(books, *(book(number) for number in range(1, 5)))
    data = await world.data(f"{{ books(first: 2) {{ {asked} }} }}")
    assert [node["title"] for node in data["books"]["nodes"]] == ["Book 01", "Book 02"]
    assert [values[0] for values in world.store.values] == [read]
