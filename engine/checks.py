"""What a schema must say before it may serve: who may ask, whose rows are seen, how each field finds its value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, get_named_type, is_non_null_type, is_object_type

from core.errors import NotSupported
from engine.connection import Connection, Edge
from engine.declare import guard_of, kind_of, stored_type
from engine.kinds import Batch, Column, GlobalId, Kind, Many, One, Some


def check_declarations(schema: GraphQLSchema) -> None:
    """Refuse a schema that leaves visibility or access open. Raises `NotSupported` naming every gap."""
    gaps = [*_unguarded(schema), *_misplaced(schema), *_telling(schema), *_revealing(schema), *_undescribed(schema)]
    if gaps:
        raise NotSupported("the schema is not complete:\n  " + "\n  ".join(gaps))


def _roots(schema: GraphQLSchema) -> list[GraphQLObjectType]:
    return [kind for kind in (schema.query_type, schema.mutation_type, schema.subscription_type) if kind is not None]


def _fields(schema: GraphQLSchema) -> Iterator[tuple[GraphQLObjectType, str, GraphQLField]]:
    for kind in schema.type_map.values():
        if is_object_type(kind) and not kind.name.startswith("__"):
            for name, field in kind.fields.items():
                yield kind, name, field


def _unguarded(schema: GraphQLSchema) -> Iterator[str]:
    for kind in _roots(schema):
        for name, field in kind.fields.items():
            if guard_of(field) is None:
                yield f"{kind.name}.{name} has no guard"


def _misplaced(schema: GraphQLSchema) -> Iterator[str]:
    """Fields that could not find their value where they stand, and edges that could not hide it."""
    roots = _roots(schema)
    for parent, name, field in _fields(schema):
        if isinstance(kind_of(field), One | Some) and _has_composite_key(field):
            yield f"{parent.name}.{name} leads to rows with several key columns, which only lists may"
        problem = _problem(field, at_root=parent in roots, stored=stored_type(parent) is not None, page=_is_page(parent))
        if problem is not None:
            yield f"{parent.name}.{name} {problem}"


def _problem(field: GraphQLField, *, at_root: bool, stored: bool, page: bool) -> str | None:
    kind = kind_of(field)
    if isinstance(kind, One) and is_non_null_type(field.type):
        return "must be nullable: a viewer may not see the row"
    if _reads_row(kind) and not stored:
        return "is stored, but its type does not say where and for whom (@stored)"
    if _is_lookup(kind) and not at_root:
        return "finds rows without a parent, which only a root may"
    if kind is None and stored:
        return "is neither column, one, many nor batch: it would be called for every row"
    if kind is None and not page and _leads_to_rows(field):
        return "returns rows without saying which (one, many)"
    return None


def _has_composite_key(field: GraphQLField) -> bool:
    stored = stored_type(get_named_type(field.type))
    return stored is not None and len(stored.keys) > 1


def _reads_row(kind: Kind | None) -> bool:
    """Whether the value is found by the row of the parent."""
    match kind:
        case Column() | GlobalId() | Batch():
            return True
        case One(column=by) | Some(column=by) | Many(parent=by):
            return by is not None
    return False


def _is_lookup(kind: Kind | None) -> bool:
    match kind:
        case One(column=None, attribute=None) | Many(parent=None):
            return True
    return False


def _is_page(kind: GraphQLObjectType) -> bool:
    """Whether the type is made by `engine.connection`, whose rows come from a `many`."""
    origin = getattr((kind.extensions or {}).get("strawberry-definition"), "origin", None)
    return isinstance(origin, type) and issubclass(origin, Connection | Edge)


def _leads_to_rows(field: GraphQLField) -> bool:
    target = get_named_type(field.type)
    return is_object_type(target) and (stored_type(target) is not None or _is_page(target))


def _telling(schema: GraphQLSchema) -> Iterator[str]:
    """Lists that could be filtered or sorted by what their rows do not show to the same viewers: the answers would tell it."""
    for parent, name, field in _fields(schema):
        kind = kind_of(field)
        if not isinstance(kind, Many) or kind.choices is None:
            continue
        connection: Any = get_named_type(field.type)
        shown = _shown(get_named_type(connection.fields["nodes"].type))
        for choice_name, choice in kind.choices.columns.items():
            allowed = [each for column, each in shown if column is choice.expression]
            if None not in allowed and choice.allowed not in allowed:
                yield f"{parent.name}.{name} may be filtered by {choice_name}, which its rows do not show to everybody"


def _revealing(schema: GraphQLSchema) -> Iterator[str]:
    """Values for everybody that are made from a column which their type hides from some."""
    for parent, name, field in _fields(schema):
        kind = kind_of(field)
        for needed in kind.needs if isinstance(kind, Batch) else ():
            allowed = [each for column, each in _shown(parent) if column is needed]
            if allowed and None not in allowed:
                yield f"{parent.name}.{name} is made from {needed}, which is not shown to everybody"


def _shown(kind: Any) -> list[tuple[object, object]]:
    """The columns that a type shows, and to whom (None: everybody who sees the row)."""
    found: list[tuple[object, object]] = []
    for field in kind.fields.values():
        match kind_of(field):
            case Column(expression=column, allowed=allowed):
                found.append((column, allowed))
            case One(column=column, allowed=allowed) if column is not None:
                found.append((column, allowed))
    return found


def _undescribed(schema: GraphQLSchema) -> Iterator[str]:
    for name, kind in schema.type_map.items():
        if name.startswith("__") or (kind.extensions or {}).get("strawberry-definition") is None:
            continue
        if not kind.description:
            yield f"{name} has no description"
        for field_name, field in getattr(kind, "fields", {}).items():
            if not field.description:
                yield f"{name}.{field_name} has no description"
            for argument_name, argument in getattr(field, "args", {}).items():
                if not argument.description:
                    yield f"{name}.{field_name}({argument_name}) has no description"
