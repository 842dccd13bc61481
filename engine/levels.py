"""The run-time half of a plan: one level completes one selection set for *all* of its parents at once.

A level first builds its objects with one generated comprehension. Only when that raises does it go object by object, field by
field, so that errors are located and nulls propagate (specification §6.4.4). Then its steps fill in what is not a leaf.
"""

from __future__ import annotations

import abc
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import FieldNode, GraphQLError, VariableValues, located_error
from graphql.pyutils import is_iterable

from core.context import Context
from core.turns import give_way

Path = list[str | int]
Locate = Callable[[int], Path]
"""The response path of the n-th value of a level; called only for errors."""


TURN = 100
"""Objects that are built in one go; then the event loop sees to others."""


class Nulled:
    """Stands for a value that a non-null child made null; whoever holds it must be null in turn."""

    __slots__ = ()


NULLED = Nulled()


@dataclass(slots=True)
class Run:
    """One execution of an operation."""

    ctx: Context
    variables: VariableValues
    errors: list[GraphQLError] = field(default_factory=list)

    def fail(self, error: BaseException, nodes: Sequence[FieldNode], path: Path) -> None:
        """Record an error where it happened."""
        self.errors.append(located_error(error, list(nodes), path))  # type: ignore[arg-type]  # any error, not only Exception


def null_error(label: str) -> GraphQLError:
    """What a missing value of a non-null field is."""
    return GraphQLError(f"Cannot return null for non-nullable field {label}.")


# --- completing --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Position:
    """A place in the response: which field, and whether null is allowed there."""

    label: str
    nodes: Sequence[FieldNode]
    nullable: bool

    def null(self, run: Run, path: Path) -> Any:
        """What a null value becomes."""
        if self.nullable:
            return None
        run.fail(null_error(self.label), self.nodes, path)
        return NULLED

    def failed(self, error: BaseException, run: Run, path: Path) -> Any:
        """What a failed value becomes."""
        run.fail(error, self.nodes, path)
        return None if self.nullable else NULLED

    def settle(self, completed: Any) -> Any:
        """What a value becomes whose child was null where it must not be."""
        return None if completed is NULLED and self.nullable else completed


class Completer(abc.ABC):
    """Turns resolved values into response values, all of a level at once; aligned with its input."""

    def __init__(self, position: Position) -> None:
        self.position = position

    @abc.abstractmethod
    async def complete(self, values: Sequence[Any], run: Run, locate: Locate) -> list[Any]:
        """Values may be None or an exception. A result is NULLED where the null has to go further up."""


class LeafCompleter(Completer):
    """Scalars and enums outside of rows."""

    def __init__(self, position: Position, serialize: Callable[[Any], Any]) -> None:
        super().__init__(position)
        self.serialize = serialize

    async def complete(self, values: Sequence[Any], run: Run, locate: Locate) -> list[Any]:
        return [self._one(value, index, run, locate) for index, value in enumerate(values)]

    def _one(self, value: Any, index: int, run: Run, locate: Locate) -> Any:
        if value is None:
            return self.position.null(run, locate(index))
        if isinstance(value, BaseException):
            return self.position.failed(value, run, locate(index))
        try:
            return self.serialize(value)
        except Exception as error:  # noqa: BLE001  # whatever a scalar raises is that field's error
            return self.position.failed(error, run, locate(index))


class ListCompleter(Completer):
    """Completes the items of all lists together, then deals them out again."""

    def __init__(self, position: Position, items: Completer) -> None:
        super().__init__(position)
        self.items = items

    async def complete(self, values: Sequence[Any], run: Run, locate: Locate) -> list[Any]:
        out: list[Any] = [None] * len(values)
        flat: list[Any] = []
        starts: list[int] = []
        owners: list[int] = []
        for index, value in enumerate(values):
            if value is None:
                out[index] = self.position.null(run, locate(index))
            elif isinstance(value, list | tuple) or is_iterable(value):
                start = len(flat)
                flat.extend(value)
                if len(flat) > start:
                    starts.append(start)
                    owners.append(index)
                out[index] = []
            else:
                out[index] = self.position.failed(_not_a_list(value, self.position.label), run, locate(index))
        if flat:
            failed = len(run.errors)
            done = await self.items.complete(flat, run, _item_path(starts, owners, locate))
            whole = len(run.errors) == failed  # without a new error nothing is nulled
            for start, end, owner in zip(starts, [*starts[1:], len(flat)], owners, strict=True):
                part = done[start:end]
                out[owner] = part if whole or NULLED not in part else self.position.settle(NULLED)
        return out


def _not_a_list(value: Any, label: str) -> BaseException:
    if isinstance(value, BaseException):
        return value
    return GraphQLError(f"Expected Iterable, but did not find one for field '{label}'.")


def _item_path(starts: Sequence[int], owners: Sequence[int], locate: Locate) -> Locate:
    def path(index: int) -> Path:
        span = bisect_right(starts, index) - 1
        return [*locate(owners[span]), index - starts[span]]

    return path


class ObjectCompleter(Completer):
    """Objects of one type."""

    def __init__(self, position: Position, level: Level) -> None:
        super().__init__(position)
        self.level = level

    async def complete(self, values: Sequence[Any], run: Run, locate: Locate) -> list[Any]:
        absent = _absent(values)
        if not absent:
            return await self._build(values, run, locate)
        missing = set(absent)
        present = [index for index in range(len(values)) if index not in missing]
        out: list[Any] = [None] * len(values)
        for index in absent:
            value = values[index]
            path = locate(index)
            out[index] = self.position.null(run, path) if value is None else self.position.failed(value, run, path)
        if present:
            built = await self._build([values[index] for index in present], run, lambda n: locate(present[n]))
            for index, value in zip(present, built, strict=True):
                out[index] = value
        return out

    async def _build(self, values: Sequence[Any], run: Run, locate: Locate) -> list[Any]:
        failed = len(run.errors)
        built = await self.level.complete(values, run, locate)
        return built if len(run.errors) == failed else list(map(self.position.settle, built))


