"""The built graph: the schema, checked; operations prepared for it; the documents of clients, cached and bounded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeVar

import strawberry
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    execute,
    get_variable_values,
    is_object_type,
    located_error,
    parse,
    subscribe,
    validate,
)
from sqlalchemy.engine import Dialect

from core.context import Context
from core.errors import DomainError, NotSupported, TooExpensive
from engine.arguments import Checks, argument_reader, python_names
from engine.declare import Column, Field, Many, One
from engine.levels import NULLED, Completer, Level, Run
from engine.limits import Limits, check_limits
from engine.operation import GRAPHQL_LEAVES, Leaves, Operation, Outcome
from engine.plan import Planner, UnplannableError, definition_of, refuse_foreign_directives, stored_type
from engine.relations import ManyRelation
from engine.selections import condition_variables, operation_of

MOST_VARIANTS = 64
"""A plan is made per combination of the booleans behind `@skip` and `@include`; beyond this, graphql-core runs it."""

Cached = TypeVar("Cached")


class Recent(OrderedDict[Any, Cached]):
    """A cache that forgets what was not used for longest."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def remember(self, key: Any, make: Callable[[], Cached]) -> Cached:
        """What is known under the key, or newly made."""
        if key in self:
            self.move_to_end(key)
            return self[key]
        made = self[key] = make()
        while len(self) > self._size:
            self.popitem(last=False)
        return made


class Graph:
    """A schema with its stores' dialect. Refuses to build when a declaration leaves something open."""

    def __init__(
        self, schema: strawberry.Schema, dialect: Dialect, *, limits: Limits | None = None, hide_suggestions: bool = False
    ) -> None:
        self.strawberry = schema
        self.schema = schema._schema  # noqa: SLF001  # Strawberry offers the graphql-core schema under no other name
        self.dialect, self.limits, self.hide_suggestions = dialect, limits or Limits(), hide_suggestions
        self._documents: Recent[tuple[DocumentNode | None, list[GraphQLError]]] = Recent(1000)
        self._operations: Recent[Operation] = Recent(1000)
        check_declarations(self)

    def noun(self, type_name: str) -> str:
        """What a user calls one of these: `Storage location`."""
        stored = stored_type(self.schema.get_type(type_name))
        return stored.noun if stored is not None else type_name

    def prepare(
        self, document: DocumentNode, operation_name: str | None = None, *, leaves: Leaves = GRAPHQL_LEAVES
    ) -> Operation:
        """Plan an operation of a valid document. What a plan refuses runs on graphql-core (with GraphQL's own leaves)."""
        definition = operation_of(document, operation_name)
        if definition is None:
            raise GraphQLError(
                f"Unknown operation named '{operation_name}'."
                if operation_name
                else "Must provide operation name if query contains multiple operations."
            )
        try:
            return Plan(self, document, definition, leaves)
        except UnplannableError:
            if leaves != GRAPHQL_LEAVES:
                raise
            return Reference(self, document, definition)

    def document(self, text: str) -> tuple[DocumentNode | None, list[GraphQLError]]:
        """Parse and validate a client's document, within the limits; None with the errors if it is not acceptable."""
        return self._documents.remember(text, lambda: self._read(text))

    def operation(self, text: str, document: DocumentNode, name: str | None) -> Operation:
        """The prepared operation of a client's document."""
        return self._operations.remember((text, name), lambda: self.prepare(document, name))

    def _read(self, text: str) -> tuple[DocumentNode | None, list[GraphQLError]]:
        try:
            if len(text) > self.limits.characters:
                raise TooExpensive(f"the document has {len(text)} characters; at most {self.limits.characters} are allowed")
            document = parse(text, max_tokens=self.limits.tokens)
            errors = validate(self.schema, document, max_errors=20, hide_suggestions=self.hide_suggestions)
            if errors:
                return None, errors
            check_limits(document, self.limits)
        except GraphQLSyntaxError as error:
            return None, [_too_many_tokens(error, self.limits)]
        except TooExpensive as error:
            return None, [GraphQLError(error.detail, original_error=error)]
        return document, []


def _too_many_tokens(error: GraphQLSyntaxError, limits: Limits) -> GraphQLError:
    if "tokens" not in error.message:
        return error
    expensive = TooExpensive(f"the document has more than {limits.tokens} tokens")
    return GraphQLError(expensive.detail, original_error=expensive)


