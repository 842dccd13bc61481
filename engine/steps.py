"""The steps of a level, one class per way in which a field finds its values."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from itertools import islice
from operator import attrgetter, itemgetter
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
    VariableValues,
)
from graphql.pyutils import Path as ResponsePath

from core.context import Context
from core.errors import InvalidInput
from core.ids import GlobalId, decode_global_id
from engine.arguments import Arguments
from engine.kinds import Asked, Batch, Guard, One
from engine.levels import Locate, Run, Step, Typed
from engine.relations import ManyRelation, OneRelation


@dataclass(slots=True)
class GuardedStep(Step):
    """Asks the field's guard first."""

    guard: Guard | None

    async def values(self, parents: Sequence[Any], run: Run, locate: Locate) -> Sequence[Any]:
        if self.guard is not None:
            self.guard(run.ctx)
        return await self.resolve(parents, run)

    @abc.abstractmethod
    async def resolve(self, parents: Sequence[Any], run: Run) -> Sequence[Any]:
        """One value per parent."""


@dataclass(slots=True)
class AttributeStep(Step):
    """The parent object holds the value."""

    attribute: str

    async def values(self, parents: Sequence[Any], run: Run, locate: Locate) -> Sequence[Any]:
        read = attrgetter(self.attribute)
        try:
            return list(map(read, parents))
        except Exception:  # noqa: BLE001  # some parent's own error: find out whose
            return [_attempt(read, parent) for parent in parents]


def _attempt(read: Callable[[Any], Any], parent: Any) -> Any:
    try:
        return read(parent)
    except Exception as error:  # noqa: BLE001  # the value's own error, located by the completer
        return error


@dataclass(slots=True)
class ManyStep(GuardedStep):
    """Pages of rows, for all parents in one statement (two with `totalCount`)."""

    relation: ManyRelation
    arguments: Arguments
    parent_index: int | None
    rows: bool
    more: bool
    count: bool

    async def resolve(self, parents: Sequence[Any], run: Run) -> Sequence[Any]:
        keys = None if self.parent_index is None else [parent[self.parent_index] for parent in parents]
        arguments = self.arguments(run.variables)
        return await self.relation.pages(run.ctx, keys, arguments, rows=self.rows, more=self.more, count=self.count)


@dataclass(slots=True)
class OneStep(GuardedStep):
    """At most one row per parent, all in one statement."""

    relation: OneRelation
    arguments: Arguments
    parent_index: int | None

    async def resolve(self, parents: Sequence[Any], run: Run) -> Sequence[Any]:
        return await self.relation.fetch(run.ctx, self._keys(parents, run))

    def _keys(self, parents: Sequence[Any], run: Run) -> Sequence[Any]:
        one = self.relation.one
        if self.parent_index is not None:
            return list(map(itemgetter(self.parent_index), parents))
        if one.attribute is not None:
            return list(map(attrgetter(one.attribute), parents))
        return [key_from_request(one, run.ctx, self.arguments(run.variables))] * len(parents)


@dataclass(slots=True)
class SomeStep(GuardedStep):
    """The rows that each parent holds the keys of, all in one statement."""

    relation: OneRelation
    attribute: str

    async def resolve(self, parents: Sequence[Any], run: Run) -> Sequence[Any]:
        keys = [list(getattr(parent, self.attribute)) for parent in parents]
        found = iter(await self.relation.fetch(run.ctx, [key for each in keys for key in each]))
        return [[row for row in islice(found, len(each)) if row is not None] for each in keys]


def key_from_request(one: One, ctx: Context, arguments: Mapping[str, Any]) -> Any:
    """The key that does not depend on a parent: the viewer's own in a domain, or an argument."""
    if one.reach is not None:
        one.reach(ctx, arguments)
    if one.viewer is not None:
        principal = ctx.principals.of(one.viewer)
        return None if principal is None else principal.subject
    return arguments.get(one.argument or "")


@dataclass(slots=True)
class NodeStep(GuardedStep):
    """`node(id:)` and other edges of an abstract type: what is given for a key says which type's table to look in."""

    relations: Mapping[str, OneRelation]
    arguments: Arguments
    attribute: str | None = None
    parent_index: int | None = None
    several: bool = False

    async def resolve(self, parents: Sequence[Any], run: Run) -> Sequence[Any]:
        if self.parent_index is not None and self.several:
            wanted = [all_named(parent[self.parent_index]) for parent in parents]
            found = iter(await self._nodes([key for keys in wanted for key in keys], run.ctx))
            return [[node for node in islice(found, len(keys)) if node is not None] for keys in wanted]
        if self.parent_index is not None:
            return await self._nodes([named(parent[self.parent_index]) for parent in parents], run.ctx)
        if self.attribute is not None:
            return [await self._node(getattr(parent, self.attribute), run.ctx) for parent in parents]
        (text,) = self.arguments(run.variables).values()
        return [await self._node(decode_global_id(text), run.ctx)] * len(parents)

    async def _nodes(self, wanted: Sequence[GlobalId | None], ctx: Context) -> Sequence[Typed | None]:
        """One statement per type."""
        found: list[Typed | None] = [None] * len(wanted)
        for name, relation in self.relations.items():
            keys = {place: each.local_id for place, each in enumerate(wanted) if each is not None and each.type_name == name}
            rows = await relation.fetch(ctx, list(keys.values())) if keys else []
            for place, row in zip(keys, rows, strict=True):
                found[place] = None if row is None else Typed(name, row)
        return found

    async def _node(self, wanted: GlobalId, ctx: Context) -> Typed | None:
        relation = self.relations.get(wanted.type_name)
        if relation is None:
            return None
        (row,) = await relation.fetch(ctx, [local_key(relation, wanted.local_id)])
        return None if row is None else Typed(wanted.type_name, row)


