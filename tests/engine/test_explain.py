"""Plans as text."""

from textwrap import dedent

from engine.explain import explain
from tests.engine.world import HOUSE
from tests.postgres import only_sqlite


@only_sqlite
def test_levels_steps_and_statements(world):
    operation = world.prepare(
        "query($y: Boolean!) { __typename books { totalCount nodes @include(if: $y) { title popularity author { name } } } }"
    )
    assert explain(operation, ((HOUSE, "admin"),)) == dedent("""\
        Query { __typename }
          books: many, Query.books
            rows: SELECT books.title AS c0, books.pages AS c1, books.author_id AS c2
              FROM books
              WHERE books.deleted_at IS NULL ORDER BY books.title ASC NULLS LAST, books.id ASC
               LIMIT ? OFFSET ?
            count: SELECT 0, count(*) AS count_1
              FROM books
              WHERE books.deleted_at IS NULL
            BookConnection { totalCount }
              nodes: attribute
                Book { title }
                  popularity: batch, popularity
                  author: one
                    rows: SELECT people.name AS c0, parents."key" AS c1
                      FROM json_each(?) AS parents JOIN people ON people.id = parents.value
                      WHERE 1 = 1
                    Person { name }""")


@only_sqlite
def test_another_viewer_another_statement(world):
    operation = world.prepare('{ book(localId: "1b4e28ba-2fa1-11d2-883f-0016d3cca427") { title } }')
    assert explain(operation, ((HOUSE, "user"),)).splitlines()[4:] == [
        "      WHERE books.id = ? AND books.deleted_at IS NULL AND (books.owner_id IS NULL OR books.owner_id = ?)",
        "    Book { title }",
    ]
    assert explain(operation, ()).splitlines()[4] == "      WHERE 0 = 1"


def test_objects_of_several_types(world):
    operation = world.prepare("{ places { name ... on Box { strength } } }")
    assert explain(operation, ()).splitlines() == [
        "Query",
        "  places: resolve",
        "    Room { name }",
        "    Box { name }",
        "      strength: resolve",
    ]


def test_global_ids(world):
    lines = explain(world.prepare('{ node(id: "x") { id } }'), ((HOUSE, "admin"),)).splitlines()
    assert lines[1] == "  node: one of Copy, Book, Person"
    assert sum(line.strip().startswith("row: SELECT") for line in lines) == 3


def test_streams(world):
    lines = explain(world.prepare("subscription { allBooks { title } }"), ()).splitlines()
    assert lines[0] == "allBooks: stream of 3 rows a batch"
    assert lines[-1] == "  Book { title }"


def test_what_graphql_core_runs(world):
    assert explain(world.prepare("{ __schema { __typename } }"), ()) == "graphql-core: __schema is introspection"
