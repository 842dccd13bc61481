"""What is said of a server whose connection fails. The rest of a share is tested with the source and the destination."""

from __future__ import annotations

import errno
import os

import pytest

from core.secrets import Secret
from storage.objects.smb_access import Account, Address
from storage.objects.smb_share import ServerLostError, Share


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EBADF, "the connection to the SMB server nas:445 broke"),
        (errno.EPIPE, "the connection to the SMB server nas:445 broke"),
        (errno.ENOTCONN, "the connection to the SMB server nas:445 broke"),
        (errno.ECONNREFUSED, "the SMB server nas:445 does not answer: Connection refused"),
    ],
)
def test_what_a_socket_says(number, words):
    """Of one that was connected, another thread may have closed it first: that is no news of the server."""
    share = Share(Address.parse("nas:445"), "data", Account("ada", Secret("x")), connecting=1, answer=1)
    with pytest.raises(ServerLostError) as raised, share.asking("a file"):
        raise OSError(number, os.strerror(number))
    assert raised.value.strerror == words