def named(value: str | None) -> GlobalId | None:
    """What a column with `Type:key` leads to."""
    if value is None:
        return None
    type_name, _, key = value.partition(":")
    return GlobalId(type_name, key)


def all_named(value: str | None) -> list[GlobalId]:
    """What a column with `Type:key`, one a line, leads to."""
    return [key for line in (value or "").splitlines() if (key := named(line)) is not None]


def local_key(relation: OneRelation, text: str) -> Any:
    """The key that a global id's text stands for."""
    kind = relation.stored.key.type.python_type
    try:
        return kind(text)
    except ValueError as error:
        raise InvalidInput("not a global id", field="id", value=text) from error


@dataclass(slots=True)
class BatchStep(GuardedStep):
    """One call for all parents, with the columns it needs of each."""

    batch: Batch
    indices: Sequence[int]
    arguments: Arguments
    asked: Asked

    async def resolve(self, parents: Sequence[Any], run: Run) -> Sequence[Any]:
        needed = [tuple(parent[index] for index in self.indices) for parent in parents]
        asked = [self.asked._replace(arguments=self.arguments(run.variables))] if self.batch.has_arguments else []
        values = await self.batch.load(run.ctx, needed, *asked)
        if len(values) != len(parents):
            raise ValueError("a batch returns one value per parent")
        return values


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a resolver's `info` needs besides the run."""

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    parent_type: GraphQLObjectType
    definition: GraphQLField
    nodes: Sequence[FieldNode]

    def info(self, ctx: Context | None, variables: VariableValues, path: list[str | int]) -> GraphQLResolveInfo[Any]:
        """As graphql-core would build it."""
        place: ResponsePath | None = None
        for key in path:
            place = ResponsePath(place, key, None)
        assert place is not None, "a field has a response key"
        return GraphQLResolveInfo(
            field_name=self.nodes[0].name.value,
            field_nodes=list(self.nodes),
            return_type=self.definition.type,
            parent_type=self.parent_type,
            path=place,
            schema=self.schema,
            fragments=dict(self.fragments),
            root_value=None,
            operation=self.operation,
            variable_values=variables,
            context=ctx,
            is_awaitable=isawaitable,  # type: ignore[arg-type]  # a narrower promise than is asked for
            abort_signal=None,
            async_helpers=None,  # type: ignore[arg-type]  # graphql-core's own bookkeeping of pending work
        )


@dataclass(slots=True)
class ResolveStep(Step):
    """An ordinary resolver, called per parent. Its field asks the guard itself."""

    resolution: Resolution
    arguments: Arguments

    async def values(self, parents: Sequence[Any], run: Run, locate: Locate) -> Sequence[Any]:
        arguments = self.arguments(run.variables)
        return await _settled([self._call(parent, arguments, run, locate(index)) for index, parent in enumerate(parents)])

    def _call(self, parent: Any, arguments: dict[str, Any], run: Run, path: list[str | int]) -> Any:
        resolve: Callable[..., Any] | None = self.resolution.definition.resolve
        assert resolve is not None, "Strawberry gives every field a resolver"
        try:
            return resolve(parent, self.resolution.info(run.ctx, run.variables, path), **arguments)
        except Exception as error:  # noqa: BLE001  # the value's own error, located by the completer
            return error


async def _settled(values: list[Any]) -> list[Any]:
    """The values with all awaitables among them, also within lists, awaited together. An error stands for its value."""
    waiting = [index for index, value in enumerate(values) if isinstance(value, list) or isawaitable(value)]
    if not waiting:
        return values
    settled = list(values)
    for index, value in zip(waiting, await _together([_value(values[index]) for index in waiting]), strict=True):
        settled[index] = value
    return settled


async def _value(value: Any) -> Any:
    found = await value if isawaitable(value) else value
    return await _settled(found) if isinstance(found, list) else found


async def _together(waiting: Sequence[Coroutine[Any, Any, Any]]) -> Sequence[Any]:
    if len(waiting) > 1:
        return await asyncio.gather(*waiting, return_exceptions=True)
    try:
        return [await waiting[0]]  # in this task, as a mutation expects it
    except Exception as error:  # noqa: BLE001  # the value's own error, located by the completer
        return [error]