# --- operations --------------------------------------------------------------------------------------------------------


class Plan(Operation):
    """A compiled operation."""

    def __init__(self, graph: Graph, document: DocumentNode, definition: OperationDefinitionNode, leaves: Leaves) -> None:
        refuse_foreign_directives(document)
        self.graph, self.document, self.definition, self.leaves = graph, document, definition, leaves
        self._flags = condition_variables(document)
        if 2 ** len(self._flags) > MOST_VARIANTS:
            raise UnplannableError("too many conditions")
        self._variants: dict[tuple[bool, ...], Level] = {}
        self._checks = Checks(graph.schema, document)
        self._guards = _guards(graph, document, definition)
        self._stream: _StreamParts | None = None
        if definition.operation is OperationType.SUBSCRIPTION:
            self._stream = _StreamParts(self._planner(()))
        else:
            self.level((True,) * len(self._flags))

    def level(self, flags: tuple[bool, ...]) -> Level:
        """The root level for these values of the operation's boolean variables."""
        known = self._variants.get(flags)
        if known is None:
            known = self._variants[flags] = self._planner(flags).root()
        return known

    def guard(self, ctx: Context) -> None:
        for guard in self._guards:
            guard(ctx)

    async def execute(self, ctx: Context, variables: Mapping[str, Any]) -> Outcome:
        run = self._begin(ctx, variables)
        if isinstance(run, list):
            return Outcome(None, run)
        level = self.level(tuple(run.variables.coerced[name] for name in self._flags))
        (data,) = await level.complete([None], run, lambda _: [])
        return Outcome(None if data is NULLED else data, run.errors)

    async def stream(self, ctx: Context, variables: Mapping[str, Any]) -> AsyncIterator[Outcome]:
        assert self._stream is not None
        run = self._begin(ctx, variables)
        if isinstance(run, list):
            yield Outcome(None, run)
            return
        self.guard(ctx)
        async for outcome in self._stream.outcomes(run):
            yield outcome

    def _begin(self, ctx: Context, variables: Mapping[str, Any]) -> Run | list[GraphQLError]:
        found = get_variable_values(
            self.graph.schema,
            self.definition.variable_definitions or (),
            dict(variables),
            hide_suggestions=self.graph.hide_suggestions,
        )
        if isinstance(found, list):
            return found
        return self._checks.errors(found) or Run(ctx, found)

    def _planner(self, flags: tuple[bool, ...]) -> Planner:
        chosen = dict(zip(self._flags, flags, strict=True))
        return Planner(self.graph.schema, self.document, self.definition, chosen, self.leaves, self.graph.dialect)


class _StreamParts:
    """A row stream: batch after batch of the same list, each completed like any other list."""

    def __init__(self, planner: Planner) -> None:
        self.key, self.relation, self._completer, self._node, definition = planner.stream()
        self._read, self._names = argument_reader(definition, self._node), python_names(definition)
        self.relation: ManyRelation
        self._completer: Completer

    async def outcomes(self, run: Run) -> AsyncIterator[Outcome]:
        arguments = {self._names[name]: value for name, value in self._read(run.variables).items()}
        last = None
        while rows := await self.relation.batch(run.ctx, arguments, last):
            last, run.errors = rows[-1], []
            (batch,) = await self._completer.complete([rows], run, lambda _: [self.key])
            yield Outcome(None if batch is NULLED else {self.key: batch}, run.errors)
            if len(rows) < self.relation.many.batch:
                return


