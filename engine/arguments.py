"""The arguments of one field: literals are coerced once, variables looked up per run; constraints are asked before a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLArgument,
    GraphQLError,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    VariableNode,
    VariableValues,
    Visitor,
    get_argument_values,
    get_named_type,
    is_list_type,
    is_non_null_type,
    visit,
)

from core.errors import InvalidInput, Problem
from engine.constraints import constraint_of

Values = Mapping[str, Any]


def argument_reader(definition: GraphQLField, node: FieldNode) -> Callable[[VariableValues], dict[str, Any]]:
    """Reads the coerced arguments, by their GraphQL names."""
    if not definition.args:
        return lambda _: {}
    if not _names_variables(node):
        fixed = get_argument_values(definition, node)
        return lambda _: dict(fixed)
    return lambda variables: get_argument_values(definition, node, variables)


def python_names(definition: GraphQLField) -> dict[str, str]:
    """GraphQL argument name → the name in the declaration."""
    declared = definition.extensions["strawberry-definition"].arguments
    return {name: argument.python_name for name, argument in zip(definition.args, declared, strict=True)}


def _names_variables(node: FieldNode) -> bool:
    found: list[VariableNode] = []

    class Finder(Visitor):
        def enter_variable(self, variable: VariableNode, *_: Any) -> None:
            found.append(variable)

    for argument in node.arguments or ():
        visit(argument, Finder())
    return bool(found)


class Checks:
    """Every constrained argument of a document; asked once per run, before anything happens."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._fields: list[tuple[GraphQLField, FieldNode, Callable[[VariableValues], dict[str, Any]]]] = []
        info = TypeInfo(schema)
        checks = self

        class Collector(Visitor):
            def enter_field(self, node: FieldNode, *_: Any) -> None:
                definition = info.get_field_def()
                if definition is not None and any(_constrained(argument, set()) for argument in definition.args.values()):
                    checks._fields.append((definition, node, argument_reader(definition, node)))  # its own

        visit(document, TypeInfoVisitor(info, Collector()))

    def errors(self, variables: VariableValues) -> list[GraphQLError]:
        """One located error per field with broken constraints."""
        return [error for error in (self._error(*each, variables) for each in self._fields) if error is not None]

    def _error(
        self,
        definition: GraphQLField,
        node: FieldNode,
        read: Callable[[VariableValues], dict[str, Any]],
        variables: VariableValues,
    ) -> GraphQLError | None:
        try:
            values = read(variables)
        except GraphQLError:
            return None  # a missing variable in a part that may be skipped: execution reports it if it gets there
        problems = [
            problem
            for name, argument in definition.args.items()
            if name in values
            for problem in _problems(argument, values[name], (name,))
        ]
        if not problems:
            return None
        detail = "; ".join(f"{'.'.join(map(str, problem.path))}: {problem.message}" for problem in problems)
        return GraphQLError(detail, node, original_error=InvalidInput(detail, problems=problems))


def _constrained(declared: GraphQLArgument | GraphQLInputField, seen: set[str]) -> bool:
    if constraint_of(declared) is not None:
        return True
    named = get_named_type(declared.type)
    if not isinstance(named, GraphQLInputObjectType) or named.name in seen:
        return False
    seen.add(named.name)
    return any(_constrained(field, seen) for field in named.fields.values())


def _problems(declared: GraphQLArgument | GraphQLInputField, value: Any, path: tuple[str | int, ...]) -> Iterator[Problem]:
    constraint = constraint_of(declared)
    problem = constraint.problem(value, path) if constraint is not None else None
    if problem is not None:
        yield problem
    elif value is not None:
        yield from _inner_problems(declared.type, value, path)


def _inner_problems(kind: Any, value: Any, path: tuple[str | int, ...]) -> Iterator[Problem]:
    if is_non_null_type(kind):
        kind = kind.of_type
    if is_list_type(kind) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _inner_problems(kind.of_type, item, (*path, index))
    elif isinstance(kind, GraphQLInputObjectType) and isinstance(value, dict):
        for name, field in kind.fields.items():
            if name in value:
                yield from _problems(field, value[name], (*path, name))
