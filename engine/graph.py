"""The built graph: the schema, checked; operations prepared for it; the documents of clients, cached and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import strawberry
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    parse,
    separate_operations,
    validate,
)
from sqlalchemy.engine import Dialect

from core.errors import NotSupported, TooExpensive
from core.sql import Statement
from engine.admission import MOST_VARIANTS, Admission
from engine.checks import check_declarations
from engine.declare import stored_type
from engine.limits import Limits, Measures, check_limits
from engine.operation import GRAPHQL_LEAVES, Leaves, Operation, UnplannableError
from engine.plan import Plan
from engine.recent import Recent
from engine.reference import Reference, attach_resolvers
from engine.selections import condition_variables, operation_of

Read = tuple[DocumentNode | None, list[GraphQLError]]
"""A client's document, or why it is none."""

DOCUMENTS = 1000
"""How many documents of clients are remembered unless it is said otherwise."""

CHARACTERS, FIELDS, STATEMENTS = 500, 25, 5
"""What there is room for, per document: parsed it takes 80 to 250 bytes a character, planned some 3 KB a field.

Of SQL there is so much text for all statements of all operations, those of REST included.
"""


class Graph:
    """A schema with its store's dialect. Refuses to build when a declaration leaves something open."""

    def __init__(
        self,
        schema: strawberry.Schema,
        dialect: Dialect,
        *,
        limits: Limits | None = None,
        documents: int = DOCUMENTS,
        hide_suggestions: bool = False,
    ) -> None:
        self.strawberry = schema
        self.schema = schema._schema  # noqa: SLF001  # Strawberry offers the graphql-core schema under no other name
        self.dialect, self.limits, self.hide_suggestions = dialect, limits or Limits(), hide_suggestions
        self._documents: Recent[DocumentNode] = Recent(documents, room=documents * CHARACTERS)
        self._refusals: Recent[list[GraphQLError]] = Recent(documents // 10, room=documents * CHARACTERS // 10)
        self._operations: Recent[Operation] = Recent(documents, room=documents * FIELDS)
        self._statements: Recent[Statement] = Recent(documents * STATEMENTS, room=documents * STATEMENTS * CHARACTERS)
        check_declarations(self.schema)
        attach_resolvers(self.schema, dialect)

    @property
    def caches(self) -> Mapping[str, Recent[Any]]:
        """What is kept, for operators to look at."""
        return {
            "documents": self._documents,
            "refusals": self._refusals,
            "operations": self._operations,
            "statements": self._statements,
        }

    def noun(self, type_name: str) -> str:
        """What a user calls one of these: `Storage location`."""
        kind = self.schema.get_type(type_name)
        stored = None if kind is None else stored_type(kind)
        return type_name if stored is None else stored.noun

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
        alone = separate_operations(document)[definition.name.value if definition.name else ""]
        admission = Admission(
            self.schema, alone, definition, hide_suggestions=self.hide_suggestions, most_nodes=self.limits.nodes
        )
        try:
            return Plan(self.schema, alone, definition, admission, leaves, self.dialect, self._statements)
        except UnplannableError as refusal:
            if leaves != GRAPHQL_LEAVES:
                raise
            return Reference(self.schema, alone, definition, admission, reason=str(refusal))

    def document(self, text: str) -> Read:
        """Parse and validate a client's document, within the limits; None with the errors if it is not acceptable."""
        if len(text) > self.limits.characters:
            return None, [_too_expensive(f"{len(text)} characters; at most {self.limits.characters} are allowed", "characters")]
        refusal = self._refusals.get(text)
        if refusal is not None:
            return None, refusal
        try:
            return self._documents.remember(text, lambda: self._read(text), weight=len(text)), []
        except _Refusal as refused:
            errors = refused.errors
        # Apart from what was accepted, which no flood of mistakes drives out.
        return None, self._refusals.remember(text, lambda: errors, weight=len(text))

    def operation(self, text: str, document: DocumentNode, name: str | None) -> Operation:
        """The prepared operation of a client's document."""
        return self._operations.remember((text, name), lambda: self.prepare(document, name), weight=lambda _: _weight(document))

    def _read(self, text: str) -> DocumentNode:
        try:
            document = parse(text, max_tokens=self.limits.tokens)
            check_limits(document, self.limits)
        except GraphQLSyntaxError as error:
            too_many = error.message.startswith("Syntax Error: Document contains more than")  # it has no class of its own
            raise _Refusal(
                [_too_expensive(f"more than {self.limits.tokens} tokens", "tokens") if too_many else error]
            ) from None
        except (TooExpensive, NotSupported) as error:
            raise _Refusal([GraphQLError(error.detail, original_error=error)]) from None
        errors = validate(self.schema, document, max_errors=20, hide_suggestions=self.hide_suggestions)
        if errors:
            raise _Refusal(errors)
        return document


class _Refusal(Exception):
    """Why a document is not acceptable. The errors are kept, the frames that they were found in (and all these hold) are not."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__()
        self.errors = errors
        for error in errors:
            for each in (error, error.original_error):
                if each is not None:
                    each.__traceback__ = each.__context__ = None


def _weight(document: DocumentNode) -> int:
    """How many fields the plans of any of its operations have at most."""
    measures = Measures(document)
    definitions = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    fields = max(measures.of(each.selection_set).all for each in definitions)
    return fields * min(1 << len(condition_variables(document)), MOST_VARIANTS)


def _too_expensive(detail: str, bound: str) -> GraphQLError:
    error = TooExpensive(f"the document has {detail}", bound=bound)
    return GraphQLError(error.detail, original_error=error)
