"""From where a transfer put a copy back to the store and the key under which it is read.

A hook may have put it elsewhere than below the storage location's own base path; where it is was written down.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from core.errors import NotFound
from core.vocabulary import StorageType
from storage.objects.opening import Row, StorageAccess, open_store
from storage.objects.protocol import ObjectStore
from storage.objects.smb_access import names_of


def place_of_copy(location: Row, found_at: str, roots: Sequence[Path], access: StorageAccess) -> tuple[ObjectStore, str]:
    """Raises a `DomainError` if that is no place which this server may read. Blocks."""
    path = PurePosixPath(found_at)
    if not path.name:
        raise NotFound("the transfer does not say where the copy is")
    folder = "" if str(path.parent) == "." else str(path.parent)
    elsewhere = {**location, "base_path": folder}
    if location["type"] is StorageType.CIFS:  # whose share may name a folder, too: it is part of what was written down
        config = location["connection_config"]
        elsewhere["connection_config"] = {**config, "share": "/".join(names_of(config["share"])[:1])}
    return open_store(elsewhere, roots, access), path.name


class OpenCopy:
    """A copy that can be read from any place on, and the store that it is in. Every call blocks."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        """Raises `FileNotFoundError` if it is gone, other `OSError` and `DomainError` if it cannot be read."""
        self._store = store
        try:
            self._stream: BinaryIO = store.open(key)
            self.size = self._stream.seek(0, 2)
        except BaseException:
            store.close()
            raise

    def read(self, offset: int, size: int) -> bytes:
        """The next bytes from there, perhaps fewer than asked for; none only at the end."""
        if self._stream.tell() != offset:
            self._stream.seek(offset)
        return self._stream.read(size)

    def close(self) -> None:
        """Let go of it."""
        try:
            self._stream.close()
        finally:
            self._store.close()
