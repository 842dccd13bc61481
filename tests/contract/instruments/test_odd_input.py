"""Whatever is sent in whatever place: contract §1, never a 500 from client input. The client of these tests refuses one.

Which places there are, the OpenAPI document says, so a new endpoint is among them. The fields of the managed resources, of
accounts and of wishes are sent through in their own tests.
"""

from __future__ import annotations

import re
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.conftest import fixture
from tests.contract.instruments.records import add_file, add_group, add_instrument, add_project
from tests.contract.instruments.resources import RESOURCES
from tests.contract.instruments.test_ledger import listed
from tests.contract.support import ODD, UNKNOWN, Api, World, send

ELSEWHERE = {f"POST {each.path}" for each in RESOURCES} | {f"PATCH {each.path}/{{{each.parameter}}}" for each in RESOURCES}
ELSEWHERE |= {"POST /api/instrument-requests", "POST /auth/register", "PATCH /users/me", "PATCH /users/{id}"}

ODD_IDS = ["abc", "%00", "a" * 3000, "😀", "..%2f..", "{}", f"urn:uuid:{UNKNOWN}", UNKNOWN.replace("-", "")]
ODD_QUERIES = ["", "abc", "-1", "9" * 30, "%00", "1e400", "NaN", "2026-13-45", "0001-01-01", "9999-12-31", "x" * 3000]


@fixture(scope="session")
async def document(application_under_test: World) -> dict[str, Any]:
    return application_under_test.parts.shim.openapi("Test", "1")


def declared(document: dict[str, Any], route: str) -> dict[str, Any]:
    method, path = route.split()
    operation: dict[str, Any] = document["paths"][path][method.lower()]
    return operation


def fields(document: dict[str, Any], route: str) -> list[str]:
    """Of its JSON body."""
    content = declared(document, route).get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return list(schema.get("properties", ()))


def filled(route: str, keys: dict[str, object]) -> str:
    return re.sub(r"{(\w+)}", lambda found: str(keys.get(found[1], UNKNOWN)), route.split()[1])


@fixture
async def keys(world: World, admin: Api) -> dict[str, object]:
    instrument = await add_instrument(world)
    return {
        "instrument_id": instrument,
        "file_id": await add_file(world, instrument),
        "group_id": await add_group(world),
        "project_id": await add_project(world),
        "user_id": admin.id,
        "member_id": admin.id,
        "grantee_id": admin.id,
    }


GOOD = {"member_type": "user", "grantee_type": "user", "status": "approved", "email": "eve@example.org", "token": "x"}


@pytest.mark.parametrize(
    "route", [route for route in listed() if not route.startswith(("GET", "DELETE")) and route not in ELSEWHERE]
)
async def test_any_body_and_any_value_in_any_field(document: dict[str, Any], admin: Api, keys: dict[str, object], route: str):
    method, path = route.split(maxsplit=1)[0], filled(route, keys)
    names = fields(document, route)
    good = {name: str(keys.get(name, GOOD.get(name, "long enough"))) for name in names}

    for body in [*ODD, *({**good, name: value} for name, value in product(names, ODD))]:
        assert (await send(admin, method, path, body)).status_code < 500, body


def test_the_fields_that_are_sent(document: dict[str, Any]):
    assert fields(document, "POST /api/projects/{project_id}/members") == ["member_type", "member_id"]


async def test_any_id(admin: Api):
    for route in (route for route in listed() if "{" in route):
        method, path = route.split()
        for odd in ODD_IDS:
            reply = await admin.request(method, re.sub(r"{\w+}", odd, path))
            assert reply.status_code in {404, 422}, (route, odd)


async def test_any_value_of_any_parameter(document: dict[str, Any], admin: Api):
    for route in (route for route in listed() if route.startswith("GET")):
        names = [each["name"] for each in declared(document, route).get("parameters", ()) if each["in"] == "query"]
        for name, odd in product(names, ODD_QUERIES):
            reply = await admin.get(f"{filled(route, {})}?{quote(name)}={odd}")
            assert reply.status_code in {200, 404, 422}, (route, name, odd)
