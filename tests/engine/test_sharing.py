"""Rows that are joined by a table of their own: many to many, keys of several columns, edges to one of several types."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cache
from typing import Annotated, Any
from uuid import UUID

import pytest
import strawberry
from sqlalchemy import Column, Integer, Table, Text, case, cast, func, select
from sqlalchemy.dialects import sqlite
from strawberry.schema.config import StrawberryConfig

from core.errors import NotSupported
from engine.connection import Connection
from engine.constraints import ConstraintDirective
from engine.declare import Viewer, ascending, column, lookup, many, one, since, stored, stream, until, within
from engine.graph import Graph
from engine.scalars import SCALARS
from storage.sql.opening import open_database
from storage.sql.types import TimeColumn, UuidColumn, text
from tests.engine.world import (
    OWNER,
    Book,
    CountingStore,
    Person,
    World,
    book,
    books,
    is_admin,
    key,
    loaded,
    members,
    metadata,
    people,
    principals,
    shown,
    signed_in,
)

loans = Table(
    "loans",
    metadata,
    Column("book_id", UuidColumn(), primary_key=True),
    Column("person_id", UuidColumn(), primary_key=True),
    Column("day", Integer, nullable=False),
)
remarks = Table(
    "remarks",
    metadata,
    Column("id", UuidColumn(), primary_key=True),
    Column("about_type", text(), nullable=False),
    Column("about_id", UuidColumn()),
    Column("made_at", TimeColumn(), nullable=False),
)


@stored(loans, visible=members)
class Loan:
    """Somebody has a book."""

    book_id: UUID = column(loans.c.book_id, "Key of the book.")
    book: Book | None = one(loans.c.book_id, "The book.")
    reader: Person | None = one(loans.c.person_id, "Who has it.")
    day: int = column(loans.c.day, "Since when.")


BY_DAY = ascending(loans.c.day)
Subject = Annotated[Book | Person, strawberry.union("Subject", description="What a remark is about.")]
_names = case((remarks.c.about_type == "book", "Book:"), (remarks.c.about_type == "person", "Person:"))


def _total(viewer: Viewer) -> Any:
    return select(func.count() + 100).select_from(remarks).scalar_subquery() if is_admin(viewer) else None


@stored(remarks, visible=members, total=_total)
class Remark:
    """Something to say."""

    local_id: UUID = column(remarks.c.id, "Key.")
    about: Subject | None = one(_names.cast(text()) + cast(remarks.c.about_id, Text), "What it is about.")


@stored(people, visible=members, noun="Reader")
class Reader:
    """Somebody who reads."""

    local_id: UUID = column(people.c.id, "Key.")
    borrowed: Connection[Book] = many(
        ascending(books.c.title),
        "Books that the reader has.",
        parent=people.c.id,
        related=lambda person: books.c.id.in_(select(loans.c.book_id).where(loans.c.person_id == person)),
    )
    loans: Connection[Loan] = many(BY_DAY, "Loans.", parent=loans.c.person_id)


@strawberry.type(description="Reading.")
class Query:
    readers: Connection[Reader] = many(ascending(people.c.name), "Readers.", guard=signed_in)
    remarks: Connection[Remark] = many(
        ascending(remarks.c.made_at),
        "Remarks.",
        guard=signed_in,
        arguments={"since": since(remarks.c.made_at, "From."), "until": until(remarks.c.made_at, "To.")},
    )
    owned: Book | None = lookup(UUID, "A book that is no secret.", guard=signed_in, denied="not yours")
    loans: Connection[Loan] = many(
        BY_DAY, "Loans of a book.", guard=signed_in, arguments={"book_id": within(Book, loans.c.book_id, "The book.")}
    )


@strawberry.type(description="Streams.")
class Subscription:
    loans_of_book: list[Loan] = stream(
        BY_DAY, "Loans.", guard=signed_in, arguments={"book_id": within(Book, loans.c.book_id, "The book.")}, batch=2
    )


@cache
def _schema() -> strawberry.Schema:
    config = StrawberryConfig(scalar_map=SCALARS)
    return strawberry.Schema(query=Query, subscription=Subscription, schema_directives=[ConstraintDirective], config=config)


@pytest.fixture
async def library(database_url: str) -> AsyncIterator[World]:
    """Book 3 is the owner's, book 4 is deleted. Person 11 has all books, person 12 the first."""
    database = await open_database(database_url)
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    library = World(Graph(_schema(), database.dialect), CountingStore(database))
    await library.add(people, {"id": key(11), "name": "Ada"}, {"id": key(12), "name": "Bob"})
    deleted = {"deleted_at": "2026-11-21T00:00:00.000000Z"}
    await library.add(books, book(1), book(2), book(3, owner_id=OWNER), book(4, **deleted))
    rows = [(1, 11, 3), (2, 11, 2), (3, 11, 1), (4, 11, 1), (1, 12, 9)]
    await library.add(loans, *({"book_id": key(b), "person_id": key(p), "day": day} for b, p, day in rows))
    yield library
    await database.close()


