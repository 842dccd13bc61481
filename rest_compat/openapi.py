"""OpenAPI 3.1 from the routes: the same selections and variables that serve a call describe it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

import orjson
from graphql import OperationType

from core.context import Context
from core.errors import DomainError
from rest_compat.dialect import Json
from rest_compat.directives import Source, Wire
from rest_compat.endpoint import Endpoint
from rest_compat.multipart import MULTIPART
from rest_compat.projector import chain
from rest_compat.reply import CSV_TYPE, JSON_TYPE, Reply
from rest_compat.routes import Route
from rest_compat.schemas import Schemas

_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Under one key, one change: a repeated request gets the reply of the first, for a day",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
_BODY_TYPES = {
    Source.FIELD: JSON_TYPE,
    Source.BODY: JSON_TYPE,
    Source.FORM: "application/x-www-form-urlencoded",
    Source.FILE: MULTIPART,
}


def document(routes: Sequence[Route], title: str, version: str) -> Json:
    """The document of those routes."""
    components: dict[str, Json] = {}
    names: Counter[str] = Counter()
    paths: dict[str, Json] = {}
    for route in routes:
        main = route.main.declared
        operation = _operation(route, Schemas(main.dialect, components), names)
        paths.setdefault(str(main.template), {})[main.rest.method.lower()] = operation
    security = {name: scheme for route in routes for name, scheme in route.main.declared.dialect.security.items()}
    tags = dict.fromkeys(tag for route in routes for tag in route.main.declared.tags)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "tags": [{"name": tag} for tag in tags],
        "paths": paths,
        "components": {"schemas": dict(sorted(components.items())), "securitySchemes": security},
    }


def response_schema(endpoint: Endpoint, status: int) -> Json:
    """The schema of one reply by itself, for checking it."""
    components: dict[str, Json] = {}
    schemas = Schemas(endpoint.declared.dialect, components)
    schema = _success(endpoint, schemas, status) if status in _statuses(endpoint) else schemas.error(status)
    return {**(schema or {}), "components": {"schemas": components}}


def _operation(route: Route, schemas: Schemas, names: Counter[str]) -> Json:
    main = route.main.declared
    names[main.name] += 1
    summary, _, description = main.description.partition("\n")
    operation: Json = {
        # One operation may serve several routes.
        "operationId": main.name if names[main.name] == 1 else f"{main.name}_{names[main.name]}",
        "summary": summary,
        "description": description.strip(),
        "tags": list(main.tags),
        "deprecated": main.rest.deprecated,
        "parameters": list(_parameters(route, schemas)),
        "requestBody": _request_body(route.main, schemas),
        "responses": _responses(route, schemas),
        "security": [{name: []} for name in main.dialect.security] if _needs_login(route.main) else [],
    }
    return {key: value for key, value in operation.items() if value or key in {"responses", "security"}}


def _parameters(route: Route, schemas: Schemas) -> Iterator[Json]:
    """Those of all alternates: no more is required than what each of them requires."""
    found: dict[tuple[str, str], Json] = {}
    for declared in (endpoint.declared for endpoint in route.endpoints):
        for parameter in declared.parameters:
            if parameter.source in {Source.PAGE, Source.PREFIX}:
                for entry in schemas.query(parameter):
                    found.setdefault(("query", entry["name"]), entry)
            where = {Source.PATH: "path", Source.QUERY: "query"}.get(parameter.source)
            if where is not None:
                entry = {"name": parameter.wire, "in": where, "required": parameter.required or where == "path"}
                found.setdefault((where, parameter.wire), entry | {"schema": schemas.parameter(parameter)})
    yield from found.values()
    conditions = {condition for endpoint in route.endpoints for condition in endpoint.declared.rest.when}
    for name in sorted({each.parameter for each in conditions} - {name for _, name in found}):
        values = sorted(each.value for each in conditions if each.parameter == name and each.value is not None)
        schema = {"type": "string", "enum": values} if values else {"type": "string"}
        yield {"name": name, "in": "query", "required": False, "schema": schema}
    if route.main.declared.keyed and _needs_login(route.main):
        yield _KEY


def _request_body(endpoint: Endpoint, schemas: Schemas) -> Json | None:
    parameters = [each for each in endpoint.declared.parameters if each.source in _BODY_TYPES]
    if not parameters:
        return None
    source = parameters[0].source
    if source is Source.FILE:
        return {"required": True, "content": {MULTIPART: {"schema": schemas.file(parameters[0])}}}
    schema = schemas.parameter(parameters[0]) if source is Source.BODY else schemas.members(parameters)
    return {"required": any(each.required for each in parameters), "content": {_BODY_TYPES[source]: {"schema": schema}}}


def _responses(route: Route, schemas: Schemas) -> Json:
    bodies: dict[int, list[Json]] = {}
    headers: Json = {}
    for endpoint in route.endpoints:
        headers |= schemas.headers(endpoint.declared)
        for status in _statuses(endpoint):
            schema = _success(endpoint, schemas, status)
            bodies.setdefault(status, []).extend([] if schema is None else [schema])
    media = CSV_TYPE if route.main.declared.wire is Wire.CSV else JSON_TYPE
    responses = {str(status): _response(status, bodies[status], headers, media) for status in bodies}
    if route.main.declared.kind is OperationType.QUERY:
        responses["304"] = {"description": HTTPStatus(304).phrase}
    for status in _error_statuses(route.main):
        responses.setdefault(str(status), _response(status, [schemas.error(status)], {}))
    return responses | {"5XX": {"description": "Server error", "content": {JSON_TYPE: {"schema": schemas.error(500)}}}}


def _response(status: int, alternatives: list[Json], headers: Json, media_type: str = JSON_TYPE) -> Json:
    response: Json = {"description": HTTPStatus(status).phrase}
    if headers:
        response["headers"] = headers
    if alternatives:
        schema = alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}
        response["content"] = {media_type: {"schema": schema}}
    return response


def _statuses(endpoint: Endpoint) -> tuple[int, ...]:
    fields = [field for selection in endpoint.declared.selection.walk() for field in selection.fields]
    return (endpoint.declared.rest.status, *(status.code for field in fields for status in field.marks.statuses))


def _success(endpoint: Endpoint, schemas: Schemas, status: int) -> Json | None:
    """None for a reply without a body."""
    declared = endpoint.declared
    if declared.wire is Wire.CSV:
        return {"type": "string"}
    if declared.wire is Wire.JSON:
        return schemas.body(declared)
    if declared.wire is Wire.ACKNOWLEDGED:
        return {"allOf": [_constants(declared.dialect.acknowledgement), schemas.body(declared)]}
    return _example(declared.dialect.acknowledge(status))


def _example(reply: Reply) -> Json | None:
    """An acknowledgement is the same each time, so it is its own schema."""
    return {"const": orjson.loads(reply.body)} if reply.body else None


def _constants(members: Mapping[str, Any]) -> Json:
    properties = {name: {"const": value} for name, value in members.items()}
    return {"type": "object", "properties": properties, "required": list(members)}


def _error_statuses(endpoint: Endpoint) -> Iterable[int]:
    declared = endpoint.declared
    relevant = {
        (401, 403): _needs_login(endpoint),
        (404,): bool(declared.template.parameters) or any(link.nullable for link in chain(declared.selection)),
        (400, 409): declared.kind is OperationType.MUTATION,
        (409,): any(field.computed for field in declared.selection.fields),
        (413,): endpoint.binder.reads_body or declared.kind is OperationType.QUERY,
        (415,): endpoint.binder.reads_body,
        (429,): True,  # every caller is counted
        (declared.dialect.invalid, 422): bool(declared.parameters) or declared.keyed,
    }
    known = declared.dialect.error_schemas()
    return sorted({status for statuses, applies in relevant.items() for status in statuses if applies and status in known})


def _needs_login(endpoint: Endpoint) -> bool:
    """Ask the guard itself: nobody is let in, or everybody is."""
    try:
        endpoint.operation.guard(Context(sql=cast("Any", None)))
    except DomainError:
        return True
    return False
