"""Files in a folder of this machine or of a mounted file system.

A write is a hidden file beside its target, then fsync, rename, and fsync of the folder: a crash leaves the old or the new.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from core.errors import InvalidInput
from storage.objects.paths import safe_key


class PosixWriter:
    """A file under a temporary name."""

    def __init__(self, target: Path, temporary: Path) -> None:
        self._target = target
        self._temporary = temporary
        self._file = temporary.open("xb")

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)

    def read_back(self) -> BinaryIO:
        self._seal()
        return self._temporary.open("rb")

    def commit(self, modified_ns: int) -> None:
        self._seal()
        with contextlib.suppress(PermissionError):  # mounted shares may keep times to themselves
            os.utime(self._temporary, ns=(modified_ns, modified_ns))
        self._temporary.replace(self._target)
        _sync_folder(self._target.parent)

    def abort(self) -> None:
        with contextlib.suppress(OSError):  # closing writes what is buffered, which may be just what failed
            self._file.close()
        with contextlib.suppress(OSError):  # what ended the write is worth more to the caller
            self._temporary.unlink(missing_ok=True)

    def _seal(self) -> None:
        if self._file.closed:
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        if hasattr(os, "posix_fadvise"):  # so that reading back asks the disk, not the memory we have just filled
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        self._file.close()


class PosixStore:
    """Everything below one folder. `shown_as` is how people name that folder, when it is reached through a link."""

    def __init__(self, root: Path, shown_as: str | None = None) -> None:
        self._root = root
        self._shown_as = PurePosixPath(shown_as or root)

    def locate(self, key: str) -> str:
        return str(self._shown_as / safe_key(key))

    def begin(self, key: str, token: str) -> PosixWriter:
        path = safe_key(key)
        folder = self._make_folder(path.parent)
        return PosixWriter(folder / path.name, folder / _temporary_name(token))

    def discard(self, location: str, token: str) -> None:
        Path(location).with_name(_temporary_name(token)).unlink(missing_ok=True)

    def exists(self, key: str) -> bool:
        return os.path.lexists(self._existing(key))

    def open(self, key: str) -> BinaryIO:
        return self._existing(key).open("rb")

    def delete(self, key: str) -> None:
        path = self._existing(key)
        if os.path.lexists(path):
            path.unlink()
            _sync_folder(path.parent)

    def _existing(self, key: str) -> Path:
        path = safe_key(key)
        return self._stay_inside(self._root / path.parent) / path.name

    def _make_folder(self, path: PurePosixPath) -> Path:
        """Make one folder after the other, so that a link that leads away is seen before anything is made behind it."""
        self._root.mkdir(parents=True, exist_ok=True)
        folder = self._root
        for name in path.parts:
            folder /= name
            try:
                folder.mkdir()
                _sync_folder(folder.parent)
            except FileExistsError:
                self._stay_inside(folder)
        return folder

    def _stay_inside(self, folder: Path) -> Path:
        if not folder.resolve().is_relative_to(self._root.resolve()):
            raise InvalidInput(f"{folder} is a link that leaves the storage location")
        return folder


def _temporary_name(token: str) -> str:
    return f".switchyard-{token}.part"


def _sync_folder(folder: Path) -> None:
    """Names are content of the folder: without this a power cut may undo a rename."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # network file systems that have no such thing say so
            raise
    finally:
        os.close(descriptor)
