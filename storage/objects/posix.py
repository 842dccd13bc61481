"""Files in a folder of this machine or of a mounted file system.

A write is a hidden file beside its target, then fsync and rename: a crash leaves the old or the new. Folders are synced
by `flush`, once for all the files that came into them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from core.errors import InvalidInput
from storage.objects.paths import safe_key, unlinked

_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class PosixWriter:
    """A file under a temporary name."""

    def __init__(self, target: Path, temporary: Path, unsynced: set[Path]) -> None:
        self._target = target
        self._temporary = temporary
        self._unsynced = unsynced
        self._file = temporary.open("xb")

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)

    def read_back(self) -> BinaryIO:
        self._seal()
        return self._temporary.open("rb", buffering=0)

    def commit(self, modified_ns: int, *, replace: bool = True) -> None:
        self._seal()
        with contextlib.suppress(PermissionError):  # mounted shares may keep times to themselves
            os.utime(self._temporary, ns=(modified_ns, modified_ns))
        if replace or not self._take_free_name():
            self._temporary.replace(self._target)
        self._unsynced.add(self._target.parent)

    def _take_free_name(self) -> bool:
        """A link fails where there is something; a rename would replace it. Whether the file system has links."""
        try:
            self._target.hardlink_to(self._temporary)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if os.path.lexists(self._target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self._target)) from error
            return False
        self._temporary.unlink()
        return True

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
    """Everything below one folder. `shown_as` is how people name that folder, when it is reached through a link.

    A folder that somebody has to mount is never made.
    """

    def __init__(self, root: Path, shown_as: str | None = None, *, mounted: bool = False) -> None:
        self._root = root
        self._mounted = mounted
        self._shown_as = PurePosixPath(shown_as or root)
        self._unsynced: set[Path] = set()

    def locate(self, key: str) -> str:
        return str(self._shown_as / safe_key(key))

    def begin(self, key: str, token: str, size: int = 0) -> PosixWriter:
        path = safe_key(key)
        folder = self._make_folder(path.parent)
        return PosixWriter(folder / path.name, folder / _temporary_name(token), self._unsynced)

    def flush(self) -> None:
        for folder in tuple(self._unsynced):
            _sync_folder(folder)
            self._unsynced.discard(folder)

    def discard(self, location: str, token: str) -> None:
        Path(location).with_name(_temporary_name(token)).unlink(missing_ok=True)

    def sweep(self) -> None:
        """What is left lies beside its target, where `discard` finds it."""

    def check(self) -> None:
        self._require_folder()
        if not os.access(self._root, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, f"Path is not readable and writable: {self._shown_as}")

    def exists(self, key: str) -> bool:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found = unlinked(str(self._root), str(safe_key(key)))
            return found is not None or os.path.lexists(self._existing(key))
        return False

    def open(self, key: str) -> BinaryIO:
        return open(self._existing(key), "rb", opener=_plain)

    def delete(self, key: str) -> None:
        path = self._existing(key)
        if os.path.lexists(path):
            path.unlink()
            _sync_folder(path.parent)

    def lost(self) -> str | None:
        return None  # a folder costs no time to ask again

    def interrupt(self) -> None:
        """Nothing waits that could be told."""

    def close(self) -> None:
        """Nothing is kept open."""

    def _require_folder(self) -> None:
        if not self._root.is_dir():
            raise FileNotFoundError(errno.ENOENT, f"Path does not exist or is not a directory: {self._shown_as}")

    def _existing(self, key: str) -> Path:
        path = safe_key(key)
        return self._stay_inside(self._root / path.parent) / path.name

    def _make_folder(self, path: PurePosixPath) -> Path:
        """Make one folder after the other, so that a link that leads away is seen before anything is made behind it."""
        folder = self._root / path
        with contextlib.suppress(FileNotFoundError):
            if path.parts and self._is_plain_folder(path):
                return folder
        if self._mounted:
            self._require_folder()
        self._root.mkdir(parents=True, exist_ok=True)
        folder = self._root
        for name in path.parts:
            folder /= name
            try:
                folder.mkdir()
                self._unsynced.add(folder.parent)
            except FileExistsError:
                self._stay_inside(folder)
        return folder

    def _is_plain_folder(self, path: PurePosixPath) -> bool:
        """The usual case, at a tenth of the cost of following whatever may be a link."""
        found = unlinked(str(self._root), str(path))
        return found is not None and stat.S_ISDIR(found.st_mode)

    def _stay_inside(self, folder: Path) -> Path:
        if not folder.resolve().is_relative_to(self._root.resolve()):
            raise InvalidInput(f"{folder} is a link that leaves the storage location")
        return folder


def _plain(path: str, flags: int) -> int:
    """A file itself: no link, which may lead anywhere, and nothing that would wait for somebody to write."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a file", path)


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
