"""Compiled statements: text once, values in the order of the text, in stored form."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from core.context import Context, Effects
from core.sql import Statement, fetch_all
from core.watching import watching
from storage.sql.tables import instruments

KEY = UUID(int=1)
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def statement():
    clause = select(instruments.c.id).where(
        instruments.c.created_at > bindparam("since", type_=instruments.c.created_at.type),
        instruments.c.enabled == True,  # noqa: E712
        instruments.c.id == bindparam("key", type_=instruments.c.id.type),
        instruments.c.name == "constant",
    )
    return Statement(clause, sqlite.dialect())


def test_values_in_order_and_in_stored_form(statement):
    values = statement.values({"key": KEY, "since": NOON, "other": 1})
    assert values == ["2026-11-21T12:00:00.000000Z", str(KEY), "constant"]
    assert statement.text.count("?") == 3


def test_a_missing_value_is_an_error(statement):
    with pytest.raises(KeyError):
        statement.values({"key": KEY})


async def test_fetch_runs_the_text(statement):
    class Store:
        dialect = sqlite.dialect()

        async def fetch(self, text, values):
            return [(text, *values)]

    ((text, *values),) = await statement.fetch(Store(), key=KEY, since=NOON)
    assert (text, values) == (statement.text, statement.values({"key": KEY, "since": NOON}))


async def test_some_statements_are_one_errand(statement):
    class Store:
        dialect = sqlite.dialect()

        async def fetch_all(self, queries):
            return [[(text, *values)] for text, values in queries]

    other = Statement(select(instruments.c.id), sqlite.dialect())
    given = {"key": KEY, "since": NOON}
    assert await fetch_all(Store(), [(statement, given), (other, {})]) == [
        [(statement.text, *statement.values(given))],
        [(other.text,)],
    ]


async def test_whoever_watches_is_told_while_it_runs():
    happened = []

    class Store:
        dialect = sqlite.dialect()

        async def fetch(self, text, values):
            happened.append("runs")
            return []

        async def fetch_all(self, queries):
            happened.append(f"runs {len(queries)}")
            return [[] for _ in queries]

    class Watch:
        @contextmanager
        def statement(self, name, text):
            happened.append((name, text))
            yield
            happened.append("ended")

    statement = Statement(select(instruments.c.id), sqlite.dialect(), "Query.instruments rows")
    before = watching.set(Watch())
    try:
        await statement.fetch(Store())
        await fetch_all(Store(), [(statement, {}), (statement, {})])
    finally:
        watching.reset(before)
    await statement.fetch(Store())
    told = ("Query.instruments rows", statement.text)
    assert happened == [told, "runs", "ended", told, told, "runs 2", "ended", "ended", "runs"]


def test_other_databases_have_their_own_text():
    clause = select(instruments.c.id).where(instruments.c.id == bindparam("key", type_=instruments.c.id.type))
    assert Statement(clause, postgresql.dialect()).text != Statement(clause, sqlite.dialect()).text


def test_a_context_of_its_own_for_each_request():
    one, other = Context(sql=None), Context(sql=None)
    one.effects.header("Set-Cookie", "a")
    one.loaders["x"] = 1
    assert (other.effects, other.loaders, other.request_id) == (Effects(), {}, "-")
    one.effects.header("Set-Cookie", "b")
    assert one.effects.headers == [("Set-Cookie", "a"), ("Set-Cookie", "b")]
