"""A CSV file into a lookup: all of it is read and found right before the first row is stored (contract lmio-watcher §9.1)."""

from __future__ import annotations

import asyncio
import marshal
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, BinaryIO, TypeVar

from core.errors import Unavailable
from core.lookups.declarations import Lookup
from core.lookups.items import ABSENT, Change
from resolvers.lookups.csv_reading import LONGEST_CELL, CsvRows
from storage.lookups.protocol import CHUNK, LookupStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Uploaded:
    """Rows that were applied, two of one id counting twice, and rows that had no id."""

    count: int
    skipped: int


async def upload(
    store: LookupStore,
    lookup: Lookup,
    file: BinaryIO,
    folder: Path,
    *,
    delimiter: str = ";",
    longest_cell: int = LONGEST_CELL,
    chunk: int = CHUNK,
    progress: Callable[[], object] = lambda: None,
) -> Uploaded:
    """Merge every row. `InvalidInput` with line and column, and nothing is stored; otherwise repeating it is safe.

    What was read waits in that folder, in a file without a name. All of it is done in threads, a chunk at a time, and
    `progress` is told after each.
    """
    rows = CsvRows(file, lookup.declaration, delimiter=delimiter, longest_cell=longest_cell)
    waiting = await _in_thread(lambda: _Waiting(folder))
    try:
        changes, count = iter(rows), 0
        while size := await _in_thread(lambda: waiting.add(islice(changes, chunk))):
            count += size
            progress()
        async with aclosing(_chunks(waiting, progress)) as chunks:
            await store.upload(lookup, chunks)
    finally:
        await asyncio.shield(asyncio.to_thread(waiting.close))
    return Uploaded(count, rows.skipped)


async def _chunks(waiting: _Waiting, progress: Callable[[], object]) -> AsyncGenerator[list[Change], None]:
    chunks = waiting.chunks()
    while some := await _in_thread(lambda: next(chunks, None)):
        yield some
        progress()


async def _in_thread(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        raise Unavailable("the server has no room for the file now: try again later") from error


class _Waiting:
    """Changes that were read, on the disk: to keep them takes a tenth of reading them again."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        self._file: IO[bytes] = TemporaryFile(dir=folder)  # noqa: SIM115  # `close` ends it

    def add(self, changes: Iterator[Change]) -> int:
        """How many there were."""
        kept = [
            (change.id, change.keys, change.fields, *(() if change.expires_at is ABSENT else (change.expires_at,)))
            for change in changes
        ]
        if kept:
            data = marshal.dumps(kept)
            self._file.write(len(data).to_bytes(8))
            self._file.write(data)
        return len(kept)

    def chunks(self) -> Iterator[list[Change]]:
        """As they were added."""
        self._file.seek(0)
        while size := int.from_bytes(self._file.read(8)):
            yield [Change(*kept) for kept in marshal.loads(self._file.read(size))]  # noqa: S302  # it is our own

    def close(self) -> None:
        self._file.close()
