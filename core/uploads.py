"""Files that clients send: kept in temporary files without a name while their request lasts, and read piece by piece."""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import IO, Any, BinaryIO

from core.errors import Unavailable

log = logging.getLogger("switchyard")

BLOCK = 2**18
"""Bytes that are written or read at a time."""

UNKNOWN_TYPE = "application/octet-stream"


@dataclass(slots=True)
class Room:
    """Where files are kept meanwhile, most bytes of those of one request, and most requests that have some at a time."""

    folder: Path
    largest: int
    most: int
    under_way: int = 0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One request more. Raises `Unavailable` if there are too many."""
        if self.under_way >= self.most:
            raise Unavailable(f"{self.most} uploads are under way: try again in a moment")
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1


class Upload:
    """One of them. Name and type are what the client says: neither is ever a path, nor proof of what is inside."""

    def __init__(self) -> None:
        self.filename, self.content_type = "", UNKNOWN_TYPE
        self.size = 0
        self.sha256 = ""
        """Of the content, 64 hex digits."""
        self._file: _Unnamed | None = None

    def __str__(self) -> str:
        """Tells it from any other."""
        return f"{self.filename} {self.content_type} {self.size} {self.sha256}"

    async def fill(self, pieces: AsyncIterator[bytes], folder: Path) -> None:
        """Keep what comes, on the disk of that folder. Raises what `pieces` raises, and `Unavailable` if there is no room."""
        assert self._file is None, "it is filled once"
        digest, waiting = hashlib.sha256(), bytearray()
        try:
            self._file = _Unnamed()
            await asyncio.to_thread(self._file.open, folder)
            async for piece in pieces:
                waiting += piece
                if len(waiting) >= BLOCK:
                    await self._write(waiting, digest)
                    waiting = bytearray()
            await self._write(waiting, digest)
        except OSError as error:
            log.error("an upload could not be kept: %s", error)  # noqa: TRY400  # the reason is what an operator needs
            raise Unavailable("the server has no room for the file now: try again later") from error
        self.sha256 = digest.hexdigest()

    async def chunks(self, size: int = BLOCK) -> AsyncIterator[bytes]:
        """The content from its beginning; several may read at a time."""
        at = 0
        while piece := await self.read(size, at):
            yield piece
            at += len(piece)

    async def read(self, size: int, at: int = 0) -> bytes:
        """So many bytes from there on, fewer at the end."""
        assert self._file is not None, "it is read once it is there"
        return await asyncio.to_thread(self._file.read, size, at)

    def reader(self) -> BinaryIO:
        """A file for threads that read by themselves, from its beginning. Reading it fails once the upload is closed."""
        assert self._file is not None, "it is read once it is there"
        return io.BufferedReader(_Reading(self._file, self.size), BLOCK)

    async def close(self) -> None:
        """Free its place on the disk. Afterwards it cannot be read."""
        if self._file is not None:
            await asyncio.shield(asyncio.to_thread(self._file.close))

    async def _write(self, data: bytearray, digest: hashlib._Hash) -> None:
        assert self._file is not None, "it is opened"
        await asyncio.to_thread(self._file.write, data, digest)
        self.size += len(data)


class _Reading(io.RawIOBase):
    """A place in a file that others read, too."""

    def __init__(self, file: _Unnamed, size: int) -> None:
        super().__init__()
        self._unnamed, self._size, self._at = file, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._unnamed.read(len(buffer), self._at)
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at


class _Unnamed:
    """A file that is gone when it is closed, or when the process dies.

    A thread may still be at work when the task that waited for it has ended. The lock keeps `close` from coming in between,
    since the number of a file that is closed goes to the next one that is opened.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._file: IO[bytes] | None = None
        self._closed = False

    def open(self, folder: Path) -> None:
        with self._lock:
            if not self._closed:
                folder.mkdir(0o700, parents=True, exist_ok=True)
                self._file = TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  # `close` ends it

    def write(self, data: bytearray, digest: hashlib._Hash) -> None:
        with self._lock, memoryview(data) as rest:
            digest.update(rest)
            written = 0
            while written < len(rest):
                written += os.write(self._number, rest[written:])

    def read(self, size: int, at: int) -> bytes:
        with self._lock:
            return os.pread(self._number, size, at)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._file is not None:
                self._file.close()

    @property
    def _number(self) -> int:
        if self._file is None:
            raise ValueError("closed file")  # before it was opened
        return self._file.fileno()
