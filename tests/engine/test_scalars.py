"""The graph's own scalars, in both directions."""

import orjson
import pytest
import strawberry
from graphql import GraphQLError, parse_value
from strawberry.schema.config import StrawberryConfig

from engine.scalars import JSON, SCALARS, stored_json_to_wire, stored_time_to_wire
from tests.engine.world import Box, shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2026-11-21T00:29:27", "DateTime needs a time zone"),
        ("yesterday", "DateTime cannot represent 'yesterday'"),
        ("0001-01-01T00:00:00+23:00", "in UTC it is beyond the calendar"),
        (7, "DateTime cannot represent non-string value: 7"),
    ],
)
def test_what_is_no_moment(world, text, message):
    scalar = world.graph.schema.type_map["DateTime"]
    with pytest.raises(Exception, match=message):
        scalar.parse_value(text)


def test_a_moment_is_read_in_utc(world):
    moment = world.graph.schema.type_map["DateTime"].parse_value("2026-11-21T01:29:27+01:00")
    assert moment.isoformat() == "2026-11-21T00:29:27+00:00"


@pytest.mark.parametrize("value", [True, 1.5, "1", None, 2**64, -(2**63) - 1])
def test_what_is_no_long(world, value):
    scalar = world.graph.schema.type_map["Long"]
    for convert in (scalar.parse_value, scalar.serialize):
        with pytest.raises(Exception, match="Long cannot represent"):
            convert(value)


@pytest.mark.parametrize("value", [0, -(2**63), 2**64 - 1])
def test_a_long_is_an_exact_number(world, value):
    scalar = world.graph.schema.type_map["Long"]
    assert orjson.loads(orjson.dumps(scalar.serialize(scalar.parse_value(value)))) == value


@pytest.mark.parametrize(
    ("stored", "wire"),
    [("2026-11-21T00:29:27.495180Z", "2026-11-21T00:29:27.495180Z"), ("2026-11-21T00:29:27.000000Z", "2026-11-21T00:29:27Z")],
)
def test_a_stored_moment(stored, wire):
    assert stored_time_to_wire(stored) == wire


def test_stored_json_goes_through_as_its_own_text():
    assert (
        orjson.dumps(stored_json_to_wire('{"b": 1.0, "a": 12345678901234567890123}'))
        == b'{"b": 1.0, "a": 12345678901234567890123}'
    )
    assert stored_json_to_wire("null") is None


@pytest.mark.parametrize("weight", [float("inf"), float("nan"), "heavy"])
async def test_a_number_that_json_does_not_have(world, weight):
    world.services.places = [Box(name="crate", weight=weight)]
    outcome = await world.run("{ places { ... on Box { weight } } }")
    assert orjson.dumps(outcome.data) == b'{"places":[null]}'
    assert shown(outcome.errors) == [(f"Float cannot represent non numeric value: {weight!r}", ["places", 0, "weight"])]


@pytest.mark.parametrize("literal", ["9" * 5000, "1e400", str(2**64), "[1, {a: -1e999}]"])
def test_a_json_literal_that_json_cannot_hold_is_refused(literal):
    """It would be stored as null."""
    scalar = build_json_schema().type_map["JSON"]
    with pytest.raises(GraphQLError, match="JSON cannot represent this value"):
        scalar.parse_literal(parse_value(literal))


@pytest.mark.parametrize(
    ("literal", "value"), [("{a: [1, 1.5, null, true]}", {"a": [1, 1.5, None, True]}), (str(2**64 - 1), 2**64 - 1)]
)
def test_a_json_literal(literal, value):
    assert build_json_schema().type_map["JSON"].parse_literal(parse_value(literal)) == value


def build_json_schema():
    @strawberry.type
    class Query:
        echo: JSON

    return strawberry.Schema(Query, config=StrawberryConfig(scalar_map=SCALARS))._schema
