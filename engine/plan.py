"""From an operation to a plan: which columns each level reads, which statements follow, the code that builds its objects.

What the planner does not understand (introspection, foreign directives) it refuses; graphql-core runs that instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from sqlalchemy.engine import Dialect

from core.ids import encode_global_id
from engine.arguments import argument_reader, python_names
from engine.declare import Batch, Column, Field, GlobalId, Many, One, Stored, stored_of
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
from engine.operation import Leaves
from engine.relations import ManyRelation, OneRelation, Projection
from engine.selections import Selections, fragments_of, walk
from engine.steps import AttributeStep, BatchStep, ManyStep, NodeStep, OneStep, Resolution, ResolveStep

PLANNED_DIRECTIVES = frozenset({"skip", "include"})


class UnplannableError(Exception):
    """The operation holds something that only graphql-core executes."""


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


def definition_of(field: GraphQLField) -> Any:
    """The Strawberry field behind a GraphQL field."""
    return (field.extensions or {}).get("strawberry-definition")


def stored_type(kind: Any) -> Stored | None:
    """The declaration behind a GraphQL object type."""
    definition = (kind.extensions or {}).get("strawberry-definition")
    return stored_of(getattr(definition, "origin", None))


def refuse_foreign_directives(document: DocumentNode) -> None:
    """Raise `UnplannableError` for directives that change execution in a way that plans do not know."""
    for selection in walk(document):
        for directive in selection.directives or ():
            if directive.name.value not in PLANNED_DIRECTIVES:
                raise UnplannableError(f"@{directive.name.value}")


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
    ) -> None:
        self.schema, self.operation, self.leaves, self.dialect = schema, operation, leaves, dialect
        self.selections = Selections(schema, document, flags)
        self.fragments = fragments_of(document)

    def root(self) -> Level:
        """The level of the operation itself."""
        kind = self.schema.query_type if self.operation.operation is OperationType.QUERY else self.schema.mutation_type
        assert kind is not None
        return self.level(kind, [self.operation.selection_set], Objects())

    def stream(self) -> tuple[str, ManyRelation, Completer, FieldNode, GraphQLField]:
        """The parts of a row stream: key, relation, completer of its batches, node and definition."""
        kind = self.schema.subscription_type
        assert kind is not None
        ((key, nodes),) = self.selections.collect(kind, [self.operation.selection_set]).items()
        definition = self._definition(kind, nodes[0])
        declared = definition_of(definition).kind
        if not isinstance(declared, Many):
            raise UnplannableError("a subscription that is no row stream")
        rows = self._rows_of(get_named_type(definition.type))
        relation = ManyRelation(_label(kind, nodes[0]), rows.stored, declared, rows.projection, self.dialect)
        relation.with_cursors()
        return key, relation, self._completer(definition.type, _label(kind, nodes[0]), nodes, rows), nodes[0], definition

    # --- levels ------------------------------------------------------------------------------------------------------

    def level(self, kind: GraphQLObjectType, sets: Sequence[SelectionSetNode], record: Rows | Objects) -> Level:
        """Plan one selection set on one concrete type."""
        fields = self.selections.collect(kind, sets)
        names, entries = Names(), []
        readers: list[tuple[str, str, Position]] = []
        steps: list[Step] = []
        for key, nodes in fields.items():
            if nodes[0].name.value == "__typename":
                code = repr(kind.name)
            else:
                definition = self._definition(kind, nodes[0])
                code = self._leaf(kind, nodes[0], definition, record, names) or ""
            if code:
                readers.append((key, code, _position(kind, nodes)))
            else:
                steps.append(self._step(kind, key, nodes, definition, record))
            entries.append(f"{key!r}: {code or None}")
        source = f"def build(rows):\n    return [{{{', '.join(entries)}}} for r in rows]\n"
        source += "".join(f"def read{index}(r):\n    return {code}\n" for index, (_, code, _) in enumerate(readers))
        exec(compile(source, "<plan>", "exec"), names.bound)  # noqa: S102  # names and repr() only, see leaves.Names
        leaves = [LeafReader(key, names.bound[f"read{index}"], position) for index, (key, _, position) in enumerate(readers)]
        return Level(names.bound["build"], leaves, list(fields), steps, source)

    def _definition(self, kind: GraphQLObjectType, node: FieldNode) -> GraphQLField:
        definition = kind.fields.get(node.name.value)
        if definition is None or definition_of(definition) is None:
            raise UnplannableError(node.name.value)  # introspection
        found: GraphQLField = definition
        return found

    def _leaf(
        self, kind: GraphQLObjectType, node: FieldNode, definition: GraphQLField, record: Rows | Objects, names: Names
    ) -> str | None:
        """The code that reads a leaf off its parent; None if the field needs a step."""
        nullable = not is_non_null_type(definition.type)
        kept: Any = definition.type
        leaf = kept if nullable else kept.of_type
        if not is_leaf_type(leaf):
            return None
        declared = definition_of(definition)
        how = declared.kind if isinstance(declared, Field) else None
        label, serialize = _label(kind, node), serializer(leaf, self.leaves)
        if isinstance(record, Objects):
            if not declared.is_basic_field:
                return None
            raw = f"r.{declared.python_name}"
            return expression(raw, leaf, names, label=label, nullable=nullable, convert=None, serialize=serialize)
        if isinstance(how, GlobalId):
            raw, name = f"r[{record.projection.index(record.stored.key)}]", kind.name
            return expression(
                raw,
                leaf,
                names,
                label=label,
                nullable=nullable,
                serialize=serialize,
                convert=lambda local_id: encode_global_id(name, str(local_id)),
            )
        if isinstance(how, Column):
            raw, convert = f"r[{record.projection.index(how)}]", stored_converter(leaf, self.leaves)
            return expression(raw, leaf, names, label=label, nullable=nullable, convert=convert, serialize=serialize)
        return None

    # --- steps -------------------------------------------------------------------------------------------------------

    def _step(
        self, kind: GraphQLObjectType, key: str, nodes: list[FieldNode], definition: GraphQLField, record: Rows | Objects
    ) -> Step:
        declared = definition_of(definition)
        how = declared.kind if isinstance(declared, Field) else None
        if isinstance(how, Many):
            return self._many(kind, key, nodes, definition, record, how)
        if isinstance(how, One):
            return self._one(kind, key, nodes, definition, record, how)
        common = self._common(kind, key, nodes, definition, Objects(record.rows if isinstance(record, Objects) else None))
        if isinstance(how, Batch) and isinstance(record, Rows):
            return BatchStep(**common, kind=how, indices=[record.projection.index(column) for column in how.needs])
        if declared.is_basic_field and isinstance(record, Objects):
            return AttributeStep(**common, attribute=declared.python_name)
        if isinstance(record, Rows):
            raise UnplannableError(f"{_label(kind, nodes[0])}: a resolver on a row")
        resolution = Resolution(self.schema, self.operation, self.fragments, kind, definition)
        # The guard is asked by the resolver's own field.
        return ResolveStep(**{**common, "guard": None}, resolution=resolution, instance=None)

    def _common(
        self, kind: GraphQLObjectType, key: str, nodes: list[FieldNode], definition: GraphQLField, record: Record
    ) -> dict[str, Any]:
        declared = definition_of(definition)
        return {
            "key": key,
            "nodes": nodes,
            "completer": self._completer(definition.type, _label(kind, nodes[0]), nodes, record),
            "arguments": argument_reader(definition, nodes[0]),
            "guard": declared.guard if isinstance(declared, Field) else None,
        }

    def _many(
        self,
        kind: GraphQLObjectType,
        key: str,
        nodes: list[FieldNode],
        definition: GraphQLField,
        record: Rows | Objects,
        how: Many,
    ) -> Step:
        connection: Any = get_named_type(definition.type)
        rows = self._rows_of(get_named_type(connection.fields["nodes"].type))
        relation = ManyRelation(_label(kind, nodes[0]), rows.stored, how, rows.projection, self.dialect)
        common = self._common(kind, key, nodes, definition, Objects(rows))
        selected = self._names(connection, nodes)
        if self._wants_cursors(connection, nodes):
            relation.with_cursors()
        parent_index = None
        if how.parent is not None:
            assert isinstance(record, Rows)
            parent_index = record.projection.index(record.stored.key)
        return ManyStep(
            **common,
            kind=how,
            relation=relation,
            parent_index=parent_index,
            names=python_names(definition),
            rows=bool(selected & {"nodes", "edges", "pageInfo"}),
            count="totalCount" in selected,
        )

    def _one(
        self,
        kind: GraphQLObjectType,
        key: str,
        nodes: list[FieldNode],
        definition: GraphQLField,
        record: Rows | Objects,
        how: One,
    ) -> Step:
        target = get_named_type(definition.type)
        if is_abstract_type(target):
            by_type = {
                each.name: Rows(stored, Projection())
                for each in self.schema.get_possible_types(target)
                if (stored := stored_type(each)) is not None
            }
            relations = {name: OneRelation(rows.stored, how, rows.projection, self.dialect) for name, rows in by_type.items()}
            return NodeStep(**self._common(kind, key, nodes, definition, AnyRows(by_type)), relations=relations)
        rows = self._rows_of(target)
        parent_index = None
        if how.column is not None:
            assert isinstance(record, Rows)
            parent_index = record.projection.index(how.column)
        return OneStep(
            **self._common(kind, key, nodes, definition, rows),
            kind=how,
            parent_index=parent_index,
            relation=OneRelation(rows.stored, how, rows.projection, self.dialect),
            names=python_names(definition),
        )

    def _rows_of(self, kind: Any) -> Rows:
        stored = stored_type(kind)
        if stored is None:
            raise UnplannableError(f"{kind.name} is not stored")
        return Rows(stored, Projection())

    def _names(self, kind: GraphQLObjectType, nodes: Sequence[FieldNode]) -> set[str]:
        return {found[0].name.value for found in self.selections.collect(kind, _sets(nodes)).values()}

    def _wants_cursors(self, connection: GraphQLObjectType, nodes: Sequence[FieldNode]) -> bool:
        for found in self.selections.collect(connection, _sets(nodes)).values():
            if found[0].name.value in {"edges", "pageInfo"}:
                inner: Any = get_named_type(connection.fields[found[0].name.value].type)
                if self._names(inner, found) & {"cursor", "startCursor", "endCursor"}:
                    return True
        return False

    # --- completers --------------------------------------------------------------------------------------------------

    def _completer(self, kind: Any, label: str, nodes: Sequence[FieldNode], record: Record) -> Completer:
        nullable = not is_non_null_type(kind)
        position, inner = Position(label, nodes, nullable), kind if nullable else kind.of_type
        if is_list_type(inner):
            return ListCompleter(position, self._completer(inner.of_type, label, nodes, record))
        if is_leaf_type(inner):
            return LeafCompleter(position, serializer(inner, self.leaves))
        if is_abstract_type(inner):
            return self._abstract(position, inner, nodes, record)
        return ObjectCompleter(position, self.level(inner, _sets(nodes), _below(inner, record)))

    def _abstract(self, position: Position, kind: Any, nodes: Sequence[FieldNode], record: Record) -> Completer:
        by_type = record.by_type if isinstance(record, AnyRows) else None
        levels = {
            each.name: self.level(each, _sets(nodes), by_type[each.name] if by_type is not None else Objects())
            for each in self.schema.get_possible_types(kind)
            if by_type is None or each.name in by_type
        }
        return AbstractCompleter(position, levels, lambda value: str(kind.resolve_type(value, None, kind)), kind.name)


def _below(kind: GraphQLObjectType, record: Record) -> Rows | Objects:
    """What the values of an object type are: rows where a stored type is reached, else objects that may lead to them."""
    assert not isinstance(record, AnyRows)
    if isinstance(record, Objects) and record.rows is not None and stored_type(kind) is record.rows.stored:
        return record.rows
    if isinstance(record, Objects) and stored_type(kind) is not None:
        raise UnplannableError(f"{kind.name} from a resolver")
    return record


def _sets(nodes: Sequence[FieldNode]) -> list[SelectionSetNode]:
    return [node.selection_set for node in nodes if node.selection_set is not None]


def _label(kind: GraphQLObjectType, node: FieldNode) -> str:
    return f"{kind.name}.{node.name.value}"


def _position(kind: GraphQLObjectType, nodes: Sequence[FieldNode]) -> Position:
    definition = kind.fields.get(nodes[0].name.value)
    return Position(_label(kind, nodes[0]), nodes, definition is not None and not is_non_null_type(definition.type))
