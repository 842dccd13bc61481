"""Errors as clients see them: our own with their code, what nobody foresaw masked and logged."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLError
from strawberry.utils.str_converters import to_camel_case

from core.context import Context
from core.errors import DomainError, Internal, InvalidInput, Refused


def explain_error(ctx: Context, error: GraphQLError) -> GraphQLError:
    """The error with `extensions.code`. GraphQL's own errors (syntax, validation, a null that must not be) stay as they are."""
    cause = error.original_error
    if isinstance(cause, DomainError):
        return _with_extensions(error, error.message, _facts(cause))
    if cause is None or isinstance(cause, GraphQLError) or error.path is None:
        return error
    internal = Internal(ctx.report(cause) if ctx.report is not None else "-")
    return _with_extensions(error, internal.detail, {"code": internal.code, "id": internal.error_id})


def _with_extensions(error: GraphQLError, message: str, extensions: dict[str, Any]) -> GraphQLError:
    return GraphQLError(message, error.nodes, error.source, error.positions, error.path, error.original_error, extensions)


def _facts(cause: DomainError) -> dict[str, Any]:
    facts: dict[str, Any] = {"code": cause.code}
    field = _field(cause)
    if field is not None:
        facts["field"] = field
    if isinstance(cause, Refused):
        facts["reason"] = cause.reason
    return facts


def _field(cause: DomainError) -> str | None:
    """The one input that is to blame, as the graph spells it."""
    if cause.field is None and isinstance(cause, InvalidInput) and len(cause.problems) == 1:
        return ".".join(map(str, cause.problems[0].path))
    return None if cause.field is None else to_camel_case(cause.field)
