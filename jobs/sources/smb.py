"""A folder of an SMB share. Files outside it are never read: links are left out, and names are only names.

What the server itself shows in the folder is its own affair: links that it resolves before we see them cannot be told from files.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, cast

from smbprotocol import MAX_PAYLOAD_SIZE
from smbprotocol.exceptions import EndOfFile, NoMoreFiles, NoSuchFile
from smbprotocol.file_info import FileAttributes, FileInformationClass
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
    QueryDirectoryFlags,
    ShareAccess,
)

from core.errors import InvalidInput
from jobs.sources.protocol import EPOCH, FileState, FoundFile, Refuse
from jobs.sources.smb_share import Share
from jobs.sources.walking import Entry, in_order, unusable
from storage.objects.paths import safe_name

_READ = FilePipePrinterAccessMask.FILE_READ_DATA | FilePipePrinterAccessMask.FILE_READ_ATTRIBUTES
_ATTRIBUTES = FilePipePrinterAccessMask.FILE_READ_ATTRIBUTES
_FILE = CreateOptions.FILE_NON_DIRECTORY_FILE | CreateOptions.FILE_SEQUENTIAL_ONLY
_FOLDER = CreateOptions.FILE_DIRECTORY_FILE | CreateOptions.FILE_OPEN_REPARSE_POINT
_OTHERS_MAY_DO_ALL = ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE
"""The instrument is not to notice that its files are read."""

_CREDITS = 64
"""Asked for with each read, so that the next one may be of 1 MiB, which costs 16."""

_OWN_CONTENT = frozenset({0xC0000004, 0x80000006, 0x80000007, 0x80000013, 0x80000017, 0x8000001E})
"""Tags of reparse points that are files with a content of their own, which the server has compressed, deduplicated or moved."""


class SmbFolder:
    """A folder of a share."""

    def __init__(self, share: Share, folder: Sequence[str] = ()) -> None:
        self._share = share
        self._folder = tuple(folder)

    def discover(self, refuse: Refuse) -> Iterator[FoundFile]:
        above: dict[str, int] = {}  # the folders that lead to the one being listed, with the server's numbers for them

        def entries(folder: str) -> list[Entry]:
            for other in [each for each in above if not folder.startswith(each)]:
                del above[other]
            number, found = self._list(folder, refuse)
            if number and number in above.values():  # a link that the server has resolved
                refuse(folder, "the folder contains itself")
                return []
            above[folder] = number
            return found

        return in_order(entries)

    def state(self, path: str) -> FileState:
        handle = self._open(path, _ATTRIBUTES, _FILE)
        with self._share.asking(path):
            handle.close()
        return FileState(handle.end_of_file, _nanoseconds(handle.last_write_time))

    def open(self, path: str) -> BinaryIO:
        return cast("BinaryIO", _Reader(self._share, self._open(path, _READ, _FILE), path))

    def lost(self) -> str | None:
        return self._share.lost()

    def interrupt(self) -> None:
        self._share.interrupt()

    def close(self) -> None:
        self._share.close()

    def _list(self, folder: str, refuse: Refuse) -> tuple[int, list[Entry]]:
        """The server's number for a folder, and what is in it. One that cannot be read does not hide the others."""
        try:
            return self._entries(folder, refuse)
        except PermissionError:
            if not folder:
                raise
            refuse(folder, "the folder may not be read")
        except (FileNotFoundError, NotADirectoryError):
            if not folder:
                raise
        return 0, []

    def _entries(self, folder: str, refuse: Refuse) -> tuple[int, list[Entry]]:
        number = 0
        entries: list[Entry] = []
        handle = self._open(folder.rstrip("/"), _READ, _FOLDER)
        if handle.file_attributes & FileAttributes.FILE_ATTRIBUTE_REPARSE_POINT:  # since its parent was listed
            raise FileNotFoundError(folder)
        for found in self._rows(handle, folder):
            name = found["file_name"].get_value().decode("utf-16-le", "surrogatepass")
            if name == ".":
                number = found["file_id"].get_value()
            elif name != "..":
                entries.extend(_entry(folder, name, found, refuse))
        return number, entries

    def _rows(self, handle: Any, folder: str) -> Iterator[Any]:
        """Raw directory entries. The folder is closed at the end; after an error, the connection's end closes it."""
        flags = QueryDirectoryFlags.SMB2_RESTART_SCANS
        while True:
            with self._share.asking(self._shown(folder)):
                try:
                    rows = handle.query_directory("*", FileInformationClass.FILE_ID_FULL_DIRECTORY_INFORMATION, flags)
                except (NoMoreFiles, NoSuchFile):
                    handle.close()
                    return
            flags = 0
            yield from rows

    def _open(self, path: str, access: int, options: int) -> Any:
        names = [safe_name(name) for name in path.split("/")] if path else []
        handle = Open(self._share.tree(), "\\".join([*self._folder, *names]))
        with self._share.asking(self._shown(path)):
            handle.create(
                ImpersonationLevel.Impersonation,
                access,
                0,
                _OTHERS_MAY_DO_ALL,
                CreateDisposition.FILE_OPEN,
                options,
            )
        return handle

    def _shown(self, path: str) -> str:
        return path or "\\".join([rf"\\{self._share.address}", self._share.name, *self._folder])


