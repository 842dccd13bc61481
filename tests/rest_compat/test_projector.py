"""The shape of a reply, directive by directive, from the data of an operation."""

import pytest
from graphql import build_schema

from core.errors import NotFound
from rest_compat.dialects.instruments import Instruments
from rest_compat.loader import load
from rest_compat.projector import Projection
from tests.rest_compat.support import FakeGraph

PUBLIC = build_schema(
    """
    type Query { thing: Thing  things: [Thing!]!  any: Any  text: String }
    type Thing { name: String  size: Int!  tags: [String!]!  inner: Inner!  parts: [Inner]  maybe: Inner }
    type Inner { value: Int  label: String  thing: Thing }
    type Other { value: Int }
    union Any = Thing | Other
    """
)


@pytest.fixture
def projector(tmp_path):
    def make(selection):
        (tmp_path / "instruments").mkdir()
        rest = '@rest(method: GET, path: "/x", dialect: INSTRUMENTS)'
        (tmp_path / "instruments" / "a.graphql").write_text(f"query a {rest} {selection}")
        (endpoint,) = load(tmp_path, FakeGraph(PUBLIC), [Instruments()])
        return endpoint.projector

    return make


def test_data_without_directives_is_passed_on_untouched(projector):
    data = {"things": [{"name": "a", "inner": {"value": 1}}]}
    assert projector("{ things { name inner { value } } }").project(data).body is data


def test_rows_without_directives_are_the_same_objects(projector):
    rows = [{"name": "a"}]
    assert projector("{ things @unwrap { name } }").project({"things": rows}).body is rows


def test_unwrap_within_a_list(projector):
    shape = projector("{ things { parts @unwrap { value @unwrap } } }")
    rows = [{"parts": [{"value": 1}, None]}, {"parts": None}]
    assert shape.project({"things": rows}).body == {"things": [[1, None], None]}


def test_spread_moves_keys_to_their_place(projector):
    shape = projector("{ thing @unwrap { name inner @spread { value label } size } }")
    body = shape.project({"thing": {"name": "a", "inner": {"value": 1, "label": None}, "size": 2}}).body
    assert list(body.items()) == [("name", "a"), ("value", 1), ("label", None), ("size", 2)]


def test_a_spread_may_hold_directives(projector):
    shape = projector('{ thing @unwrap { inner @spread { value label @omit thing { size @header(name: "X-Size") } } } }')
    projection = shape.project({"thing": {"inner": {"value": 1, "label": None, "thing": {"size": 9}}}})
    assert projection == Projection({"value": 1, "thing": {}}, None, [("X-Size", "9")])


@pytest.mark.parametrize(
    ("when", "left"),
    [("NULL", {"size": 0, "tags": [], "maybe": {"label": ""}}), ("EMPTY", {"size": 0, "maybe": {"label": ""}})],
)
def test_omit(projector, when, left):
    shape = projector(
        f"{{ thing @unwrap {{ name @omit(when: {when}) size @omit(when: EMPTY) tags @omit(when: EMPTY) maybe @omit {{ label }} }} }}".replace(
            "tags @omit(when: EMPTY)", "tags" if when == "NULL" else "tags @omit(when: EMPTY)"
        )
    )
    thing = {"name": None, "size": 0, "tags": [], "maybe": {"label": ""}}
    assert shape.project({"thing": thing}).body == left


def test_a_header_of_a_null_is_not_sent(projector):
    shape = projector('{ thing { name @header(name: "X-Name") size } }')
    assert shape.project({"thing": {"name": None, "size": 1}}) == Projection({"thing": {"size": 1}}, None, [])
    assert shape.project({"thing": {"name": "a", "size": 1}}).headers == [("X-Name", "a")]


def test_null_under_a_root_unwrap_is_not_found(projector):
    with pytest.raises(NotFound, match=r"^Thing not found$"):
        projector("{ thing @unwrap { name } }").project({"thing": None})


def test_null_further_down_the_chain_is_not_found(projector):
    with pytest.raises(NotFound, match=r"^Inner not found$"):
        projector("{ thing @unwrap { maybe @unwrap { label } } }").project({"thing": {"maybe": None}})


def test_null_of_a_leaf_is_a_body(projector):
    assert projector("{ text @unwrap }").project({"text": None}).body is None


def test_null_with_a_status_is_a_body(projector):
    shape = projector('{ thing @unwrap @status(when: "NULL", code: 410) { name } }')
    assert shape.project({"thing": None}) == Projection(None, 410)
    assert shape.project({"thing": {"name": "a"}}) == Projection({"name": "a"}, None)


def test_status_of_what_is_empty(projector):
    shape = projector('{ things @unwrap @status(when: "EMPTY", code: 206) { name } }')
    assert shape.project({"things": []}) == Projection([], 206)
    assert shape.project({"things": [{"name": "a"}]}).status is None


def test_status_by_type_hides_the_type_it_asked_for(projector):
    shape = projector('{ any @unwrap @status(when: "Other", code: 207) { ... on Thing { size } ... on Other { value } } }')
    assert shape.project({"any": {"__typename": "Other", "value": 1}}) == Projection({"value": 1}, 207)
    assert shape.project({"any": {"__typename": "Thing", "size": 1}}) == Projection({"size": 1}, None)
