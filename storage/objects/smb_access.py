"""What is said about an SMB server and the account to sign in with, checked; without the library that talks to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from core.errors import InvalidInput
from core.secrets import Keyring, Secret, UndecipherableSecretError
from storage.objects.paths import safe_name

_ADDRESS = re.compile(r"(?:\[(?P<literal>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<name>[^\s:/\\\[\]]+))(?::(?P<port>[0-9]{1,5}))?")

SMB_PORT = 445

_WORKGROUP = "WORKGROUP"
"""The domain of accounts that name none. Contract streamweave §8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmbAccess:
    """What SMB needs beside the rows. Times are in seconds, for a connection and for the answer to one request."""

    keyring: Keyring
    connecting: float = 10.0
    answer: float = 60.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, port: int = SMB_PORT) -> Self:
        """`host`, `host:port`, `[IPv6]` or `[IPv6]:port`; `port` is the usual one."""
        match = _ADDRESS.fullmatch(text.strip())
        port = int((match and match["port"]) or port)
        if match is None or not 0 < port < 65536:
            raise InvalidInput(f"the host {text!r} is no address: write it as host, host:port or [IPv6 address]:port")
        return cls(match["literal"] or match["name"], port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Account:
    """With what to sign in."""

    username: str
    password: Secret
    called: str = "the service account"

    @classmethod
    def of(cls, row: Mapping[Any, Any] | None, keyring: Keyring) -> Self:
        """From the row of the instrument's service account."""
        if row is None:
            raise InvalidInput("the instrument has no service account, which an SMB source needs")
        name, username = row["name"], row["username"].strip()
        if row["deleted_at"] is not None:
            raise InvalidInput(f"the service account {name!r} has been deleted")
        if not username:
            raise InvalidInput(f"the service account {name!r} has no user name")
        try:
            password = keyring.unseal(row["password_sealed"])
        except UndecipherableSecretError as error:
            raise InvalidInput(
                f"this worker has not the key of the service account {name!r}: enter its password again"
            ) from error
        return cls(qualified(username, row["domain"]), password)


def qualified(username: str, domain: str | None) -> str:
    """A user name with its domain, unless it brings one."""
    return username if "\\" in username or "@" in username else f"{domain or _WORKGROUP}\\{username}"


def names_of(path: str) -> list[str]:
    """The names that a path of a share goes through, in either notation."""
    return [safe_name(name) for name in re.split(r"[/\\]", path) if name]
