"""Caches with an end: what was not used for longest is forgotten. They live on the event loop, so nothing here is locked."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """At most `size` values, weighing at most `room` together. What is heavier than the room is not kept at all."""

    def __init__(self, size: int, *, room: int | None = None) -> None:
        self._size, self._room, self._weight = size, room, 0
        self.hits = self.misses = 0
        self._known: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    @property
    def weight(self) -> int:
        """Of all that is known."""
        return self._weight

    def get(self, key: Hashable) -> Value | None:
        """What is known under the key."""
        known = self._known.get(key)
        if known is None:
            return None
        self.hits += 1
        self._known.move_to_end(key)
        return known[0]

    def remember(self, key: Hashable, make: Callable[[], Value], *, weight: int | Callable[[Value], int] = 0) -> Value:
        """What is known under the key, or newly made. What `make` raises is not remembered."""
        known = self._known.get(key)
        if known is not None:
            self.hits += 1
            self._known.move_to_end(key)
            return known[0]
        self.misses += 1
        made = make()
        self._keep(key, made, weight(made) if callable(weight) else weight)
        return made

    def _keep(self, key: Hashable, made: Value, weight: int) -> None:
        if self._room is not None and weight > self._room:
            return
        self._known[key] = made, weight
        self._weight += weight
        while len(self._known) > self._size or (self._room is not None and self._weight > self._room):
            self._weight -= self._known.popitem(last=False)[1][1]