async def both(library: World, query: str) -> Any:
    """What the plan answers, which is what graphql-core answers."""
    data = await library.data(query)
    outcome = await library.reference(query)
    assert (loaded(outcome), outcome.errors) == (data, [])
    return data


async def test_many_to_many(library: World):
    query = "{ readers { nodes { borrowed(first: 2) { totalCount nodes { title } pageInfo { hasNextPage } } } } }"
    ada, bob = (await both(library, query))["readers"]["nodes"]
    titles = [{"title": "Book 01"}, {"title": "Book 02"}]
    assert ada["borrowed"] == {"totalCount": 3, "nodes": titles, "pageInfo": {"hasNextPage": True}}
    assert bob["borrowed"] == {"totalCount": 1, "nodes": titles[:1], "pageInfo": {"hasNextPage": False}}


async def test_it_is_one_statement_for_all_parents_and_one_for_their_counts(library: World):
    await library.data("{ readers { nodes { borrowed { totalCount nodes { title } } } } }")
    assert len(library.store.texts) == 3


async def test_what_is_hidden_is_hidden_there_too(library: World):
    library.viewer = principals("user", key(99))
    ada, _ = (await both(library, "{ readers { nodes { borrowed { totalCount nodes { title } } } } }"))["readers"]["nodes"]
    assert ada["borrowed"] == {"totalCount": 2, "nodes": [{"title": "Book 01"}, {"title": "Book 02"}]}


async def test_rows_with_a_key_of_two_columns(library: World):
    query = "{ readers { nodes { loans(first: 3) { totalCount nodes { day book { title } reader { name } } } } } }"
    ada, bob = (await both(library, query))["readers"]["nodes"]
    assert ada["loans"]["totalCount"] == 4
    # Books 3 and 4 came the same day: the key decides. An edge leads to what is deleted.
    assert [(each["day"], each["book"]["title"]) for each in ada["loans"]["nodes"]] == [
        (1, "Book 03"),
        (1, "Book 04"),
        (2, "Book 02"),
    ]
    assert bob["loans"] == {
        "totalCount": 1,
        "nodes": [{"day": 9, "book": {"title": "Book 01"}, "reader": {"name": "Bob"}}],
    }


async def test_their_cursors(library: World):
    query = "{ readers(first: 1) { nodes { loans(first: 1 %s) { nodes { bookId } pageInfo { endCursor } } } } }"
    seen, after = [], ""
    for _ in range(4):
        (reader,) = (await library.data(query % after))["readers"]["nodes"]
        seen += [each["bookId"] for each in reader["loans"]["nodes"]]
        after = f'after: "{reader["loans"]["pageInfo"]["endCursor"]}"'
    assert seen == [str(key(number)) for number in (3, 4, 2, 1)]


def test_no_edge_leads_to_one_of_them():
    @strawberry.type(description="Reading.")
    class Wrong:
        loan: Loan | None = lookup(UUID, "A loan.", guard=signed_in)

    with pytest.raises(NotSupported, match=r"Wrong\.loan leads to rows with several key columns, which only lists may"):
        Graph(strawberry.Schema(query=Wrong, config=StrawberryConfig(scalar_map=SCALARS)), sqlite.dialect())


