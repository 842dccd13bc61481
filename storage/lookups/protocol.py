"""What a store of items has to do. One conformance suite holds for all of them.

Declarations are rows of the relational store (`registry`), whatever holds the items. Whoever changes a declaration then tells the
store: `create` after the row was made, `drop` after it is gone, `redeclare` after it was changed.
Every acknowledged write is seen by the next read of any client. What has expired is nowhere: not read, counted, changed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final, Protocol

from core.lookups.declarations import Lookup
from core.lookups.items import EVERYTHING, Change, Item, Place, Query, Stats
from core.lookups.values import Value

CHUNK: Final = 2_000
"""Rows of an upload that are written at a time."""


class LookupStore(Protocol):
    """Items of all lookups. Everything raises `Unavailable` when the store does not answer."""

    async def create(self, lookup: Lookup) -> None:
        """Make room for the items of a lookup that is new; there are none."""

    async def drop(self, lookup: Lookup) -> None:
        """Free what the items of a lookup took whose declaration is gone."""

    async def clear(self, lookup: Lookup) -> None:
        """Remove all items at once. `NotFound` without the lookup."""

    async def redeclare(self, lookup: Lookup) -> None:
        """Bring stored items in line with the newest declaration: what dropped fields left is found no more."""

    async def get(self, lookup: Lookup, ids: Sequence[str]) -> list[Item | None]:
        """The items with these ids, in that order."""

    async def find(self, lookup: Lookup, keys: Sequence[Sequence[Value]]) -> list[Item | None]:
        """The item of each key, in that order.

        Where items are ranges a key is one address, and the item is the range that has it: of several the one that begins last,
        then the one that ends first, then the one with the lowest id.
        """

    async def page(
        self,
        lookup: Lookup,
        query: Query = EVERYTHING,
        *,
        limit: int,
        offset: int = 0,
        place: Place | None = None,
        backward: bool = False,
    ) -> list[Item]:
        """Items in the query's order: from the offset on, or the next ones after the place.

        Backward they are the last ones before the place (or the end), still in the query's order.
        """

    async def count(self, lookup: Lookup, query: Query = EVERYTHING) -> int:
        """How many there are, exactly."""

    def walk(self, lookup: Lookup, *, batch: int = 1_000) -> AsyncIterator[list[Item]]:
        """All items by id, in memory that does not grow with them."""

    async def write(self, lookup: Lookup, changes: Sequence[Change]) -> None:
        """Make or merge an item for each change, in that order; all of them or none where the store can.

        At most `CHUNK` at a time. What several clients write at once interleaves item by item, never within one.
        `NotFound` without the lookup, `Conflict` when its keys or fields are no longer those the changes were read by.
        """

    async def upload(self, lookup: Lookup, chunks: AsyncIterator[Sequence[Change]]) -> None:
        """Write chunk after chunk, as `write` does. What was written is seen when this returns, and also when it raises.

        A chunk may be asked for while the one before it is written.
        """

    async def update(self, lookup: Lookup, item_id: str, change: Change) -> None:
        """Merge into an item that is there, and give it the change's id, in one step.

        `NotFound` without the item, `Conflict` when another has the new id; then nothing changes.
        """

    async def delete(self, lookup: Lookup, item_id: str) -> None:
        """`NotFound` without the item."""

    async def purge(self) -> int:
        """Remove what has expired and what dropped lookups left; how many items that were. Any number of processes may do so."""

    async def stats(self, lookup: Lookup) -> Stats:
        """How much there is."""
