"""The built graph: the schema, checked; operations prepared for it; the documents of clients, cached and bounded."""

from __future__ import annotations

import strawberry
from graphql import DocumentNode, GraphQLError, GraphQLSyntaxError, parse, separate_operations, validate
from sqlalchemy.engine import Dialect

from core.errors import TooExpensive
from engine.admission import Admission
from engine.checks import check_declarations
from engine.declare import stored_type
from engine.limits import Limits, check_limits
from engine.operation import GRAPHQL_LEAVES, Leaves, Operation, UnplannableError
from engine.plan import Plan
from engine.recent import Recent
from engine.reference import Reference, attach_resolvers
from engine.selections import operation_of

Read = tuple[DocumentNode | None, list[GraphQLError]]
"""A client's document, or why it is none."""

MOST_DOCUMENTS, MOST_CHARACTERS = 1000, 2_000_000
"""What is remembered of clients; a parsed document takes some hundred bytes per character."""


class Graph:
    """A schema with its store's dialect. Refuses to build when a declaration leaves something open."""

    def __init__(
        self, schema: strawberry.Schema, dialect: Dialect, *, limits: Limits | None = None, hide_suggestions: bool = False
    ) -> None:
        self.strawberry = schema
        self.schema = schema._schema  # noqa: SLF001  # Strawberry offers the graphql-core schema under no other name
        self.dialect, self.limits, self.hide_suggestions = dialect, limits or Limits(), hide_suggestions
        self._documents: Recent[Read] = Recent(MOST_DOCUMENTS, room=MOST_CHARACTERS)
        self._operations: Recent[Operation] = Recent(MOST_DOCUMENTS, room=MOST_CHARACTERS)
        check_declarations(self.schema)
        attach_resolvers(self.schema, dialect)

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
        admission = Admission(self.schema, alone, definition, hide_suggestions=self.hide_suggestions)
        try:
            return Plan(self.schema, alone, definition, admission, leaves, self.dialect)
        except UnplannableError as refusal:
            if leaves != GRAPHQL_LEAVES:
                raise
            return Reference(self.schema, alone, definition, admission, reason=str(refusal))

    def document(self, text: str) -> Read:
        """Parse and validate a client's document, within the limits; None with the errors if it is not acceptable."""
        if len(text) > self.limits.characters:
            return None, [_too_expensive(f"{len(text)} characters; at most {self.limits.characters} are allowed")]
        return self._documents.remember(text, lambda: self._read(text), weight=len(text))

    def operation(self, text: str, document: DocumentNode, name: str | None) -> Operation:
        """The prepared operation of a client's document."""
        return self._operations.remember((text, name), lambda: self.prepare(document, name), weight=len(text))

    def _read(self, text: str) -> Read:
        try:
            document = parse(text, max_tokens=self.limits.tokens)
        except GraphQLSyntaxError as error:
            too_many = error.message.startswith("Syntax Error: Document contains more than")  # it has no class of its own
            return None, [_too_expensive(f"more than {self.limits.tokens} tokens") if too_many else error]
        try:
            check_limits(document, self.limits)
        except TooExpensive as error:
            return None, [GraphQLError(error.detail, original_error=error)]
        errors = validate(self.schema, document, max_errors=20, hide_suggestions=self.hide_suggestions)
        return (None, errors) if errors else (document, [])


def _too_expensive(detail: str) -> GraphQLError:
    error = TooExpensive(f"the document has {detail}")
    return GraphQLError(error.detail, original_error=error)
