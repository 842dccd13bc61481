"""Variables are coerced as graphql-core coerces them, whatever they hold."""

import pytest
from graphql import build_schema, get_variable_values, parse
from hypothesis import given
from hypothesis import strategies as st

from engine.variables import Variables

SCHEMA = build_schema("""
    enum Colour { RED, GREEN }
    input Inner { x: Int!, colours: [Colour!] = [RED] }
    type Query { ok(a: Float, b: ID, c: Colour, d: Inner): Boolean }
""")
LEAVES = "$a: Int!, $b: Int = 3, $c: String, $d: Colour = GREEN, $e: Boolean! = true, $f: Float, $g: ID = null"
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(["RED", "GREEN"])
DEEP = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["x", "colours", "y"]), inner)
)


def both(declared: str, given_values: dict) -> tuple:
    (operation,) = parse(f"query({declared}) {{ ok }}").definitions
    ours = Variables(SCHEMA, operation.variable_definitions, hide_suggestions=True).coerce(given_values)
    theirs = get_variable_values(SCHEMA, operation.variable_definitions, given_values, hide_suggestions=True)
    return shown(ours), shown(theirs)


def shown(found: object) -> object:
    if isinstance(found, list):
        return [error.formatted for error in found]
    sources = {
        name: (source.signature.name, str(source.signature.type), source.value) for name, source in found.sources.items()
    }
    return repr((sources, found.coerced))  # nan is not equal to itself


@given(st.dictionaries(st.sampled_from("abcdefgz"), VALUES | DEEP))
def test_leaves(values):
    ours, theirs = both(LEAVES, values)
    assert ours == theirs


@given(st.dictionaries(st.sampled_from("ab"), DEEP))
def test_lists_and_input_objects(values):
    ours, theirs = both("$a: [Int!], $b: Inner = {x: 1}", values)
    assert ours == theirs


@pytest.mark.parametrize("values", [{}, {"a": 1}, {"a": None}, {"a": 1, "d": None, "e": None}, {"a": 1, "unknown": 2}])
def test_what_is_absent_is_not_null(values):
    ours, theirs = both(LEAVES, values)
    assert ours == theirs
