"""A folder of an SMB share. Files outside it are never read: links are left out, and names are only names.

What the server itself shows in the folder is its own affair: links that it resolves before we see them cannot be told from files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, cast

from smbprotocol.exceptions import NoMoreFiles, NoSuchFile
from smbprotocol.file_info import FileAttributes, FileInformationClass
from smbprotocol.open import CreateOptions, QueryDirectoryFlags

from core.errors import InvalidInput
from jobs.sources.protocol import EPOCH, FileState, FoundFile, Refuse
from jobs.sources.walking import Entry, in_order, unusable
from storage.objects.paths import safe_name
from storage.objects.smb_handles import ATTRIBUTES, READ, SmbReader, open_handle
from storage.objects.smb_share import Share

_FILE = CreateOptions.FILE_NON_DIRECTORY_FILE | CreateOptions.FILE_SEQUENTIAL_ONLY
_FOLDER = CreateOptions.FILE_DIRECTORY_FILE | CreateOptions.FILE_OPEN_REPARSE_POINT

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
        handle = self._open(path, ATTRIBUTES, _FILE)
        with self._share.asking(path):
            handle.close()
        return FileState(handle.end_of_file, _nanoseconds(handle.last_write_time))

    def open(self, path: str) -> BinaryIO:
        return cast("BinaryIO", SmbReader(self._share, self._open(path, READ, _FILE), path))

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
        handle = self._open(folder.rstrip("/"), READ, _FOLDER)
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
        shown = self._shown(path)
        names = [safe_name(name) for name in path.split("/")] if path else []
        path = "\\".join([*self._folder, *names])
        return open_handle(self._share, path, shown, access, options)

    def _shown(self, path: str) -> str:
        return path or "\\".join([rf"\\{self._share.address}", self._share.name, *self._folder])


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
