"""A schema that leaves something open does not start. Every way to leave something open is a test."""

import pytest
import strawberry
from graphql import get_named_type, is_object_type
from sqlalchemy.dialects import sqlite
from strawberry.schema.config import StrawberryConfig

import schema.root
from core.errors import NotSupported
from engine.connection import Connection
from engine.declare import ascending, batch, column, kind_of, lookup, many, one, resolver, stored, stored_type
from engine.graph import Graph
from engine.kinds import Batch, Column, GlobalId, Many, One, Some
from engine.scalars import SCALARS
from tests.engine.world import Book, Genre, Person, books, own_or_free, people, signed_in


def gaps(query, **roots):
    """What a start with that schema complains about."""
    built = strawberry.Schema(query=query, config=StrawberryConfig(scalar_map=SCALARS), **roots)
    with pytest.raises(NotSupported) as refusal:
        Graph(built, sqlite.dialect())
    return [line.strip() for line in refusal.value.detail.splitlines()[1:]]


def query(**fields):
    return strawberry.type(type("Query", (), {"__annotations__": {name: kind for name, (kind, _) in fields.items()}} | {name: value for name, (_, value) in fields.items()}), description="Reading.")  # fmt: skip


def test_a_root_without_a_guard():
    @strawberry.type(description="Reading.")
    class Query:
        @strawberry.field(description="Unguarded.")
        def hello(self) -> str:
            return ""

    assert gaps(Query) == ["Query.hello has no guard"]


def test_a_column_of_a_type_that_is_not_stored():
    @strawberry.type(description="Loose.")
    class Loose:
        name: str = column(people.c.name, "Name.")
        words: list[str] = batch(None, "Words.", needs=())  # type: ignore[arg-type]

    @strawberry.type(description="Reading.")
    class Query:
        @resolver("Loose.", guard=signed_in)
        def loose(self) -> Loose: ...

    open_ = "is stored, but its type does not say where and for whom (@stored)"
    assert gaps(Query) == [f"Loose.name {open_}", f"Loose.words {open_}"]


def test_a_resolver_on_a_stored_type():
    @stored(people, visible=own_or_free)
    class Somebody:
        """Somebody."""

        name: str = column(people.c.name, "Name.")

        @strawberry.field(description="Per row.")
        async def late(self) -> int: ...

    assert gaps(query(somebody=(Somebody | None, lookup(str, "One.", guard=signed_in)))) == [
        "Somebody.late is neither column, one, many nor batch: it would be called for every row"
    ]


def test_an_edge_that_could_not_be_hidden():
    @stored(books, visible=own_or_free)
    class Volume:
        """A volume."""

        author: Person = one(books.c.author_id, "Who wrote it.")

    assert gaps(query(volume=(Volume | None, lookup(str, "One.", guard=signed_in)))) == [
        "Volume.author must be nullable: a viewer may not see the row"
    ]


def test_a_batch_from_a_column_that_is_hidden():
    @stored(people, visible=own_or_free)
    class Writer:
        """A writer."""

        name: str | None = column(people.c.name, "Name.", allowed=lambda _: False)
        age: int | None = column(people.c.age, "Age.")
        initials: str | None = batch(None, "From what is hidden.", needs=(people.c.age, people.c.name))  # type: ignore[arg-type]  # it is never called
        decade: int | None = batch(None, "From what is not.", needs=(people.c.age, people.c.id))  # type: ignore[arg-type]  # it is never called

    assert gaps(query(writer=(Writer | None, lookup(str, "One.", guard=signed_in)))) == [
        "Writer.initials is made from people.name, which is not shown to everybody"
    ]


def test_a_resolver_that_returns_rows():
    @strawberry.type(description="Reading.")
    class Query:
        @resolver("One.", guard=signed_in)
        def book(self) -> Book | None: ...

        @resolver("Many.", guard=signed_in)
        def books(self) -> Connection[Book]: ...

    message = "returns rows without saying which (one, many)"
    assert gaps(Query) == [f"Query.book {message}", f"Query.books {message}"]


def test_lists_that_are_out_of_place():
    @stored(people, visible=own_or_free)
    class Writer:
        """A writer."""

        everything: Connection[Book] = many(ascending(books.c.title), "All books, whoever wrote them.")

    found = gaps(
        query(
            writer=(Writer | None, lookup(str, "One.", guard=signed_in)),
            books=(Connection[Book], many(ascending(books.c.title), "Whose?", parent=books.c.author_id, guard=signed_in)),
        )
    )
    assert found == [
        "Query.books is stored, but its type does not say where and for whom (@stored)",
        "Writer.everything finds rows without a parent, which only a root may",
    ]


def test_whatever_has_no_description():
    @strawberry.type
    class Plain:
        name: str = ""

    @strawberry.type(description="Reading.")
    class Query:
        @resolver("Plain.", guard=signed_in)
        def plain(self, genre: Genre) -> Plain: ...

    assert gaps(Query) == [
        "Query.plain(genre) has no description",
        "Plain has no description",
        "Plain.name has no description",
    ]


def test_every_field_of_the_real_stored_types_is_read_level_by_level():
    """A resolver per leaf, and an async one above all, costs six times as much on lists."""
    built = schema.root.build_schema()._schema
    kinds = [kind for kind in built.type_map.values() if is_object_type(kind) and stored_type(kind) is not None]
    assert kinds
    for kind in kinds:
        for name, field in kind.fields.items():
            assert isinstance(kind_of(field), Column | GlobalId | One | Some | Many | Batch), f"{kind.name}.{name}"


def test_the_real_lists_lead_to_stored_types():
    built = schema.root.build_schema()._schema
    of_other_stores = {"LookupItemConnection"}  # pages that a batch makes of what is reached through a stored type only
    for name, kind in built.type_map.items():
        if name.endswith("Connection") and name not in of_other_stores:
            assert stored_type(get_named_type(kind.fields["nodes"].type)) is not None, name
