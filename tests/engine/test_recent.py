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
    cache.remember("too large", lambda: 0, weight=11)
    assert len(cache) == 0


def test_what_failed_is_not_remembered():
    cache: Recent[int] = Recent(1)
    with pytest.raises(ZeroDivisionError):
        cache.remember("a", lambda: 1 // 0)
    assert cache.remember("a", lambda: 3) == 3
