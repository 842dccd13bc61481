"""Row streams: a subscription's batches as one JSON array that is never held in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import orjson

Rows = list[Any]


async def json_array(first: Rows, batches: AsyncIterator[Rows]) -> AsyncGenerator[bytes, None]:
    """`[`, the rows, `]`. Raises what `batches` raises, so that what was cut off never looks complete."""
    yield b"[" + _members(first)
    begun = bool(first)
    async for batch in batches:
        if batch:
            yield (b"," if begun else b"") + _members(batch)
            begun = True
    yield b"]"


async def texts(first: str, pieces: AsyncIterator[str]) -> AsyncGenerator[bytes, None]:
    """One after the other. Raises what `pieces` raises, as well."""
    yield first.encode()
    async for piece in pieces:
        yield piece.encode()


def _members(rows: Rows) -> bytes:
    """The rows without the brackets around them."""
    return orjson.dumps(rows)[1:-1]
