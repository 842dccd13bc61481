"""Files in a folder of an SMB share. A write is a file of its own folder `.switchyard`, flushed, read back and renamed."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, BinaryIO, cast
from uuid import uuid4

from smbprotocol.exceptions import NoMoreFiles, NoSuchFile
from smbprotocol.file_info import (
    FileAttributes,
    FileBasicInformation,
    FileInformationClass,
    FileRenameInformation,
)
from smbprotocol.open import CreateDisposition, CreateOptions, FilePipePrinterAccessMask, QueryDirectoryFlags

from core.errors import DomainError, InvalidInput
from storage.objects.paths import safe_key
from storage.objects.smb_handles import (
    ATTRIBUTES,
    READ,
    SmbReader,
    close_quietly,
    open_handle,
    set_information,
    write_at,
)
from storage.objects.smb_share import Share

_WRITE = (
    FilePipePrinterAccessMask.FILE_WRITE_DATA
    | FilePipePrinterAccessMask.FILE_WRITE_ATTRIBUTES
    | FilePipePrinterAccessMask.FILE_READ_ATTRIBUTES
)
_RENAME = FilePipePrinterAccessMask.DELETE | FilePipePrinterAccessMask.FILE_WRITE_ATTRIBUTES
_FILE = CreateOptions.FILE_NON_DIRECTORY_FILE | CreateOptions.FILE_SEQUENTIAL_ONLY
_ITSELF = CreateOptions.FILE_OPEN_REPARSE_POINT
"""Open a link, not what it leads to."""

_FOLDER = CreateOptions.FILE_DIRECTORY_FILE | _ITSELF

_WINDOWS_EPOCH = 11_644_473_600
"""Seconds from the year 1601, where the times of SMB begin, to 1970."""

_RESERVED = ".switchyard"
_FORBIDDEN = frozenset('<>:"|?*') | {chr(code) for code in range(32)}


class SmbStore:
    """Everything below one folder of a share. `owner` is whose remains `sweep` removes."""

    def __init__(self, share: Share, folder: Sequence[str], owner: str) -> None:
        self.share = share
        self._folder = tuple(folder)
        self._temporary = (*self._folder, _RESERVED, owner)
        self._made: tuple[str, ...] = ()
        self._interrupted = False

    def locate(self, key: str) -> str:
        return "/".join(self._names(key))

    def begin(self, key: str, token: str, size: int = 0) -> SmbWriter:
        names = self._names(key)
        self._make_folder(self._temporary)
        name = f"{token}.{uuid4().hex[:8]}.part"  # a removed file keeps its name for as long as somebody has it open
        return SmbWriter(self, names, (*self._temporary, name))

    def flush(self) -> None:
        """Each file was flushed before it was renamed; names are the server's affair."""

    def discard(self, location: str, token: str) -> None:
        if (reason := self.gone()) is not None:
            raise OSError(errno.ECONNABORTED, reason)
        self._remove_all(f"{token}.*")

    def sweep(self) -> None:
        self._remove_all("*")

    def check(self) -> None:
        names = self._folder
        while True:  # the folder itself is made by the first copy
            try:
                self.listed(names, "*")
            except FileNotFoundError:
                if not names:
                    raise
                names = names[:-1]
            else:
                return

    def exists(self, key: str) -> bool:
        names = self._names(key)
        try:
            handle = open_handle(self.share, "\\".join(names), key, ATTRIBUTES, _ITSELF)
        except (FileNotFoundError, NotADirectoryError):
            return False
        close_quietly(self.share, handle, key)
        return True

    def open(self, key: str) -> BinaryIO:
        return self.reader(self._names(key))

    def delete(self, key: str) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            self.remove(self._names(key))

    def lost(self) -> str | None:
        return self.share.lost()

    def interrupt(self) -> None:
        self._interrupted = True
        self.share.interrupt()

    def close(self) -> None:
        self.share.close()

    def reader(self, names: Sequence[str]) -> BinaryIO:
        """The content of a file of the share."""
        path = "\\".join(names)
        return cast("BinaryIO", SmbReader(self.share, open_handle(self.share, path, "/".join(names), READ, _FILE), path))

    def remove(self, names: Sequence[str]) -> None:
        """Remove a file of the share."""
        shown = "/".join(names)
        options = CreateOptions.FILE_NON_DIRECTORY_FILE | CreateOptions.FILE_DELETE_ON_CLOSE | _ITSELF
        handle = open_handle(self.share, "\\".join(names), shown, FilePipePrinterAccessMask.DELETE, options)
        with self.share.asking(shown):
            handle.close()

    def listed(self, folder: Sequence[str], pattern: str = "*") -> list[str]:
        """Names in a folder of the share, a request's worth of them if there are many."""
        shown = "/".join(folder) or self.share.name
        handle = open_handle(self.share, "\\".join(folder), shown, READ, _FOLDER)
        with self.share.asking(shown):
            try:
                flags = QueryDirectoryFlags.SMB2_RESTART_SCANS
                rows = handle.query_directory(pattern, FileInformationClass.FILE_NAMES_INFORMATION, flags)
            except (NoMoreFiles, NoSuchFile):
                rows = []
            handle.close()
        names = [row["file_name"].get_value().decode("utf-16-le", "surrogatepass") for row in rows]
        return [name for name in names if name not in {".", ".."}]

    def _names(self, key: str) -> tuple[str, ...]:
        names = safe_key(key).parts
        for name in names:
            if _FORBIDDEN.intersection(name) or name[-1] in ". ":
                raise InvalidInput(f"{name!r} cannot be used as the name of a file or folder on an SMB share")
        if names[0].lower() == _RESERVED:
            raise InvalidInput(f"{_RESERVED} is a name that this server keeps for itself")
        return self._folder + names

    def make_folder_of(self, names: Sequence[str]) -> None:
        """Make the folders above a file."""
        self._make_folder(tuple(names[:-1]))

    def _make_folder(self, names: tuple[str, ...]) -> None:
        """One folder after the other. The newest is remembered, since files come folder by folder."""
        if names == self._made:
            return
        for depth in range(1, len(names) + 1):
            shown = "/".join(names[:depth])
            path = "\\".join(names[:depth])
            handle = open_handle(self.share, path, shown, ATTRIBUTES, _FOLDER, CreateDisposition.FILE_OPEN_IF)
            close_quietly(self.share, handle, shown)
            if handle.file_attributes & FileAttributes.FILE_ATTRIBUTE_REPARSE_POINT:
                raise InvalidInput(f"{shown} is a link, which may leave the storage location")
        if _RESERVED not in names:
            self._made = names

    def _remove_all(self, pattern: str) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            for name in self.listed(self._temporary, pattern):
                with suppress(FileNotFoundError):
                    self.remove((*self._temporary, name))

    def gone(self) -> str | None:
        """Why tidying up is left to the next harvest: connecting to a server that hangs takes as long as it takes."""
        return "the copy was interrupted" if self._interrupted else self.share.lost()


