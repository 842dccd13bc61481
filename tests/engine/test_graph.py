"""Documents of clients: parsed, validated and limited once."""

from itertools import pairwise

import pytest
from graphql import GraphQLError, get_introspection_query
from sqlalchemy.dialects import sqlite

from core.errors import TooExpensive
from engine.graph import CHARACTERS, FIELDS, STATEMENTS, Graph
from engine.limits import Limits
from engine.plan import Plan
from tests.engine.world import World, build_schema


def refusal(graph: Graph, text: str) -> str:
    document, (error,) = graph.document(text)
    assert document is None
    assert isinstance(error.original_error, TooExpensive)
    return error.message


def graph(world: World, **limits: int) -> Graph:
    return Graph(world.graph.strawberry, world.graph.dialect, limits=Limits(**limits))


def test_a_document_is_read_once(world):
    text = "{ books { totalCount } }"
    document, errors = world.graph.document(text)
    assert errors == []
    assert world.graph.document(text)[0] is document
    assert world.graph.operation(text, document, None) is world.graph.operation(text, document, None)


def test_a_mistake_is_found_once(world):
    _, errors = world.graph.document("{ boks }")
    assert world.graph.document("{ boks }")[1] is errors
    assert errors[0].message == "Cannot query field 'boks' on type 'Query'. Did you mean 'books', 'book', or 'boxes'?"


def test_suggestions_can_be_hidden(world):
    built = Graph(world.graph.strawberry, world.graph.dialect, hide_suggestions=True)
    assert built.document("{ boks }")[1][0].message == "Cannot query field 'boks' on type 'Query'."


@pytest.mark.slow
def test_what_is_remembered_is_bounded(world):
    for number in range(30):
        world.graph.document("{ __typename }" + "#" * 90_000 + str(number))
    assert len(world.graph._documents) == 5


def remembering(documents: int) -> Graph:
    return Graph(build_schema(), sqlite.dialect(), documents=documents)


@pytest.mark.slow
def test_a_flood_of_documents_is_forgotten():
    """By count and by weight, whatever was asked: documents, mistakes, operations."""
    built = remembering(100)
    for number in range(5000):
        text = f"{{ a{number}: __typename books {{ totalCount }} }}"
        document, _ = built.document(text)
        assert document is not None
        built.operation(text, document, None)
        built.document(f"{{ books{number} {'}' * (number % 2)}")
    caches = built._documents, built._refusals, built._operations
    assert [len(cache) for cache in caches] == [100, 10, 100]
    assert built._documents.weight <= 100 * CHARACTERS
    assert built._refusals.weight <= 10 * CHARACTERS
    assert built._operations.weight <= 100 * FIELDS


@pytest.mark.slow
async def test_a_flood_of_statements_is_forgotten(world):
    """Many operations, each with many shapes of its lists."""
    built = Graph(world.graph.strawberry, world.graph.dialect, documents=10)
    for number in range(30):
        text = (
            f"query($g: Genre, $t: String, $n: Int, $o: Int, $d: Boolean) {{ a{number}: __typename "
            "books(genre: $g, title: $t, last: $n, offset: $o, includeDeleted: $d) { nodes { id title } totalCount } }"
        )
        document, _ = built.document(text)
        assert document is not None
        for variables in ({}, {"g": "POETRY"}, {"t": "x"}, {"g": "POETRY", "t": "x"}, {"n": 1}, {"o": 1}, {"d": True}):
            outcome = await built.operation(text, document, None).execute(world.context(), variables)
            assert outcome.errors == []
    assert len(built._statements) <= 10 * STATEMENTS
    assert 0 < built._statements.weight <= 10 * STATEMENTS * CHARACTERS


@pytest.mark.slow
def test_large_operations_take_the_room_of_many():
    built = remembering(100)
    fields = " ".join(f"a{number}: title" for number in range(50))
    for number in range(60):
        text = f"{{ books(first: {number}) {{ nodes {{ {fields} }} }} }}"
        document, _ = built.document(text)
        assert document is not None
        built.operation(text, document, None)
    assert (len(built._operations), built._operations.weight) == (48, 48 * 52)


def test_mistakes_drive_out_nothing_that_was_right():
    built = remembering(10)
    kept, _ = built.document("{ __typename }")
    for number in range(100):
        built.document(f"{{ wrong{number} }}")
    assert built.document("{ __typename }")[0] is kept


@pytest.mark.parametrize("text", ["{ a", "{ boks }", "{" + " a" * 20_000 + "}", "{ " + "__typename " * 70 + "}"])
def test_a_mistake_is_kept_without_the_frames_that_it_was_found_in(world, text):
    _, errors = world.graph.document(text)
    for error in errors:
        for each in (error, error.original_error):
            assert each is None or (each.__traceback__, each.__context__) == (None, None)


