"""The OpenAPI document is valid, and says what the endpoints do."""

import jsonschema
import pytest
from openapi_spec_validator import validate

from rest_compat.openapi import response_schema
from tests.rest_compat.support import ADMIN, KNOWN, UNKNOWN, USER, shim

ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/instruments.Error"}}}


@pytest.fixture
def document(world):
    return shim(world).openapi("Test", "1")


def test_it_is_valid(document):
    validate(document)


def test_one_dialect_alone(world):
    assert shim(world).openapi("Test", "1", "instruments") == shim(world).openapi("Test", "1")
    assert shim(world).openapi("Test", "1", "other")["paths"] == {}


def test_a_fragment_is_a_component(document):
    assert document["components"]["schemas"]["instruments.FileRead"] == {
        "type": "object",
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "source_path": {"type": "string"},
            "size_bytes": {"type": ["integer", "null"]},
            "metadata_": {},
        },
        "required": ["id", "source_path", "size_bytes", "metadata_"],
    }


def test_an_envelope_with_its_alternate(document):
    operation = document["paths"]["/api/instruments"]["get"]
    row = {"$ref": "#/components/schemas/instruments.InstrumentRead"}
    envelope, array = operation["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"]
    assert array == {"type": "array", "items": row}
    assert envelope["required"] == ["items", "total", "skip", "limit"]
    assert envelope["properties"]["items"] == {"type": "array", "items": row}
    assert (operation["operationId"], operation["summary"], operation["description"]) == (
        "instruments_list",
        "List instruments",
        "Newest last.",
    )
    assert operation["parameters"] == [
        {
            "name": "skip",
            "in": "query",
            "required": False,
            "schema": {"type": "integer", "format": "int32", "minimum": 0, "default": 0},
        },
        {
            "name": "limit",
            "in": "query",
            "required": False,
            "schema": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 500, "default": 25},
        },
        {"name": "shape", "in": "query", "required": False, "schema": {"type": "string", "enum": ["array"]}},
    ]


def test_a_body_with_its_constraints(document):
    operation = document["paths"]["/api/instruments"]["post"]
    schema = {"$ref": "#/components/schemas/instruments.NewInstrument"}
    assert operation["requestBody"] == {"required": True, "content": {"application/json": {"schema": schema}}}
    assert set(operation["responses"]) == {"201", "400", "401", "403", "404", "409", "413", "415", "422", "429", "5XX"}
    new = document["components"]["schemas"]["instruments.NewInstrument"]
    assert new["required"] == ["name", "cifs_host"]
    assert new["properties"]["name"] == {"type": "string", "maxLength": 8}
    assert new["properties"]["transfer_adapter"] == {"type": "string", "enum": ["rclone", "globus", "rsync"]}
    assert new["properties"]["service_account_id"] == {"type": ["string", "null"], "format": "uuid"}


def test_a_form(document):
    operation = document["paths"]["/auth/jwt/login"]["post"]
    (form,) = operation["requestBody"]["content"].values()
    assert list(operation["requestBody"]["content"]) == ["application/x-www-form-urlencoded"]
    assert form["schema"]["required"] == ["username", "password"]
    assert form["schema"]["properties"]["grant_type"] == {"type": ["string", "null"], "pattern": "^password$"}
    assert operation["tags"] == ["auth"]


def test_who_has_to_log_in(document):
    assert document["paths"]["/auth/jwt/login"]["post"]["security"] == []
    assert "401" not in document["paths"]["/auth/jwt/login"]["post"]["responses"]
    guarded = document["paths"]["/api/instruments/{instrument_id}"]["get"]
    assert guarded["security"] == [{"bearer": []}, {"cookie": []}]
    assert guarded["responses"]["401"] == {"description": "Unauthorized", "content": ERROR}
    assert guarded["parameters"][0]["schema"] == {"type": "string", "format": "uuid"}


def test_who_can_be_told_that_it_is_too_much(document):
    """A body may be too large, and so may what a query finds; everybody may ask too often."""
    paths = document["paths"]
    assert {"413", "415", "429"} <= set(paths["/auth/jwt/login"]["post"]["responses"])
    assert paths["/auth/jwt/login"]["post"]["responses"]["429"] == {"description": "Too Many Requests", "content": ERROR}
    listed = set(paths["/api/instruments"]["get"]["responses"])
    assert ("413" in listed, "415" in listed, "429" in listed) == (True, False, True)


def test_replies_without_a_body_and_with_headers(document):
    paths = document["paths"]
    assert paths["/api/instruments/{instrument_id}"]["delete"]["responses"]["204"] == {"description": "No Content"}
    accepted = paths["/auth/forgot-password"]["post"]["responses"]["202"]
    assert accepted["content"] == {"application/json": {"schema": {"const": None}}}
    assert paths["/api/files"]["get"]["responses"]["200"]["headers"] == {
        "X-Total-Count": {"schema": {"type": "integer", "format": "int32"}}
    }


def test_a_typed_outcome_is_one_of_several(document):
    responses = document["paths"]["/api/instruments/{instrument_id}/test"]["get"]["responses"]
    passed, failed = responses["502"]["content"]["application/json"]["schema"]["anyOf"]
    assert (passed["required"], failed["required"]) == (["status", "name"], ["detail"])
    assert responses["200"]["content"] == responses["502"]["content"]


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("GET", "/api/instruments", {}),
        ("GET", "/api/instruments?shape=array", {}),
        ("GET", "/api/instruments?limit=0", {}),
        ("GET", f"/api/instruments/{KNOWN}", {}),
        ("GET", f"/api/instruments/{UNKNOWN}", {}),
        ("GET", f"/api/instruments/{KNOWN}", {"headers": USER}),
        ("GET", f"/api/instruments/{KNOWN}/test", {}),
        ("POST", "/api/instruments", {"json": {"name": "a", "cifs_host": "h"}}),
        ("POST", "/api/instruments", {"json": {}}),
        ("POST", "/auth/jwt/login", {"data": {"username": "a", "password": "x"}}),
        ("POST", "/auth/forgot-password", {"json": {"email": "a"}}),
        ("POST", f"/api/groups/{KNOWN}/members", {"json": {"user_id": str(UNKNOWN)}}),
        ("GET", "/api/files", {}),
    ],
)
async def test_replies_are_what_it_says(rest, world, method, path, content):
    reply = await rest.request(method, path, **({"headers": ADMIN} | content))
    endpoint = shim(world).resolve(method, *path.partition("?")[::2])
    schema = response_schema(endpoint, reply.status_code)
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(reply.json())
