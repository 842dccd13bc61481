"""Ids of items: the examples of contract lmio-watcher §6.2, and what cannot be an id."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.errors import InvalidInput
from core.lookups.ids import checked_id, digest, id_of
from resolvers.lookups.declarations import declared


@pytest.mark.parametrize(
    ("parts", "item_id"),
    [
        (["JohnDoe", "Company 1"], "9035be88295fb7f582b9109f938dc6eefecd7ccd5d44e9b009185d1ffe78ed95"),
        (["192.168.1.1", "192.168.1.10"], "65a43520eba4b3b28424737bf670bed20f2e16e0ddbd122d49044c0cb4ab60eb"),
        (["Škoda", "a,b"], "bb910f977b09e90ab4fb72f1d9e3c5bd35abe29940fa4c6a62849fb5d680d627"),
    ],
)
def test_digests_of_compound_keys(parts, item_id):
    assert digest(parts) == item_id


@given(some.lists(some.text(some.characters(exclude_categories=["Cs"])), min_size=2))
def test_a_digest_is_that_of_the_documented_json(parts):
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    assert digest(parts) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("kind", "value", "item_id"),
    [
        ("str", "a/b %2F+ü", "a/b %2F+ü"),
        ("ui64", 7, "7"),
        ("mac", "aa:bb:cc:dd:ee:ff", "aa:bb:cc:dd:ee:ff"),
        ("bool", True, "true"),
    ],
)
def test_a_single_key_is_the_id(kind, value, item_id):
    assert id_of(declared({"name": "x", "type": "lookup", "keys": [{"name": "k", "type": kind}]}), [value]) == item_id


@pytest.mark.parametrize("item_id", ["x" * 512, "ü" * 256, "a/b", "100%", "a+b c", "\u200b", "日本"])
def test_ids(item_id):
    assert checked_id(item_id) == item_id


@pytest.mark.parametrize("item_id", ["", "x" * 513, "ü" * 257, "a\nb", "\x7f", "\x85", "a\0", "\ud800"])
def test_what_cannot_be_an_id(item_id):
    with pytest.raises(InvalidInput, match=r"^_id: ") as refusal:
        checked_id(item_id)
    assert refusal.value.field == "_id"
