"""One share of an SMB server, to read from or to write to: connected when it is first used, signed in with an account.

No request waits without end, no link is followed to another server, and what goes wrong is said in words for a lab manager.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from smbprotocol import Dialects
from smbprotocol.connection import Connection
from smbprotocol.exceptions import SMBAuthenticationError, SMBException, SMBResponseException
from smbprotocol.header import NtStatus, Smb2Flags
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from core.errors import InvalidInput
from storage.objects.smb_access import Account, Address

for library in ("smbprotocol", "spnego"):  # which log each request, and at the lowest level what a sign-in is made of
    logging.getLogger(library).setLevel(logging.CRITICAL)

_FAREWELL = 2.0
"""Seconds for signing off. A server that is slower finds out by itself."""

_GIVE_UP = 3
"""Files in a row that cost the connection before the server is taken for broken."""

_WAS_OPEN = {errno.EBADF, errno.EPIPE, errno.ENOTCONN}
"""What is told of a socket that was connected: the first when the thread that reads has noticed and closed it."""

_LOCK_CONFLICT = 0xC0000054
_NO_LOGON_SERVERS = 0xC000005E
_NETWORK_SESSION_EXPIRED = 0xC000035C
_REPARSE_TAG_NOT_HANDLED = 0xC0000279
_QUOTA_EXCEEDED = 0xC0000044
_MEDIA_WRITE_PROTECTED = 0xC00000A2

_NOT_NOW = frozenset(
    {
        NtStatus.STATUS_INSUFFICIENT_RESOURCES,
        NtStatus.STATUS_INSUFF_SERVER_RESOURCES,
        NtStatus.STATUS_INTERNAL_ERROR,
        NtStatus.STATUS_REQUEST_NOT_ACCEPTED,
        _NO_LOGON_SERVERS,
    }
)
"""Why a server may refuse a sign-in today and not tomorrow."""

_SIGN_IN = {
    0xC0000072: "{who} is disabled on {host}",
    0xC0000193: "{who} has expired on {host}",
    0xC0000234: "{who} is locked on {host}",
    0xC0000071: "the password of {who} has expired on {host}",
    0xC0000224: "the password of {who} has to be changed on {host} first",
}

_SESSION_OVER = frozenset(
    {NtStatus.STATUS_NETWORK_NAME_DELETED, NtStatus.STATUS_USER_SESSION_DELETED, _NETWORK_SESSION_EXPIRED}
)

_SAID: dict[int, tuple[int, str]] = {
    NtStatus.STATUS_ACCESS_DENIED: (errno.EACCES, "access denied"),
    NtStatus.STATUS_PRIVILEGE_NOT_HELD: (errno.EACCES, "access denied"),
    NtStatus.STATUS_OBJECT_NAME_NOT_FOUND: (errno.ENOENT, "not found"),
    NtStatus.STATUS_OBJECT_PATH_NOT_FOUND: (errno.ENOENT, "not found"),
    NtStatus.STATUS_NO_SUCH_FILE: (errno.ENOENT, "not found"),
    NtStatus.STATUS_DELETE_PENDING: (errno.ENOENT, "not found"),
    NtStatus.STATUS_NOT_A_DIRECTORY: (errno.ENOTDIR, "not a folder"),
    NtStatus.STATUS_FILE_IS_A_DIRECTORY: (errno.EISDIR, "not a regular file"),
    NtStatus.STATUS_SHARING_VIOLATION: (errno.EBUSY, "another program keeps the file to itself"),
    _LOCK_CONFLICT: (errno.EBUSY, "another program keeps the file to itself"),
    NtStatus.STATUS_STOPPED_ON_SYMLINK: (errno.ELOOP, "the path is a link"),
    NtStatus.STATUS_PATH_NOT_COVERED: (errno.ELOOP, "the path is a link"),
    _REPARSE_TAG_NOT_HANDLED: (errno.ELOOP, "the path is a link"),
    NtStatus.STATUS_OBJECT_NAME_COLLISION: (errno.EEXIST, "there is something of that name already"),
    NtStatus.STATUS_OBJECT_NAME_INVALID: (errno.EINVAL, "the server does not take that name"),
    NtStatus.STATUS_DISK_FULL: (errno.ENOSPC, "the share is full"),
    _QUOTA_EXCEEDED: (errno.EDQUOT, "the account's space on the share is used up"),
    _MEDIA_WRITE_PROTECTED: (errno.EROFS, "the share can only be read"),
}


class ServerLostError(OSError):
    """The server does not answer, or no longer."""

    def __init__(self, words: str) -> None:
        super().__init__(errno.ECONNABORTED, words)


class Share:
    """A share, and the one connection to it. Not for several threads at once."""

    def __init__(self, address: Address, name: str, account: Account, connecting: float, answer: float) -> None:
        self.address = address
        self.name = name
        self._account = account
        self._connecting = connecting
        self._answer = answer
        self._connection: PatientConnection | None = None
        self._tree: Any = None
        self._unreachable: str | None = None
        self._losses = 0

    def tree(self) -> Any:
        """The share as the protocol knows it, connected anew if need be. Raises `InvalidInput` for what no retry mends."""
        if self._connection is None or not self._connection.transport.connected:
            self._drop()
            try:
                self._connect()
            except (OSError, InvalidInput) as error:
                self._unreachable = error.detail if isinstance(error, InvalidInput) else error.strerror
                raise
            self._unreachable = None
        return self._tree

    @contextmanager
    def asking(self, about: str) -> Iterator[None]:
        """Around requests: what goes wrong becomes an `OSError` in words. After a silent server, the connection is given up."""
        try:
            yield
        except SMBResponseException as error:
            if error.status in _SESSION_OVER:
                raise self._lost(f"the SMB server {self.address} has ended the session") from error
            number, words = _SAID.get(error.status, (errno.EIO, f"the SMB server reports {_name(error.status)}"))
            raise OSError(number, f"{words}: {about}") from error
        except Exception as error:  # the library raises whatever a broken connection or a malformed answer trips over
            raise self._lost(self._silence(error, self._answer)) from error

    def succeeded(self) -> None:
        """A whole file went over the wire: the server is not the one that breaks at every file."""
        self._losses = 0

    def lost(self) -> str | None:
        """Why it is of no use to ask further, after a failure."""
        if self._losses >= _GIVE_UP:
            return f"the connection to the SMB server {self.address} was lost {self._losses} times in a row"
        return self._unreachable

    def interrupt(self) -> None:
        """From another thread: whoever waits for an answer learns that there will be none."""
        with suppress(AttributeError, OSError):  # not connected; the transport's own way to close may wait for a connection
            self._connection.transport._sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]  # noqa: SLF001

    def close(self) -> None:
        """Sign off, if the server listens, and end the connection with its thread."""
        connection = self._connection
        if connection is not None and connection.transport.connected:
            connection.patience = _FAREWELL
            with suppress(Exception):  # nothing depends on it
                connection.disconnect()
        self._drop()

    def _drop(self) -> None:
        connection, self._connection, self._tree = self._connection, None, None
        if connection is not None:
            connection.disconnect(close=False)

    def _lost(self, words: str) -> ServerLostError:
        self._losses += 1
        self._drop()
        return ServerLostError(words)

    def _connect(self) -> None:
        self._connection = PatientConnection(self.address, self._answer)
        try:
            self._negotiate(self._connection)
            session = self._sign_in(self._connection)
            self._tree = self._enter(session)
        except BaseException:
            self._drop()
            raise

    def _negotiate(self, connection: PatientConnection) -> None:
        try:
            connection.connect(timeout=self._connecting)
        except Exception as error:  # as in `asking`
            raise ServerLostError(self._silence(error, self._connecting)) from error
        if connection.dialect < Dialects.SMB_2_1_0:
            raise InvalidInput(f"the SMB server {self.address} is too old: SMB 2.1 or newer is needed")

    def _sign_in(self, connection: PatientConnection) -> Any:
        """Encrypted where the server can, signed in any case, and never as a guest."""
        who = self._account.called
        session = Session(
            connection,
            username=self._account.username,
            password=self._account.password.reveal(),
            require_encryption=bool(connection.supports_encryption),
        )
        try:
            session.connect()
        except SMBResponseException as error:
            if error.status in _NOT_NOW:
                raise OSError(errno.EAGAIN, f"{self.address} refuses sign-ins now: {_name(error.status)}") from error
            words = _SIGN_IN.get(error.status, "the user name or password of {who} was refused by {host}")
            raise InvalidInput(words.format(who=who, host=self.address)) from error
        except SMBAuthenticationError as error:
            raise InvalidInput(f"{who} cannot be used to sign in to {self.address}") from error
        except Exception as error:  # as in `asking`
            if session.session_id is None:
                raise InvalidInput(f"{self.address} lets {who} in as a guest only, which is not safe") from error
            raise ServerLostError(self._silence(error, self._answer)) from error
        finally:
            session.password = None
        return session

    def _enter(self, session: Any) -> Any:
        tree = TreeConnect(session, rf"\\{self.address.host}\{self.name}")
        try:
            tree.connect()
        except SMBResponseException as error:
            if error.status in {NtStatus.STATUS_BAD_NETWORK_NAME, NtStatus.STATUS_NOT_FOUND}:
                words = f"there is no share called {self.name} on {self.address}"
            elif error.status == NtStatus.STATUS_ACCESS_DENIED:
                words = f"{self._account.called} may not use the share {self.name} on {self.address}"
            else:
                words = f"the share {self.name} on {self.address} cannot be used: {_name(error.status)}"
            raise OSError(errno.EIO, words) from error
        except Exception as error:  # as in `asking`
            raise ServerLostError(self._silence(error, self._answer)) from error
        tree.is_dfs_share = False  # or paths would have to name the server; links to other servers are not followed
        return tree

    def _silence(self, error: BaseException, seconds: float) -> str:
        """What to say of a connection that failed."""
        cause = error.__cause__ if isinstance(error, ValueError) else error
        match cause:
            case socket.gaierror():
                return f"there is no host called {self.address.host}"
            case TimeoutError():
                return f"the SMB server {self.address} does not answer within {seconds:g} s"
            case OSError() if cause.errno not in _WAS_OPEN:
                return f"the SMB server {self.address} does not answer: {cause.strerror or cause}"
            case SMBException() if "timeout" in str(cause):  # the library has no class for it
                return f"the SMB server {self.address} does not answer within {seconds:g} s"
        return f"the connection to the SMB server {self.address} broke"


class PatientConnection(Connection):  # type: ignore[misc]  # the library is not typed
    """Waits for an answer so many seconds, follows no link, and takes no answer that is neither signed nor encrypted."""

    def __init__(self, address: Address, patience: float) -> None:
        super().__init__(uuid4(), address.host, address.port, require_signing=True)
        self.patience = patience

    def receive(self, request: Any, wait: bool = True, timeout: float | None = None, resolve_symlinks: bool = False) -> Any:
        seconds = (timeout or self.patience) + 0.5  # the library cuts fractions off, also of what is left after a microsecond
        return super().receive(request, wait=wait, timeout=seconds, resolve_symlinks=False)

    def verify_signature(self, header: Any, session_id: int, force: bool = False) -> None:
        """Of an answer that was not encrypted. The library verifies a signature that is there, but does not miss one."""
        session = self.session_table.get(session_id)
        if session is not None and not force:
            interim = header["status"].get_value() == NtStatus.STATUS_PENDING
            if session.encrypt_data or not (interim or header["flags"].has_flag(Smb2Flags.SMB2_FLAGS_SIGNED)):
                raise SMBException("an answer was neither encrypted nor signed")
        super().verify_signature(header, session_id, force)


def _name(status: int) -> str:
    return next((name for name, value in vars(NtStatus).items() if value == status), f"status 0x{status:08X}")