def test_each_operation_of_a_document(world):
    text = "query A { __typename } query B { books { totalCount } }"
    document, _ = world.graph.document(text)
    a, b = world.graph.operation(text, document, "A"), world.graph.operation(text, document, "B")
    assert (a.definition.name.value, b.definition.name.value) == ("A", "B")
    with pytest.raises(GraphQLError, match="Unknown operation named 'C'"):
        world.graph.operation(text, document, "C")
    with pytest.raises(GraphQLError, match="Must provide operation name"):
        world.graph.operation(text, document, None)


def test_a_name_for_the_only_operation(world):
    text = "query A { __typename }"
    document, _ = world.graph.document(text)
    assert isinstance(world.graph.operation(text, document, "A"), Plan)
    assert isinstance(world.graph.operation(text, document, None), Plan)


def test_too_many_characters(world):
    assert refusal(graph(world, characters=20), "{ __typename } # and more") == (
        "the document has 25 characters; at most 20 are allowed"
    )


def test_too_many_tokens(world):
    assert refusal(graph(world, tokens=5), "{ a b c d e f }") == "the document has more than 5 tokens"


def test_too_deep(world):
    text = "{ books { nodes { sequelOf { sequelOf { title } } } } }"
    assert world.graph.document(text)[1] == []
    assert refusal(graph(world, depth=4), text) == "the document is 5 levels deep; at most 4 are allowed"


def test_too_deep_by_fragments(world):
    text = "{ books { nodes { ...A } } } fragment A on Book { sequelOf { ...B } } fragment B on Book { sequelOf { ... { title } } }"
    assert refusal(graph(world, depth=4), text) == "the document is 5 levels deep; at most 4 are allowed"


def test_too_many_aliases(world):
    text = "{ " + " ".join(f"a{number}: __typename" for number in range(4)) + " }"
    assert refusal(graph(world, aliases=3), text) == "4 aliases in one document; at most 3 are allowed"


def test_too_many_root_fields(world):
    text = "{ " + "__typename " * 4 + "}"
    assert refusal(graph(world, root_fields=3), text) == "4 fields in one selection; at most 3 are allowed"


@pytest.mark.parametrize("again", ["__typename ", "...A ", "... { __typename } ", "... on Book { __typename } "])
def test_too_many_repetitions(world, again):
    """Wherever they are: comparing them would take quadratic time."""
    text = "{ books { nodes { " + again * 4 + "} } } fragment A on Book { __typename }"
    assert refusal(graph(world, repetitions=2), text) == "3 repeated selections in one document; at most 2 are allowed"


def test_a_fragment_that_spreads_itself_is_invalid_and_measured(world):
    _, errors = world.graph.document("{ books { nodes { ...A } } } fragment A on Book { title ...A }")
    assert [error.message for error in errors] == ["Cannot spread fragment 'A' within itself."]


def test_root_fields_hidden_in_fragments(world):
    text = (
        "{ ...A ...B } fragment A on Query { "
        + "__typename " * 3
        + "} fragment B on Query { ... { "
        + "__typename " * 3
        + "} }"
    )
    assert refusal(graph(world, root_fields=5), text) == "6 fields in one selection; at most 5 are allowed"


def test_too_many_fields_by_fragments_that_multiply(world):
    """Each level has four of the next: planning them all would not end."""
    fields = " ".join(f"a{number}: sequelOf {{ ...F% }}" for number in range(4))
    fragments = " ".join(f"fragment F{level} on Book {{ {fields.replace('%', str(level + 1))} }}" for level in range(10))
    text = f"{{ books {{ nodes {{ ...F0 }} }} }} {fragments} fragment F10 on Book {{ title }}"
    number = 2 + sum(4**level for level in range(1, 11)) + 4**10
    assert refusal(graph(world), text) == f"{number} fields with all fragments opened; at most 2000 are allowed"


def test_fragments_that_spread_each_other_many_times(world):
    """Measured once each: 2^40 walks would not end."""
    names = [f"F{number}" for number in range(40)]
    fragments = " ".join(f"fragment {a} on Book {{ ...{b} ...{b} }}" for a, b in pairwise(names))
    text = f"{{ books {{ nodes {{ ...F0 }} }} }} {fragments} fragment F39 on Book {{ title }}"
    document, errors = world.graph.document(text)
    assert errors == []
    assert isinstance(world.graph.operation(text, document, None), Plan)


def test_fragments_in_a_circle(world):
    document, errors = world.graph.document("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }")
    assert document is None
    assert "Cannot spread fragment 'A' within itself" in errors[0].message


def test_introspection_in_a_circle(world):
    field = "fields { type { fields { type { fields { type { name } } } } } }"
    document, errors = world.graph.document(f"{{ __schema {{ types {{ {field} }} }} }}")
    assert document is None
    assert errors[0].message == "Maximum introspection depth exceeded"


def test_the_introspection_of_real_clients_is_within_the_limits(world):
    document, errors = world.graph.document(get_introspection_query())
    assert errors == []
    assert document is not None


def test_what_a_user_calls_it(world):
    assert [world.graph.noun(name) for name in ("Copy", "Book", "Room", "NoSuchType")] == [
        "Printed copy",
        "Book",
        "Room",
        "NoSuchType",
    ]
