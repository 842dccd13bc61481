"""What the server has beside its operations: contract §10, "Health" and "API docs"."""

from __future__ import annotations

import pytest
from openapi_spec_validator import validate

from tests.contract.support import Api, refused, told


async def test_health_needs_no_token(anonymous: Api):
    reply = await anonymous.get("/health")

    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    assert reply.text == '{"status":"ok"}'


@pytest.mark.parametrize("path", ["/docs", "/swagger", "/redoc"])
async def test_pages_are_html(anonymous: Api, path: str):
    reply = await anonymous.get(path)

    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/html")


async def test_the_openapi_document_is_valid(anonymous: Api):
    status, document = told(await anonymous.get("/openapi.json"))

    assert status == 200
    validate(document)
    assert "/api/schedules/{schedule_id}/trigger" in document["paths"]


async def test_an_unknown_page(anonymous: Api):
    """Outside of the paths that are the service's own: problem details, whose `detail` is the documented one."""
    reply = await anonymous.get("/nothing")

    assert (reply.status_code, reply.headers["content-type"]) == (404, "application/problem+json")
    assert reply.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "Not Found",
        "instance": reply.headers["x-request-id"],
    }


async def test_an_unknown_path_of_the_service(anonymous: Api):
    assert told(await anonymous.get("/api/nothing")) == refused(404, "Not Found")


async def test_a_wrong_method(anonymous: Api):
    reply = await anonymous.post("/health")

    assert (reply.status_code, reply.json()["detail"]) == (405, "Method Not Allowed")
    assert "GET" in reply.headers["allow"]
