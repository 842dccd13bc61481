"""Contract lmio-watcher §3.2 and §4.2: every class of error has a status and a body."""

import json
import logging
from uuid import UUID

import jsonschema
import pytest

from core.errors import MALFORMED, TAXONOMY, Forbidden, Internal, InvalidInput, NotFound, Problem, Refused, Unauthenticated
from rest_compat.dialects.lookups import Lookups
from rest_compat.faults import Fault, NoFile, Unbindable

STATUSES = {
    "InvalidInput": 400,
    "Refused": 400,
    "Unauthenticated": 401,
    "Forbidden": 403,
    "NotFound": 404,
    "Conflict": 409,
    "PreconditionFailed": 412,
    "TooLarge": 413,
    "UnsupportedMedia": 400,
    "RangeNotSatisfiable": 416,
    "TooExpensive": 400,
    "RateLimited": 429,
    "NotSupported": 501,
    "Unavailable": 503,
    "UpstreamFailed": 502,
    "Timeout": 503,
    "Internal": 500,
}


def body(reply):
    content = json.loads(reply.body)
    if "uuid" in content:
        content["uuid"] = str(UUID(content["uuid"])) == content["uuid"]
    return content


@pytest.mark.parametrize("error", TAXONOMY, ids=lambda error: error.__name__)
def test_every_error_has_a_body(error):
    dialect = Lookups()
    reply = dialect.refuse(error("why"))
    assert reply.status == STATUSES[error.__name__]
    jsonschema.validate(json.loads(reply.body), dialect.error_schemas()[reply.status])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InvalidInput("why"), {"result": "FAIL", "error": "why"}),
        (InvalidInput("why", problems=[Problem((), "why", MALFORMED)]), {"result": "ERROR", "message": "400: why", "uuid": True}),
        (NotFound("Tenant not found."), {"result": "NOT-FOUND", "message": "404: Tenant not found.", "uuid": True}),
        (Internal("e7"), {"result": "ERROR", "message": "Internal Server Error", "uuid": True}),
        (Refused("TENANT-NO-ACCESS"), {"result": "TENANT-NO-ACCESS"}),
        (NoFile("why"), {"result": "NO-FILE-UPLOADED"}),
    ],
)  # fmt: skip
def test_the_body_of_an_error(error, expected):
    assert body(Lookups().refuse(error)) == expected


def test_the_status_of_a_tenant_without_access():
    reply = Lookups().refuse(Refused("TENANT-NO-ACCESS"))
    assert (reply.status, reply.headers) == (401, (("content-type", "application/json"),))


def test_who_did_not_sign_in_is_told_how():
    reply = Lookups().at("", {"tenant": "standard"}).refuse(Unauthenticated("no such key"))
    assert (reply.status, body(reply)) == (401, {"result": "NOT-AUTHORIZED", "message": "401: Unauthorized", "uuid": True})
    assert reply.headers[1:] == (("www-authenticate", 'Bearer realm="asab", error="invalid_token"'),)


@pytest.mark.parametrize(("tenant", "scope"), [("standard", "standard"), ('a"\\b', "ab")])
def test_who_may_not_is_told_where(tenant, scope):
    reply = Lookups().at("", {"tenant": tenant}).refuse(Forbidden("you lack lmio:lookup:edit"))
    assert (reply.status, body(reply)) == (403, {"result": "ERROR", "message": "403: Forbidden", "uuid": True})
    challenge = f'Bearer realm="asab", scope="tenant:{scope}", error="insufficient_scope"'
    assert reply.headers[1:] == (("www-authenticate", challenge),)


def test_the_id_of_an_error_is_logged(caplog):
    caplog.set_level(logging.INFO)
    replies = [
        Lookups().refuse(Internal("e7")),
        Lookups().refuse(NotFound("x")),
        Lookups().not_found(),
        Lookups().not_allowed([]),
    ]
    ids = [json.loads(reply.body)["uuid"] for reply in replies]
    assert len(set(ids)) == 4
    assert [record.message for record in caplog.records] == [
        f"Internal Server Error, uuid {ids[0]}, error e7",
        f"404: x, uuid {ids[1]}",
        f"404: Not Found, uuid {ids[2]}",
        f"405: Method Not Allowed, uuid {ids[3]}",
    ]


def test_faults_are_told_by_their_names():
    faults = [Fault(("query", "p"), "int_parsing", "Not a number", "x"), Fault(("query", "field"), "missing", "Field required")]
    reply = Lookups().refuse(Unbindable(faults), faults)
    assert body(reply) == {"result": "FAIL", "error": "p: Not a number; field: Field required"}
