"""The seam between the engine, which composes SQL, and the stores, which run it.

A `Statement` is a SQLAlchemy Core statement compiled once for one dialect: text, order of its parameters, converters into
stored form. What comes back are raw rows in stored form; whoever asked knows how to read them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement

from core.watching import watching

Row = Sequence[Any]

Bound = tuple[str, Sequence[object]]
"""The text of a statement, and its values in stored form."""


class SqlStore(Protocol):
    """A relational store as the engine sees it."""

    @property
    def dialect(self) -> Dialect:
        """For which to compile."""

    async def fetch(self, text: str, values: Sequence[object]) -> list[Row]:
        """Run one read statement and return all of its raw rows. Raises `Unavailable` when the store does not answer."""

    async def fetch_all(self, queries: Sequence[Bound]) -> list[list[Row]]:
        """The same for some of them, one after the other: to ask once is cheaper than to ask for each."""


class Statement:
    """SQL text with its parameters in order. `fetch` takes them by name and returns raw rows.

    `name` is for operators: the relation of a plan, and what of it is read.
    """

    __slots__ = ("_binds", "name", "text")

    def __init__(self, clause: ClauseElement, dialect: Dialect, name: str = "") -> None:
        self.name = name
        compiled: Any = clause.compile(dialect=dialect)
        self.text: str = str(compiled)
        names: Sequence[str] = compiled.positiontup if compiled.positional else list(compiled.binds)
        self._binds = [_bind(compiled.binds[name], dialect) for name in names]

    def values(self, arguments: Mapping[str, object]) -> list[object]:
        """The parameters in the order of the text, converted to stored form."""
        return [read(arguments) for read in self._binds]

    async def fetch(self, store: SqlStore, **arguments: object) -> list[Row]:
        """Run it; raw rows."""
        watch = watching.get()
        if watch is None:
            return await store.fetch(self.text, self.values(arguments))
        with watch.statement(self.name, self.text):
            return await store.fetch(self.text, self.values(arguments))


async def fetch_all(store: SqlStore, asked: Sequence[tuple[Statement, Mapping[str, object]]]) -> list[list[Row]]:
    """Run statements, each with its parameters by name, as one errand; the raw rows of each."""
    queries = [(statement.text, statement.values(arguments)) for statement, arguments in asked]
    watch = watching.get()
    if watch is None:
        return await store.fetch_all(queries)
    with ExitStack() as stack:
        for statement, _ in asked:
            stack.enter_context(watch.statement(statement.name, statement.text))
        return await store.fetch_all(queries)


def _bind(parameter: Any, dialect: Dialect) -> Callable[[Mapping[str, object]], object]:
    """How to find one parameter's value: given by the caller, or a constant of the statement."""
    key: str = parameter.key
    processor = parameter.type.dialect_impl(dialect).bind_processor(dialect)
    if not parameter.required:
        constant = parameter.value if parameter.callable is None else parameter.callable()
        stored = processor(constant) if processor else constant
        return lambda _: stored
    if processor is None:
        return lambda arguments: arguments[key]
    return lambda arguments: processor(arguments[key])
