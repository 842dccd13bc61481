"""The vocabulary: what a document may say, and that nobody sees it from outside."""

from pathlib import Path

import pytest
from graphql import build_schema, get_introspection_query, graphql_sync, parse

from rest_compat.directives import SDL, UNMARKED, Condition, Marks, Status, Vocabulary

RECORD = Path(__file__).parents[2] / "docs/decisions/0001-directives-are-the-whole-rest-vocabulary.md"
PUBLIC = build_schema("type Query { a(x: Int): String }")


def test_the_decision_record_holds_the_vocabulary_as_it_is():
    assert SDL.strip() in RECORD.read_text()


def test_the_public_schema_stays_as_it_is():
    before = graphql_sync(PUBLIC, get_introspection_query())
    Vocabulary(["ONE"]).extend(PUBLIC)
    assert graphql_sync(PUBLIC, get_introspection_query()) == before
    assert PUBLIC.get_directive("rest") is None


def test_the_extended_schema_has_these_directives_and_no_others():
    names = {directive.name for directive in Vocabulary(["ONE"]).extend(PUBLIC).directives}
    assert names == {"rest", "bind", "constraint", "unwrap", "spread", "key", "omit", "header", "status", "wire"}


def test_marks_of_a_field():
    (operation,) = parse(
        '{ a @omit(when: EMPTY) @key(name: "a-b") @status(when: "NULL", code: 204) @status(when: "T", code: 502) b }'
    ).definitions
    marked, plain = operation.selection_set.selections
    vocabulary = Vocabulary(["ONE"])
    assert vocabulary.marks(marked) == Marks(key="a-b", omit="EMPTY", statuses=(Status("NULL", 204), Status("T", 502)))
    assert vocabulary.marks(plain) is UNMARKED
    assert [status.of_type for status in vocabulary.marks(marked).statuses] == [False, True]


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("a=1", "a", True),
        ("a=1", "a=1", True),
        ("a=1", "a=2", False),
        ("a=", "a=1", False),
    ],
)
def test_conditions_overlap_where_one_value_meets_both(one, other, overlap):
    assert Condition.parse(one).overlaps(Condition.parse(other)) is overlap
    assert Condition.parse(other).overlaps(Condition.parse(one)) is overlap