class _Reader(io.RawIOBase):
    """An open file."""

    def __init__(self, share: Share, handle: Any, path: str) -> None:
        self._share = share
        self._handle = handle
        self._path = path
        self._offset = 0
        self._ended = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """The next bytes, perhaps fewer than asked for; none at what is the end of the file by now."""
        if size < 0:
            return self.readall()
        if self._ended:
            return b""
        with self._share.asking(self._path):
            content = self._receive(size)
        self._offset += len(content)
        if not content:
            self._share.succeeded()
            self._end()
        return content

    def close(self) -> None:
        self._end()
        super().close()

    def _end(self) -> None:
        """Already at the end of the file: while it is open, Samba shows the time at which it was last changed as it was then."""
        if not self._ended:
            self._ended = True
            if self._handle.connection.transport.connected:
                with suppress(OSError), self._share.asking(self._path):  # what was read is read
                    self._handle.close()

    def _receive(self, size: int) -> bytes:
        connection, tree = self._handle.connection, self._handle.tree_connect
        credit = connection.sequence_window["high"] - connection.sequence_window["low"]
        size = min(size, connection.max_read_size, credit * MAX_PAYLOAD_SIZE)
        request, response = self._handle.read(self._offset, size, send=False)
        sent = connection.send(request, tree.session.session_id, tree.tree_connect_id, credit_request=_CREDITS)
        try:
            content: bytes = response(sent)
        except EndOfFile:
            return b""
        return content


def _entry(folder: str, name: str, found: Any, refuse: Refuse) -> list[Entry]:
    path = folder + name
    attributes = found["file_attributes"].get_value()
    is_folder = bool(attributes & FileAttributes.FILE_ATTRIBUTE_DIRECTORY)
    is_link = bool(attributes & FileAttributes.FILE_ATTRIBUTE_REPARSE_POINT) and (
        is_folder or found["ea_size"].get_value() not in _OWN_CONTENT  # the field holds the tag of a reparse point
    )
    reason = unusable(path) or _unsafe(name) or ("it is a link, which may lead elsewhere" if is_link else None)
    if reason is not None:
        refuse(path, reason)
        return []
    if is_folder:
        return [path + "/"]
    return [FoundFile(path, FileState(found["end_of_file"].get_value(), _nanoseconds(found["last_write_time"].get_value())))]


def _unsafe(name: str) -> str | None:
    """What a server may call a file, but no file system."""
    try:
        safe_name(name)
    except InvalidInput as error:
        return error.detail
    return None


def _nanoseconds(time: datetime) -> int:
    """Since 1970. The library knows times by microseconds, and those after the year 9999 not at all."""
    return (time.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1) * 1000
