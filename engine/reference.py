"""How graphql-core resolves the declarations that plans compile: the reference they are tested against, and the fallback.

Rows become instances of their type; relations go through one loader per field and arguments, so a level still costs one
statement per relation. Nothing here is fast, and nothing here may answer differently from a plan.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    execute,
    get_named_type,
    is_abstract_type,
    is_enum_type,
    is_object_type,
    located_error,
    subscribe,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from strawberry.dataloader import DataLoader

from core.context import Context
from core.ids import decode_global_id, encode_global_id
from core.sql import Row
from engine.admission import Admission
from engine.arguments import python_names
from engine.connection import Page
from engine.declare import definition_of, guard_of, kind_of, stored_type
from engine.kinds import Asked, Batch, Column, GlobalId, Guard, Live, Many, One, Pieces, Some
from engine.operation import Operation, Outcome
from engine.relations import ManyRelation, OneRelation, Projection
from engine.steps import all_named, key_from_request, local_key, named

Resolve = Callable[..., Any]


class Reference(Operation):
    """One operation, executed by graphql-core."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        definition: OperationDefinitionNode,
        admission: Admission,
        *,
        reason: str = "asked for",
    ) -> None:
        self.definition, self.reason = definition, reason
        self._schema, self._document, self._admission = schema, document, admission

    def guard(self, ctx: Context) -> None:
        self._admission.guard(ctx)

    async def about(self, ctx: Context, variables: Mapping[str, Any]) -> None:
        await self._admission.about(ctx, variables)

    def nodes(self, variables: Mapping[str, Any]) -> int | None:
        return self._admission.nodes(variables)

    async def execute(self, ctx: Context, variables: Mapping[str, Any]) -> Outcome:
        refused = self._admission.variables(variables)
        if isinstance(refused, list):
            return Outcome(None, refused)
        result: Any = execute(self._schema, self._document, context_value=ctx, variable_values=dict(variables))
        if hasattr(result, "__await__"):
            result = await result
        return Outcome(result.data, list(result.errors or ()))

    async def stream(self, ctx: Context, variables: Mapping[str, Any]) -> AsyncIterator[Outcome]:
        refused = self._admission.variables(variables)
        if isinstance(refused, list):
            yield Outcome(None, refused)
            return
        result: Any = subscribe(self._schema, self._document, context_value=ctx, variable_values=dict(variables))
        if hasattr(result, "__await__"):
            result = await result
        if not hasattr(result, "__aiter__"):
            yield Outcome(result.data, list(result.errors or ()))
            return
        try:
            async for event in result:
                yield Outcome(event.data, list(event.errors or ()))
        except GraphQLError as error:
            yield Outcome(None, [error])


# --- resolvers ---------------------------------------------------------------------------------------------------------


class Instances:
    """Makes instances of one stored type from rows that hold all of its columns."""

    def __init__(self, kind: GraphQLObjectType, dialect: Dialect) -> None:
        stored = stored_type(kind)
        assert stored is not None, "asked for stored types only"
        self.stored, self.name, self.projection = stored, kind.name, Projection()
        self.key, *_ = [self.projection.index(key) for key in stored.keys]
        self._type = definition_of(kind).origin  # type: ignore[arg-type]  # types carry their definition as fields do
        for field in kind.fields.values():
            for column in _columns(field):
                self.projection.index(column)

    def of(self, row: Row | None) -> Any:
        """The instance, which graphql-core tells by its class; None for None."""
        if row is None:
            return None
        instance = object.__new__(self._type)
        instance.__dict__["row_"] = row
        return instance


def _columns(field: GraphQLField) -> Sequence[Any]:
    match kind_of(field):
        case Column() as column:
            return [column]
        case One(column=by) | Some(column=by) if by is not None:
            return [by]
        case Batch(needs=needs):
            return needs
    return []


_ROWS = sqlite.dialect()
"""Raw rows come in one stored form from every database: SQLite's."""


def attach_resolvers(schema: GraphQLSchema, dialect: Dialect) -> None:
    """Give every declared field of the schema its resolver. Plain resolvers have theirs from Strawberry."""
    kinds = [kind for kind in schema.type_map.values() if is_object_type(kind)]
    instances = {kind.name: Instances(kind, dialect) for kind in kinds if stored_type(kind) is not None}
    for kind in kinds:
        for name, field in kind.fields.items():
            if kind_of(field) is not None:
                _attach(Declared(kind, name, field, _possible(schema, field, instances), instances, dialect))


def _possible(schema: GraphQLSchema, field: GraphQLField, instances: Mapping[str, Instances]) -> Sequence[str]:
    """The stored types with a key that a field of an abstract type can lead to."""
    target = get_named_type(field.type)
    found = schema.get_possible_types(target) if is_abstract_type(target) else []
    return [each.name for each in found if each.name in instances and len(instances[each.name].stored.keys) == 1]


