"""Contract streamweave §1: every class of error has a status and a body."""

import json

import jsonschema
import pytest

from core.errors import TAXONOMY, Forbidden, Internal, InvalidInput, NotFound, Refused
from rest_compat.dialects.instruments import Instruments
from rest_compat.faults import Fault

STATUSES = {
    "InvalidInput": 422,
    "Refused": 400,
    "Unauthenticated": 401,
    "Forbidden": 403,
    "NotFound": 404,
    "Conflict": 409,
    "PreconditionFailed": 412,
    "TooLarge": 413,
    "UnsupportedMedia": 415,
    "RangeNotSatisfiable": 416,
    "TooExpensive": 400,
    "RateLimited": 429,
    "NotSupported": 501,
    "Unavailable": 503,
    "UpstreamFailed": 502,
    "Timeout": 504,
    "Internal": 500,
}


@pytest.mark.parametrize("error", TAXONOMY, ids=lambda error: error.__name__)
def test_every_error_has_a_body(error):
    dialect = Instruments()
    reply = dialect.refuse(error("why"), [Fault(("body", "a"), "value_error", "why")] if error is InvalidInput else ())
    assert reply.status == STATUSES[error.__name__]
    assert reply.headers == (("content-type", "application/json"),)
    jsonschema.validate(json.loads(reply.body), dialect.error_schemas()[reply.status])


def test_the_id_of_an_internal_error_is_said():
    assert Instruments().refuse(Internal("e7")).body == b'{"detail":"Internal error; quote e7 when reporting it"}'


def test_a_refusal_with_an_explanation():
    reply = Instruments().refuse(Refused("REGISTER_INVALID_PASSWORD", explanation="at least 8 characters"))
    assert json.loads(reply.body) == {"detail": {"code": "REGISTER_INVALID_PASSWORD", "reason": "at least 8 characters"}}


def test_a_fault_has_its_facts_if_it_has_any():
    faults = [Fault(("query", "limit"), "less_than_equal", "Too much", "9", {"le": 8}), Fault(("body",), "missing", "Gone")]
    assert json.loads(Instruments().refuse(InvalidInput("x"), faults).body)["detail"] == [
        {"type": "less_than_equal", "loc": ["query", "limit"], "msg": "Too much", "input": "9", "ctx": {"le": 8}},
        {"type": "missing", "loc": ["body"], "msg": "Gone", "input": None},
    ]


def test_users_by_key_are_refused_in_fewer_words():
    """Contract §2: the part that a library served in the original."""
    plain, by_key = Instruments().at("/users/me"), Instruments().at("/users/{id}")
    assert (plain.refuse(NotFound("User not found")).body, plain.refuse(Forbidden("Admin access required")).body) == (
        b'{"detail":"User not found"}',
        b'{"detail":"Admin access required"}',
    )
    malformed = [Fault(("path", "id"), "uuid_parsing", "no id", "x"), Fault(("body", "role"), "enum", "no role")]
    for reply in (by_key.refuse(NotFound("User not found")), by_key.refuse(InvalidInput("x"), malformed)):
        assert (reply.status, reply.body) == (404, b'{"detail":"Not Found"}')
    refused = by_key.refuse(Forbidden("Admin access required"))
    assert (refused.status, refused.body) == (403, b'{"detail":"Forbidden"}')
    assert by_key.refuse(Forbidden("This token may not do that")).body == b'{"detail":"This token may not do that"}'
    assert by_key.refuse(InvalidInput("x"), malformed[1:]).status == 422
    assert by_key.refuse(Refused("Cannot delete your own account")).body == b'{"detail":"Cannot delete your own account"}'
