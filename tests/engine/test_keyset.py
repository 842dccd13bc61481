"""Any order, any rows: walking page by page meets every row exactly once, in order, both ways."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from sqlalchemy import Column, Integer, MetaData, Table, Text, bindparam, create_engine, insert, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import StaticPool

from core.errors import InvalidInput
from core.sql import Statement
from engine.keyset import beyond, complete_order, decode_cursor, encode_cursor, fingerprint, is_stored_integer, sort_terms
from engine.kinds import Order
from storage.sql.types import TimeColumn, UuidColumn

metadata = MetaData()
rows = Table(
    "rows",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("a", Integer),
    Column("b", Text),
    Column("c", Integer, nullable=False),
)

orders = some.lists(
    some.builds(
        lambda name, descending: Order(rows.c[name], descending, nullable=name != "c"),
        some.sampled_from("abc"),
        some.booleans(),
    ),
    max_size=3,
    unique_by=lambda term: term.expression.name,
)
stored = some.lists(
    some.fixed_dictionaries(
        {
            "a": some.none() | some.integers(0, 2),
            "b": some.none() | some.sampled_from(["", "a", "A", "é", "\0"]),
            "c": some.integers(0, 1),
        }
    ),
    max_size=8,
)


@pytest.fixture(scope="module")
def connection():
    engine = create_engine("sqlite://", poolclass=StaticPool)
    metadata.create_all(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def expected(order, data):
    """By Python's own sorting, last term first: nulls last whichever way."""
    found = sorted(data, key=lambda row: row["id"], reverse=bool(order) and order[0].descending)
    for term in reversed(order):
        name = term.expression.name
        known = [row for row in found if row[name] is not None]
        known.sort(key=lambda row: row[name].encode() if name == "b" else row[name], reverse=term.descending)
        found = known + [row for row in found if row[name] is None]
    return [row["id"] for row in found]


@pytest.mark.slow
@given(order=orders, data=stored, size=some.integers(1, 3), backward=some.booleans())
@settings(max_examples=150, deadline=None)
def test_walking_any_order_meets_every_row_once(connection, order, data, size, backward):
    data = [{"id": number, **row} for number, row in enumerate(data, start=1)]
    connection.execute(rows.delete())
    if data:
        connection.execute(insert(rows), data)
    complete = complete_order(order, rows.c.id)
    columns = [term.expression for term in complete]
    met, place = [], None
    while True:
        page = select(rows.c.id, *(column.label(f"p{n}") for n, column in enumerate(columns)))
        page = page.order_by(*sort_terms(complete, backward=backward)).limit(bindparam("size"))
        values = {"size": size}
        if place is not None:
            page = page.where(beyond(complete, [value is None for value in place], connection.dialect, backward=backward))
            values |= {f"place_{n}": value for n, value in enumerate(place)}
        found = connection.execute(page, values).all()
        met += [row[0] for row in found]
        if len(found) < size:
            break
        cursor = encode_cursor("mark", found[-1][1:])
        place = decode_cursor(cursor, "mark", complete, "after")
    assert met == (expected(order, data)[::-1] if backward else expected(order, data))


def test_an_order_that_names_the_key_is_complete_already():
    order = (Order(rows.c.id, descending=True),)
    assert complete_order(order, rows.c.id) == order


def test_the_key_goes_in_the_direction_of_the_first_term():
    (_, key) = complete_order((Order(rows.c.a, descending=True),), rows.c.id)
    assert (key.expression, key.descending, key.nullable) == (rows.c.id, True, False)


def test_a_fingerprint_tells_lists_apart():
    assert fingerprint("Query.books", [("genre", "science")]) != fingerprint("Query.books", [("genre", "poetry")])
    assert fingerprint("Query.books", []) == fingerprint("Query.books", [])


@given(some.text())
def test_no_text_is_a_surprise_as_a_cursor(text):
    with pytest.raises(InvalidInput):
        decode_cursor(text, "mark", (Order(rows.c.id),), "after")


def test_a_null_that_the_order_excludes_is_no_cursor():
    with pytest.raises(InvalidInput, match="not a cursor"):
        decode_cursor(encode_cursor("mark", [None]), "mark", (Order(rows.c.id),), "after")


def test_stored_integers_have_64_bits():
    assert [is_stored_integer(number) for number in (-(2**63) - 1, -(2**63), 2**63 - 1, 2**63)] == [False, True, True, False]


def test_values_of_a_cursor_are_bound_as_they_are():
    """They are in stored form; the column's own converter would take them for Python values."""
    times = Table("times", MetaData(), Column("id", UuidColumn(), primary_key=True), Column("at", TimeColumn()))
    order = (Order(times.c.at, descending=True, nullable=True), Order(times.c.id, descending=True))
    place = {"place_0": "2026-11-21T00:00:00.000000Z", "place_1": "00000000-0000-0000-0000-000000000001"}
    after = beyond(order, [False, False], sqlite.dialect(), backward=False)
    values = Statement(select(times.c.id).where(after), sqlite.dialect()).values(place)
    assert set(values) == set(place.values())
