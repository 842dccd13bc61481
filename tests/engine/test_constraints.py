"""Bounds of one value, in pydantic's words."""

import pytest

from core.errors import Problem
from engine.constraints import Constraint


@pytest.mark.parametrize(
    ("constraint", "value", "kind", "message"),
    [
        (Constraint(min=1), 0, "greater_than_equal", "Input should be greater than or equal to 1"),
        (Constraint(max=1), 2, "less_than_equal", "Input should be less than or equal to 1"),
        (Constraint(min_length=1), "", "string_too_short", "String should have at least 1 character"),
        (Constraint(max_length=2), "abc", "string_too_long", "String should have at most 2 characters"),
        (Constraint(pattern="^a"), "b", "string_pattern_mismatch", "String should match pattern '^a'"),
        (Constraint(one_of=["a", "b"]), "c", "literal_error", "Input should be 'a' or 'b'"),
        (Constraint(nullable=False), None, "value_error", "Input should not be null"),
    ],
)
def test_what_breaks_a_constraint(constraint, value, kind, message):
    assert constraint.problem(value, ("x",)) == Problem(("x",), message, kind, value)


@pytest.mark.parametrize(
    ("constraint", "value"),
    [(Constraint(min=1), True), (Constraint(min=1), None), (Constraint(max_length=2), "öü"), (Constraint(pattern="b"), "abc")],
)
def test_what_does_not(constraint, value):
    assert constraint.problem(value, ()) is None
