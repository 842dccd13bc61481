"""Lookups for tests to work with, and what the service says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from tests.contract.support import Api

TENANT = "standard"
ACCESS, EDIT, GLOBAL_EDIT = "lmio:lookup:access", "lmio:lookup:edit", "lmio:lookup:global:edit"
SUPERUSER = "authz:superuser"

CONTROL = f"/{TENANT}/lookup-control"
OK = (200, {"result": "OK"})

COUNTRIES = {
    "name": "countries",
    "keys": [{"name": "code", "type": "str"}],
    "fields": {"name": {"type": "str"}, "people": {"type": "ui64"}, "location": {"type": "geopoint"}},
}
RANGES = {
    "name": "ranges",
    "type": "lookup/ipaddressrange",
    "fields": {"city_name": {"type": "str"}, "location": {"type": "geopoint"}},
}
VENDORS = {
    "name": "vendors",
    "type": "lookup",
    "keys": [{"name": "mac", "type": "mac"}],
    "fields": {"vendor": {"type": "str"}, "seen": {"type": "datetime"}, "score": {"type": "fp64"}, "own": {"type": "bool"}},
}


async def declare(api: Api, declaration: dict[str, Any] | None = None, **more: Any) -> str:
    """The path of the items of a new lookup of the tenant."""
    reply = await api.post(CONTROL, json=(declaration or COUNTRIES) | more)
    assert reply.status_code == 200, reply.text
    return f"/{TENANT}/lookup/{reply.json()['lookup_id']}"


def of_id(path: str, item_id: str) -> str:
    """The path of an item."""
    return f"{path}/{quote(item_id, safe='')}"


async def write(api: Api, path: str, keys: Any, fields: Any = None, **more: Any) -> str:
    """The id of an item that is written."""
    reply = await api.post(path, json={"keys": keys, "fields": fields or {}, **more})
    assert reply.status_code == 200, reply.text
    assert reply.json() == {"result": "OK", "_id": reply.json()["_id"]}
    return str(reply.json()["_id"])


async def item(api: Api, path: str, item_id: str, query: str = "") -> dict[str, Any]:
    """An item without the times that every item has."""
    reply = await api.get(of_id(path, item_id) + query)
    assert reply.status_code == 200, reply.text
    found = dict(reply.json())
    assert [type(found.pop(name)) for name in ("_c", "_m", "_v")] == [int, int, int]
    return found


async def listed(api: Api, path: str, query: str = "") -> list[str]:
    """Ids of a page, which has all that match."""
    reply = await api.get(path + query)
    assert reply.status_code == 200, reply.text
    assert reply.json().keys() == {"data", "count"}
    assert reply.json()["count"] == len(reply.json()["data"])
    return [each["_id"] for each in reply.json()["data"]]


async def upload(api: Api, path: str, content: str | bytes, query: str = "", name: str = "f.csv") -> httpx.Response:
    """Send a file."""
    data = content.encode() if isinstance(content, str) else content
    return await api.post(f"{path}/upload{query}", files={"file": (name, data, "text/csv")})


def failed(reply: httpx.Response, status: int = 400) -> str:
    """The message of a FAIL."""
    assert reply.status_code == status, reply.text
    assert reply.json() == {"result": "FAIL", "error": reply.json()["error"]}
    return str(reply.json()["error"])


def erred(reply: httpx.Response, status: int, result: str = "ERROR") -> str:
    """The message of what the framework refuses."""
    body = reply.json()
    assert (reply.status_code, body.keys()) == (status, {"result", "message", "uuid"}), reply.text
    assert (body["result"], str(UUID(body["uuid"]))) == (result, body["uuid"])
    return str(body["message"])


def not_found(reply: httpx.Response) -> str:
    """The message of a 404."""
    return erred(reply, 404, "NOT-FOUND")


def rows(text: str) -> Sequence[str]:
    """Lines of CSV, all of which end with CRLF."""
    assert text.endswith("\r\n")
    return text[:-2].split("\r\n")
