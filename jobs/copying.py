"""Copies one file and proves the copy: hashed while it is read, hashed again as it was stored, only then visible.

Blocks: call it in a thread. Uses a few megabytes, whatever the size of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import xxhash

from core.errors import DomainError
from jobs.sources import FileState, Source
from storage.objects.protocol import ObjectStore, ObjectWriter

CHUNK = 1024 * 1024

_CHANGED = "the file changed while it was being copied"

Watch = Callable[[int], None]
"""Told the size of each chunk that was copied; raises to end the copy."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy that is in its place. The checksums are XXH64, seed 0, and equal."""

    state: FileState
    source_checksum: str
    dest_checksum: str


class CopyFailedError(Exception):
    """There is no copy; says why, in words for a lab manager, and what is known of the checksums."""

    def __init__(self, message: str, *, source_checksum: str | None = None, dest_checksum: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.source_checksum = source_checksum
        self.dest_checksum = dest_checksum

    @property
    def verified(self) -> bool | None:
        """Whether the checksums were equal; None when they were not compared."""
        return None if self.dest_checksum is None else self.source_checksum == self.dest_checksum


def copy_file(
    source: Source,
    path: str,
    store: ObjectStore,
    key: str,
    *,
    token: str,
    watch: Watch,
    before_commit: Callable[[], None],
    replace: bool = True,
) -> Copied:
    """Copy `path` of the source to `key` of the store. Raises `CopyFailedError`; nothing half-written is ever visible.

    `replace` says whether there may be something under that key.
    """
    with _explained("the source cannot be read"):
        before = source.state(path)
        stream = source.open(path)
    with stream:
        with _explained("the copy cannot be written"):
            writer = store.begin(key, token, before.size)
        try:
            copied = _copy_and_compare(source, path, stream, before, writer, watch)
            before_commit()
            with _explained("the copy cannot be put in its place"):
                writer.commit(before.modified_ns, replace=replace)
        except BaseException:
            writer.abort()
            raise
    return copied


def _copy_and_compare(
    source: Source, path: str, stream: BinaryIO, before: FileState, writer: ObjectWriter, watch: Watch
) -> Copied:
    size, source_checksum = _pour(stream, writer, before.size, watch)
    with _explained("the source cannot be read"):
        after = source.state(path)
    if after != before or size != before.size:
        raise CopyFailedError(_CHANGED)
    with _explained("the copy cannot be read back"), writer.read_back() as copy:
        dest_checksum = _hash(copy, watch)
    if source_checksum != dest_checksum:
        raise CopyFailedError(
            f"the copy differs from the source (checksum {dest_checksum} instead of {source_checksum}) and was removed",
            source_checksum=source_checksum,
            dest_checksum=dest_checksum,
        )
    return Copied(before, source_checksum, dest_checksum)


def _pour(stream: BinaryIO, writer: ObjectWriter, expected: int, watch: Watch) -> tuple[int, str]:
    digest = xxhash.xxh64()
    size = 0
    while True:
        with _explained("the source cannot be read"):
            chunk = stream.read(min(CHUNK, expected - size + 1))  # one more, to see whether there is
        if not chunk:
            return size, digest.hexdigest()
        digest.update(chunk)
        with _explained("the copy cannot be written"):
            writer.write(chunk)
        size += len(chunk)
        if size > expected:  # or we would follow a growing file until the disk is full
            raise CopyFailedError(_CHANGED)
        watch(len(chunk))


def _hash(stream: BinaryIO, watch: Watch) -> str:
    digest = xxhash.xxh64()
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
        watch(0)
    return digest.hexdigest()


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CopyFailedError(f"{what}: {error.strerror or error}") from error
    except DomainError as error:
        raise CopyFailedError(f"{what}: {error.detail}") from error