class Reference(Operation):
    """The same declarations, executed by graphql-core."""

    def __init__(self, graph: Graph, document: DocumentNode, definition: OperationDefinitionNode) -> None:
        self.graph, self.document, self.definition = graph, document, definition
        self._checks = Checks(graph.schema, document)
        self._guards = _guards(graph, document, definition)

    def guard(self, ctx: Context) -> None:
        for guard in self._guards:
            guard(ctx)

    async def execute(self, ctx: Context, variables: Mapping[str, Any]) -> Outcome:
        broken = self._broken(variables)
        if broken:
            return Outcome(None, broken)
        result: Any = execute(
            self.graph.schema, self.document, context_value=ctx, variable_values=dict(variables), operation_name=self._name()
        )
        if hasattr(result, "__await__"):
            result = await result
        return Outcome(result.data, list(result.errors or ()))

    async def stream(self, ctx: Context, variables: Mapping[str, Any]) -> AsyncIterator[Outcome]:
        result: Any = await subscribe(  # type: ignore[misc]  # awaitable or not, by resolver
            self.graph.schema,
            self.document,
            context_value=ctx,
            variable_values=dict(variables),
            operation_name=self._name(),
        )
        if not hasattr(result, "__aiter__"):
            yield Outcome(result.data, list(result.errors or ()))
            return
        async for event in result:
            yield Outcome(event.data, list(event.errors or ()))

    def _broken(self, variables: Mapping[str, Any]) -> list[GraphQLError]:
        found = get_variable_values(self.graph.schema, self.definition.variable_definitions or (), dict(variables))
        return found if isinstance(found, list) else self._checks.errors(found)

    def _name(self) -> str | None:
        return self.definition.name.value if self.definition.name is not None else None


def _guards(graph: Graph, document: DocumentNode, definition: OperationDefinitionNode) -> list[Callable[[Context], object]]:
    from engine.selections import Selections

    kind = graph.schema.get_root_type(definition.operation)
    assert kind is not None
    every = dict.fromkeys(condition_variables(document), True)
    found = Selections(graph.schema, document, every).collect(kind, [definition.selection_set])
    fields = [definition_of(kind.fields[nodes[0].name.value]) for nodes in found.values() if nodes[0].name.value in kind.fields]
    return [field.guard for field in fields if isinstance(field, Field) and field.guard is not None]


def explain_error(ctx: Context, error: GraphQLError) -> GraphQLError:
    """As clients see it: our own errors as they are, with their code; what nobody foresaw masked and logged."""
    cause = error.original_error
    if cause is None or isinstance(cause, DomainError | GraphQLError):
        return error
    error_id = ctx.report(cause) if ctx.report is not None else "-"
    return located_error(
        GraphQLError(f"Internal error; quote {error_id} when reporting it", extensions={"code": "INTERNAL", "id": error_id}),
        error.nodes,
        error.path,
    )


# --- checks at start-up ------------------------------------------------------------------------------------------------


def check_declarations(graph: Graph) -> None:
    """Refuse a schema that leaves visibility or access open. Raises `NotSupported` naming every gap."""
    gaps = [*_unguarded_roots(graph), *_undeclared_types(graph), *_undescribed(graph)]
    if gaps:
        raise NotSupported("the schema is not complete:\n  " + "\n  ".join(gaps))


def _roots(graph: Graph) -> list[Any]:
    schema = graph.schema
    return [kind for kind in (schema.query_type, schema.mutation_type, schema.subscription_type) if kind is not None]


def _unguarded_roots(graph: Graph) -> list[str]:
    return [
        f"{kind.name}.{name} has no guard"
        for kind in _roots(graph)
        for name, field in kind.fields.items()
        if not (isinstance(definition := definition_of(field), Field) and definition.guard is not None)
    ]


def _undeclared_types(graph: Graph) -> list[str]:
    roots = {kind.name for kind in _roots(graph)}
    return [
        f"{name}.{field_name} is stored, but {name} does not say where and for whom (@stored)"
        for name, kind in graph.schema.type_map.items()
        if is_object_type(kind) and name not in roots and stored_type(kind) is None
        for field_name, field in kind.fields.items()
        if (isinstance(definition := definition_of(field), Field) and isinstance(definition.kind, Column | Many))
        or (isinstance(definition, Field) and isinstance(definition.kind, One) and definition.kind.column is not None)
    ]


def _undescribed(graph: Graph) -> list[str]:
    missing = []
    for name, kind in graph.schema.type_map.items():
        if name.startswith("__") or (kind.extensions or {}).get("strawberry-definition") is None:
            continue
        if not kind.description:
            missing.append(f"{name} has no description")
        fields: Mapping[str, Any] = getattr(kind, "fields", {})
        for field_name, field in fields.items():
            if not field.description:
                missing.append(f"{name}.{field_name} has no description")
            missing += [
                f"{name}.{field_name}({argument_name}) has no description"
                for argument_name, argument in getattr(field, "args", {}).items()
                if not argument.description
            ]
    return missing
