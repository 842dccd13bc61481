"""What the binder refuses, it refuses in the words of the framework that the services were written with."""

from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import FastAPI, Form, Query
from pydantic import BaseModel, Field

from rest_compat.faults import Fault
from tests.rest_compat.support import ADMIN, KNOWN, client

FASTAPI = FastAPI()


class Adapter(Enum):
    RCLONE = "rclone"
    GLOBUS = "globus"
    RSYNC = "rsync"


class New(BaseModel):
    name: str = Field(max_length=8)
    cifs_host: str
    service_account_id: UUID | None = None
    transfer_adapter: Adapter = Adapter.RCLONE
    transfer_config: Any = None
    enabled: bool = True


class Changes(BaseModel):
    name: str = Field("", max_length=8)
    service_account_id: UUID | None = None
    transfer_adapter: Adapter = Adapter.RCLONE
    enabled: bool | None = None


class Membership(BaseModel):
    user_id: UUID
    note: str | None = Field(None, max_length=4)


@FASTAPI.get("/api/instruments")
async def instruments(skip: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1, le=500)] = 25): ...


@FASTAPI.get("/api/files")
async def files(instrument_id: UUID | None = None): ...


@FASTAPI.post("/api/instruments")
async def create(new: New): ...


@FASTAPI.patch("/api/instruments/{instrument_id}")
async def update(instrument_id: UUID, changes: Changes): ...


@FASTAPI.post("/api/groups/{group_id}/members")
async def add(group_id: UUID, member: Membership): ...


@FASTAPI.post("/auth/jwt/login")
async def login(
    username: Annotated[str, Form()],
    password: Annotated[str, Form()],
    grant_type: Annotated[str | None, Form(pattern="^password$")] = None,
): ...


NEW = {"name": "a", "cifs_host": "h"}
REQUESTS = {
    "a missing key": ("POST", "/api/instruments", {"json": {"name": "a"}}),
    "several at once": ("POST", "/api/instruments", {"json": {"name": 1, "enabled": "perhaps", "service_account_id": ""}}),
    "no body": ("POST", "/api/instruments", {}),
    "a list for an object": ("POST", "/api/instruments", {"json": []}),
    "a text for an object": ("POST", "/api/instruments", {"json": "x"}),
    "null for an object": (
        "POST",
        "/api/instruments",
        {"json": None, "content": b"null", "headers": {"content-type": "application/json"}},
    ),
    "another type of body": ("POST", "/api/instruments", {"content": b'{"a": 1}', "headers": {"content-type": "text/plain"}}),
    "too long": ("POST", "/api/instruments", {"json": NEW | {"name": "x" * 9}}),
    "null for a text": ("PATCH", f"/api/instruments/{KNOWN}", {"json": {"name": None, "transfer_adapter": None}}),
    "an enum": ("POST", "/api/instruments", {"json": NEW | {"transfer_adapter": "RCLONE"}}),
    "an enum of another type": ("POST", "/api/instruments", {"json": NEW | {"transfer_adapter": {"a": 1}}}),
    "a uuid": ("POST", "/api/instruments", {"json": NEW | {"service_account_id": "61b08ff4"}}),
    "a number for a uuid": ("POST", "/api/instruments", {"json": NEW | {"service_account_id": 7}}),
    "path and body": ("PATCH", "/api/instruments/no-uuid", {"json": {"enabled": 2}}),
    "a member of the body": ("POST", f"/api/groups/{KNOWN}/members", {"json": {"note": "hello"}}),
    "no object for members": ("POST", f"/api/groups/{KNOWN}/members", {"json": 7}),
    "no body for members": ("POST", "/api/groups/x/members", {}),
    "no number": ("GET", "/api/instruments?skip=x&limit=", {}),
    "below": ("GET", "/api/instruments?skip=-1&limit=0", {}),
    "above": ("GET", "/api/instruments?limit=501", {}),
    "a fraction": ("GET", "/api/instruments?limit=1.5", {}),
    "the last of several": ("GET", "/api/instruments?limit=1&limit=x", {}),
    "an empty uuid": ("GET", "/api/files?instrument_id=", {}),
    "no form": ("POST", "/auth/jwt/login", {}),
    "JSON for a form": ("POST", "/auth/jwt/login", {"json": {"username": "a", "password": "b"}}),
    "an empty field": ("POST", "/auth/jwt/login", {"data": {"username": "a", "password": ""}}),
    "a pattern": ("POST", "/auth/jwt/login", {"data": {"username": "a", "password": "b", "grant_type": "x"}}),
    "multipart": ("POST", "/auth/jwt/login", {"files": {"username": (None, "a")}}),
    "an open brace": ("POST", "/api/instruments", {"content": b"{", "headers": {"content-type": "application/json"}}),
    "a missing value": ("POST", "/api/instruments", {"content": b'{"a":}', "headers": {"content-type": "application/json"}}),
    "a comma too many": (
        "POST",
        "/api/instruments",
        {"content": b'{"a": 1,}', "headers": {"content-type": "application/json"}},
    ),
    "rubbish behind": ("POST", "/api/instruments", {"content": b"{} x", "headers": {"content-type": "application/json"}}),
}


