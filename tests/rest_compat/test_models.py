"""The scalars of the graph as requests may write them, and as the graph reads them."""

import pytest
from graphql import GraphQLError, GraphQLScalarType, build_schema
from pydantic import TypeAdapter, ValidationError

from engine.constraints import Constraint
from engine.operation import Leaves
from rest_compat.models import Models

SCHEMA = build_schema(
    """
    scalar UUID  scalar DateTime  scalar Date  scalar Long  scalar JSON  scalar Even
    enum Color { RED GREEN }
    input In { uuid: UUID  moment: DateTime  day: Date  long: Long  json: JSON  even: Even  float: Float  colors: [Color!]  inner: In2 }
    input In2 { deepName: String!  kind: String = "a" }
    type Query { a(in: In): Int }
    """
)


def parse_even(value):
    if value % 2:
        raise GraphQLError("not even")
    return value


SCHEMA.type_map["Even"].coerce_input_value = parse_even
assert isinstance(SCHEMA.type_map["Even"], GraphQLScalarType)


def adapter(spell=str.lower):
    return TypeAdapter(Models(Leaves(lower_case_enums=True), spell).annotation(SCHEMA.type_map["In"]))


def bound(**values):
    checked = adapter()
    return checked.dump_python(checked.validate_python(values), by_alias=True, exclude_unset=True)


@pytest.mark.parametrize(
    ("name", "sent", "read"),
    [
        ("uuid", "61B08FF4-4E91-44B0-9276-07254109DA6D", "61b08ff4-4e91-44b0-9276-07254109da6d"),
        ("moment", "2026-11-21T01:29:27+01:00", "2026-11-21T00:29:27Z"),
        ("moment", "2026-11-21T00:29:27.5", "2026-11-21T00:29:27.500000Z"),
        ("day", "2026-11-21", "2026-11-21"),
        ("long", 2**64 - 1, 2**64 - 1),
        ("json", {"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
        ("even", 4, 4),
        ("float", 1, 1.0),
        ("colors", ["red", "green"], ["RED", "GREEN"]),
        ("inner", {"deepname": "x"}, {"deepName": "x"}),
        ("inner", None, None),
        ("inner", {"deepname": "x", "kind": None}, {"deepName": "x", "kind": None}),
    ],
)
def test_values(name, sent, read):
    assert bound(**{name: sent}) == {name: read}


@pytest.mark.parametrize(
    ("name", "sent", "where", "kind"),
    [
        ("moment", "yesterday", ("moment",), "datetime_from_date_parsing"),
        ("day", "2026-02-30", ("day",), "date_from_datetime_parsing"),
        ("long", 2**64, ("long",), "less_than_equal"),
        ("even", 3, ("even",), "value_error"),
        ("even", "x", ("even",), "value_error"),
        ("float", float("inf"), ("float",), "finite_number"),
        ("colors", ["red", "RED"], ("colors", 1), "enum"),
        ("colors", "red", ("colors",), "list_type"),
        ("inner", {}, ("inner", "deepname"), "missing"),
    ],
)
def test_faults(name, sent, where, kind):
    with pytest.raises(ValidationError) as caught:
        bound(**{name: sent})
    (error,) = caught.value.errors()
    assert (error["loc"], error["type"]) == (where, kind)


def test_one_of_a_few_texts():
    annotation = Models(Leaves(), str).annotation(SCHEMA.type_map["String"], Constraint(one_of=["a", "b"]))
    with pytest.raises(ValidationError, match="Input should be 'a' or 'b'"):
        TypeAdapter(annotation).validate_python("c")
    assert TypeAdapter(annotation).validate_python(None) is None


def test_what_may_be_left_out_but_not_be_null():
    annotation = Models(Leaves(), str).annotation(SCHEMA.type_map["String"], Constraint(nullable=False))
    with pytest.raises(ValidationError, match="Input should be a valid string"):
        TypeAdapter(annotation).validate_python(None)