def _absent(values: Sequence[Any]) -> list[int]:
    """Which of them are None or an exception; their classes tell in one go that none is."""
    if not any(issubclass(kind, _ABSENT) for kind in set(map(type, values))):
        return []
    return [index for index, value in enumerate(values) if isinstance(value, _ABSENT)]


_ABSENT = (type(None), BaseException)


@dataclass(frozen=True, slots=True)
class Typed:
    """A value of an abstract field with the name of its type beside it."""

    type_name: str
    value: Any


class AbstractCompleter(Completer):
    """Interfaces and unions: one level per possible type."""

    def __init__(self, position: Position, levels: Mapping[str, Level], type_of: Callable[[Any], str], abstract: str) -> None:
        super().__init__(position)
        self.levels, self.type_of, self.abstract = levels, type_of, abstract

    async def complete(self, values: Sequence[Any], run: Run, locate: Locate) -> list[Any]:
        out: list[Any] = [None] * len(values)
        by_type: dict[str, list[int]] = {}
        for index, value in enumerate(values):
            if value is None:
                out[index] = self.position.null(run, locate(index))
                continue
            try:
                by_type.setdefault(self._type_name(value), []).append(index)
            except Exception as error:  # noqa: BLE001  # the value's own error, or an unknown type: located here
                out[index] = self.position.failed(error, run, locate(index))
        for name, indices in by_type.items():
            inner = [value.value if isinstance(value := values[index], Typed) else value for index in indices]
            built = await self.levels[name].complete(inner, run, lambda n, indices=indices: locate(indices[n]))  # type: ignore[misc]  # mypy infers no lambda with a default
            for index, value in zip(indices, built, strict=True):
                out[index] = self.position.settle(value)
        return out

    def _type_name(self, value: Any) -> str:
        if isinstance(value, BaseException):
            raise value
        name = value.type_name if isinstance(value, Typed) else self.type_of(value)
        if name not in self.levels:
            raise GraphQLError(f"Abstract type '{self.abstract}' was resolved to a type '{name}' that is none of its own.")
        return name


# --- steps -------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Step(abc.ABC):
    """Resolves one field that is not a leaf of its row, for all parents, and completes it into their objects."""

    key: str
    completer: Completer

    @abc.abstractmethod
    async def values(self, parents: Sequence[Any], run: Run, locate: Locate) -> Sequence[Any]:
        """One value (or None, or an exception) per parent. What it raises is the error of each parent."""

    async def fill(self, parents: Sequence[Any], objects: list[Any], run: Run, locate: Locate) -> None:
        """Put this field into every object that is still alive; an object dies if the field is null and must not be."""
        live = [index for index, built in enumerate(objects) if built is not NULLED] if run.errors else range(len(objects))
        if not live:
            return

        def path(index: int) -> Path:
            return [*locate(live[index]), self.key]

        some = parents if len(live) == len(objects) else [parents[index] for index in live]
        try:
            values = await self.values(some, run, path)
        except Exception as error:  # noqa: BLE001  # the error of this field, for every parent
            values = [error] * len(live)
        for index, value in zip(live, await self.completer.complete(values, run, path), strict=True):
            if value is NULLED:
                objects[index] = NULLED
            else:
                objects[index][self.key] = value


@dataclass(frozen=True, slots=True)
class LeafReader:
    """One leaf of a level, for the slow way."""

    key: str
    read: Callable[[Any], Any]
    position: Position


@dataclass(frozen=True, slots=True)
class Level:
    """One selection set on one concrete type: its leaves in one comprehension, then its steps, in order."""

    type_name: str
    keys: Sequence[str]
    build: Callable[[Sequence[Any]], list[Any]]
    leaves: Sequence[LeafReader]
    steps: Sequence[Step]

    async def complete(self, parents: Sequence[Any], run: Run, locate: Locate) -> list[Any]:
        """An object (or NULLED) per parent."""
        objects = self._build(parents[:TURN], run, locate)
        for begun in range(TURN, len(parents), TURN):
            await give_way()
            objects += self._build(parents[begun : begun + TURN], run, lambda index, begun=begun: locate(begun + index))  # type: ignore[misc]  # as above
        for step in self.steps:
            await step.fill(parents, objects, run, locate)
        return objects

    def _build(self, parents: Sequence[Any], run: Run, locate: Locate) -> list[Any]:
        try:
            return self.build(parents)
        except Exception:  # noqa: BLE001  # some leaf of some parent is broken: find out which
            return [self._build_one(parent, run, locate(index)) for index, parent in enumerate(parents)]

    def _build_one(self, parent: Any, run: Run, path: Path) -> Any:
        built: dict[str, Any] = dict.fromkeys(self.keys)
        for leaf in self.leaves:
            try:
                built[leaf.key] = leaf.read(parent)
            except Exception as error:  # noqa: BLE001  # whatever reading raises is that field's error
                built[leaf.key] = leaf.position.failed(error, run, [*path, leaf.key])
                if built[leaf.key] is NULLED:
                    return NULLED
        return built