def _attach(declared: Declared) -> None:
    match declared.kind:
        case Column() as column:
            declared.field.resolve = declared.column(column)
        case GlobalId():
            declared.field.resolve = declared.global_id()
        case One() as one if is_abstract_type(declared.target):
            declared.field.resolve = declared.node(one)
        case One() as one:
            declared.field.resolve = declared.one(one)
        case Some() as some:
            declared.field.resolve = declared.some(some) if some.column is None else declared.nodes(some.column)
        case (Live() | Pieces()) as source:
            declared.subscribed(source)
        case Many() as many if many.batch:
            declared.subscribed(many)
        case Many() as many:
            declared.field.resolve = declared.many(many)
        case Batch() as batch:
            declared.field.resolve = declared.batch(batch)


class Declared:
    """One declared field, and how graphql-core finds its value."""

    def __init__(
        self,
        parent: GraphQLObjectType,
        name: str,
        field: GraphQLField,
        possible: Sequence[str],
        instances: Mapping[str, Instances],
        dialect: Dialect,
    ) -> None:
        self.field, self.kind = field, kind_of(field)
        self.target: Any = get_named_type(field.type)
        self._possible = possible
        self._parent, self._label, self._instances, self._dialect = parent, f"{parent.name}.{name}", instances, dialect
        self._names = python_names(field)
        self._guard: Guard = guard_of(field) or (lambda _: None)

    def column(self, column: Column) -> Resolve:
        """From the stored form to a Python value, which graphql-core then serializes."""
        index, type_ = self._instances[self._parent.name].projection.index(column), column.expression.type
        decode = None if is_enum_type(self.target) else type_.dialect_impl(_ROWS).result_processor(_ROWS, None)

        def resolve(source: Any, _info: Any) -> Any:
            stored = source.row_[index]
            return stored if stored is None or decode is None else decode(stored)

        return resolve

    def global_id(self) -> Resolve:
        """From the key."""
        instances = self._instances[self._parent.name]
        return lambda source, _info: encode_global_id(instances.name, str(source.row_[instances.key]))

    def one(self, one: One) -> Resolve:
        """To one row."""
        instances, relation = self._to_one(one, self.target.name)
        index = None if one.column is None else self._instances[self._parent.name].projection.index(one.column)

        async def load(ctx: Context, keys: list[Any]) -> list[Any]:
            return [instances.of(row) for row in await relation.fetch(ctx, keys)]

        async def resolve(source: Any, info: Any, **arguments: Any) -> Any:
            self._guard(info.context)
            if index is not None:
                key = source.row_[index]
            elif one.attribute is not None:
                key = getattr(source, one.attribute)
            else:
                key = key_from_request(one, info.context, self._python(arguments))
            # Where a row may be denied it is asked for alone: the refusal is of all that is asked for together.
            loader = relation if one.denied is None else (relation, key)
            return None if key is None else await _load(info.context, loader, load, key)

        return resolve

    def node(self, one: One) -> Resolve:
        """To one row of the type that a global id names."""
        by_type = {name: self._to_one(one, name) for name in self._possible}
        index = None if one.column is None else self._instances[self._parent.name].projection.index(one.column)

        async def resolve(source: Any, info: Any, **arguments: Any) -> Any:
            self._guard(info.context)
            if index is not None:
                wanted = named(source.row_[index])
            elif one.attribute is not None:
                wanted = getattr(source, one.attribute)
            else:
                wanted = decode_global_id(next(iter(arguments.values())))
            if wanted is None or wanted.type_name not in by_type:
                return None
            instances, relation = by_type[wanted.type_name]
            key = local_key(relation, wanted.local_id) if index is None else wanted.local_id
            (row,) = await relation.fetch(info.context, [key])
            return instances.of(row)

        return resolve

    def nodes(self, column: Any) -> Resolve:
        """To rows of several types that a column names."""
        by_type = {name: self._to_one(One(), name) for name in self._possible}
        index = self._instances[self._parent.name].projection.index(column)

        async def resolve(source: Any, info: Any) -> Any:
            found: list[Any] = []
            for wanted in all_named(source.row_[index]):
                if wanted.type_name in by_type:
                    instances, relation = by_type[wanted.type_name]
                    (row,) = await relation.fetch(info.context, [wanted.local_id])
                    found += [] if row is None else [instances.of(row)]
            return found

        return resolve

    def some(self, some: Some) -> Resolve:
        """To several rows, by their keys."""
        instances, relation = self._to_one(One(), self.target.name)

        async def resolve(source: Any, info: Any) -> Any:
            rows = await relation.fetch(info.context, list(getattr(source, some.attribute)))
            return [instances.of(row) for row in rows if row is not None]

        return resolve

    def subscribed(self, kind: Live | Pieces | Many) -> None:
        """Make it a source of events, each of which is its value."""
        match kind:
            case Live():
                self.field.subscribe = self.look(kind)
            case Pieces():
                self.field.subscribe = self.pieces(kind)
            case Many():
                self.field.subscribe = self.stream(kind)
        self.field.resolve = lambda event, _info, **_: event

    def look(self, live: Live) -> Resolve:
        """Once: looking again is for those who know the place."""

        async def first(info: Any, arguments: Mapping[str, Any]) -> AsyncIterator[Any]:
            try:
                found = await live.look(info.context, self._python(arguments), None)
            except Exception as error:
                raise located_error(error, info.field_nodes, info.path.as_list()) from error
            if found.value is not None:
                yield found.value

        def subscribe_(_source: Any, info: Any, **arguments: Any) -> AsyncIterator[Any]:
            self._guard(info.context)
            return first(info, arguments)

        return subscribe_

    def pieces(self, pieces: Pieces) -> Resolve:
        """One after another."""

        async def values(info: Any, arguments: Mapping[str, Any]) -> AsyncIterator[Any]:
            try:
                async with aclosing(pieces.generate(info.context, self._python(arguments))) as generated:
                    async for value in generated:
                        yield value
            except Exception as error:
                raise located_error(error, info.field_nodes, info.path.as_list()) from error

        def subscribe_(_source: Any, info: Any, **arguments: Any) -> AsyncIterator[Any]:
            self._guard(info.context)
            return values(info, arguments)

        return subscribe_

    def _to_one(self, one: One, target: str) -> tuple[Instances, OneRelation]:
        instances = self._instances[target]
        return instances, OneRelation(instances.stored, one, instances.projection, self._dialect, name=self._label)

    def many(self, many: Many) -> Resolve:
        """To a page of rows."""
        instances, relation = self._to_many(many, get_named_type(self.target.fields["nodes"].type).name)

        async def resolve(source: Any, info: Any, **arguments: Any) -> Any:
            self._guard(info.context)
            given = self._python(arguments)
            at_root = many.parent is None

            async def load(ctx: Context, keys: list[Any]) -> list[Page]:
                pages = await relation.pages(ctx, None if at_root else keys, given, count=True)
                return [_of_instances(page, instances) for page in pages]

            loader = (relation, repr(sorted(arguments.items())))
            key = None if at_root else source.row_[self._instances[self._parent.name].key]
            return await _load(info.context, loader, load, key)

        return resolve

    def stream(self, many: Many) -> Resolve:
        """To all rows, batch by batch."""
        instances, relation = self._to_many(many, self.target.name)

        async def batches(info: Any, arguments: Mapping[str, Any]) -> AsyncIterator[list[Any]]:
            try:
                async for rows in relation.batches(info.context, self._python(arguments)):
                    yield [instances.of(row) for row in rows]
            except Exception as error:
                raise located_error(error, info.field_nodes, info.path.as_list()) from error

        def subscribe_(_source: Any, info: Any, **arguments: Any) -> AsyncIterator[list[Any]]:
            self._guard(info.context)
            return batches(info, arguments)

        return subscribe_

    def _to_many(self, many: Many, target: str) -> tuple[Instances, ManyRelation]:
        instances = self._instances[target]
        relation = ManyRelation(self._label, instances.stored, many, instances.projection, self._dialect)
        relation.with_cursors(sorted_by_client=True)
        return instances, relation

    def batch(self, batch: Batch) -> Resolve:
        """For all parents at once, from their columns."""
        projection = self._instances[self._parent.name].projection
        indices = [projection.index(column) for column in batch.needs]

        async def resolve(source: Any, info: Any, **arguments: Any) -> Any:
            self._guard(info.context)
            asked = [Asked(self._python(arguments))] if batch.has_arguments else []

            async def load(ctx: Context, needed: list[Any]) -> list[Any]:
                return list(await batch.load(ctx, needed, *asked))

            loader = (self, repr(sorted(arguments.items())))
            return await _load(info.context, loader, load, tuple(source.row_[index] for index in indices))

        return resolve

    def _python(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {self._names[name]: value for name, value in arguments.items()}


async def _load(ctx: Context, name: Any, load: Callable[[Context, list[Any]], Any], key: Any) -> Any:
    """Through the request's loader of that name, which asks for the keys of a level together."""
    loader = ctx.loaders.get(name)
    if loader is None:
        loader = ctx.loaders[name] = DataLoader(load_fn=lambda keys: load(ctx, keys))
    # Shielded: graphql-core cancels the siblings of what failed, and what they wait for is what others wait for, too.
    return await asyncio.shield(loader.load(key))


def _of_instances(page: Page, instances: Instances) -> Page:
    cursor = page.cursor
    nodes = [instances.of(row) for row in page.nodes]
    return replace(page, nodes=nodes, cursor=lambda instance: cursor(instance.row_))
