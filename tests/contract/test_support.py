"""The client of these tests notices a reply that is not what the OpenAPI document says."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
from jsonschema import ValidationError

from tests.contract.support import NOW, UNKNOWN, World

ROW: dict[str, Any] = {
    "id": UNKNOWN,
    "name": "reader",
    "domain": None,
    "username": "svc",
    "created_at": NOW,
    "updated_at": NOW,
    "deleted_at": None,
}


def reply(status: int, body: Any, media_type: str = "application/json") -> httpx.Response:
    request = httpx.Request("GET", f"http://switchyard.test/api/service-accounts/{UNKNOWN}")
    return httpx.Response(status, content=orjson.dumps(body), headers={"content-type": media_type}, request=request)


async def test_a_documented_reply_passes(world: World):
    world.check("GET", reply(200, ROW))
    world.check("GET", reply(404, {"detail": "Service account not found"}))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {name: value for name, value in ROW.items() if name != "domain"}),
        (200, ROW | {"id": UNKNOWN.upper().replace("0", "A")}),
        (200, ROW | {"id": UNKNOWN.replace("-", "")}),
        (200, ROW | {"created_at": "2026-11-21T00:29:27Z+00:00"}),
        (200, ROW | {"created_at": "2026-11-21T00:29:27.5Z"}),
        (200, ROW | {"created_at": None}),
        (200, ROW | {"name": 7}),
        (404, {"detail": ["not a text"]}),
        (404, {"message": "Service account not found"}),
        (422, {"detail": "a text"}),
        (422, {"detail": [{"type": "missing", "loc": ["path"], "msg": "without the input"}]}),
    ],
)
async def test_another_body_does_not(world: World, status: int, body: Any):
    with pytest.raises(ValidationError):
        world.check("GET", reply(status, body))


@pytest.mark.parametrize(
    "wrong",
    [reply(500, {"detail": "x"}), reply(202, ROW), reply(409, {"detail": "x"}), reply(200, ROW, "text/plain")],
    ids=lambda each: str(each.status_code),
)
async def test_another_status_or_type_does_not(world: World, wrong: httpx.Response):
    with pytest.raises(AssertionError):
        world.check("GET", wrong)
