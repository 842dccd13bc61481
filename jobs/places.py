"""Where the copies of one harvest go: the schedule's storage location, or below another base path that a hook names.

Opening a place may block: ask in a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from core.errors import DomainError
from jobs.copying import CopyFailedError
from storage.objects.protocol import ObjectStore

OpenAt = Callable[[str], ObjectStore]
"""The same storage location with another base path. Raises a `DomainError` for a path that may not be used."""

_MOST = 16
"""Places that hooks named and that stay open from one group of files to the next."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one copy goes; or the obstacle, which the attempt to copy will meet."""

    store: ObjectStore
    key: str
    obstacle: str | None = None

    def locate(self) -> str | None:
        """None when the storage location has no place for it; the copy will then say why."""
        if self.obstacle is not None:
            return None
        try:
            return self.store.locate(self.key)
        except DomainError:
            return None

    def exists(self) -> bool:
        """Whether there is something already."""
        if self.obstacle is not None:
            return False
        try:
            return self.store.exists(self.key)
        except (OSError, DomainError):
            return False  # the copy will meet the same obstacle and say so

    def reach(self) -> tuple[ObjectStore, str]:
        """For the copy. Raises `CopyFailedError`."""
        if self.obstacle is not None:
            raise CopyFailedError(self.obstacle)
        return self.store, self.key


class Places:
    """The storage location, and what hooks made of it."""

    def __init__(self, store: ObjectStore, folder: str, open_at: OpenAt) -> None:
        self._main = store
        self._folder = folder
        self._open_at = open_at
        self._others: dict[str, ObjectStore] = {}

    def of(self, path: str, base_path: str | None = None) -> Place:
        """Of the file with that path on the instrument."""
        key = f"{self._folder}/{path}"
        if base_path is None:
            return Place(self._main, key)
        try:
            return Place(self._other(base_path), key)
        except DomainError as error:
            return Place(self._main, key, f"a hook redirects the copy to {base_path!r}: {error.detail}")

    def trim(self) -> None:
        """Between groups of files: let go of those that were not used for longest."""
        while len(self._others) > _MOST:
            self._others.pop(next(iter(self._others))).close()

    def lost(self) -> str | None:
        """Why nothing more can be written to one of them."""
        return next((reason for store in self._all() if (reason := store.lost()) is not None), None)

    def interrupt(self) -> None:
        """What waits for an answer of one of them fails soon."""
        for store in self._all():
            store.interrupt()

    def close(self) -> None:
        """Let go of all of them."""
        for store in self._all():
            store.close()

    def _all(self) -> list[ObjectStore]:
        return [self._main, *self._others.values()]

    def _other(self, base_path: str) -> ObjectStore:
        store = self._others.pop(base_path, None)
        if store is None:
            store = self._open_at(base_path)
            with suppress(OSError, DomainError):  # the copy will meet the same obstacle and say so
                store.sweep()
        self._others[base_path] = store  # last: the one that was used most recently
        return store
