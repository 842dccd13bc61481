"""The steps of a level, one class per way in which a field finds its values."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable
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
from engine.declare import Batch, Guard, Many, One, Viewer
from engine.levels import Completer, Locate, Run, Step, Typed
from engine.relations import ManyRelation, OneRelation

Arguments = Callable[[VariableValues], dict[str, Any]]


@dataclass(slots=True)
class FieldStep(Step):
    """What all steps know of their field."""

    key: str
    nodes: Sequence[FieldNode]
    completer: Completer
    arguments: Arguments
    guard: Guard | None

    async def values(self, parents: Sequence[Any], run: Run, locate: Locate) -> Sequence[Any]:
        if self.guard is not None:
            self.guard(run.ctx)
        return await self.resolve(parents, run, locate)

    async def resolve(self, parents: Sequence[Any], run: Run, locate: Locate) -> Sequence[Any]:
        """One value per parent."""
        raise NotImplementedError


@dataclass(slots=True)
class AttributeStep(FieldStep):
    """The parent object holds the value."""

    attribute: str

    async def resolve(self, parents: Sequence[Any], run: Run, locate: Locate) -> Sequence[Any]:
        read = attrgetter(self.attribute)
        return [_attempt(read, parent) for parent in parents]


def _attempt(read: Callable[[Any], Any], parent: Any) -> Any:
    try:
        return read(parent)
    except Exception as error:  # noqa: BLE001  # the value's own error, located by the completer
        return error


@dataclass(slots=True)
class ManyStep(FieldStep):
    """Pages of rows, for all parents in one statement (two with `totalCount`)."""

    kind: Many
    relation: ManyRelation
    parent_index: int | None
    rows: bool
    count: bool
    names: Mapping[str, str]

    async def resolve(self, parents: Sequence[Any], run: Run, locate: Locate) -> Sequence[Any]:
        given = self.arguments(run.variables)
        arguments = {self.names[name]: value for name, value in given.items()}
        keys = None if self.parent_index is None else [parent[self.parent_index] for parent in parents]
        return await self.relation.pages(run.ctx, keys, arguments, rows=self.rows, count=self.count)


@dataclass(slots=True)
class OneStep(FieldStep):
    """At most one row per parent, all in one statement."""

    kind: One
    relation: OneRelation
    parent_index: int | None
    names: Mapping[str, str]

    async def resolve(self, parents: Sequence[Any], run: Run, locate: Locate) -> Sequence[Any]:
        allowed = self.kind.allowed
        if allowed is not None and not allowed(Viewer(run.ctx.principals.shape)):
            return [None] * len(parents)
        return await self.relation.fetch(run.ctx, self._keys(parents, run))

    def _keys(self, parents: Sequence[Any], run: Run) -> list[Any]:
        if self.parent_index is not None:
            return list(map(itemgetter(self.parent_index), parents))
        if self.kind.attribute is not None:
            return list(map(attrgetter(self.kind.attribute), parents))
        if self.kind.viewer is not None:
            return [viewer_key(run.ctx, self.kind.viewer)] * len(parents)
        given = {self.names[name]: value for name, value in self.arguments(run.variables).items()}
        return [given.get(self.kind.argument or "")] * len(parents)


def viewer_key(ctx: Context, domain: str) -> Any:
    """The viewer's own key in a domain; None for an anonymous one."""
    principal = ctx.principals.of(domain)
    return None if principal is None else principal.subject


@dataclass(slots=True)
class NodeStep(FieldStep):
    """`node(id:)` and other global ids: the id says which type's table to look in."""

    relations: Mapping[str, OneRelation]

    async def resolve(self, parents: Sequence[Any], run: Run, locate: Locate) -> Sequence[Any]:
        (text,) = self.arguments(run.variables).values()
        return [await self._node(decode_global_id(text), run)] * len(parents)

    async def _node(self, wanted: GlobalId, run: Run) -> Typed | None:
        relation = self.relations.get(wanted.type_name)
        if relation is None:
            return None
        (row,) = await relation.fetch(run.ctx, [local_key(relation, wanted.local_id)])
        return None if row is None else Typed(wanted.type_name, row)


def local_key(relation: OneRelation, text: str) -> Any:
    """The key that a global id's text stands for."""
    kind = relation.stored.key.type.python_type
    try:
        return kind(text)
    except ValueError as error:
        raise InvalidInput("not a global id", field="id", value=text) from error


@dataclass(slots=True)
class BatchStep(FieldStep):
    """One call for all parents, with the columns it needs of each."""

    kind: Batch
    indices: Sequence[int]

    async def resolve(self, parents: Sequence[Any], run: Run, locate: Locate) -> Sequence[Any]:
        needed = [[parent[index] for index in self.indices] for parent in parents]
        values = await self.kind.load(run.ctx, needed)
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


@dataclass(slots=True)
class ResolveStep(FieldStep):
    """An ordinary resolver, called per parent."""

    resolution: Resolution
    instance: Callable[[Any], Any] | None

    async def resolve(self, parents: Sequence[Any], run: Run, locate: Locate) -> Sequence[Any]:
        arguments = self.arguments(run.variables)
        values = [self._call(parent, arguments, run, locate(index)) for index, parent in enumerate(parents)]
        waiting = [index for index, value in enumerate(values) if isawaitable(value)]
        for index, value in zip(waiting, await _settle([values[index] for index in waiting]), strict=True):
            values[index] = value
        return values

    def _call(self, parent: Any, arguments: dict[str, Any], run: Run, path: list[str | int]) -> Any:
        source = parent if self.instance is None else self.instance(parent)
        try:
            return self.resolution.definition.resolve(source, self._info(run, path), **arguments)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001  # the value's own error, located by the completer
            return error

    def _info(self, run: Run, path: list[str | int]) -> GraphQLResolveInfo[Any]:
        place: ResponsePath | None = None
        for key in path:
            place = ResponsePath(place, key, None)
        resolution = self.resolution
        return GraphQLResolveInfo(
            self.nodes[0].name.value, list(self.nodes), resolution.definition.type, resolution.parent_type, place,  # type: ignore[arg-type]
            resolution.schema, dict(resolution.fragments), None, resolution.operation, run.variables.coerced, run.ctx,
            isawaitable, None, None,  # type: ignore[arg-type]
        )  # fmt: skip


async def _settle(waiting: Sequence[Awaitable[Any]]) -> Sequence[Any]:
    if len(waiting) == 1:
        try:
            return [await waiting[0]]
        except Exception as error:  # noqa: BLE001  # the value's own error, located by the completer
            return [error]
    return await asyncio.gather(*waiting, return_exceptions=True)
