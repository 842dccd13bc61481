"""Time: one way to ask for it, one way to write it (RFC 3339, UTC, microseconds, `Z`)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def wire_time(moment: datetime) -> str:
    """`2026-11-21T00:29:27.495180Z`; the fraction is absent if it is exactly zero (contract streamweave §1)."""
    text = moment.astimezone(UTC).isoformat()
    return text[: text.rindex("+")] + "Z"
