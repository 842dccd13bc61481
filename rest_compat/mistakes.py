"""Mistakes in operation documents: each with its place, all of them reported together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graphql import GraphQLError, Node, get_location


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a document, written as editors and terminals link it."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    @classmethod
    def of(cls, node: Node) -> Place:
        """Where a node begins."""
        assert node.loc is not None, "documents are parsed with locations"
        at = get_location(node.loc.source, node.loc.start)
        return cls(node.loc.source.name, at.line, at.column)


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """What is wrong, and where."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"

    @classmethod
    def at(cls, node: Node, message: str) -> Mistake:
        """A mistake at a node."""
        return cls(Place.of(node), message)

    @classmethod
    def of(cls, error: GraphQLError) -> Mistake:
        """From what graphql-core found; a syntax error has a position but no node."""
        if error.nodes:
            return cls.at(error.nodes[0], error.message)
        assert error.source is not None
        assert error.locations is not None
        where = error.locations[0]
        return cls(Place(error.source.name, where.line, where.column), error.message)


class DocumentErrors(Exception):
    """The operation documents cannot be served; nothing starts."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(set(mistakes)))
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))
