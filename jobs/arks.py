"""Archival Resource Keys: `ark:/<NAAN>/<shoulder><26 characters>`, made without asking anybody."""

from __future__ import annotations

import base64
from collections.abc import Callable
from uuid import UUID, uuid4


def mint_ark(naan: str, shoulder: str, *, random: Callable[[], UUID] = uuid4) -> str:
    """A new one; its tail is a random UUID in lower-case base32, so it is unique without a register."""
    tail = base64.b32encode(random().bytes).decode().rstrip("=").lower()
    return f"ark:/{naan}/{shoulder}{tail}"
