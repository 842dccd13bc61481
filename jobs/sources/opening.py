"""Which source an instrument's row describes: a local or mounted folder, or a folder of an SMB share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import InvalidInput, NotSupported
from core.vocabulary import TransferAdapter
from jobs.sources.local import LocalFolder
from jobs.sources.protocol import Source
from storage.objects.paths import allowed_folder
from storage.objects.smb_access import Account, Address, SmbAccess, names_of

LOCAL_HOSTS = frozenset({"file:", "file://"})

Row = Mapping[Any, Any]


def open_source(instrument: Row, roots: Sequence[Path], account: Row | None = None, smb: SmbAccess | None = None) -> Source:
    """The source of an instrument, with its service account. Raises a `DomainError` that says what is wrong with the rows."""
    adapter: TransferAdapter = instrument["transfer_adapter"]
    if adapter is not TransferAdapter.RCLONE:
        raise NotSupported(f"the transfer adapter {adapter.value} is not available in this version")
    if instrument["cifs_host"].strip().lower() in LOCAL_HOSTS:
        return _local(instrument, roots)
    if smb is None:
        raise NotSupported("this worker was started without the keys that SMB sources need")
    return _smb(instrument, account, smb)


def _local(instrument: Row, roots: Sequence[Path]) -> Source:
    share = allowed_folder(instrument["cifs_share"], roots, noun="the share")
    base_path = instrument["cifs_base_path"] or "/"
    if "\0" in base_path or ".." in base_path.split("/"):
        raise InvalidInput(f"the base path {base_path!r} leaves the share")
    return LocalFolder(allowed_folder(str(share / base_path.strip("/")), [share], noun="the base path"))


def _smb(instrument: Row, account: Row | None, smb: SmbAccess) -> Source:
    from jobs.sources.smb import SmbFolder
    from storage.objects.smb_share import Share

    address = Address.parse(instrument["cifs_host"])
    names = names_of(instrument["cifs_share"])
    if not names:
        raise InvalidInput("the instrument names no share")
    share, *folder = names
    folder += names_of(instrument["cifs_base_path"] or "")
    return SmbFolder(Share(address, share, Account.of(account, smb.keyring), smb.connecting, smb.answer), folder)
