"""One bucket of an S3 server: no request waits without end, and what goes wrong is said in words for a lab manager.

Only the keys of the storage location are used, never what the machine's environment or AWS configuration says.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)

from core.errors import InvalidInput
from core.secrets import Secret

for library in ("boto3", "botocore"):  # which log, at the lowest level, what a request is signed with
    logging.getLogger(library).setLevel(logging.CRITICAL)

_ATTEMPTS = 3

_BRIEF = 5.0
"""Seconds for tidying up. What a slower server keeps is removed by the next harvest."""

_REFUSED_KEYS = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidToken",
        "ExpiredToken",
        "AuthorizationHeaderMalformed",
        "InvalidSecurity",
        "XAdminUserNotFound",
    }
)
_ELSEWHERE = frozenset({"PermanentRedirect", "TemporaryRedirect", "301", "307", "IllegalLocationConstraintException"})
_FULL = frozenset(
    {
        "QuotaExceeded",
        "XMinioAdminBucketQuotaExceeded",
        "XMinioStorageFull",
        "InsufficientStorage",
        "InsufficientCapacity",
        "507",
    }
)
_MISSING = frozenset({"NoSuchKey", "NotFound", "NoSuchUpload", "404"})
_TAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412"})
_BUSY = frozenset({"SlowDown", "ServiceUnavailable", "RequestLimitExceeded", "Throttling", "503"})
NOT_KNOWN = frozenset({"NotImplemented", "501"})
"""Codes of a server that does not know what it was asked for."""


class UnknownRequestError(OSError):
    """The server does not know how to do this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Access:
    """Which bucket, and with what to sign in. Times are in seconds, for a connection and for an answer."""

    bucket: str
    region: str
    key_id: str
    secret: Secret
    endpoint: str | None = None
    connecting: float = 10.0
    answer: float = 60.0