async def test_an_edge_to_one_of_several_types(library: World):
    rows = [(1, "book", 1), (2, "person", 11), (3, "book", 3), (4, "ghost", 1), (5, "book", None), (6, "book", 99)]
    at = "2026-11-21T00:00:00.000000Z"
    await library.add(
        remarks,
        *(
            {"id": key(n), "about_type": kind, "about_id": None if about is None else key(about), "made_at": at}
            for n, kind, about in rows
        ),
    )
    library.viewer = principals("user", key(99))
    query = "{ remarks { nodes { about { __typename ... on Book { title } ... on Person { name } } } } }"
    assert [each["about"] for each in (await both(library, query))["remarks"]["nodes"]] == [
        {"__typename": "Book", "title": "Book 01"},
        {"__typename": "Person", "name": "Ada"},
        None,  # somebody else's
        None,
        None,
        None,
    ]
    await library.data(query)
    assert len(library.store.texts) == 1 + 2  # one for each type


async def test_a_list_of_something_that_is_not_there_is_not_found(library: World):
    library.viewer = principals("user", key(99))
    for number in (3, 4, 77):  # hidden, deleted, unknown
        for query in ("{ loans(bookId: $b) { totalCount } }", "subscription { loansOfBook(bookId: $b) { day } }"):
            text_ = query.replace("$b", f'"{key(number)}"')
            outcome = (await library.stream(text_))[0] if "sub" in query else await library.run(text_)
            assert [message for message, _ in shown(outcome.errors)] == ["Book not found"]
    (outcome,) = await library.stream(f'subscription {{ loansOfBook(bookId: "{key(1)}") {{ day }} }}')
    assert loaded(outcome) == {"loansOfBook": [{"day": 3}, {"day": 9}]}


async def test_a_hidden_row_can_be_denied_instead(library: World):
    library.viewer = principals("user", key(99))
    hidden = await library.run(f'{{ owned(localId: "{key(3)}") {{ title }} }}')
    assert shown(hidden.errors) == [("not yours", ["owned"])]
    for number in (4, 77):
        assert await both(library, f'{{ owned(localId: "{key(number)}") {{ title }} }}') == {"owned": None}


async def test_what_is_denied_takes_nothing_from_what_stands_beside_it(library: World):
    library.viewer = principals("user", key(99))
    text = f'{{ own: owned(localId: "{key(1)}") {{ title }} others: owned(localId: "{key(3)}") {{ title }} }}'
    for outcome in (await library.run(text), await library.reference(text)):
        assert loaded(outcome) == {"own": {"title": "Book 01"}, "others": None}
        assert shown(outcome.errors) == [("not yours", ["others"])]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ('since: "2026-11-20"', [2, 3, 4]),
        ('until: "2026-11-20"', [1, 2, 3]),
        ('since: "2026-11-20", until: "2026-11-20"', [2, 3]),
        ('since: "0001-01-01", until: "9999-12-31"', [1, 2, 3, 4]),
    ],
)
async def test_days_are_whole(library: World, arguments: str, found: list[int]):
    moments = ["19T23:59:59.999999", "20T00:00:00.000000", "20T23:59:59.999999", "21T00:00:00.000000"]
    rows = [{"id": key(n), "about_type": "x", "made_at": f"2026-11-{at}Z"} for n, at in enumerate(moments, 1)]
    await library.add(remarks, *rows)
    nodes = (await both(library, f"{{ remarks({arguments}) {{ nodes {{ localId }} }} }}"))["remarks"]["nodes"]
    assert [each["localId"] for each in nodes] == [str(key(number)) for number in found]


async def test_a_type_may_count_in_its_own_way_what_is_not_narrowed(library: World):
    assert (await both(library, "{ remarks { totalCount } }"))["remarks"] == {"totalCount": 100}
    narrowed = '{ remarks(since: "2026-11-21") { totalCount } }'
    assert (await both(library, narrowed))["remarks"] == {"totalCount": 0}
    library.viewer = principals("user")
    assert (await both(library, "{ remarks { totalCount } }"))["remarks"] == {"totalCount": 0}


@pytest.mark.parametrize("value", ["yesterday", "2026-13-01", ""])
async def test_what_is_no_day(library: World, value: str):
    outcome = await library.run("query ($d: Date) { remarks(since: $d) { totalCount } }", {"d": value})
    ((message, _),) = shown(outcome.errors)
    assert f"Date cannot represent '{value}': write it as 2026-11-21" in message
