"""What is asked before an operation runs, whoever runs it: guards of its root fields, variables, constraints, cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    GraphQLArgument,
    GraphQLError,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLSchema,
    ObjectFieldNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    TypeInfo,
    TypeInfoVisitor,
    VariableNode,
    VariableValues,
    Visitor,
    get_named_type,
    is_list_type,
    is_non_null_type,
    value_from_ast_untyped,
    visit,
)

from core.context import Context
from core.errors import InvalidInput, Problem, TooExpensive
from core.watching import watching
from engine.arguments import Arguments, graphql_arguments
from engine.constraints import constraint_of
from engine.cost import Cost, Estimate
from engine.declare import about_of, guard_of
from engine.recent import Recent
from engine.selections import Selections, condition_variables
from engine.variables import Variables

MOST_VARIANTS = 16
"""Combinations of an operation's conditions, and of its variables, that are remembered; others are worked out again."""

MOST_CHARACTERS = 2000
"""Of the variables that are remembered of one operation."""


class Admitted(NamedTuple):
    """Coerced variables, and what the operation costs with them."""

    variables: VariableValues
    nodes: int


class Admission:
    """One operation, alone in its document, with at most so many nodes."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        definition: OperationDefinitionNode,
        *,
        hide_suggestions: bool,
        most_nodes: int,
    ) -> None:
        self._schema, self._document, self._definition = schema, document, definition
        self._most_nodes = most_nodes
        self._declared = Variables(schema, definition.variable_definitions or (), hide_suggestions=hide_suggestions)
        self._costs: Recent[Cost] = Recent(MOST_VARIANTS)
        self._known: Recent[Admitted] = Recent(MOST_VARIANTS, room=MOST_CHARACTERS)
        self._conditions = condition_variables(document)
        root = schema.get_root_type(definition.operation)
        assert root is not None, "a valid document asks for roots that there are"
        certain = Selections(schema, document, {}).collect(root, [definition.selection_set])
        fields = [root.fields[nodes[0].name.value] for nodes in certain.values() if nodes[0].name.value in root.fields]
        self._guards = [guard for guard in map(guard_of, fields) if guard is not None]
        named = ((nodes[0], root.fields.get(nodes[0].name.value)) for nodes in certain.values())
        self._abouts = [(about, node) for node, field in named if field is not None and (about := about_of(field)) is not None]
        self._constrained = _constrained_fields(schema, document)

    def guard(self, ctx: Context) -> None:
        """Raise what the guards of the root fields raise; fields that a variable may leave out are asked when they run."""
        for guard in self._guards:
            guard(ctx)

    async def about(self, ctx: Context, given: Mapping[str, Any]) -> None:
        """Raise what the root fields raise for what they are about, as far as these variables tell."""
        for about, node in self._abouts:
            await about(ctx, _known(node.arguments or (), given))

    def variables(self, given: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        """The coerced variables, or every reason why the operation is refused with them."""
        admitted = self._admit(given)
        if isinstance(admitted, list):
            return admitted
        found, nodes = admitted
        watch = watching.get()
        if watch is not None:
            watch.cost(nodes)
        if nodes <= self._most_nodes:
            return found
        error = TooExpensive(
            f"the operation asks for up to {nodes} nodes; at most {self._most_nodes} are allowed", bound="nodes"
        )
        return [GraphQLError(error.detail, self._definition, original_error=error)]

    def nodes(self, given: Mapping[str, Any]) -> int | None:
        """The cost; None if the variables are refused for what they are."""
        found = self._variables(given)
        return None if isinstance(found, list) else self._nodes(found)

    def _admit(self, given: Mapping[str, Any]) -> Admitted | list[GraphQLError]:
        """Most clients ask again with the variables that they asked with before."""
        text = self._key(given)
        known = None if text is None else self._known.get(text)
        if known is not None:
            return known
        found = self._variables(given)
        if isinstance(found, list):
            return found
        admitted = Admitted(found, self._nodes(found))
        if text is not None:
            self._known.remember(text, lambda: admitted, weight=len(text))
        return admitted

    def _key(self, given: Mapping[str, Any]) -> bytes | None:
        """Names variables that can be remembered: those of a query, which changes none, if they are plainly JSON."""
        try:
            text = orjson.dumps(given) if self._definition.operation is OperationType.QUERY else None
        except TypeError:
            return None
        return None if text is None or b"null" in text else text  # which orjson also writes for what is no number

    def _nodes(self, variables: VariableValues) -> int:
        values = variables.coerced
        flags = tuple(values[name] for name in self._conditions)
        return self._costs.remember(flags, lambda: self._cost(flags)).nodes(values)

    def _cost(self, flags: tuple[bool, ...]) -> Cost:
        estimate = Estimate(self._schema, self._document, dict(zip(self._conditions, flags, strict=True)))
        return estimate.of(self._definition)

    def _variables(self, given: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        unreadable = self._unreadable(given)
        if unreadable:
            return unreadable
        found = self._declared.coerce(given)
        if isinstance(found, list):
            return found
        errors = [*self._undecided(found), *(error for field in self._constrained if (error := field.error(found)))]
        return errors or found

    def _unreadable(self, given: Mapping[str, Any]) -> list[GraphQLError]:
        """Text that is no Unicode and integers beyond 64 bits: no store takes them, and no reply can hold them."""
        if _is_json(given):
            return []
        detail = "text must be Unicode without lone surrogates, integers must fit into 64 bits"
        broken = [name for name, value in given.items() if not _is_json(value)]
        return [
            GraphQLError(f"Variable '${name}': {detail}", original_error=InvalidInput(detail, field=name)) for name in broken
        ]

    def _undecided(self, variables: VariableValues) -> list[GraphQLError]:
        return [
            GraphQLError(f"Variable '${name}' is asked by @skip or @include and must not be null.", self._definition)
            for name in self._conditions
            if variables.coerced.get(name) is None
        ]


def _is_json(value: object) -> bool:
    try:
        orjson.dumps(value, default=lambda _: None)  # what is no JSON at all (an upload) has its own scalar to judge it
    except TypeError:
        return False
    return True


# --- constraints -------------------------------------------------------------------------------------------------------


class ConstrainedField:
    """One use of a field that has constrained arguments."""

    def __init__(self, definition: GraphQLField, node: FieldNode, constrained: Mapping[str, GraphQLArgument]) -> None:
        self._node, self._constrained = node, constrained
        self._read: Arguments = graphql_arguments(definition, node)

    def error(self, variables: VariableValues) -> GraphQLError | None:
        """One located error with every broken constraint."""
        try:
            values = self._read(variables)
        except GraphQLError:
            return None  # a missing variable in a part that may be skipped: execution reports it if it gets there
        problems = [
            problem
            for name, argument in self._constrained.items()
            if name in values
            for problem in _problems(argument, values[name], (name,))
        ]
        if not problems:
            return None
        detail = "; ".join(f"{'.'.join(map(str, problem.path))}: {problem.message}" for problem in problems)
        return GraphQLError(detail, self._node, original_error=InvalidInput(detail, problems=problems))


def _constrained_fields(schema: GraphQLSchema, document: DocumentNode) -> list[ConstrainedField]:
    info = TypeInfo(schema)
    found: list[ConstrainedField] = []

    class Collector(Visitor):
        def enter_field(self, node: FieldNode, *_: Any) -> None:
            definition = info.get_field_def()
            given = {argument.name.value for argument in node.arguments or ()}
            arguments = definition.args.items() if definition is not None else ()
            constrained = {name: each for name, each in arguments if name in given and _constrained(each, set())}
            if definition is not None and constrained:
                found.append(ConstrainedField(definition, node, constrained))

    visit(document, TypeInfoVisitor(info, Collector()))
    return found


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


def _known(nodes: Sequence[ArgumentNode | ObjectFieldNode], given: Mapping[str, Any]) -> dict[str, Any]:
    """What arguments or members are with these variables, without those that others hold."""
    known: dict[str, Any] = {}
    for name, value in ((node.name.value, node.value) for node in nodes):
        if isinstance(value, ObjectValueNode):
            known[name] = _known(value.fields, given)
        elif not isinstance(value, VariableNode):
            known[name] = value_from_ast_untyped(value)
        elif value.name.value in given:
            known[name] = given[value.name.value]
    return known
