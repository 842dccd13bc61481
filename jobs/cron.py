"""Cron expressions: five fields, evaluated in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from core.errors import InvalidInput

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def validate_cron(text: str) -> None:
    """Raises `InvalidInput` for anything that is not a cron expression of five fields which fires at least once."""
    next_fire(text, _EPOCH)


def next_fire(text: str, after: datetime) -> datetime:
    """The first time later than `after`. Raises `InvalidInput` as `validate_cron`."""
    if len(text.split()) != 5:
        raise _nonsense(text, "it must have five fields")
    try:
        return next(CronSim(text, after.astimezone(UTC)))
    except CronSimError as error:
        raise _nonsense(text, str(error)) from error
    except (StopIteration, OverflowError) as error:
        raise _nonsense(text, "it never fires") from error


def _nonsense(text: str, reason: str) -> InvalidInput:
    return InvalidInput(f"not a cron expression: {reason}", field="cron_expression", value=text)
