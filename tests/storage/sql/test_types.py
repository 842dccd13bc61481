"""Stored forms: what a raw row has on every database, so that raw rows can be read without an ORM, and what Python gets back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some
from sqlalchemy import Boolean, create_engine, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from core.vocabulary import TransferAdapter
from storage.sql.tables import instruments, metadata
from storage.sql.types import EnumColumn, JsonColumn, TimeColumn, UuidColumn, json_integer, read_time, stored_time
from tests.storage.sql.conftest import NOON, instrument

KEY = UUID("61B08FF4-4E91-44B0-9276-07254109DA6D")
SQLITE, POSTGRES = sqlite.dialect(), postgresql.dialect()


@pytest.mark.parametrize(
    ("column", "value", "raw"),
    [
        ("id", KEY, "61b08ff4-4e91-44b0-9276-07254109da6d"),
        ("service_account_id", None, None),
        ("name", "Älpha\n🜁", "Älpha\n🜁"),
        ("name", "", ""),
        ("description", None, None),
        ("description", "", ""),
        ("transfer_adapter", TransferAdapter.RSYNC, "rsync"),
        ("enabled", True, 1),
        ("enabled", False, 0),
        ("created_at", NOON, "2026-11-21T12:00:00.000000Z"),
        ("last_harvested_at", NOON.replace(microsecond=7), "2026-11-21T12:00:00.000007Z"),
        ("last_harvested_at", NOON.astimezone(timezone(timedelta(hours=2))), "2026-11-21T12:00:00.000000Z"),
        ("last_harvested_at", None, None),
        ("transfer_config", {"a": [1, None, "ä"], "z": 0.1}, '{"a":[1,null,"ä"],"z":0.1}'),
        ("transfer_config", {"big": 2**64 - 1}, '{"big":18446744073709551615}'),
        ("transfer_config", {}, "{}"),
        ("transfer_config", [], "[]"),
        ("transfer_config", False, "false"),
        ("transfer_config", "text", '"text"'),
        ("transfer_config", None, None),
    ],
)
async def test_stored_forms(database, column, value, raw):
    row = instrument(KEY) | {column: value}
    async with database.transaction() as tx:
        await tx.insert(instruments, **row)
    (found,) = await database.fetch(str(select(instruments.c[column]).compile(dialect=database.dialect)), [])
    assert found[0] == raw
    assert found[0].__class__ is raw.__class__ or column == "enabled"  # 1 or True
    (back,) = await database.all(select(instruments.c[column]))
    assert back[column] == value
    assert back[column].__class__ is value.__class__


@pytest.mark.parametrize("column", [column for table in metadata.tables.values() for column in table.columns], ids=str)
def test_every_column_has_a_pinned_form(column):
    """Ours, or one whose stored form is the same everywhere: text, an integer, a boolean."""
    kind = type(column.type).__name__
    assert kind in {
        "UuidColumn",
        "TimeColumn",
        "JsonColumn",
        "EnumColumn",
        "String",
        "Text",
        "BigInteger",
        "Integer",
        "Boolean",
    }


moments = some.datetimes(min_value=datetime(1000, 1, 1), timezones=some.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize("year", [1, 999])
def test_years_before_1000(year):
    moment = datetime(year, 1, 1, tzinfo=UTC)
    assert (len(stored_time(moment)), read_time(stored_time(moment))) == (27, moment)


@given(moments, moments)
def test_text_order_is_time_order(one, other):
    assert (stored_time(one) < stored_time(other)) == (one < other)
    assert read_time(stored_time(one)) == one
    assert len(stored_time(one)) == 27


@given(
    some.recursive(
        some.none()
        | some.booleans()
        | some.integers(-(2**63), 2**64 - 1)
        | some.text(some.characters(exclude_categories=("Cs",))),
        lambda inner: some.lists(inner) | some.dictionaries(some.text(some.characters(exclude_categories=("Cs",))), inner),
    )
)
def test_json_comes_back(value):
    kind = JsonColumn()
    stored = kind.process_bind_param(value, SQLITE)
    assert kind.process_result_value(stored, SQLITE) == value


def test_native_types_elsewhere():
    assert isinstance(UuidColumn().dialect_impl(POSTGRES).impl_instance, postgresql.UUID)
    assert TimeColumn().dialect_impl(POSTGRES).impl_instance.timezone
    assert UuidColumn().process_bind_param(KEY, POSTGRES) is KEY
    assert TimeColumn().process_bind_param(NOON, POSTGRES) is NOON
    assert JsonColumn().process_bind_param({"a": 1}, POSTGRES) == {"a": 1}
    assert JsonColumn().process_result_value({"a": 1}, POSTGRES) == {"a": 1}
    assert TimeColumn().process_result_value(NOON, POSTGRES) is NOON
    assert UuidColumn().process_result_value(KEY, POSTGRES) is KEY


def test_python_types():
    assert UuidColumn().python_type is UUID
    assert Boolean().python_type is bool


class Colour(Enum):
    RED = "red"


def test_enums():
    kind = EnumColumn(Colour)
    assert kind.process_bind_param(Colour.RED, SQLITE) == kind.process_bind_param("red", SQLITE) == "red"
    assert kind.process_result_value("red", SQLITE) is Colour.RED
    assert kind.process_bind_param(None, SQLITE) is kind.process_result_value(None, SQLITE) is None
    with pytest.raises(ValueError, match="blue"):
        kind.process_result_value("blue", SQLITE)


async def test_a_time_without_a_zone_is_not_stored_as_something_else(database):
    """It would be taken for the machine's own zone."""
    naive = datetime(2026, 11, 21, 12, 0)  # noqa: DTZ001
    with pytest.raises(Exception, match=r"zone|naive|aware"):
        async with database.transaction() as tx:
            await tx.insert(instruments, **instrument(KEY, last_harvested_at=naive))


@pytest.mark.parametrize(
    ("stored", "found"), [('{"a": 3}', 3), ('{"b": 3}', None), (None, None), ('{"a": ', None), ("no text", None)]
)
def test_a_number_in_json_that_is_none(stored, found):
    """Where a row holds something else it is that row's value that is missing, not the list."""
    with create_engine("sqlite://").connect() as connection:
        assert connection.scalar(select(json_integer(literal(stored, JsonColumn.impl), "a"))) == found
