"""How graphql-core resolves the declarations that plans compile: the reference they are tested against, and the fallback.

Rows become instances of their type; relations go through one loader per field and arguments, so a level still costs one
statement. Nothing here is fast, and nothing here may answer differently from a plan.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from graphql import get_named_type, is_abstract_type
from sqlalchemy.engine import Dialect
from strawberry.dataloader import DataLoader

from core.context import Context
from core.ids import decode_global_id, encode_global_id
from core.sql import Row
from engine.connection import Page
from engine.declare import Batch, Column, Field, GlobalId, Many, One, Stored, Viewer, stored_of
from engine.relations import ManyRelation, OneRelation, Projection
from engine.steps import local_key, viewer_key


class Instances:
    """Makes instances of one stored type from rows that hold all of its columns."""

    def __init__(self, graphql_type: Any, dialect: Dialect) -> None:
        definition = graphql_type.extensions["strawberry-definition"]
        stored = stored_of(definition.origin)
        assert stored is not None
        self.stored: Stored = stored
        self.projection = Projection()
        self._type, self._name = definition.origin, graphql_type.name
        self._key = self.projection.index(stored.key)
        self._leaves: list[tuple[str, int, Callable[[Any], Any]]] = []
        self._columns: dict[int, int] = {}
        for field in definition.fields:
            kind = field.kind if isinstance(field, Field) else None
            if isinstance(kind, Column):
                index = self.projection.index(kind)
                decode = kind.expression.type.dialect_impl(dialect).result_processor(dialect, None)
                self._leaves.append((field.python_name, index, decode or (lambda value: value)))
            for column in _needed(kind):
                self._columns[id(column)] = self.projection.index(column)

    def of(self, row: Row | None) -> Any:
        """The instance; None for None."""
        if row is None:
            return None
        instance = object.__new__(self._type)
        values = {name: None if row[index] is None else decode(row[index]) for name, index, decode in self._leaves}
        raw = {column: row[index] for column, index in self._columns.items()}
        instance.__dict__.update(values, id=encode_global_id(self._name, str(row[self._key])), key_=row[self._key], raw_=raw)
        return instance


def _needed(kind: object) -> Sequence[Any]:
    if isinstance(kind, One) and kind.column is not None:
        return [kind.column]
    return kind.needs if isinstance(kind, Batch) else []


def resolve(field: Field, source: Any, info: Any, arguments: dict[str, Any]) -> Any:
    """The value of a declared field, for graphql-core."""
    kind = field.kind
    if isinstance(kind, Column | GlobalId):
        return source.__dict__[field.python_name]
    ctx: Context = info.context
    if isinstance(kind, Many):
        return _stream(ctx, kind, info, arguments) if kind.batch else _many(ctx, kind, source, info, arguments)
    if isinstance(kind, One):
        return _one(ctx, kind, source, info, arguments)
    assert isinstance(kind, Batch)
    return _batch(ctx, kind, source)


def _loader(ctx: Context, key: object, load: Callable[[list[Any]], Coroutine[Any, Any, Any]]) -> DataLoader[Any, Any]:
    if key not in ctx.loaders:
        ctx.loaders[key] = DataLoader(load_fn=load)
    found: DataLoader[Any, Any] = ctx.loaders[key]
    return found


def _target(info: Any) -> Any:
    """The GraphQL type whose rows a field returns."""
    named = get_named_type(info._raw_info.return_type)  # noqa: SLF001  # Strawberry shows graphql-core's info nowhere else
    if named.name.endswith("Connection"):
        named = get_named_type(named.fields["nodes"].type)
    return named


async def _one(ctx: Context, kind: One, source: Any, info: Any, arguments: dict[str, Any]) -> Any:
    if kind.allowed is not None and not kind.allowed(Viewer(ctx.principals.shape)):
        return None
    target = _target(info)
    if is_abstract_type(target):
        wanted = decode_global_id(next(iter(arguments.values())))
        target = next(
            (
                each
                for each in info.schema._schema.get_possible_types(target)  # noqa: SLF001  # the built schema
                if each.name == wanted.type_name and _is_stored(each)
            ),
            None,
        )
        if target is None:
            return None
        instances = Instances(target, ctx.sql.dialect)
        relation = OneRelation(instances.stored, kind, instances.projection, ctx.sql.dialect)
        (row,) = await relation.fetch(ctx, [local_key(relation, wanted.local_id)])
        return instances.of(row)
    if kind.argument is not None:
        key = arguments.get(kind.argument)
    elif kind.viewer is not None:
        key = viewer_key(ctx, kind.viewer)
    else:
        key = source.raw_[id(kind.column)] if kind.column is not None else getattr(source, kind.attribute or "")

    async def load(keys: list[Any]) -> list[Any]:
        instances = Instances(target, ctx.sql.dialect)
        relation = OneRelation(instances.stored, kind, instances.projection, ctx.sql.dialect)
        return [instances.of(row) for row in await relation.fetch(ctx, keys)]

    return None if key is None else await _loader(ctx, (id(kind), target.name), load).load(key)


def _is_stored(graphql_type: Any) -> bool:
    return stored_of(graphql_type.extensions["strawberry-definition"].origin) is not None


async def _many(ctx: Context, kind: Many, source: Any, info: Any, arguments: dict[str, Any]) -> Any:
    target, name = _target(info), f"{info._raw_info.parent_type.name}.{info.field_name}"  # noqa: SLF001  # as above

    async def load(keys: list[Any]) -> list[Page]:
        instances = Instances(target, ctx.sql.dialect)
        relation = ManyRelation(name, instances.stored, kind, instances.projection, ctx.sql.dialect)
        relation.with_cursors()
        at_root = kind.parent is None
        pages = await relation.pages(ctx, None if at_root else keys, arguments, count=True)
        return [_with_instances(page, instances) for page in pages]

    key = None if kind.parent is None else source.key_
    return await _loader(ctx, (id(kind), repr(sorted(arguments.items()))), load).load(key)


def _with_instances(page: Page, instances: Instances) -> Page:
    made = [instances.of(row) for row in page.nodes]
    rows = {id(instance): row for instance, row in zip(made, page.nodes, strict=True)}
    cursor = page.cursor
    page.nodes, page.cursor = made, lambda instance: cursor(rows[id(instance)])
    return page


async def _stream(ctx: Context, kind: Many, info: Any, arguments: dict[str, Any]) -> AsyncIterator[list[Any]]:
    instances = Instances(_target(info), ctx.sql.dialect)
    relation = ManyRelation(info.field_name, instances.stored, kind, instances.projection, ctx.sql.dialect)
    relation.with_cursors()
    last: Row | None = None
    while rows := await relation.batch(ctx, arguments, last):
        yield [instances.of(row) for row in rows]
        last = rows[-1]


async def _batch(ctx: Context, kind: Batch, source: Any) -> Any:
    async def load(keys: list[Any]) -> list[Any]:
        return list(await kind.load(ctx, keys))

    return await _loader(ctx, id(kind), load).load(tuple(source.raw_[id(column)] for column in kind.needs))
