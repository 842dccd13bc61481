"""The instruments service: `{"detail": ...}` for errors, snake_case, lower-case enumerations, `LIST_SHAPE`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from starlette.datastructures import QueryParams

from core.errors import (
    Conflict,
    DomainError,
    Forbidden,
    Internal,
    InvalidInput,
    NotFound,
    NotSupported,
    PreconditionFailed,
    RangeNotSatisfiable,
    RateLimited,
    Refused,
    Timeout,
    TooExpensive,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
    UpstreamFailed,
)
from core.policy import ADMINS_ONLY
from engine.operation import Leaves
from rest_compat.dialect import Dialect, Json, Phase
from rest_compat.faults import Fault
from rest_compat.reply import Reply

_STATUSES: dict[type[DomainError], int] = {
    Refused: 400,
    TooExpensive: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    PreconditionFailed: 412,
    TooLarge: 413,
    UnsupportedMedia: 415,
    RangeNotSatisfiable: 416,
    InvalidInput: 422,
    RateLimited: 429,
    Internal: 500,
    NotSupported: 501,
    UpstreamFailed: 502,
    Unavailable: 503,
    Timeout: 504,
}
_USERS_BY_KEY = "/users/{"
_PAGING = frozenset({"skip", "limit", "shape"})

_TEXT: Json = {"type": "string"}
_DETAIL: Json = {"title": "Error", "type": "object", "required": ["detail"], "properties": {"detail": _TEXT}}
_REASON: Json = {"type": "object", "required": ["code", "reason"], "properties": {"code": _TEXT, "reason": _TEXT}}
_REFUSAL: Json = {
    "title": "Refusal",
    "type": "object",
    "required": ["detail"],
    "properties": {"detail": {"anyOf": [_TEXT, _REASON]}},
}
_LOCATION: Json = {"type": "array", "items": {"type": ["string", "integer"]}}
_FAULT: Json = {
    "type": "object",
    "required": ["type", "loc", "msg", "input"],
    "properties": {"type": _TEXT, "loc": _LOCATION, "msg": _TEXT, "input": {}, "ctx": {"type": "object"}},
}
_FAULTS: Json = {
    "title": "ValidationError",
    "type": "object",
    "required": ["detail"],
    "properties": {"detail": {"type": "array", "items": _FAULT}},
}


class Instruments(Dialect):
    """Contract streamweave §1. `list_shape` is the server setting `LIST_SHAPE`."""

    name = "instruments"
    title = "Instruments"
    # A bad id is 403 to who may not ask, and all mistakes of a request are reported together.
    phases = (Phase.GUARD, Phase.READ_BODY, Phase.BIND)
    prefixes = ("/api/", "/auth/", "/users/")
    snake = True
    leaves = Leaves(lower_case_enums=True)
    redirects_slash = True
    security: ClassVar[Mapping[str, Json]] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": "streamweave_auth"},
    }

    def __init__(self, list_shape: str | None = None) -> None:
        self._list_shape = list_shape

    def at(self, path: str, values: Mapping[str, str] | None = None) -> Dialect:
        """One part is a library's, with words of its own."""
        return _UsersByKey() if path.startswith(_USERS_BY_KEY) else self

    def query(self, query: QueryParams) -> QueryParams:
        """The setting speaks only for requests that say nothing about paging themselves."""
        if self._list_shape is None or not _PAGING.isdisjoint(query):
            return query
        return QueryParams([*query.multi_items(), ("shape", self._list_shape)])

    def acknowledge(self, status: int) -> Reply:
        """Nothing for 204, `null` for other statuses."""
        return Reply(status) if status == 204 else Reply.json(status, None)

    def refuse(self, error: DomainError, faults: Sequence[Fault] = ()) -> Reply:
        """`{"detail": ...}`: a list of faults for invalid input, a text for the rest."""
        status = next(_STATUSES[each] for each in type(error).__mro__ if each in _STATUSES)
        detail: object = error.detail
        if isinstance(error, Refused) and error.explanation is not None:
            detail = {"code": error.reason, "reason": error.explanation}
        elif status == 422:
            detail = [_fault(fault) for fault in faults]
        return Reply.json(status, {"detail": detail}, default=str)  # a fault shows whatever a use case found wrong

    def not_found(self) -> Reply:
        """Also for what is no text at all."""
        return Reply.json(404, {"detail": "Not Found"})

    def not_allowed(self, methods: Sequence[str]) -> Reply:
        """With the methods that the path knows."""
        return Reply.json(405, {"detail": "Method Not Allowed"}, [("allow", ", ".join(methods))])

    def error_schemas(self) -> Mapping[int, Json]:
        """A text everywhere but in refusals and validation."""
        return dict.fromkeys((*_STATUSES.values(), 405), _DETAIL) | {400: _REFUSAL, 422: _FAULTS}


class _UsersByKey(Instruments):
    """Contract streamweave §2: whatever names no user is not found, and who is no admin is told less."""

    def refuse(self, error: DomainError, faults: Sequence[Fault] = ()) -> Reply:
        """In fewer words."""
        if isinstance(error, NotFound) or any(fault.where[0] == "path" for fault in faults):
            return self.not_found()
        return super().refuse(Forbidden("Forbidden") if error.detail == ADMINS_ONLY else error, faults)


def _fault(fault: Fault) -> Json:
    entry: Json = {"type": fault.kind, "loc": fault.where, "msg": fault.message, "input": fault.value}
    return entry | {"ctx": fault.context} if fault.context else entry