class Bucket:
    """A bucket, and what it takes to ask for it. Not for several threads at once."""

    def __init__(self, access: S3Access) -> None:
        self.name = access.bucket
        self._access = access
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._interrupted = False
        self._lost: str | None = None

    @property
    def shown(self) -> str:
        """The server, as people know it."""
        return urlsplit(self._access.endpoint).netloc if self._access.endpoint else f"AWS ({self._access.region})"

    def ask(self, operation: str, about: str, **parameters: Any) -> Any:
        """One request about the bucket, repeated when that may help. Raises `OSError` in words, `InvalidInput` if no retry mends."""
        self._leave_if_lost()
        with self.asking(about):
            return getattr(self._patient, operation)(Bucket=self.name, **parameters)

    def tidy(self, operation: str, about: str, **parameters: Any) -> Any:
        """One request that removes what is left over, also after an interruption: it is not waited for long."""
        self._leave_if_lost()
        self._interrupted = False
        with self.asking(about):
            return getattr(self._brief, operation)(Bucket=self.name, **parameters)

    def _leave_if_lost(self) -> None:
        if self._lost is not None:
            raise OSError(errno.ECONNABORTED, self._lost)

    @contextmanager
    def asking(self, about: str) -> Iterator[None]:
        """Around requests and the reading of their answers."""
        try:
            yield
        except ClientError as error:
            raise self._refusal(error.response.get("Error", {}).get("Code", ""), about) from error
        except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
            raise self._silence(error) from error

    def lost(self) -> str | None:
        """Why it is of no use to ask further, after a failure."""
        return self._lost

    def interrupt(self) -> None:
        """From another thread: whoever waits for an answer learns that there will be none, and nothing is asked again."""
        self._interrupted = True
        for each in list(self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the connections."""
        for name in ("_patient", "_brief"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()

    def _refusal(self, code: str, about: str) -> Exception:
        """What an answer means. Only its code is repeated: texts of servers name keys."""
        who = f"the access key of the storage location was refused by {self.shown}"
        if code in _REFUSED_KEYS:
            return self._given_up(InvalidInput(f"{who} ({code})"))
        if code == "NoSuchBucket":
            return self._given_up(InvalidInput(f"there is no bucket called {self.name} on {self.shown}"))
        if code in _ELSEWHERE:
            return self._given_up(InvalidInput(f"the bucket {self.name} is not in the region {self._access.region}"))
        if code == "RequestTimeTooSkewed":
            return self._given_up(InvalidInput(f"the clocks of this machine and of {self.shown} differ too much"))
        if code in NOT_KNOWN:
            return UnknownRequestError(errno.ENOSYS, f"{self.shown} does not know how to do this: {about}")
        number, words = self._said(code)
        return OSError(number, f"{words}: {about}")

    def _said(self, code: str) -> tuple[int, str]:
        if code in {"AccessDenied", "403", "Forbidden", "AllAccessDisabled"}:
            return errno.EACCES, f"the access key may not do this in the bucket {self.name}"
        if code in _FULL:
            return errno.ENOSPC, f"the bucket {self.name} is full or its quota is used up"
        if code in _MISSING:
            return errno.ENOENT, "not found"
        if code in _TAKEN:
            return errno.EEXIST, "there is something of that name already"
        if code in _BUSY:
            return errno.EAGAIN, f"{self.shown} is too busy"
        return errno.EIO, f"{self.shown} reports {code or 'an error without a name'}"

    def _silence(self, error: Exception) -> Exception:
        match error:
            case ConnectTimeoutError() | ReadTimeoutError():
                words = f"the S3 server {self.shown} does not answer in time"
            case SSLError():
                words = f"the certificate of the S3 server {self.shown} is not valid"
            case EndpointConnectionError():
                words = f"the S3 server {self.shown} cannot be reached"
            case ConnectionClosedError():
                words = f"the S3 server {self.shown} closed the connection"
            case BotoCoreError() if isinstance(error.kwargs.get("error"), Exception):  # the transport's
                words = f"the connection to the S3 server {self.shown} broke"
            case _:
                return self._given_up(InvalidInput(f"the storage location's settings cannot be used ({type(error).__name__})"))
        return self._given_up(OSError(errno.ECONNABORTED, words))

    def _given_up(self, error: Exception) -> Exception:
        """After an interruption, whatever went wrong says nothing about the server."""
        if not self._interrupted:
            self._lost = error.detail if isinstance(error, InvalidInput) else getattr(error, "strerror", None)
        return error

    @cached_property
    def _patient(self) -> Any:
        return self._client(self._access.connecting, self._access.answer, _ATTEMPTS)

    @cached_property
    def _brief(self) -> Any:
        return self._client(min(self._access.connecting, _BRIEF), min(self._access.answer, _BRIEF), 1)

    @cached_property
    def _session(self) -> boto3.session.Session:
        own = botocore.session.Session()
        for name in ("profile", "config_file", "credentials_file"):
            own.set_config_variable(name, None)
        return boto3.session.Session(
            aws_access_key_id=self._access.key_id,
            aws_secret_access_key=self._access.secret.reveal(),
            region_name=self._access.region,
            botocore_session=own,
        )

    def _client(self, connecting: float, answer: float, attempts: int) -> Any:
        config = Config(
            connect_timeout=connecting,
            read_timeout=answer,
            retries={"mode": "standard", "total_max_attempts": attempts},
            signature_version="s3v4",
            s3={"addressing_style": "path" if self._access.endpoint else "auto"},
            ignore_configured_endpoint_urls=True,
            max_pool_connections=2,
            # Every copy is read back and hashed; servers other than Amazon's need not know checksums behind the content.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        client = self._session.client("s3", endpoint_url=self._access.endpoint, config=config)
        client.meta.events.register("before-send.s3", self._refuse_when_interrupted)
        self._keep_sockets(client)
        return client

    def _refuse_when_interrupted(self, **_: Any) -> None:
        if self._interrupted:
            raise InterruptedError(errno.EINTR, "the copy was interrupted")

    def _keep_sockets(self, client: Any) -> None:
        """The library has no way to end a request from outside; so its connections tell us their sockets."""
        sockets = self._sockets
        kinds = client._endpoint.http_session._pool_classes_by_scheme  # noqa: SLF001
        for scheme, pool in list(kinds.items()):

            class Connection(pool.ConnectionCls):  # type: ignore[name-defined,misc]
                def connect(self) -> None:
                    super().connect()
                    sockets.add(self.sock)

            kinds[scheme] = type(pool.__name__, (pool,), {"ConnectionCls": Connection})
