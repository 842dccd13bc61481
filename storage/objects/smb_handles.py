"""Open files of an SMB share: opened as a neighbour who does not disturb, read and written in the largest pieces there are."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any

from smbprotocol import MAX_PAYLOAD_SIZE
from smbprotocol.exceptions import EndOfFile
from smbprotocol.open import (
    CreateDisposition,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
    ShareAccess,
    SMB2SetInfoRequest,
)

from storage.objects.smb_share import Share

READ = FilePipePrinterAccessMask.FILE_READ_DATA | FilePipePrinterAccessMask.FILE_READ_ATTRIBUTES
ATTRIBUTES = FilePipePrinterAccessMask.FILE_READ_ATTRIBUTES
_OTHERS_MAY_DO_ALL = ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE
"""Nobody is to notice that a file is read, or that its copy is."""

_CREDITS = 64
"""Asked for with each piece, so that the next one may be of 1 MiB, which costs 16."""


def open_handle(
    share: Share, path: str, shown: str, access: int, options: int, disposition: int = CreateDisposition.FILE_OPEN
) -> Any:
    """Open a path of the share, separated by backslashes; `shown` is what errors call it."""
    handle = Open(share.tree(), path)
    with share.asking(shown):
        handle.create(ImpersonationLevel.Impersonation, access, 0, _OTHERS_MAY_DO_ALL, disposition, options)
    return handle


def write_at(handle: Any, content: memoryview, offset: int) -> int:
    """Write the beginning of the content, as much as one request may carry; how much that was."""
    content = content[: _largest(handle, handle.connection.max_write_size)]
    request, response = handle.write(bytes(content), offset, send=False)
    written: int = response(_sent(handle, request))
    return written


def set_information(handle: Any, information: Any) -> None:
    """Change what is known of a file beside its content: its times, its name."""
    request = SMB2SetInfoRequest()
    request["info_type"] = information.INFO_TYPE
    request["file_info_class"] = information.INFO_CLASS
    request["file_id"] = handle.file_id
    request["buffer"] = information
    handle.connection.receive(_sent(handle, request))


class SmbReader(io.RawIOBase):
    """An open file."""

    def __init__(self, share: Share, handle: Any, path: str) -> None:
        self._share = share
        self._handle = handle
        self._path = path
        self._offset = 0
        self._ended = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """The end is where it was when the file was opened. Nothing is asked of the server."""
        self._offset = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._offset, io.SEEK_END: self._handle.end_of_file}[whence]
        return self._offset

    def tell(self) -> int:
        return self._offset

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
            close_quietly(self._share, self._handle, self._path)

    def _receive(self, size: int) -> bytes:
        size = min(size, _largest(self._handle, self._handle.connection.max_read_size))
        request, response = self._handle.read(self._offset, size, send=False)
        try:
            content: bytes = response(_sent(self._handle, request))
        except EndOfFile:
            return b""
        return content


def close_quietly(share: Share, handle: Any, shown: str) -> None:
    """Close a file of which nothing more is expected."""
    if handle.connection.transport.connected:
        with suppress(OSError), share.asking(shown):  # what was read is read
            handle.close()


def _largest(handle: Any, size: int) -> int:
    window = handle.connection.sequence_window
    return int(min(size, (window["high"] - window["low"]) * MAX_PAYLOAD_SIZE))


def _sent(handle: Any, request: Any) -> Any:
    tree = handle.tree_connect
    return handle.connection.send(request, tree.session.session_id, tree.tree_connect_id, credit_request=_CREDITS)
