"""From an operation to a plan: which columns each level reads, which statements follow, the code that builds its objects.

What the planner does not understand (introspection, foreign directives) it refuses; graphql-core runs that instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableValues,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from sqlalchemy.engine import Dialect

from core.ids import encode_global_id
from core.sql import Statement
from engine.arguments import declared_arguments, graphql_arguments
from engine.declare import definition_of, guard_of, kind_of, stored_type
from engine.kinds import Asked, Batch, Column, GlobalId, Guard, Kind, Live, Many, One, Pieces, Some, Stored
from engine.leaves import Names, expression, serializer, stored_converter
from engine.levels import (
    AbstractCompleter,
    Completer,
    LeafCompleter,
    LeafReader,
    Level,
    ListCompleter,
    ObjectCompleter,
    Position,
    Step,
)
from engine.operation import Leaves, UnplannableError
from engine.recent import Recent
from engine.relations import ManyRelation, OneRelation, Projection
from engine.selections import Selections, fragments_of, sets_of, walk
from engine.steps import AttributeStep, BatchStep, ManyStep, NodeStep, OneStep, Resolution, ResolveStep, SomeStep

PLANNED_DIRECTIVES = frozenset({"skip", "include"})
CURSORS = frozenset({"cursor", "startCursor", "endCursor"})
AHEAD = frozenset({"hasNextPage", "hasPreviousPage"})
KNOWN_WITHOUT_ROWS = frozenset({"totalCount", "offset", "size", "__typename"})
NO_VARIABLES = VariableValues({}, {})


@dataclass(frozen=True, slots=True)
class Rows:
    """Values are raw rows of a stored type, with these columns."""

    stored: Stored
    projection: Projection


@dataclass(frozen=True, slots=True)
class Objects:
    """Values are Python objects; where a stored type is reached through them, its values are these rows."""

    rows: Rows | None = None


@dataclass(frozen=True, slots=True)
class AnyRows:
    """Values are rows of one of several stored types, each named by its `Typed`."""

    by_type: Mapping[str, Rows]


Record = Rows | Objects | AnyRows


@dataclass(frozen=True, slots=True)
class Selected:
    """One field as the operation asks for it. Nodes with the same response key ask for the same."""

    parent: GraphQLObjectType
    key: str
    nodes: Sequence[FieldNode]

    @property
    def name(self) -> str:
        """In the schema."""
        return self.nodes[0].name.value

    @property
    def label(self) -> str:
        """As messages name it."""
        return f"{self.parent.name}.{self.name}"

    @property
    def field(self) -> GraphQLField:
        """Its definition; `__typename` has none."""
        found: GraphQLField = self.parent.fields[self.name]
        return found

    @property
    def kind(self) -> Kind | None:
        """How it was declared."""
        return kind_of(self.field)

    @property
    def guard(self) -> Guard | None:
        """Who may use it."""
        return guard_of(self.field)

    @property
    def attribute(self) -> str | None:
        """Which attribute of a Python object holds it; None if nothing but a resolver finds it."""
        definition = definition_of(self.field)
        return definition.python_name if definition.is_basic_field else None

    @property
    def target(self) -> Any:
        """The type of its values, unwrapped."""
        return get_named_type(self.field.type)

    def position(self) -> Position:
        """Where errors of a leaf belong."""
        nullable = self.name != "__typename" and not is_non_null_type(self.field.type)
        return Position(self.label, self.nodes, nullable)


class Planner:
    """Plans one operation for one choice of its boolean variables, one dialect and one way to spell leaves."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        flags: Mapping[str, bool],
        leaves: Leaves,
        dialect: Dialect,
        statements: Recent[Statement],
    ) -> None:
        self._schema, self._operation, self._leaves, self._dialect = schema, operation, leaves, dialect
        self._statements = statements
        self._selections = Selections(schema, document, flags)
        self._fragments = fragments_of(document)

    def level(self) -> Level:
        """The root level of a query or mutation."""
        return self._level(self._root(), [self._operation.selection_set], Objects())

    def stream(self) -> tuple[Selected, ManyRelation, Completer]:
        """The one field of a subscription, the list it streams, and what completes its batches."""
        (selected,) = self._select(self._root(), [self._operation.selection_set])
        if not isinstance(selected.kind, Many):
            raise UnplannableError(f"{selected.label} is no row stream")
        rows = _rows_of(selected.target)
        relation = self._many_relation(selected, selected.kind, rows)
        relation.with_cursors()
        return selected, relation, self._completer(selected.field.type, selected, rows)

    def live(self) -> tuple[Selected, Live, Completer] | None:
        """The one field of a live subscription and what completes its events; None for a row stream."""
        (selected,) = self._select(self._root(), [self._operation.selection_set])
        if not isinstance(selected.kind, Live):
            return None
        return selected, selected.kind, self._completer(selected.field.type, selected, Objects())

    def pieces(self) -> tuple[Selected, Pieces, Completer] | None:
        """The one field of a stream of values and what completes each; None for another stream."""
        (selected,) = self._select(self._root(), [self._operation.selection_set])
        if not isinstance(selected.kind, Pieces):
            return None
        return selected, selected.kind, self._completer(selected.field.type, selected, Objects())

    def _root(self) -> GraphQLObjectType:
        root = self._schema.get_root_type(self._operation.operation)
        assert root is not None, "a valid document asks for roots that there are"
        return root

    def _select(self, kind: GraphQLObjectType, sets: Sequence[SelectionSetNode]) -> list[Selected]:
        return [Selected(kind, key, nodes) for key, nodes in self._selections.collect(kind, sets).items()]

    # --- levels ------------------------------------------------------------------------------------------------------

    def _level(self, kind: GraphQLObjectType, sets: Sequence[SelectionSetNode], record: Rows | Objects) -> Level:
        """Plan one selection set on one concrete type."""
        names = Names()
        codes: dict[str, str] = {}
        readers: list[tuple[Selected, str]] = []
        steps: list[Step] = []
        for selected in self._select(kind, sets):
            code = self._leaf(selected, record, names)
            codes[selected.key] = code or "None"
            if code is None:
                steps.append(self._step(selected, record))
            else:
                readers.append((selected, code))
        entries = ", ".join(f"{key!r}: {code}" for key, code in codes.items())
        source = [f"def build(rows):\n    return [{{{entries}}} for r in rows]"]
        source += [f"def read{index}(r):\n    return {code}" for index, (_, code) in enumerate(readers)]
        exec(compile("\n".join(source), "<plan>", "exec"), names.bound)  # noqa: S102  # names and repr() only, see leaves.Names
        leaves = [
            LeafReader(selected.key, names.bound[f"read{index}"], selected.position())
            for index, (selected, _) in enumerate(readers)
        ]
        return Level(kind.name, list(codes), names.bound["build"], leaves, steps)

    def _leaf(self, selected: Selected, record: Rows | Objects, names: Names) -> str | None:
        """The code that reads a leaf off its parent; None if the field needs a step."""
        if selected.name == "__typename":
            return repr(selected.parent.name)
        position = selected.position()
        leaf: Any = selected.field.type if position.nullable else selected.field.type.of_type  # type: ignore[union-attr]  # what is not nullable is wrapped
        if not is_leaf_type(leaf):
            return None
        convert: Callable[[Any], Any] | None = None
        if isinstance(record, Objects):
            if selected.attribute is None:
                return None
            raw = f"r.{selected.attribute}"
        elif isinstance(selected.kind, GlobalId):
            type_name = selected.parent.name
            raw = f"r[{record.projection.index(record.stored.key)}]"
            convert = lambda local_id: encode_global_id(type_name, str(local_id))  # noqa: E731  # reads best in its place
        elif isinstance(selected.kind, Column):
            raw, convert = f"r[{record.projection.index(selected.kind)}]", stored_converter(leaf, self._leaves)
        else:
            return None
        serialize = serializer(leaf, self._leaves)
        return expression(raw, leaf, names, position=position, convert=convert, serialize=serialize)

    # --- steps -------------------------------------------------------------------------------------------------------

    def _step(self, selected: Selected, record: Rows | Objects) -> Step:
        match selected.kind:
            case Many() as many:
                return self._many(selected, many, record)
            case One() | Some() as edge:
                return self._edge(selected, edge, record)
            case Batch() as batch if isinstance(record, Rows):
                return self._batch(selected, batch, record)
        assert isinstance(record, Objects), "checked at start-up"
        completer = self._completer(selected.field.type, selected, record)
        if selected.attribute is not None:
            return AttributeStep(selected.key, completer, selected.attribute)
        arguments = graphql_arguments(selected.field, selected.nodes[0])
        return ResolveStep(selected.key, completer, self._resolution(selected), arguments)

    def _batch(self, selected: Selected, batch: Batch, record: Rows) -> BatchStep:
        wanted = self._names_below(selected.target, selected.nodes) if batch.largest_page else set()
        return BatchStep(
            selected.key,
            self._completer(selected.field.type, selected, Objects()),
            selected.guard,
            batch,
            [record.projection.index(column) for column in batch.needs],
            declared_arguments(selected.field, selected.nodes[0]),
            Asked({}, rows=bool(wanted - KNOWN_WITHOUT_ROWS), more=bool(wanted & AHEAD), total="totalCount" in wanted),
        )

    def _resolution(self, selected: Selected) -> Resolution:
        return Resolution(self._schema, self._operation, self._fragments, selected.parent, selected.field, selected.nodes)

    def _many(self, selected: Selected, many: Many, record: Rows | Objects) -> ManyStep:
        connection: GraphQLObjectType = selected.target
        rows = _rows_of(get_named_type(connection.fields["nodes"].type))
        relation = self._many_relation(selected, many, rows)
        completer = self._completer(selected.field.type, selected, Objects(rows))
        wanted = self._names_below(connection, selected.nodes)
        if wanted & CURSORS:
            relation.with_cursors(sorted_by_client=asks_for(selected.nodes[0], "orderBy"))
        parent_index = None
        if many.parent is not None:
            assert isinstance(record, Rows), "checked at start-up"
            parent_index = record.projection.index(record.stored.key)
        return ManyStep(
            selected.key,
            completer,
            selected.guard,
            relation,
            declared_arguments(selected.field, selected.nodes[0]),
            parent_index,
            rows=bool(wanted - KNOWN_WITHOUT_ROWS),
            more=bool(wanted & AHEAD),
            count="totalCount" in wanted,
        )

    def _many_relation(self, selected: Selected, many: Many, rows: Rows) -> ManyRelation:
        return ManyRelation(selected.label, rows.stored, many, rows.projection, self._dialect, self._statements)

    def _edge(self, selected: Selected, edge: One | Some, record: Rows | Objects) -> Step:
        if isinstance(edge, Some) and edge.column is None:
            return self._some(selected, edge)
        if isinstance(edge, Some) or is_abstract_type(selected.target):
            return self._node(selected, edge, record)
        return self._one(selected, edge, record)

    def _one(self, selected: Selected, one: One, record: Rows | Objects) -> OneStep:
        rows = _rows_of(selected.target)
        parent_index = None
        if one.column is not None:
            assert isinstance(record, Rows), "checked at start-up"
            parent_index = record.projection.index(one.column)
        return OneStep(
            selected.key,
            self._completer(selected.field.type, selected, rows),
            selected.guard,
            OneRelation(rows.stored, one, rows.projection, self._dialect, self._statements, name=selected.label),
            declared_arguments(selected.field, selected.nodes[0]),
            parent_index,
        )

    def _some(self, selected: Selected, some: Some) -> SomeStep:
        rows = _rows_of(selected.target)
        completer = self._completer(selected.field.type, selected, rows)
        relation = OneRelation(rows.stored, One(), rows.projection, self._dialect, self._statements, name=selected.label)
        return SomeStep(selected.key, completer, selected.guard, relation, some.attribute)

    def _node(self, selected: Selected, edge: One | Some, record: Rows | Objects) -> NodeStep:
        one = edge if isinstance(edge, One) else One()
        possible = self._schema.get_possible_types(selected.target)
        by_type = {kind.name: _rows_of(kind) for kind in possible if stored_type(kind) is not None}
        return NodeStep(
            selected.key,
            self._completer(selected.field.type, selected, AnyRows(by_type)),
            selected.guard,
            {
                name: OneRelation(rows.stored, one, rows.projection, self._dialect, self._statements, name=selected.label)
                for name, rows in by_type.items()
            },
            declared_arguments(selected.field, selected.nodes[0]),
            one.attribute,
            record.projection.index(edge.column) if edge.column is not None and isinstance(record, Rows) else None,
            several=isinstance(edge, Some),
        )

    def _names_below(self, connection: GraphQLObjectType, nodes: Sequence[FieldNode]) -> set[str]:
        """What is asked of a page; of its edges and its `pageInfo`, what stands in them."""
        names: set[str] = set()
        for selected in self._select(connection, sets_of(nodes)):
            if selected.name != "pageInfo":
                names.add(selected.name)
            if selected.name in {"edges", "pageInfo"}:
                names |= {inner.name for inner in self._select(selected.target, sets_of(selected.nodes))}
        return names

    # --- completers --------------------------------------------------------------------------------------------------

    def _completer(self, kind: Any, selected: Selected, record: Record) -> Completer:
        nullable = not is_non_null_type(kind)
        position, inner = Position(selected.label, selected.nodes, nullable), kind if nullable else kind.of_type
        if is_list_type(inner):
            return ListCompleter(position, self._completer(inner.of_type, selected, record))
        if is_leaf_type(inner):
            return LeafCompleter(position, serializer(inner, self._leaves))
        if is_abstract_type(inner):
            possible = [each for each in self._schema.get_possible_types(inner) if _reachable(each, record)]
            levels = {each.name: self._level(each, sets_of(selected.nodes), _below(each, record)) for each in possible}
            resolve_type: Any = inner.resolve_type
            info = self._resolution(selected).info(None, NO_VARIABLES, [selected.key])
            return AbstractCompleter(position, levels, lambda value: str(resolve_type(value, info, inner)), inner.name)
        return ObjectCompleter(position, self._level(inner, sets_of(selected.nodes), _below(inner, record)))


