"""An upload into Elasticsearch: each chunk is taken for new and made ready while the one before it is sent; shown in the end.

What is not new, others have made meanwhile, or has expired, conflicts: it is read, merged and written as any other write is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeVar

from core.lookups.declarations import Lookup
from core.lookups.items import Change
from storage.lookups.elasticsearch_server import Gone, Portion, portions
from storage.lookups.elasticsearch_writing import Prepare, Writer

T = TypeVar("T")
U = TypeVar("U")


class _Chunk(NamedTuple):
    ids: Sequence[str]
    prepare: Prepare
    new: Sequence[Portion]
    """What makes all of them anew; empty when they are probably there."""


class Uploader(Writer):
    """Of all lookups."""

    async def upload(self, lookup: Lookup, chunks: AsyncIterator[Sequence[Change]]) -> None:
        new = True
        try:
            coming = await self._next(lookup, chunks, new=new)
            while coming is not None:
                new, coming = await _both(self._put(lookup, coming), self._next(lookup, chunks, new=new))
        finally:
            if (index := await self._index(lookup)) is not None:
                with suppress(Gone):
                    await self._server.refresh(index)

    async def _next(self, lookup: Lookup, chunks: AsyncIterator[Sequence[Change]], *, new: bool) -> _Chunk | None:
        changes = await anext(chunks, None)
        return None if changes is None else await asyncio.to_thread(self._ready_made, lookup, changes, new=new)

    def _ready_made(self, lookup: Lookup, changes: Sequence[Change], *, new: bool) -> _Chunk:
        ids, prepare = self._merging(lookup, changes)
        return _Chunk(ids, prepare, portions(prepare({}, ids)) if new else [])

    async def _put(self, lookup: Lookup, chunk: _Chunk) -> bool:
        """Whether most of it was new."""
        there = chunk.ids if not chunk.new else await self._add(lookup, chunk)
        if there:
            await self._change(lookup, there, chunk.prepare, refresh=False)
        return len(there) * 2 < len(chunk.ids)

    async def _add(self, lookup: Lookup, chunk: _Chunk) -> Sequence[str]:
        """The ids that are there already."""
        index = await self._ready(lookup)
        try:
            there = await self._send(index, chunk.new, refresh=False)
        except Gone:  # it was cleared, or nobody has made the index yet
            self._forget(index)
            return chunk.ids
        await self._settle(lookup, chunk.ids)
        return there


async def _both(one: Awaitable[T], other: Awaitable[U]) -> tuple[T, U]:
    """At once. If either fails, after the other has ended, too."""
    first, second = await asyncio.gather(one, other, return_exceptions=True)
    if isinstance(first, BaseException):
        raise first
    if isinstance(second, BaseException):
        raise second
    return first, second
