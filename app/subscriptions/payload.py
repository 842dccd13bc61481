"""What a client gets of an outcome: the same bytes over WebSocket and SSE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from graphql import GraphQLError

from app.graphql_http import shown
from app.observability import refusal
from core.context import Context
from core.errors import DomainError, Internal
from engine.operation import Outcome


class Payload(NamedTuple):
    """JSON: a result, or a list of the reasons why there is none."""

    body: bytes
    refused: bool = False
    reason: str = ""
    """Why nothing was executed, in a word."""


def payload_of(ctx: Context, outcome: Outcome) -> Payload:
    """The result; the errors alone if nothing was executed."""
    if outcome.data is None and not any(error.path for error in outcome.errors):
        return refused(ctx, outcome.errors)
    body: dict[str, Any] = {"errors": [shown(ctx, error) for error in outcome.errors]} if outcome.errors else {}
    body["data"] = outcome.data
    return Payload(orjson.dumps(body))


def refused(ctx: Context, errors: Sequence[GraphQLError]) -> Payload:
    """Why nothing was executed."""
    return Payload(orjson.dumps([shown(ctx, error) for error in errors]), refused=True, reason=refusal(errors))


def failed(ctx: Context, error: Exception) -> Payload:
    """What kept the operation from being executed or ended it: a store that is down, its time, or something unforeseen."""
    known = error if isinstance(error, DomainError) else Internal(ctx.report(error) if ctx.report is not None else "-")
    extensions = {"code": known.code} | ({"id": known.error_id} if isinstance(known, Internal) else {})
    return Payload(orjson.dumps([{"message": known.detail, "extensions": extensions}]), refused=True)
