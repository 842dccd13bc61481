"""Which place a storage location's row describes. The libraries of places that are not configured are not imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from core.errors import InvalidInput, NotSupported
from core.secrets import Keyring, Secret, UndecipherableSecretError
from core.vocabulary import StorageType
from storage.objects.paths import allowed_folder
from storage.objects.posix import PosixStore
from storage.objects.protocol import ObjectStore
from storage.objects.smb_access import Account, Address, names_of, qualified

Row = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class StorageAccess:
    """What places need beside the rows. Times are in seconds, for a connection and for the answer to one request."""

    keyring: Keyring
    connecting: float = 10.0
    smb_answer: float = 60.0
    s3_answer: float = 60.0


def open_store(location: Row, roots: Sequence[Path], access: StorageAccess | None = None, owner: str = "nobody") -> ObjectStore:
    """The place that a storage location's row describes; nothing is asked of it yet. `owner` is whose remains it may sweep.

    Raises a `DomainError` that says what is wrong with the row.
    """
    kind: StorageType = location["type"]
    if kind in {StorageType.POSIX, StorageType.NFS}:
        base_path = location["base_path"]
        root = allowed_folder(base_path, roots, noun="the storage location's base path")
        return PosixStore(root, shown_as=base_path, mounted=kind is StorageType.NFS)
    if access is None:
        raise NotSupported(f"this process was started without the keys that storage locations of type {kind.value} need")
    open_kind = {StorageType.S3: _s3, StorageType.CIFS: _smb}[kind]
    return open_kind(location, access, owner)


def _s3(location: Row, access: StorageAccess, owner: str) -> ObjectStore:
    from storage.objects.s3 import S3Store
    from storage.objects.s3_bucket import Bucket, S3Access

    config = location["connection_config"]
    bucket = S3Access(
        bucket=config["bucket"],
        region=config["region"],
        key_id=config["access_key_id"],
        secret=_secret(location, "secret_access_key", access.keyring),
        endpoint=config["endpoint_url"] or None,
        connecting=access.connecting,
        answer=access.s3_answer,
    )
    return S3Store(Bucket(bucket), location["base_path"], owner)


def _smb(location: Row, access: StorageAccess, owner: str) -> ObjectStore:
    from storage.objects.smb import SmbStore
    from storage.objects.smb_share import Share

    config = location["connection_config"]
    names = names_of(config["share"])
    if not names:
        raise InvalidInput("the storage location names no share")
    share, *folder = names
    folder += names_of(location["base_path"])
    account = Account(
        qualified(config["username"].strip(), config["domain"]),
        _secret(location, "password", access.keyring),
        "the storage location's account",
    )
    address = Address.parse(config["host"])
    return SmbStore(Share(address, share, account, access.connecting, access.smb_answer), folder, owner)


def _secret(location: Row, name: str, keyring: Keyring) -> Secret:
    try:
        return Secret(orjson.loads(keyring.unseal(location["secrets_sealed"]).reveal())[name])
    except UndecipherableSecretError as error:
        raise InvalidInput(f"this server has not the key to the storage location's {name}: enter it again") from error
