"""`Idempotency-Key`: a change that is asked for again, because its reply was lost, is made once and answered alike.

Here is what transports share; what remembers the changes belongs to the application.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.datastructures import Headers

from core.context import Context
from core.errors import InvalidInput
from rest_compat.reply import Reply

HEADER = "idempotency-key"

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Keyed:
    """A change under its client's key. `asked` is JSON that tells one request of the operation from another."""

    key: str
    operation: str
    asked: Any


class Once(Protocol):
    """Makes a change, unless it was made before."""

    async def __call__(self, ctx: Context, keyed: Keyed, make: Callable[[], Awaitable[Reply]]) -> Reply:
        """What `make` replies, or replied before. Raises `InvalidInput` for a key of another request, `Conflict` if it cannot."""


def key_of(headers: Headers) -> str:
    """The key that a request carries. Raises `InvalidInput`."""
    given = headers.getlist(HEADER)
    if len(given) != 1 or not _KEY.fullmatch(given[0]):
        raise InvalidInput("An Idempotency-Key is one text of 1 to 255 visible ASCII characters")
    return given[0]
