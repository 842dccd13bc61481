"""Caches with an end: what was not used for longest is forgotten. They live on the event loop, so nothing here is locked."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """At most `size` values, weighing at most `room` together."""

    def __init__(self, size: int, *, room: int | None = None) -> None:
        self._size, self._room, self._weight = size, room, 0
        self._known: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def remember(self, key: Hashable, make: Callable[[], Value], *, weight: int = 0) -> Value:
        """What is known under the key, or newly made. What `make` raises is not remembered."""
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            return known[0]
        made = make()
        self._known[key] = made, weight
        self._weight += weight
        while len(self._known) > self._size or (self._room is not None and self._weight > self._room):
            self._weight -= self._known.popitem(last=False)[1][1]
        return made
