"""Where an instrument's files are: what a harvest asks of such a place, and the local or mounted folder.

Everything here blocks: call it in a thread. Files outside the source are never read, whatever links it contains.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from core.errors import InvalidInput, NotSupported
from core.vocabulary import TransferAdapter
from storage.objects.paths import allowed_folder

LOCAL_HOSTS = frozenset({"file:", "file://"})

LONGEST_PATH = 2048

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Refuse = Callable[[str, str], None]
"""Told the path and the reason of whatever is left out."""


@dataclass(frozen=True, slots=True)
class FileState:
    """What tells one content from another without reading it."""

    size: int
    modified_ns: int

    @property
    def modified(self) -> datetime | None:
        """As a time; None for one that no calendar knows."""
        try:
            return _EPOCH + timedelta(microseconds=self.modified_ns // 1000)
        except OverflowError:
            return None


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of the source; the path is relative, separated by `/`."""

    path: str
    state: FileState


class Source(Protocol):
    """A place with files."""

    def discover(self, refuse: Refuse) -> Iterator[FoundFile]:
        """Every file, ordered by path. Raises `OSError` when the place cannot be listed."""

    def state(self, path: str) -> FileState:
        """What the file is like now."""

    def open(self, path: str) -> BinaryIO:
        """Its content."""


def open_source(instrument: Any, roots: Sequence[Path]) -> Source:
    """The source that an instrument's row describes. Raises a `DomainError` that says what is wrong with it."""
    adapter: TransferAdapter = instrument["transfer_adapter"]
    if adapter is not TransferAdapter.RCLONE:
        raise NotSupported(f"the transfer adapter {adapter.value} is not available in this version")
    if instrument["cifs_host"].strip().lower() not in LOCAL_HOSTS:
        raise NotSupported(
            "SMB sources are not available in this version: for a local or mounted folder, set the host to 'file:' "
            "and the share to the folder's path"
        )
    share = allowed_folder(instrument["cifs_share"], roots, noun="the share")
    return LocalFolder(_below(share, instrument["cifs_base_path"] or "/"))


def _below(share: Path, base_path: str) -> Path:
    if "\0" in base_path or ".." in base_path.split("/"):
        raise InvalidInput(f"the base path {base_path!r} leaves the share")
    return allowed_folder(str(share / base_path.strip("/")), [share], noun="the base path")


class LocalFolder:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def discover(self, refuse: Refuse) -> Iterator[FoundFile]:
        # Depth first, the next one last. With a "/" after folder names, entries come in the order of whole paths.
        pending: list[str | FoundFile] = sorted(self._entries("", refuse), key=_order, reverse=True)
        while pending:
            entry = pending.pop()
            if isinstance(entry, FoundFile):
                yield entry
            else:
                pending.extend(sorted(self._inner_entries(entry, refuse), key=_order, reverse=True))

    def state(self, path: str) -> FileState:
        return _state(self._inside(path).stat())

    def open(self, path: str) -> BinaryIO:
        descriptor = self._open_step_by_step(self._inside(path).relative_to(self._root).parts)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError("it is not a regular file")
        return os.fdopen(descriptor, "rb", buffering=0)

    def _inner_entries(self, folder: str, refuse: Refuse) -> list[str | FoundFile]:
        """One folder that cannot be read does not hide the others; one that has just gone is no news."""
        try:
            return self._entries(folder, refuse)
        except PermissionError:
            refuse(folder, "the folder may not be read")
        except (FileNotFoundError, NotADirectoryError):
            pass
        return []

    def _entries(self, folder: str, refuse: Refuse) -> list[str | FoundFile]:
        """The files of one folder, and its folders as paths that end with `/`."""
        entries: list[str | FoundFile] = []
        with os.scandir(self._root / folder) as listing:
            for entry in listing:
                path = folder + entry.name
                reason = _unusable(path)
                if reason is not None:
                    refuse(path, reason)
                elif entry.is_dir(follow_symlinks=False):
                    entries.append(path + "/")
                else:
                    entries.extend(self._file(path, entry, refuse))
        return entries

    def _file(self, path: str, entry: os.DirEntry[str], refuse: Refuse) -> Iterator[FoundFile]:
        try:
            if entry.is_symlink():
                yield from self._linked_file(path, refuse)
            elif entry.is_file(follow_symlinks=False):
                yield FoundFile(path, _state(entry.stat(follow_symlinks=False)))
        except FileNotFoundError:
            return

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


def _order(entry: str | FoundFile) -> str:
    return entry.path if isinstance(entry, FoundFile) else entry


def _state(result: os.stat_result) -> FileState:
    return FileState(result.st_size, result.st_mtime_ns)


def _unusable(path: str) -> str | None:
    """Why a path cannot be recorded, if it cannot."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "the name is not valid UTF-8"
    return f"the path is longer than {LONGEST_PATH} characters" if len(path) > LONGEST_PATH else None
