"""What is harvested and where its copies go have to lie apart.

Else copies would be harvested and copied again, each time deeper, or take the place of what the instrument is writing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import InvalidInput
from core.vocabulary import StorageType
from jobs.sources.opening import LOCAL_HOSTS
from storage.objects.smb_access import Address, names_of

Row = Mapping[Any, Any]


def require_apart(instrument: Row, location: Row, folder: str) -> None:
    """Raises `InvalidInput` if one lies in the other. `folder` is the instrument's below the base path; both rows can be opened."""
    source, copies = _source(instrument), _copies(location, folder)
    if all(one == other for one, other in zip(source, copies, strict=False)):
        raise InvalidInput(
            f"the copies would go to {location['base_path'].rstrip('/')}/{folder}, "
            "and that is, holds, or lies in the folder that is harvested"
        )


def _source(instrument: Row) -> tuple[object, ...]:
    """The host, and the names of the folders on the way."""
    share, base_path = instrument["cifs_share"], instrument["cifs_base_path"] or ""
    if instrument["cifs_host"].strip().lower() in LOCAL_HOSTS:
        return None, *(Path(share) / base_path.strip("/")).resolve().parts
    return _smb(instrument["cifs_host"], *names_of(share), *names_of(base_path))


def _copies(location: Row, folder: str) -> tuple[object, ...]:
    kind: StorageType = location["type"]
    config, base_path = location["connection_config"], location["base_path"]
    if kind is StorageType.CIFS:
        return _smb(config["host"], *names_of(config["share"]), *names_of(base_path), folder)
    if kind is StorageType.S3:
        return (StorageType.S3,)
    return None, *Path(base_path).resolve().parts, folder


def _smb(host: str, *names: str) -> tuple[object, ...]:
    """Names on shares are the same in any case."""
    address = Address.parse(host)
    return address.host.lower(), address.port, *(name.lower() for name in names)
