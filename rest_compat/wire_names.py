"""Names between the graph and the wire: the rewriting of a validated document into the one that runs.

Its aliases are the wire's keys, which need not be GraphQL names; its transport directives are gone.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

from graphql import (
    DocumentNode,
    FieldNode,
    NameNode,
    OperationDefinitionNode,
    VariableDefinitionNode,
    Visitor,
    visit,
)

from rest_compat.directives import Vocabulary
from rest_compat.selection import TYPENAME


def snake_case(name: str) -> str:
    """`cifsHost` → `cifs_host`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def with_wire_keys(document: DocumentNode, vocabulary: Vocabulary, *, snake: bool) -> DocumentNode:
    """Every field under its key on the wire: `@key`, else its alias, else its name in the dialect's spelling."""
    rewritten: DocumentNode = visit(document, _Keys(vocabulary, snake=snake))
    return rewritten


def executable(document: DocumentNode, vocabulary: Vocabulary, used: Collection[str]) -> DocumentNode:
    """Without transport directives and unused variables, and with the type asked for where a `@status` depends on it."""
    rewritten: DocumentNode = visit(document, _Plain(vocabulary, used))
    return rewritten


class _Keys(Visitor):
    def __init__(self, vocabulary: Vocabulary, *, snake: bool) -> None:
        super().__init__()
        self._vocabulary = vocabulary
        self._snake = snake

    def leave_field(self, node: FieldNode, *_: object) -> FieldNode | None:
        key = self._vocabulary.marks(node).key or (node.alias and node.alias.value)
        if key is None and self._snake and not node.name.value.startswith("__"):
            key = snake_case(node.name.value)
        return replace(node, alias=NameNode(value=key, loc=node.name.loc)) if key else None


class _Plain(Visitor):
    def __init__(self, vocabulary: Vocabulary, used: Collection[str]) -> None:
        super().__init__()
        self._vocabulary = vocabulary
        self._used = used

    def leave_field(self, node: FieldNode, *_: object) -> FieldNode | None:
        if not node.directives:
            return None
        inner = node.selection_set
        if inner and any(status.of_type for status in self._vocabulary.marks(node).statuses):
            inner = replace(inner, selections=(FieldNode(name=NameNode(value=TYPENAME)), *inner.selections))
        return replace(node, directives=(), selection_set=inner)

    def leave_variable_definition(self, node: VariableDefinitionNode, *_: object) -> VariableDefinitionNode:
        return replace(node, directives=())

    def leave_operation_definition(self, node: OperationDefinitionNode, *_: object) -> OperationDefinitionNode:
        kept = tuple(each for each in node.variable_definitions or () if each.variable.name.value in self._used)
        return replace(node, directives=(), variable_definitions=kept)
