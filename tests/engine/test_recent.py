"""Caches with an end."""

import pytest

from engine.recent import Recent


def test_what_was_not_used_for_longest_is_forgotten():
    cache: Recent[str] = Recent(2)
    made = []

    def ask(key: str) -> str:
        return cache.remember(key, lambda: made.append(key) or key)

    for key in ["a", "b", "a", "c", "a", "b"]:
        assert ask(key) == key
    assert made == ["a", "b", "c", "b"]
    assert len(cache) == 2


def test_together_they_weigh_no_more_than_there_is_room():
    cache: Recent[int] = Recent(100, room=10)
    for number in range(5):
        cache.remember(number, lambda: 0, weight=4)
    assert len(cache) == 2
    assert cache.weight == 8


def test_what_is_heavier_than_the_room_drives_nothing_out():
    cache: Recent[str] = Recent(100, room=10)
    cache.remember("small", lambda: "kept", weight=len)
    assert cache.remember("large", lambda: "far too large", weight=len) == "far too large"
    assert (len(cache), cache.weight, cache.get("small"), cache.get("large")) == (1, 4, "kept", None)


def test_what_failed_is_not_remembered():
    cache: Recent[int] = Recent(1)
    with pytest.raises(ZeroDivisionError):
        cache.remember("a", lambda: 1 // 0)
    assert cache.remember("a", lambda: 3) == 3


def test_hits_and_misses_are_counted():
    cache: Recent[int] = Recent(2)
    for key in ("a", "a", "b"):
        cache.remember(key, lambda: 1)
    assert (cache.get("a"), cache.get("c")) == (1, None)
    assert (cache.hits, cache.misses) == (2, 2)
