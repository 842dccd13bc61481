"""Errors as clients see them."""

import pytest
from graphql import GraphQLError, located_error

from core.context import Context
from core.errors import Conflict, InvalidInput, Problem, Refused, TooExpensive
from engine.errors import explain_error
from tests.engine.world import book, books, key


def context(**options):
    return Context(sql=None, **options)


def explained(cause, ctx=None):
    return explain_error(ctx or context(), located_error(cause, None, ["a", 0])).formatted


@pytest.mark.parametrize(
    ("cause", "extensions"),
    [
        (Conflict("taken"), {"code": "CONFLICT"}),
        (TooExpensive("too much"), {"code": "TOO_EXPENSIVE"}),
        (InvalidInput("no", field="service_account_id"), {"code": "INVALID_INPUT", "field": "serviceAccountId"}),
        (InvalidInput("no", problems=[Problem(("input", "name"), "no")]), {"code": "INVALID_INPUT", "field": "input.name"}),
        (InvalidInput("no", problems=[Problem(("a",), "no"), Problem(("b",), "no")]), {"code": "INVALID_INPUT"}),
        (Refused("LOGIN_BAD_CREDENTIALS"), {"code": "REFUSED", "reason": "LOGIN_BAD_CREDENTIALS"}),
    ],
)
def test_our_own_errors_carry_their_code(cause, extensions):
    assert explained(cause) == {"message": str(cause), "path": ["a", 0], "extensions": extensions}


def test_what_nobody_foresaw_is_masked_and_reported():
    reported = []

    def report(error):
        reported.append(error)
        return "4711"

    cause = KeyError("password of bob")
    assert explained(cause, context(report=report)) == {
        "message": "Internal error; quote 4711 when reporting it",
        "path": ["a", 0],
        "extensions": {"code": "INTERNAL", "id": "4711"},
    }
    assert reported == [cause]


def test_without_a_reporter_it_is_masked_all_the_same():
    assert "secret" not in str(explained(ValueError("secret")))


def test_graphqls_own_errors_stay_as_they_are():
    error = GraphQLError("Cannot return null for non-nullable field Book.title.", path=["book"])
    assert explain_error(context(), error) is error
    assert explained(GraphQLError("no")) == {"message": "no", "path": ["a", 0]}


@pytest.mark.parametrize(
    "text", ["{ book(localId: 7) { id } }", '{ book(localId: "zzz") { id } }', "{ books { nodes { nothing } } }", "{"]
)
def test_a_document_that_is_refused_is_no_internal_error(world, text):
    document, errors = world.graph.document(text)
    assert document is None
    assert [explain_error(context(report=lambda _: pytest.fail("reported")), error) for error in errors] == errors


async def test_broken_data_is_told_without_a_report(world):
    await world.add(books, book(1, genre="zzz"))
    outcome = await world.run(f'{{ book(localId: "{key(1)}") {{ genre }} }}')
    (error,) = outcome.errors
    assert explain_error(world.context(), error) is error
