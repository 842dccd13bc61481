"""Pure values: time and global ids."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.clock import utc_now, wire_time
from core.errors import InvalidInput
from core.ids import decode_global_id, encode_global_id

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (NOON, "2026-11-21T12:00:00Z"),
        (NOON.replace(microsecond=1), "2026-11-21T12:00:00.000001Z"),
        (NOON.replace(microsecond=500000), "2026-11-21T12:00:00.500000Z"),
        (NOON.astimezone(timezone(timedelta(hours=5, minutes=30))), "2026-11-21T12:00:00Z"),
        (NOON.astimezone(timezone(timedelta(hours=-8))), "2026-11-21T12:00:00Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
    ],
)
def test_times_on_the_wire(moment, text):
    assert wire_time(moment) == text


@given(some.datetimes(timezones=some.just(UTC)))
def test_times_come_back(moment):
    assert datetime.fromisoformat(wire_time(moment)) == moment


def test_now_is_aware():
    assert utc_now().tzinfo is UTC
    assert abs(utc_now() - datetime.now(UTC)) < timedelta(seconds=1)


names = some.text(some.characters(exclude_characters=":", exclude_categories=("Cs",)), min_size=1)


@given(names, some.text(some.characters(exclude_categories=("Cs",)), min_size=1))
def test_global_ids_come_back(name, local):
    """Also when the local id holds a colon."""
    text = encode_global_id(name, local)
    assert text.isascii()
    assert not set("+/= ") & set(text)
    assert decode_global_id(text) == (name, local)


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize(
    "text", ["", "=", "a", "Zm9v", "Ä", "a b", "\ud800", *map(encoded, (b":x", b"x:", b":", b"\xff:\xfe", b"xx"))]
)
def test_what_was_never_handed_out(text):
    with pytest.raises(InvalidInput, match="not a global id") as refusal:
        decode_global_id(text)
    assert refusal.value.field == "id"


@given(some.text())
def test_no_text_breaks_the_decoder(text):
    try:
        name, local = decode_global_id(text)
    except InvalidInput:
        return
    assert name
    assert local
