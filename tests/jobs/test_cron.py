"""Five fields, UTC; nonsense is refused by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from jobs.cron import next_fire, validate_cron

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("text", ["* * * * *", "*/15 2-4 1,15 * MON-FRI", " 0  2 * * * ", "0 0 29 2 *", "0 0 L * *"])
def test_cron_expressions_are_accepted(text):
    validate_cron(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "* * * *",
        "0 * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "0 0 31 2 *",
        "*/0 * * * *",
        "5-1 * * * *",
        "@daily",
    ],
)
def test_nonsense_is_refused(text):
    with pytest.raises(InvalidInput) as caught:
        validate_cron(text)
    assert caught.value.field == "cron_expression"
    assert caught.value.problems[0].value == text


@given(st.text(alphabet="0123456789*/,-#LWMONFRISU ", max_size=40) | st.text(max_size=20))
def test_any_text_is_accepted_or_refused(text):
    try:
        validate_cron(text)
    except InvalidInput:
        return
    assert next_fire(text, NOON) > NOON


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("* * * * *", NOON, NOON + timedelta(minutes=1)),
        ("* * * * *", NOON - timedelta(microseconds=1), NOON),
        ("30 2 * * *", NOON, datetime(2026, 1, 16, 2, 30, tzinfo=UTC)),
        ("0 0 29 2 *", NOON, datetime(2028, 2, 29, tzinfo=UTC)),
        ("0 13 * * *", NOON.astimezone(timezone(timedelta(hours=5))), NOON + timedelta(hours=1)),
    ],
)
def test_the_next_time_is_later_and_in_utc(text, after, expected):
    assert next_fire(text, after) == expected
