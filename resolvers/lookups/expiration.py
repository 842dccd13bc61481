"""When an item expires, as clients say it (contract lmio-watcher §7)."""

from __future__ import annotations

from core.errors import InvalidInput
from core.lookups.values import moment


def expiration(value: object) -> float | None:
    """Seconds since 1970, from a number, digits or ISO 8601 text; null and empty text are no expiration."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        return moment(value).timestamp()
    except ValueError as error:
        raise InvalidInput(f"_exp: {error}", field="_exp", value=value) from error


def shown(expires_at: float) -> int | float:
    """An integer when it is whole."""
    return int(expires_at) if expires_at.is_integer() else expires_at
