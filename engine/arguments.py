"""The arguments of one field: literals are coerced once, variables looked up per run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    FieldNode,
    GraphQLArgument,
    GraphQLField,
    Undefined,
    ValueNode,
    VariableNode,
    VariableValues,
    Visitor,
    get_argument_values,
    is_non_null_type,
    visit,
)

from engine.declare import definition_of

Arguments = Callable[[VariableValues], dict[str, Any]]
"""Reads the coerced arguments of a field."""


def graphql_arguments(definition: GraphQLField, node: FieldNode) -> Arguments:
    """By their GraphQL names, as Strawberry's resolvers expect them."""
    if not definition.args:
        return lambda _: {}
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    variables = {name: value.name.value for name, value in given.items() if isinstance(value, VariableNode)}
    if any(_names_variables(value) for name, value in given.items() if name not in variables):
        return lambda values: get_argument_values(definition, node, values)
    return _by_template(definition, node, variables)


def _by_template(definition: GraphQLField, node: FieldNode, variables: Mapping[str, str]) -> Arguments:
    """Whole arguments are literals, coerced once, or variables, which are coerced already."""
    template = get_argument_values(definition, node, VariableValues({}, dict.fromkeys(variables.values(), True)))
    optional = {name for name in variables if _may_be_absent(definition.args[name])}

    def read(values: VariableValues) -> dict[str, Any]:
        arguments = dict(template)
        for name, variable in variables.items():
            value = values.coerced.get(variable)
            if value is not None:
                arguments[name] = value
            elif name in optional and variable not in values.coerced:
                del arguments[name]
            else:  # a default may step in, or a refusal
                return get_argument_values(definition, node, values)
        return arguments

    return read


def _may_be_absent(argument: GraphQLArgument) -> bool:
    return not is_non_null_type(argument.type) and argument.default is None and argument.default_value is Undefined


def declared_arguments(definition: GraphQLField, node: FieldNode) -> Arguments:
    """By the names that the declaration gave them."""
    names, read = python_names(definition), graphql_arguments(definition, node)
    return lambda variables: {names[name]: value for name, value in read(variables).items()}


def python_names(definition: GraphQLField) -> Mapping[str, str]:
    """GraphQL argument name → the name in the declaration."""
    declared = definition_of(definition).arguments
    return {name: argument.python_name for name, argument in zip(definition.args, declared, strict=True)}


def _names_variables(value: ValueNode) -> bool:
    found: list[VariableNode] = []

    class Finder(Visitor):
        def enter_variable(self, variable: VariableNode, *_: Any) -> None:
            found.append(variable)

    visit(value, Finder())
    return bool(found)
