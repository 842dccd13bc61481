"""Errors of the server itself, outside of GraphQL and of every dialect: problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Scope

from app.observability import request_id_of

PROBLEM_JSON = "application/problem+json"


def problem_body(status: int, detail: str, instance: str | None = None) -> bytes:
    """The document. `instance` is the id of the request, under which the log has it; a request that was not read has none."""
    said: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return orjson.dumps(said if instance is None else said | {"instance": instance})


def problem(status: int, detail: str, scope: Scope, headers: Mapping[str, str] | None = None) -> Response:
    """The reply."""
    return Response(problem_body(status, detail, request_id_of(scope)), status, headers, media_type=PROBLEM_JSON)