class SmbWriter:
    """A file under a temporary name."""

    def __init__(self, store: SmbStore, target: Sequence[str], temporary: Sequence[str]) -> None:
        self._store = store
        self._share = store.share
        self._target = tuple(target)
        self._temporary = tuple(temporary)
        self._shown = "/".join(target)
        self._offset = 0
        self._handle: Any = self._open(_WRITE, _FILE, CreateDisposition.FILE_CREATE)

    def write(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:
            with self._share.asking(self._shown):
                written = write_at(self._handle, rest, self._offset)
            self._offset += written
            rest = rest[written:]

    def read_back(self) -> BinaryIO:
        self._seal()
        return self._store.reader(self._temporary)

    def commit(self, modified_ns: int, *, replace: bool = True) -> None:
        self._seal()
        self._store.make_folder_of(self._target)
        if replace:
            self._refuse_other_spelling()
        handle = self._open(_RENAME, _FILE, CreateDisposition.FILE_OPEN)
        with self._share.asking(self._shown):
            set_information(handle, _modified(modified_ns))
            set_information(handle, _renamed("\\".join(self._target), replace=replace))
            handle.close()
        self._share.succeeded()

    def abort(self) -> None:
        with suppress(OSError, DomainError):  # what ended the write is worth more to the caller
            if self._handle is not None and self._store.gone() is None:
                close_quietly(self._share, self._handle, self._shown)
            if self._store.gone() is None:
                self._store.remove(self._temporary)

    def _open(self, access: int, options: int, disposition: int) -> Any:
        return open_handle(self._share, "\\".join(self._temporary), self._shown, access, options, disposition)

    def _seal(self) -> None:
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        with self._share.asking(self._shown):
            handle.flush()
            handle.close()

    def _refuse_other_spelling(self) -> None:
        """Servers take `Data` and `data` for the same name, sources need not: never replace one by the other."""
        *folder, name = self._target
        if any(found != name for found in self._store.listed(folder, name)):
            raise FileExistsError(errno.EEXIST, f"there is a file whose name differs in capital letters only: {self._shown}")


def _modified(modified_ns: int) -> FileBasicInformation:
    """Zero leaves a time as it is."""
    information = FileBasicInformation()
    information["last_write_time"] = max(modified_ns // 100 + _WINDOWS_EPOCH * 10**7, 1)
    return information


def _renamed(path: str, *, replace: bool) -> FileRenameInformation:
    information = FileRenameInformation()
    information["replace_if_exists"] = replace
    information["file_name"] = path
    return information
