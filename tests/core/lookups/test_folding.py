"""What a filter looks for: blanks, case, and pieces of MACs (contract lmio-watcher §4.3, §6.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.lookups.folding import BETWEEN, MAC, Haystacks, Needle, fold, needle
from resolvers.lookups.declarations import declared


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        (" \t\n", None),
        ("  ČES ", Needle("čes", None, False)),
        ("Straße", Needle("strasse", None, False)),
        ("AA:bb-CC", Needle("aa:bb-cc", "aabbcc", False)),
        ("aabbcc", Needle("aabbcc", None, True)),
        ("ab", Needle("ab", None, True)),
        ("a", Needle("a", None, True)),
        ("a:", Needle("a:", None, False)),
        (":-", Needle(":-", None, False)),
        ("-ab", Needle("-ab", "ab", False)),
        ("aabb.cc", Needle("aabb.cc", "aabbcc", False)),
        ("b.ccdd.e", Needle("b.ccdd.e", "bccdde", False)),
        (".ccdd", Needle(".ccdd", "ccdd", False)),
        ("bb.cc", Needle("bb.cc", None, False)),
        ("b.ccd.eeee", Needle("b.ccd.eeee", None, False)),
        ("aabbc.ddee", Needle("aabbc.ddee", None, False)),
        ("10.0.0.", Needle("10.0.0.", None, False)),
        ("2001.", Needle("2001.", "2001", False)),
        ("aabb:cc.dd", Needle("aabb:cc.dd", None, False)),
        ("xyz", Needle("xyz", None, False)),
    ],
)
def test_needles(text, found):
    assert needle(text) == found


KINDS_OF_VALUES = declared(
    {
        "name": "x",
        "type": "lookup",
        "keys": [{"name": "mac", "type": "mac"}, {"name": "port", "type": "ui16"}],
        "fields": {
            "text": {},
            "ip": {"type": "ip"},
            "other": {"type": "mac"},
            "count": {"type": "ui8"},
            "at": {"type": "datetime"},
        },
    }
)


def test_keys_and_text_fields_are_searched_and_macs_also_without_separators():
    fields = {"text": "ŠKODA", "ip": "10.0.0.1", "other": "00:00:00:00:00:01", "count": 77, "at": "2026-01-01T00:00:00Z"}
    found = Haystacks(KINDS_OF_VALUES).of(["aa:bb:cc:dd:ee:ff", "443"], "own id", fields)
    assert found.texts == ("aa:bb:cc:dd:ee:ff", "443", "own id", "škoda", "10.0.0.1", "00:00:00:00:00:01")
    assert found.macs == ("000000000001", "aabbccddeeff")
    assert found.joined() == BETWEEN.join(found.texts) + MAC + "000000000001" + MAC + "aabbccddeeff"


def test_an_item_without_keys():
    assert Haystacks(KINDS_OF_VALUES).of([], "own id", {}).joined() == "own id"


@given(some.lists(some.text(some.sampled_from("aÄß\x1e\x1f İ")), min_size=1, max_size=4))
def test_values_are_folded_one_by_one(texts):
    declaration = declared({"name": "x", "fields": {str(at): {} for at in range(len(texts))}})
    found = Haystacks(declaration).of([], None, {str(at): text for at, text in enumerate(texts)})
    assert found.texts == tuple(dict.fromkeys(folded for text in texts if (folded := fold(text))))
    assert not any(BETWEEN in text or MAC in text for text in found.texts)
