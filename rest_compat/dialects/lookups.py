"""The lookups service: `{"result": ...}` in every reply but lists and objects, and an id for every error that is logged."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import uuid4

from starlette.datastructures import QueryParams

from core.errors import (
    MALFORMED,
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
from core.exact_json import read_json
from engine.operation import Leaves
from rest_compat.dialect import Dialect, Json, Pages, Phase
from rest_compat.faults import Fault, NoFile, Unbindable
from rest_compat.reply import JSON_TYPE, Reply

log = logging.getLogger("switchyard")

TENANT_NO_ACCESS, NO_FILE = "TENANT-NO-ACCESS", "NO-FILE-UPLOADED"

_FAIL: dict[type[DomainError], int] = {
    InvalidInput: 400,
    TooExpensive: 400,
    Conflict: 409,
    PreconditionFailed: 412,
    TooLarge: 413,
    RangeNotSatisfiable: 416,
    RateLimited: 429,
    NotSupported: 501,
    UpstreamFailed: 502,
    Unavailable: 503,
    Timeout: 503,
}
_ERROR: dict[type[DomainError], tuple[int, str]] = {
    UnsupportedMedia: (400, "ERROR"),
    Unauthenticated: (401, "NOT-AUTHORIZED"),
    Forbidden: (403, "ERROR"),
    NotFound: (404, "NOT-FOUND"),
}
_WORDS = {Unauthenticated: "Unauthorized", Forbidden: "Forbidden"}
"""What is said whatever the reason was."""
_UNREADABLE = "json_invalid"

_OURS = re.compile(rb"/[^/]+/lookup(-control)?(/.*)?", re.DOTALL)
_YES = frozenset({"", "true", "1", "t", "y", "yes"})

_TEXT: Json = {"type": "string"}


def _shape(title: str, results: Sequence[str], **members: Json) -> Json:
    properties = {"result": {"enum": list(results)}, **members}
    return {"title": title, "type": "object", "properties": properties, "required": ["result", *members]}


_FAILURE = _shape("Failure", ["FAIL"], error=_TEXT)
_UUID: Json = {"type": "string", "description": "Under this id it was logged"}
_LOGGED = _shape("Error", ["ERROR", "NOT-FOUND", "NOT-AUTHORIZED"], message=_TEXT, uuid=_UUID)
_BAD_REQUEST: Json = {"title": "BadRequest", "anyOf": [_FAILURE, _LOGGED, _shape("NoFile", [NO_FILE])]}
_NO_ACCESS: Json = {"title": "NoAccess", "anyOf": [_LOGGED, _shape("OtherTenant", [TENANT_NO_ACCESS])]}


class Lookups(Dialect):
    """Contract lmio-watcher §3 and §4: what the service is built with says errors in its own shape, the service in another."""

    name = "lookups"
    title = "Lookups"
    phases = (Phase.BIND_PATH, Phase.ABOUT, Phase.GUARD, Phase.READ_BODY, Phase.BIND)
    leaves = Leaves(lower_case_enums=True)
    pages = Pages("p", "i", 10_000)
    ascending = "a"
    only_json = True
    invalid = 400
    acknowledgement: ClassVar[Mapping[str, Any]] = {"result": "OK"}
    security: ClassVar[Mapping[str, Json]] = {"tenants": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}

    def __init__(self, reserved: frozenset[str] = frozenset(), tenant: str | None = None) -> None:
        self._reserved, self._tenant = reserved, tenant

    def owns(self, raw_path: bytes) -> bool:
        """The first segment is any tenant's name."""
        return _OURS.fullmatch(raw_path) is not None and raw_path.split(b"/")[1].decode("latin-1") not in self._reserved

    def check(self, query: QueryParams) -> None:
        """The tenant is in the path and nowhere else."""
        if "tenant" in query:
            raise InvalidInput("Tenant query parameter not allowed.", field="tenant", kind=MALFORMED)

    def at(self, path: str, values: Mapping[str, str] | None = None) -> Dialect:
        """A refusal names the tenant that it is about."""
        return Lookups(self._reserved, (values or {}).get("tenant"))

    def dressed(self, reply: Reply, query: QueryParams) -> Reply:
        """With `?pretty`, JSON is for people to read."""
        if query.get("pretty") not in _YES or ("content-type", JSON_TYPE) not in reply.headers:
            return reply
        text = json.dumps(read_json(reply.body), indent=4, ensure_ascii=False) + "\n"
        return Reply(reply.status, text.encode(), reply.headers)

    def acknowledge(self, status: int) -> Reply:
        """That it is done."""
        return Reply.json(status, self.acknowledgement)

    def refuse(self, error: DomainError, faults: Sequence[Fault] = ()) -> Reply:
        """FAIL for what the service itself finds wrong; a result of its own for what clients tell apart."""
        if isinstance(error, Internal):
            return _logged(500, "ERROR", "Internal Server Error", about=f", error {error.error_id}")
        if isinstance(error, NoFile):
            return Reply.json(400, {"result": NO_FILE})
        if isinstance(error, Refused) and error.reason == TENANT_NO_ACCESS:
            return Reply.json(401, {"result": TENANT_NO_ACCESS})
        kind = next(each for each in type(error).__mro__ if each in _ERROR or each in _FAIL)
        if kind in _ERROR:
            status, result = _ERROR[kind]
            headers = self._challenge(kind)
            return _logged(status, result, f"{status}: {_WORDS.get(kind, error.detail)}", headers)
        malformed = _malformed(error, faults)
        if malformed is not None:
            return _logged(400, "ERROR", f"400: {malformed}")
        return Reply.json(_FAIL[kind], {"result": "FAIL", "error": _told(error)})

    def not_found(self) -> Reply:
        """Also for what is no text at all."""
        return _logged(404, "NOT-FOUND", "404: Not Found")

    def not_allowed(self, methods: Sequence[str]) -> Reply:
        """With the methods that the path knows."""
        return _logged(405, "ERROR", "405: Method Not Allowed", [("allow", ", ".join(methods))])

    def error_schemas(self) -> Mapping[int, Json]:
        """Failures have a reason, errors an id."""
        logged = dict.fromkeys([403, 404, 405, 500], _LOGGED)
        return dict.fromkeys(_FAIL.values(), _FAILURE) | logged | {400: _BAD_REQUEST, 401: _NO_ACCESS}

    def _challenge(self, kind: type[DomainError]) -> Sequence[tuple[str, str]]:
        if kind is Unauthenticated:
            return [("www-authenticate", 'Bearer realm="asab", error="invalid_token"')]
        if kind is Forbidden:
            scope = re.sub(r'["\\]', "", self._tenant or "")
            return [("www-authenticate", f'Bearer realm="asab", scope="tenant:{scope}", error="insufficient_scope"')]
        return []


def _malformed(error: DomainError, faults: Sequence[Fault]) -> str | None:
    """What to say of a request that is not of its form."""
    if any(fault.kind == _UNREADABLE or fault.where == ("body",) for fault in faults) and isinstance(error, Unbindable):
        return "Failed to parse JSON request"
    if isinstance(error, InvalidInput) and any(problem.kind == MALFORMED for problem in error.problems):
        return error.detail
    return None


def _told(error: DomainError) -> str:
    if not isinstance(error, Unbindable):
        return error.detail
    return "; ".join(f"{fault.where[-1]}: {fault.message}" for fault in error.faults)


def _logged(status: int, result: str, message: str, headers: Sequence[tuple[str, str]] = (), about: str = "") -> Reply:
    error_id = str(uuid4())
    log.info("%s, uuid %s%s", message, error_id, about)
    return Reply.json(status, {"result": result, "message": message, "uuid": error_id}, headers)
