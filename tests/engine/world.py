"""A small graph of books with tables of its own, a store that counts statements, and both ways to run an operation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Annotated, Any
from uuid import UUID

import orjson
import sqlalchemy
import strawberry
from graphql import parse, validate
from sqlalchemy import Boolean, Column, Float, Integer, MetaData, Table, false, or_, select, true
from strawberry.schema.config import StrawberryConfig

from core.context import Context
from core.errors import Conflict, Forbidden, Unauthenticated
from core.identity import Principal, Principals
from core.sql import Bound, Row
from engine.admission import Admission
from engine.choices import choice, choices
from engine.connection import Connection, page_of, slice_of
from engine.constraints import Constraint, ConstraintDirective
from engine.declare import (
    INCLUDE_DELETED,
    Argument,
    Node,
    Viewer,
    ascending,
    batch,
    column,
    descending,
    equals,
    lookup,
    many,
    node_lookup,
    one,
    own_row,
    pieces,
    resolver,
    stored,
    stream,
)
from engine.graph import Graph
from engine.keyset import encode_cursor, fingerprint, read_cursor
from engine.kinds import Asked
from engine.operation import Operation, Outcome
from engine.reference import Reference
from engine.scalars import JSON, SCALARS, Long
from engine.selections import operation_of
from storage.sql.database import Database
from storage.sql.types import EnumColumn, JsonColumn, TimeColumn, UuidColumn, text

HOUSE = "library"


class Genre(StrEnum):
    """What kind of book."""

    SCIENCE = "science"
    POETRY = "poetry"


strawberry.enum(Genre, description="What kind of book.")

# --- tables: laxer than the graph, so that stored data can be broken ----------------------------------------------------

metadata = MetaData()
people = Table(
    "people",
    metadata,
    Column("id", UuidColumn(), primary_key=True),
    Column("name", text()),
    Column("rank", Integer),
    Column("age", Integer),
    Column("deleted_at", TimeColumn()),
)
books = Table(
    "books",
    metadata,
    Column("id", UuidColumn(), primary_key=True),
    Column("title", text()),
    Column("genre", EnumColumn(Genre)),
    Column("pages", Integer),
    Column("size", sqlalchemy.BigInteger),
    Column("price", Float),
    Column("lent", Boolean),
    Column("notes", JsonColumn()),
    Column("printed_at", TimeColumn()),
    Column("author_id", UuidColumn()),
    Column("sequel_of", UuidColumn()),
    Column("owner_id", UuidColumn()),
    Column("deleted_at", TimeColumn()),
)
copies = Table(
    "copies",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("book_id", UuidColumn(), nullable=False),
    Column("shelf", text()),
    Column("bought", Integer, nullable=False),
)

# --- who may ---------------------------------------------------------------------------------------------------------


def signed_in(ctx: Context) -> None:
    if not ctx.principals:
        raise Unauthenticated


def librarian(ctx: Context) -> None:
    signed_in(ctx)
    if dict(ctx.principals.shape).get(HOUSE) != "admin":
        raise Forbidden("librarians only")


def is_admin(viewer: Viewer) -> bool:
    return viewer.role(HOUSE) == "admin"


def members(viewer: Viewer) -> Any:
    return false() if viewer.role(HOUSE) is None else true()


def own_or_free(viewer: Viewer) -> Any:
    """Books without an owner for everybody, the others for their owners and for admins."""
    if viewer.role(HOUSE) is None:
        return false()
    if is_admin(viewer):
        return true()
    return or_(books.c.owner_id.is_(None), books.c.owner_id == viewer.subject(HOUSE, books.c.owner_id))


def copies_of_visible_books(viewer: Viewer) -> Any:
    return select(books.c.id).where(books.c.id == copies.c.book_id, own_or_free(viewer)).correlate(copies).exists()


# --- stored types -------------------------------------------------------------------------------------------------------


async def popularity(ctx: Context, rows: Sequence[Sequence[Any]]) -> list[Any]:
    """How often it was lent; some are broken, and a title `fail all` fails the whole batch."""
    ctx.services.batches.append(len(rows))
    await asyncio.sleep(0)
    if any(title == "fail all" for title, _ in rows):
        raise Conflict("no popularity today")
    return [ValueError("unheard of") if pages == 13 else None if pages == 14 else pages for _, pages in rows]


async def words(ctx: Context, rows: Sequence[Sequence[Any]]) -> list[Any]:
    return [title.split() if title else None for (title,) in rows]


PersonRef = Annotated["Person", strawberry.lazy("tests.engine.world")]
BookRef = Annotated["Book", strawberry.lazy("tests.engine.world")]
CopyRef = Annotated["Copy", strawberry.lazy("tests.engine.world")]
SHELF = {"shelf": equals(copies.c.shelf, str, "Only on this shelf.")}
BOOK_FILTERS = {
    "genre": equals(books.c.genre, Genre, "Only of this genre."),
    "title": equals(books.c.title, str, "Only of this title."),
    "size": equals(books.c.size, Long, "Only of this size."),
    "include_deleted": INCLUDE_DELETED,
}
BOOK_CHOICES = choices(
    "Book",
    {
        "local_id": choice(books.c.id, UUID, "Key.", sortable=False),
        "title": choice(books.c.title, str, "Title."),
        "genre": choice(books.c.genre, Genre, "Genre."),
        "pages": choice(books.c.pages, int, "How many pages."),
        "size": choice(books.c.size, Long, "Bytes."),
        "price": choice(books.c.price, float, "Price."),
        "lent": choice(books.c.lent, bool, "Whether it is lent.", sortable=False),
        "printed_at": choice(books.c.printed_at, datetime, "When."),
        "sequel_of": choice(books.c.sequel_of, UUID, "What it goes on from."),
    },
)
PERSON_CHOICES = choices(
    "Person",
    {
        "name": choice(people.c.name, str, "Name."),
        "age": choice(people.c.age, int, "For admins.", allowed=is_admin),
    },
)
BY_PRICE = (*descending(books.c.price), *ascending(books.c.title))


@stored(people, visible=members)
class Person(Node):
    """Somebody who writes."""

    local_id: UUID = column(people.c.id, "Key.")
    name: str = column(people.c.name, "Name.")
    rank: int | None = column(people.c.rank, "Rank.")
    age: int | None = column(people.c.age, "For admins.", allowed=is_admin)
    books: Connection[BookRef] = many(
        ascending(books.c.title), "Books.", parent=books.c.author_id, arguments=BOOK_FILTERS, choices=BOOK_CHOICES
    )


@strawberry.type(description="A letter of a title.")
class Letter:
    sign: str = strawberry.field(description="The letter.")
    place: int = strawberry.field(description="Where it stands.")


async def letters(ctx: Context, rows: Sequence[Sequence[Any]], asked: Asked) -> list[Any]:
    """A page for each title; titles with an X have none."""
    ctx.services.asked.append(asked)
    return [_letters(title or "", asked) for (title,) in rows]


def _letters(title: str, asked: Asked) -> Any:
    if "X" in title:
        return Conflict("no letters")
    beyond = asked.arguments.get("beyond") or ""
    found = [Letter(sign=sign, place=place) for place, sign in enumerate(title) if sign > beyond]
    wanted, mark = slice_of(asked.arguments, 50), fingerprint("letters", title, beyond)
    if wanted.cursor is not None:
        place = read_cursor(wanted.cursor, mark, [lambda value: isinstance(value, int)], wanted.cursor_argument)
        wanted = replace(wanted, place=tuple(place))
    read = found[::-1] if wanted.backward else found
    if wanted.place is not None:
        (at,) = wanted.place
        read = [each for each in read if (each.place < at if wanted.backward else each.place > at)]
    read = read[wanted.offset :][: wanted.size + 1]
    return page_of(read, wanted, lambda letter: encode_cursor(mark, [letter.place]), len(found) if asked.total else None)


@stored(books, visible=own_or_free)
class Book(Node):
    """Something to read."""

    local_id: UUID = column(books.c.id, "Key.")
    title: str = column(books.c.title, "Title.")
    genre: Genre = column(books.c.genre, "Genre.")
    pages: int = column(books.c.pages, "How many pages.")
    size: Long | None = column(books.c.size, "Bytes.")
    price: float | None = column(books.c.price, "Price.")
    lent: bool = column(books.c.lent, "Whether it is lent.")
    notes: JSON | None = column(books.c.notes, "Notes.")
    strict_notes: JSON = column(books.c.notes, "Notes that must be there.")
    printed_at: datetime | None = column(books.c.printed_at, "When.")
    secret: str | None = column(books.c.title, "For admins.", allowed=is_admin)
    label: str = column(books.c.title, "For admins, too.", allowed=is_admin, otherwise="hidden")
    author: PersonRef | None = one(books.c.author_id, "Who wrote it.")
    censor: PersonRef | None = one(books.c.author_id, "For admins.", allowed=is_admin)
    sequel_of: BookRef | None = one(books.c.sequel_of, "What it goes on from.")
    sequels: Connection[BookRef] = many(BY_PRICE, "What goes on from it.", parent=books.c.sequel_of)
    copies: Connection[CopyRef] = many(
        ascending(copies.c.shelf), "Where it stands.", parent=copies.c.book_id, arguments=SHELF, largest_page=50
    )
    popularity: int = batch(popularity, "How often it was lent.", needs=(books.c.title, books.c.pages))
    words: list[str] | None = batch(words, "Words of the title.", needs=(books.c.title,))
    letters: Connection[Letter] | None = batch(
        letters,
        "Letters of the title, which no table holds.",
        needs=(books.c.title,),
        arguments={"beyond": (str | None, "Only letters behind this one.")},
        largest_page=50,
    )


@stored(copies, visible=copies_of_visible_books, noun="Printed copy")
class Copy(Node):
    """One copy of a book."""

    local_id: int = column(copies.c.number, "Key.")
    shelf: str | None = column(copies.c.shelf, "Where.")
    bought: int = column(copies.c.bought, "When.")
    book: BookRef | None = one(copies.c.book_id, "Of what.")


# --- objects -------------------------------------------------------------------------------------------------------------


def argument(kind: Any, description: str, **bounds: Any) -> Any:
    directives = [Constraint(**bounds).directive()] if bounds else []
    return Annotated[kind, strawberry.argument(description=description, directives=directives)]


Count = argument(int, "How many.")
Text_ = argument(str, "What to say.")
Times = argument(int, "How often.", max=3)
Work = argument(bool, "Whether it works.")


@strawberry.interface(description="Where something is.")
class Place:
    name: str = strawberry.field(description="Name.")


@strawberry.type(description="A room.")
class Room(Place):
    seats: int | None = strawberry.field(description="Seats.", default=None)

    @strawberry.field(description="Doors, found at leisure.")
    async def doors(self, count: Count = 2) -> list[str | None]:
        await asyncio.sleep(0)
        return [f"door {index}" if index != 2 else None for index in range(count)]


@strawberry.type(description="A box.")
class Box(Place):
    weight: float = strawberry.field(description="Weight.", default=1.5)
    content: list[
        Annotated[
            Room | Annotated[Box, strawberry.lazy("tests.engine.world")],
            strawberry.union("Content", description="What a box holds."),
        ]
    ] = strawberry.field(description="What is in it.", default_factory=list)

    @strawberry.field(description="Breaks for heavy boxes.")
    def strength(self) -> int:
        if self.weight > 2:
            raise Conflict("too heavy")
        return 3


@strawberry.input(description="A new title.")
class Renaming:
    book_id: UUID = strawberry.field(description="Which book.")
    title: str = strawberry.field(description="The title.", directives=[Constraint(max_length=12).directive()])


Input = argument(Renaming, "What to rename.")


@strawberry.type(description="What was renamed.")
class RenamePayload:
    book_id: strawberry.Private[UUID]
    book: Book | None = one("book_id", "The book.")
    note: str = strawberry.field(description="A remark.", default="done")


def with_card(_: Context, arguments: Mapping[str, Any]) -> None:
    if arguments["card"] != "valid":
        raise Forbidden("no card")


CARD = {"card": Argument(str, None, None, "The card.")}
BY_TITLE = ascending(books.c.title)


@dataclass
class Services:
    """What resolvers find, and what was done."""

    places: Any = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    database: Database | None = None


@strawberry.type(description="Reading.")
class Query:
    me: Person | None = own_row(HOUSE, "Whoever asks.", guard=signed_in)
    book: Book | None = lookup(UUID, "A book.", guard=signed_in)
    copy: Copy | None = lookup(int, "A copy.", guard=signed_in)
    lent_copy: Copy | None = lookup(
        int, "A copy, for readers with a card.", guard=signed_in, reach=with_card, beside={"card": (str, "The card.")}
    )
    big_copy: Copy | None = lookup(Long, "A copy.", guard=signed_in)
    books: Connection[Book] = many(
        ascending(books.c.title),
        "Books.",
        guard=signed_in,
        arguments=BOOK_FILTERS,
        largest_page=100,
        choices=BOOK_CHOICES,
    )
    books_by_price: Connection[Book] = many(BY_PRICE, "Books, dearest first.", guard=signed_in)
    persons: Connection[Person] = many(ascending(people.c.name), "People.", guard=signed_in, choices=PERSON_CHOICES)
    lent_books: Connection[Book] | None = many(
        BY_TITLE, "Books, for readers with a card.", guard=signed_in, arguments=CARD, reach=with_card
    )
    people: Connection[Person] = many(ascending(people.c.name), "People.", guard=librarian)
    node: Node | None = node_lookup("Anything.", guard=signed_in)

    @resolver("Places.", guard=signed_in)
    def places(self, info: strawberry.Info) -> list[Place | None]:
        return info.context.services.places

    @resolver("A place that must be there.", guard=signed_in)
    async def first_place(self, info: strawberry.Info) -> Place:
        await asyncio.sleep(0)
        return info.context.services.places[0]

    @resolver("Boxes.", guard=signed_in)
    def boxes(self, info: strawberry.Info) -> list[Box] | None:
        return [place for place in info.context.services.places if isinstance(place, Box)]

    @resolver("What is said.", guard=signed_in)
    def echo(self, text: Text_, times: Times = 1) -> str | None:
        return text * times if text != "nothing" else None

    @resolver("Where it was asked.", guard=signed_in)
    def here(self, info: strawberry.Info) -> str:
        return f"{info.field_name} {info.path.as_list()} {info.variable_values}"

    @resolver("Numbers, some of them late.", guard=signed_in)
    def numbers(self) -> list[int | None]:
        async def late(number: int) -> int:
            await asyncio.sleep(0)
            if number == 3:
                raise Conflict("no three")
            return number

        return [1, late(2), late(3), None]  # type: ignore[list-item]

    @resolver("An error that is returned.", guard=signed_in)
    def returned(self) -> str | None:
        return Conflict("returned")  # type: ignore[return-value]


@strawberry.type(description="Changing.")
class Mutation:
    @resolver("Rename a book.", guard=signed_in)
    async def rename(self, info: strawberry.Info, input: Input) -> RenamePayload:  # noqa: A002  # the graph's name
        ctx = info.context
        ctx.services.log.append(f"rename {input.title}")
        if input.title == "taken":
            raise Conflict("taken")
        async with ctx.services.database.transaction() as transaction:
            await transaction.update(books, input.book_id, title=input.title)
        return RenamePayload(book_id=input.book_id)

    @resolver("Must work.", guard=signed_in)
    async def must(self, info: strawberry.Info, work: Work) -> str:
        info.context.services.log.append(f"must {work}")
        if not work:
            raise Conflict("does not work")
        return "works"


async def count_up(ctx: Context, arguments: Mapping[str, Any]) -> AsyncGenerator[int | None, None]:
    """Breaks at 13; no number is 3."""
    try:
        for number in range(arguments["to"]):
            if number == 13:
                raise Conflict("unlucky")
            yield None if number == 3 else number
    finally:
        ctx.services.log.append("counted")


@strawberry.type(description="Streams.")
class Subscription:
    numbers: int = pieces(
        count_up, "Numbers from 0 on.", guard=signed_in, arguments={"to": (int, "Up to this one, which is not among them.")}
    )
    all_books: list[Book] = stream(ascending(books.c.title), "Every book.", guard=signed_in, arguments=BOOK_FILTERS, batch=3)


@cache
def build_schema() -> strawberry.Schema:
    return strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[Room, Box, Copy],
        schema_directives=[ConstraintDirective],
        config=StrawberryConfig(scalar_map=SCALARS),
    )


# --- running -------------------------------------------------------------------------------------------------------------


@dataclass
class CountingStore:
    """A `core.sql.SqlStore` that writes down what it is asked, and may fail on a statement that names something."""

    database: Database
    texts: list[str] = field(default_factory=list)
    values: list[list[object]] = field(default_factory=list)
    fail_on: str | None = None

    @property
    def dialect(self) -> Any:
        return self.database.dialect

    async def fetch(self, text: str, values: Sequence[object]) -> list[Row]:
        (rows,) = await self.fetch_all([(text, values)])
        return rows

    async def fetch_all(self, queries: Sequence[Bound]) -> list[list[Row]]:
        for asked, values in queries:
            self.texts.append(asked)
            self.values.append(list(values))
            if self.fail_on is not None and self.fail_on in asked:
                raise Conflict("the store is down")
        return await self.database.fetch_all(queries)


OWNER, STRANGER, ADMIN = UUID(int=1), UUID(int=2), UUID(int=3)


def principals(role: str | None, subject: UUID = OWNER) -> Principals:
    return Principals([] if role is None else [Principal(HOUSE, subject, role)])


@dataclass
class World:
    """The graph over one database, asked by an admin unless said otherwise."""

    graph: Graph
    store: CountingStore
    services: Services = field(default_factory=Services)
    viewer: Principals = field(default_factory=lambda: principals("admin", ADMIN))

    def context(self) -> Context:
        self.services.database = self.store.database
        return Context(sql=self.store, principals=self.viewer, services=self.services, report=lambda _: "error-1")

    def prepare(self, text: str, name: str | None = None) -> Operation:
        document = parse(text)
        assert validate(self.graph.schema, document) == []
        return self.graph.prepare(document, name)

    async def run(self, text: str, variables: Mapping[str, Any] | None = None, name: str | None = None) -> Outcome:
        return await self.prepare(text, name).execute(self.context(), variables or {})

    async def reference(self, text: str, variables: Mapping[str, Any] | None = None) -> Outcome:
        return await reference(self.graph, text).execute(self.context(), variables or {})

    async def data(self, text: str, variables: Mapping[str, Any] | None = None) -> Any:
        """The data of an operation that succeeds, and leaves the store's notes about it alone."""
        self.store.texts.clear()
        self.store.values.clear()
        outcome = await self.run(text, variables)
        assert outcome.errors == []
        return loaded(outcome)

    async def stream(self, text: str, variables: Mapping[str, Any] | None = None) -> list[Outcome]:
        return [outcome async for outcome in self.prepare(text).stream(self.context(), variables or {})]

    async def add(self, table: Table, *rows: Mapping[str, Any]) -> None:
        """Store rows as they are given, whatever the column types think of them."""
        async with self.store.database.transaction() as transaction:
            for row in rows:
                raw = sqlalchemy.table(table.name, *(sqlalchemy.column(name) for name in row))
                spelled = _spelled if self.store.dialect.name == "postgresql" else _text_of_uuid
                await transaction.execute(sqlalchemy.insert(raw).values({name: spelled(row[name]) for name in row}))


def _text_of_uuid(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def _spelled(value: Any) -> Any:
    """A literal without a type, which PostgreSQL reads as its column's."""
    return None if value is None else sqlalchemy.literal_column("'" + str(value).replace("'", "''") + "'")


def reference(graph: Graph, text: str) -> Reference:
    """The operation as graphql-core runs it."""
    document = parse(text)
    definition = operation_of(document, None)
    assert definition is not None
    admission = Admission(graph.schema, document, definition, hide_suggestions=False, most_nodes=graph.limits.nodes)
    return Reference(graph.schema, document, definition, admission)


def loaded(outcome: Outcome) -> Any:
    return orjson.loads(orjson.dumps(outcome.data))


def shown(errors: Sequence[Any]) -> list[tuple[str, list[Any] | None]]:
    """Messages and paths."""
    return sorted(((error.message, error.path) for error in errors), key=repr)


def key(number: int) -> UUID:
    return UUID(int=number)


def book(number: int, **columns: Any) -> dict[str, Any]:
    row = {"id": key(number), "title": f"Book {number:02}", "genre": "science", "pages": number, "lent": 0, "notes": "{}"}
    return row | columns