@pytest.mark.parametrize("case", REQUESTS)
async def test_refusals_equal_the_original_frameworks(rest, case):
    method, path, content = REQUESTS[case]
    content = {name: value for name, value in content.items() if not (name == "json" and "content" in content)}
    headers = ADMIN | content.pop("headers", {})
    async with client(FASTAPI) as original:
        expected = await original.request(method, path, headers=headers, **content)
    reply = await rest.request(method, path, headers=headers, **content)
    assert expected.status_code == 422
    assert (reply.status_code, reply.json()) == (422, expected.json())


@pytest.mark.parametrize("word", [True, "yes", "true", "1", "on", "T", 1])
async def test_the_usual_words_for_true(rest, world, word):
    await rest.patch(f"/api/instruments/{KNOWN}", json={"enabled": word}, headers=ADMIN)
    assert world.seen == [{"enabled": True}]


async def test_unknown_keys_and_parameters_are_ignored(rest, world):
    reply = await rest.patch(f"/api/instruments/{KNOWN}?x=1", json={"id": 7, "created_at": "never"}, headers=ADMIN)
    assert (reply.status_code, world.seen) == (200, [{}])


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "application/merge-patch+json", None])
async def test_json_by_any_of_its_names_or_none(rest, world, media_type):
    headers = ADMIN | ({"content-type": media_type} if media_type else {})
    reply = await rest.patch(f"/api/instruments/{KNOWN}", content=b'{"enabled": true}', headers=headers)
    assert (reply.status_code, world.seen) == (200, [{"enabled": True}])


@pytest.mark.parametrize("raw", [b'{"name": NaN}', b'{"name": "\\ud800"}', b"\xff", b"[" * 100_000])
async def test_what_only_some_parsers_accept_is_no_json(rest, raw):
    reply = await rest.post("/api/instruments", content=raw, headers=ADMIN)
    assert reply.status_code == 422
    (fault,) = reply.json()["detail"]
    assert (fault["type"], fault["loc"][0]) == ("json_invalid", "body")


@pytest.mark.parametrize("limit", [2**31, 10**30])
async def test_a_number_beyond_the_graphs_integers_is_no_server_error(rest, limit):
    reply = await rest.get(f"/api/instruments?skip={limit}", headers=ADMIN)
    assert (reply.status_code, reply.json()["detail"][0]["loc"]) == (422, ["query", "skip"])


async def test_a_file_for_a_form_field(rest):
    reply = await rest.post("/auth/jwt/login", files={"username": b"a", "password": (None, "b")})
    assert reply.status_code == 422
    assert [(each["type"], each["loc"]) for each in reply.json()["detail"]] == [("string_type", ["body", "username"])]


async def test_a_broken_multipart_body(rest):
    headers = {"content-type": "multipart/form-data; boundary=x"}
    reply = await rest.post("/auth/jwt/login", content=b"rubbish", headers=headers)
    assert (reply.status_code, reply.json()["detail"][0]["loc"]) == (422, ["body"])


# --- secrets ---------------------------------------------------------------------------------------------------------------

MASK = "**********"
SECRETS = {
    "beside what is missing": ({"name": "a", "password": "hunter2"}, ["cifs_host"], {"name": "a", "password": MASK}),
    "deep in what is missing": (
        {"name": "a", "transfer_config": {"tokens": {"x": "hunter2"}, "list": [{"api_key": "hunter2"}]}},
        ["cifs_host"],
        {"name": "a", "transfer_config": {"tokens": MASK, "list": [{"api_key": MASK}]}},
    ),
    "in another type of body": ("username=a&password=hunter2", [], MASK),
    "in what is wrong": (NEW | {"name": {"secret": "hunter2"}}, ["name"], {"secret": MASK}),
}


@pytest.mark.parametrize("case", SECRETS)
async def test_secrets_are_not_sent_back(rest, case):
    body, where, shown = SECRETS[case]
    reply = await rest.post("/api/instruments", json=body, headers=ADMIN)
    (fault,) = reply.json()["detail"]
    assert (reply.status_code, fault["loc"], fault["input"]) == (422, ["body", *where], shown)
    assert "hunter2" not in reply.text


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        (Fault(("body", "password"), "string_type", "", ["hunter2"]), MASK),
        (Fault(("body", "config", "secret_access_key"), "string_type", "", 7), MASK),
        (Fault(("body", "password"), "missing", "", {"email": "a"}), {"email": "a"}),
        (Fault(("body", "password"), "missing", "", None), None),
        (Fault(("query", "token"), "uuid_parsing", "", "hunter2"), MASK),
        (Fault(("query", "limit"), "int_parsing", "", "x"), "x"),
        (Fault(("body", 3), "json_invalid", "", {}), {}),
    ],
)
def test_what_a_fault_shows(fault, shown):
    assert fault.without_secrets().value == shown
