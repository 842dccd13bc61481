"""From what a client asks to the prepared operation: its document, or the trusted one that its id names."""

from __future__ import annotations

from graphql import GraphQLError

from app.graphql_request import Asked, BadRequest
from engine.graph import Graph
from engine.operation import Operation
from engine.trusted import Trusted, hashed_id


class Documents:
    """Of one graph. Every transport asks here, so that what one of them refuses goes through none."""

    def __init__(self, graph: Graph, trusted: Trusted | None = None) -> None:
        self._graph, self._trusted = graph, trusted or Trusted()

    def operation(self, asked: Asked) -> tuple[Operation | None, list[GraphQLError]]:
        """The operation; None with the errors if it is not acceptable."""
        try:
            text = self._text(asked)
        except GraphQLError as error:
            return None, [error]
        document, errors = self._graph.document(text)
        if document is None:
            return None, errors
        try:
            return self._graph.operation(text, document, asked.operation_name), []
        except GraphQLError as error:
            return None, [error]

    def knows(self, asked: Asked) -> bool:
        """Whether the document was known before the client asked."""
        return asked.document_id is not None and self._trusted.find(asked.document_id) is not None

    def _text(self, asked: Asked) -> str:
        """The document that is asked for. Raises `GraphQLError` if it is not known or not allowed."""
        found = None if asked.document_id is None else self._trusted.find(asked.document_id)
        if asked.query is None:
            if found is None:
                raise _untrusted(
                    "PERSISTED_QUERY_NOT_FOUND" if self._trusted else "PERSISTED_QUERY_NOT_SUPPORTED",
                    "there is no document under this id: documents are added by the operator only, not by sending them",
                )
            return found
        if asked.document_id is not None and asked.query != found and asked.document_id != hashed_id(asked.query):
            raise BadRequest(400, "query is not the document that the id names")
        if not self._trusted.allows(asked.query):
            raise _untrusted(
                "DOCUMENT_NOT_TRUSTED", "only trusted documents are executed here: send the id of one as documentId"
            )
        return asked.query


def _untrusted(code: str, message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": code})
