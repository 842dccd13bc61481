"""The local or mounted folder. Files outside it are never read, whatever links it contains."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from core.errors import InvalidInput
from jobs.sources.protocol import FileState, FoundFile, Refuse
from jobs.sources.walking import Entry, in_order, unusable
from storage.objects.paths import unlinked


class LocalFolder:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def discover(self, refuse: Refuse) -> Iterator[FoundFile]:
        return in_order(lambda folder: self._inner_entries(folder, refuse) if folder else self._entries(folder, refuse))

    def state(self, path: str) -> FileState:
        return _state(unlinked(str(self._root), path) or self._inside(path).stat())

    def open(self, path: str) -> BinaryIO:
        plain = unlinked(str(self._root), path) is not None
        descriptor = self._open_step_by_step(path.split("/") if plain else self._inside(path).relative_to(self._root).parts)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError("it is not a regular file")
        return os.fdopen(descriptor, "rb", buffering=0)

    def lost(self) -> str | None:
        return None  # a folder costs no time to ask again

    def interrupt(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is kept open."""

    def _inner_entries(self, folder: str, refuse: Refuse) -> list[Entry]:
        """One folder that cannot be read does not hide the others; one that has just gone is no news."""
        try:
            return self._entries(folder, refuse)
        except PermissionError:
            refuse(folder, "the folder may not be read")
        except (FileNotFoundError, NotADirectoryError):
            pass
        return []

    def _entries(self, folder: str, refuse: Refuse) -> list[Entry]:
        """The files of one folder, and its folders as paths that end with `/`."""
        entries: list[Entry] = []
        with os.scandir(self._root / folder) as listing:
            for entry in listing:
                path = folder + entry.name
                if (reason := unusable(path)) is not None:
                    refuse(path, reason)
                elif entry.is_file(follow_symlinks=False):
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    entries.append(FoundFile(path, FileState(found.st_size, found.st_mtime_ns)))
                elif entry.is_dir(follow_symlinks=False):
                    entries.append(path + "/")
                elif entry.is_symlink():
                    with suppress(FileNotFoundError):
                        entries.extend(self._linked_file(path, refuse))
        return entries

    def _linked_file(self, path: str, refuse: Refuse) -> Iterator[FoundFile]:
        """A link to a file of the source is a file; what a link to a folder shows is found in that folder itself."""
        try:
            target = self._inside(path)
        except (InvalidInput, RuntimeError):  # RuntimeError: links that lead in a circle
            refuse(path, "the link leads out of the instrument's folder")
            return
        if target.is_file():
            yield FoundFile(path, _state(target.stat()))

    def _inside(self, path: str) -> Path:
        """The real path, without links."""
        real = (self._root / path).resolve(strict=True)
        if not real.is_relative_to(self._root):
            raise InvalidInput("it lies outside the instrument's folder")
        return real

    def _open_step_by_step(self, names: Sequence[str]) -> int:
        """Open a path that has no links, and fail if somebody puts one there in the meantime."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in names[:-1]:
                inner = os.open(name, flags | os.O_DIRECTORY, dir_fd=folder)
                os.close(folder)
                folder = inner
            return os.open(names[-1], flags | os.O_NONBLOCK, dir_fd=folder)  # not to wait for the writer of a pipe
        finally:
            os.close(folder)


def _state(result: os.stat_result) -> FileState:
    return FileState(result.st_size, result.st_mtime_ns)
