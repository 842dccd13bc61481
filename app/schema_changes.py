"""What a change of the schema means for clients: what breaks them, what may surprise them, what is announced.

The baseline is the schema of the last release. What it had deprecated until a day that has passed may be gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from graphql import (
    REMOVE,
    EnumValueDefinitionNode,
    FieldDefinitionNode,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InputValueDefinitionNode,
    Node,
    StringValueNode,
    Visitor,
    build_ast_schema,
    find_breaking_changes,
    find_dangerous_changes,
    is_interface_type,
    is_object_type,
    parse,
    visit,
)

_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_Element = FieldDefinitionNode | InputValueDefinitionNode | EnumValueDefinitionNode


def breaking(baseline: str, schema: str, today: date) -> list[str]:
    """What no longer works for a client of the baseline, in words."""
    return sorted(each.description for each in find_breaking_changes(_promised(baseline, today), _built(schema)))


def dangerous(baseline: str, schema: str) -> list[str]:
    """What may surprise such a client: a new value of an enum, another default."""
    return sorted(each.description for each in find_dangerous_changes(_built(baseline), _built(schema)))


def undated(schema: str) -> list[str]:
    """The names of what is deprecated without the day from which on it may be gone."""
    found: list[str] = []

    class Deprecated(Visitor):
        def enter(self, node: Node, *_: Any) -> None:
            if isinstance(node, _Element) and _is_deprecated(node) and _gone_from(node) is None:
                found.append(node.name.value)

    visit(parse(schema), Deprecated())
    return found


def _promised(baseline: str, today: date) -> GraphQLSchema:
    """The baseline without what was announced to be gone by now, and what only that led to."""

    class Announced(Visitor):
        def enter(self, node: Node, *_: Any) -> Any:
            gone = _gone_from(node) if isinstance(node, _Element) else None
            return REMOVE if gone is not None and gone <= today else None

    return _reachable(build_ast_schema(visit(parse(baseline), Announced())))


def _built(schema: str) -> GraphQLSchema:
    return build_ast_schema(parse(schema))


def _reachable(schema: GraphQLSchema) -> GraphQLSchema:
    """With the types that a client can meet."""
    roots: dict[str, Any] = {
        "query": schema.query_type,
        "mutation": schema.mutation_type,
        "subscription": schema.subscription_type,
        "directives": schema.directives,
    }
    met = GraphQLSchema(**roots).type_map
    return GraphQLSchema(
        **roots, types=[each for each in _objects(schema) if any(part.name in met for part in each.interfaces)]
    )


def _objects(schema: GraphQLSchema) -> Iterator[GraphQLObjectType | GraphQLInterfaceType]:
    for each in schema.type_map.values():
        if is_object_type(each) or is_interface_type(each):
            yield each


def _is_deprecated(node: _Element) -> bool:
    return any(each.name.value == "deprecated" for each in node.directives or ())


def _gone_from(node: _Element) -> date | None:
    """The day that the reason of its deprecation names."""
    for directive in node.directives or ():
        for argument in directive.arguments or () if directive.name.value == "deprecated" else ():
            found = _DATE.search(argument.value.value) if isinstance(argument.value, StringValueNode) else None
            return date.fromisoformat(found[0]) if found else None
    return None