def refuse_unknown(document: DocumentNode) -> None:
    """Raise `UnplannableError` for what plans do not know, wherever it stands: a condition may bring it in at any time."""
    for selection in walk(document):
        if isinstance(selection, FieldNode) and selection.name.value in {"__schema", "__type"}:
            raise UnplannableError(f"{selection.name.value} is introspection")
        for directive in selection.directives or ():
            if directive.name.value not in PLANNED_DIRECTIVES:
                raise UnplannableError(f"@{directive.name.value}")


def asks_for(node: FieldNode, argument: str) -> bool:
    """Whether the field is given that argument."""
    return any(each.name.value == argument for each in node.arguments or ())


def _rows_of(kind: Any) -> Rows:
    stored = stored_type(kind)
    assert stored is not None, "checked at start-up"
    return Rows(stored, Projection())


def _reachable(kind: GraphQLObjectType, record: Record) -> bool:
    """Whether a value of an abstract type can be one of these: objects are never rows, rows are never objects."""
    if isinstance(record, AnyRows):
        return kind.name in record.by_type
    return stored_type(kind) is None


def _below(kind: GraphQLObjectType, record: Record) -> Rows | Objects:
    """What the values of an object type are: rows where a stored type is reached, else objects that may lead to them."""
    if isinstance(record, AnyRows):
        return record.by_type[kind.name]
    if isinstance(record, Objects) and stored_type(kind) is not None:
        assert record.rows is not None, "checked at start-up"
        return record.rows
    return record
