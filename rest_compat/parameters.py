"""The variables of an operation as the wire knows them: where each comes from, under which name, within which bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    GraphQLArgument,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLSchema,
    ObjectFieldNode,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Undefined,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    get_named_type,
    is_non_null_type,
    type_from_ast,
    value_from_ast_untyped,
    visit,
)

from engine.constraints import Constraint, constraint_of
from rest_compat.directives import Rest, Source, Vocabulary
from rest_compat.router import Template


@dataclass(frozen=True, slots=True)
class Parameter:
    """One variable. `usages` are the argument paths that it fills, by which errors from below find it."""

    variable: str
    wire: str
    source: Source
    type: GraphQLInputType
    constraint: Constraint | None
    default: Any
    description: str | None
    usages: tuple[tuple[str, ...], ...]
    node: VariableDefinitionNode

    @property
    def required(self) -> bool:
        """Whether a request has to send it."""
        return is_non_null_type(self.type) and self.default is Undefined


@dataclass(slots=True)
class Usage:
    """Where a variable ends up: its paths, and what the schema declares at the first of them that says something."""

    paths: list[tuple[str, ...]] = field(default_factory=list)
    declared: list[GraphQLArgument | GraphQLInputField] = field(default_factory=list)

    def constraint(self) -> Constraint | None:
        """The constraint that the schema puts on it."""
        return next((found for each in self.declared if (found := constraint_of(each))), None)

    def description(self) -> str | None:
        """What the schema says about it."""
        return next((each.description for each in self.declared if each.description), None)


def usages_of(schema: GraphQLSchema, document: DocumentNode) -> Mapping[str, Usage]:
    """Variable name → where it is used."""
    types = TypeInfo(schema)
    usages = _Usages(types)
    visit(document, TypeInfoVisitor(types, usages))
    return usages.found


class _Usages(Visitor):
    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self.found: dict[str, Usage] = {}
        self._types = types
        self._path: list[str] = []
        self._declared: list[Any] = []

    def enter_argument(self, node: ArgumentNode, *_: object) -> None:
        self._enter(node.name.value, self._types.get_argument())

    def enter_object_field(self, node: ObjectFieldNode, *_: object) -> None:
        parent = get_named_type(self._types.get_parent_input_type())
        assert isinstance(parent, GraphQLInputObjectType), "validation knows where objects fit"
        self._enter(node.name.value, parent.fields[node.name.value])

    def leave_argument(self, *_: object) -> None:
        self._leave()

    def leave_object_field(self, *_: object) -> None:
        self._leave()

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        if self._path:
            usage = self.found.setdefault(node.name.value, Usage())
            usage.paths.append(tuple(self._path))
            usage.declared.append(self._declared[-1])

    def _enter(self, name: str, declared: object) -> None:
        self._path.append(name)
        self._declared.append(declared)

    def _leave(self) -> None:
        self._path.pop()
        self._declared.pop()


class Parameters:
    """Reads the variables of operations of one dialect."""

    def __init__(self, schema: GraphQLSchema, vocabulary: Vocabulary, spell: Callable[[str], str]) -> None:
        self._schema = schema
        self._vocabulary = vocabulary
        self._spell = spell

    def of(
        self, operation: OperationDefinitionNode, rest: Rest, template: Template, usages: Mapping[str, Usage]
    ) -> tuple[Parameter, ...]:
        """The variables of an operation, bound for one of its routes."""
        return tuple(
            self._parameter(node, rest, template, usages.get(node.variable.name.value, Usage()))
            for node in operation.variable_definitions or ()
        )

    def _parameter(self, node: VariableDefinitionNode, rest: Rest, template: Template, usage: Usage) -> Parameter:
        variable = node.variable.name.value
        bind = self._vocabulary.bind(node)
        wire = bind.name or self._spell(variable)
        type_: Any = type_from_ast(self._schema, node.type)
        return Parameter(
            variable=variable,
            wire=wire,
            source=_automatic(wire, rest, template) if bind.source is Source.AUTO else bind.source,
            type=type_,
            constraint=self._vocabulary.constraint(node) or usage.constraint(),
            default=Undefined if node.default_value is None else value_from_ast_untyped(node.default_value),
            description=node.description.value if node.description else usage.description(),
            usages=tuple(usage.paths),
            node=node,
        )


def _automatic(wire: str, rest: Rest, template: Template) -> Source:
    if wire in template.parameters:
        return Source.PATH
    return Source.QUERY if rest.method in {"GET", "DELETE"} else Source.FIELD
