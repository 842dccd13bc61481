"""Orders and values that are looked for: contract lmio-watcher §4.3, §6.1."""

from __future__ import annotations

import pytest

from core.errors import InvalidInput
from core.lookups.items import Equal, Sort
from resolvers.lookups.declarations import declared
from resolvers.lookups.queries import equal_to, sort_terms

DECLARATION = declared(
    {"name": "x", "type": "lookup", "keys": [{"name": "mac", "type": "mac"}], "fields": {"a": {}, "n": {"type": "ui8"}}}
)


def test_only_a_is_ascending_and_what_is_unknown_is_left_out():
    given = [("n", "a"), ("none", "a"), ("a", "desc"), ("mac", ""), ("_exp", "A"), ("_id", "a"), ("n", "d")]
    assert sort_terms(DECLARATION, given) == (Sort("n"), Sort("a", True), Sort("mac", True), Sort("_exp", True), Sort("_id"))


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("mac", "AA-BB-CC-DD-EE-FF", Equal("mac", "aa:bb:cc:dd:ee:ff")),
        ("a", " text ", Equal("a", "text")),
        ("n", "007", Equal("n", 7)),
        ("_id", "some/id", Equal("_id", "some/id")),
        ("a", "", None),
        ("_id", " ", None),
    ],
)
def test_values(name, text, found):
    assert equal_to(DECLARATION, name, text) == found


@pytest.mark.parametrize(
    ("name", "text", "field"),
    [("n", "", "n"), ("n", "x", "n"), ("mac", "", "mac"), ("none", "x", "field"), ("_exp", "1", "field")],
)
def test_what_cannot_be_looked_for(name, text, field):
    with pytest.raises(InvalidInput) as refusal:
        equal_to(DECLARATION, name, text)
    assert refusal.value.field == field
