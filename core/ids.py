"""Global ids: opaque text that names a type and a local id, as GraphQL's `Node.id`."""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

from core.errors import InvalidInput


class GlobalId(NamedTuple):
    """The type's GraphQL name and the service's own id as text."""

    type_name: str
    local_id: str


def encode_global_id(type_name: str, local_id: str) -> str:
    """URL-safe, unpadded base64 of `Type:localId`."""
    return base64.urlsafe_b64encode(f"{type_name}:{local_id}".encode()).rstrip(b"=").decode()


def decode_global_id(text: str) -> GlobalId:
    """The reverse; `InvalidInput` for anything that this server never handed out."""
    try:
        padded = text + "=" * (-len(text) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("not a global id", field="id", value=text) from error
    type_name, colon, local_id = raw.partition(":")
    if not (type_name and colon and local_id):
        raise InvalidInput("not a global id", field="id", value=text)
    return GlobalId(type_name, local_id)
