"""The text of a personal token: `swy_` and 64 letters and digits, which are its id, its secret and a checksum.

Prefix and checksum are for scanners that look for secrets in published code: what fits both is one of ours.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import zlib
from typing import NamedTuple
from uuid import UUID

from core.secrets import Secret

PREFIX = "swy_"

_FORM = re.compile(PREFIX + "([a-z2-7]{64})")
_ID, _SECRET, _CHECKSUM = 16, 20, 4
"""Bytes; 40 of them are 64 characters of base32, without padding."""


class PresentedToken(NamedTuple):
    """What a text says if it has the form of a token: which one it claims to be, and the digest to compare."""

    token_id: UUID
    digest: str


def new_token(token_id: UUID) -> Secret:
    """A text that nobody can guess, for the token with that id."""
    body = token_id.bytes + secrets.token_bytes(_SECRET)
    return Secret(PREFIX + base64.b32encode(body + _checksum(body)).decode().lower())


def read_token(text: str) -> PresentedToken | None:
    """None for whatever we never made."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    raw = base64.b32decode(found[1].upper())
    body, checksum = raw[: _ID + _SECRET], raw[_ID + _SECRET :]
    return PresentedToken(UUID(bytes=body[:_ID]), digest_of(Secret(text))) if checksum == _checksum(body) else None


def digest_of(token: Secret) -> str:
    """What is stored. The secret's 160 random bits need no slow hash."""
    return hashlib.sha256(token.reveal().encode()).hexdigest()


def _checksum(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(_CHECKSUM, "big")
