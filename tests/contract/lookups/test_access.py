"""Who may do what, and what is refused first: contract §2 and §3."""

from __future__ import annotations

import base64
import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.contract.lookups.declaring import (
    ACCESS,
    CONTROL,
    COUNTRIES,
    EDIT,
    GLOBAL_EDIT,
    OK,
    SUPERUSER,
    TENANT,
    declare,
    erred,
    failed,
    not_found,
    write,
)
from tests.contract.support import LOOKUPS_SECRET, Api, World, bearer, running, told

HERE = f"/{TENANT}/lookup/countries.{TENANT}"
READ = [
    ("GET", CONTROL),
    ("GET", f"{CONTROL}/countries.{TENANT}"),
    ("GET", HERE),
    ("GET", f"{HERE}/by?field=name&value=x"),
    ("GET", f"{HERE}/export"),
    ("GET", f"{HERE}/export_sample"),
    ("GET", f"{HERE}/CZ"),
]
CHANGE = [
    ("POST", CONTROL),
    ("PUT", f"{CONTROL}/countries.{TENANT}"),
    ("DELETE", f"{CONTROL}/countries.{TENANT}"),
    ("DELETE", f"{CONTROL}/countries.{TENANT}/items"),
    ("POST", HERE),
    ("PUT", HERE),
    ("POST", f"{HERE}/upload"),
    ("POST", f"{HERE}/import"),
    ("PUT", f"{HERE}/CZ"),
    ("DELETE", f"{HERE}/CZ"),
]
ALL = [*READ, *CHANGE]
WITH_ID = [(method, path) for method, path in ALL if path != CONTROL]


def forbidden(reply: httpx.Response, tenant: str = TENANT) -> None:
    assert erred(reply, 403) == "403: Forbidden"
    challenge = f'Bearer realm="asab", scope="tenant:{tenant}", error="insufficient_scope"'
    assert reply.headers["www-authenticate"] == challenge


def unauthorized(reply: httpx.Response) -> None:
    assert erred(reply, 401, "NOT-AUTHORIZED") == "401: Unauthorized"
    assert reply.headers["www-authenticate"] == 'Bearer realm="asab", error="invalid_token"'


@pytest.mark.parametrize(("method", "path"), ALL)
class TestEveryRoute:
    async def test_without_a_token(self, anonymous: Api, method: str, path: str):
        unauthorized(await anonymous.request(method, path))

    async def test_a_tenant_in_the_query(self, anonymous: Api, method: str, path: str):
        reply = await anonymous.request(method, path + ("&" if "?" in path else "?") + "tenant=standard")
        assert erred(reply, 400) == "400: Tenant query parameter not allowed."

    async def test_without_access_to_the_tenant(self, world: World, method: str, path: str):
        forbidden(await world.vouched({"other": [ACCESS, EDIT]}).request(method, path))

    async def test_resources_of_all_tenants_do_not_count(self, world: World, method: str, path: str):
        forbidden(await world.vouched({"*": [ACCESS, EDIT], TENANT: []}).request(method, path))

    async def test_a_superuser_only_of_a_tenant(self, world: World, method: str, path: str):
        forbidden(await world.vouched({TENANT: [SUPERUSER]}).request(method, path))

    async def test_only_the_other_scope(self, world: World, method: str, path: str):
        other = EDIT if (method, path) in READ else ACCESS
        forbidden(await world.vouched({TENANT: [other]}).request(method, path))


@pytest.mark.parametrize(("method", "path"), WITH_ID)
@pytest.mark.parametrize("lookup", ["countries.other", "no.other", "x.y.standard", "x.standard.", "x.Standard"])
async def test_the_id_of_another_tenants_lookup(world: World, method: str, path: str, lookup: str):
    """Before anything of the request is looked at, to superusers too."""
    path = path.replace("countries.standard", lookup)
    for caller in (world.vouched({TENANT: [ACCESS, EDIT]}), world.vouched({"*": [SUPERUSER]})):
        reply = await caller.request(method, path)
        assert (reply.status_code, reply.text) == (401, '{"result":"TENANT-NO-ACCESS"}')


@pytest.mark.parametrize(("method", "path"), WITH_ID)
@pytest.mark.parametrize("lookup", ["countries.standard", "global"])
async def test_a_lookup_that_is_not_there(editor: Api, method: str, path: str, lookup: str):
    """Before the body, which here is none, is looked at."""
    not_found(await editor.request(method, path.replace("countries.standard", lookup)))


async def test_tenants_with_dots(world: World):
    of_both = world.vouched({"a.b": [ACCESS, EDIT], "b": [ACCESS, EDIT]})
    made = await of_both.post("/a.b/lookup-control", json=COUNTRIES)
    assert made.json()["lookup_id"] == "countries.a.b"
    assert (await of_both.get("/a.b/lookup/countries.a.b")).status_code == 200
    assert told(await of_both.get("/b/lookup/countries.a.b")) == (401, {"result": "TENANT-NO-ACCESS"})


# --- tokens ------------------------------------------------------------------------------------------------------------


def claims(world: World, **more: Any) -> dict[str, Any]:
    now = int(world.clock.now.timestamp())
    return {"sub": "user:42", "iat": now, "exp": now + 60, "resources": {TENANT: [ACCESS]}} | more


def signed(content: dict[str, Any], secret: str = LOOKUPS_SECRET, algorithm: str = "HS256") -> dict[str, str]:
    return bearer(jwt.encode(content, secret, algorithm=algorithm))


async def test_a_token_of_an_issuer(world: World):
    for scheme in ("Bearer", "bearer", "BEARER"):
        token = signed(claims(world))["Authorization"].partition(" ")[2]
        reply = await Api(world, {"Authorization": f"{scheme} {token}"}).get(CONTROL)
        assert told(reply) == (200, {"data": [], "count": 0})


@pytest.mark.filterwarnings("ignore:The HMAC key")
async def test_a_token_that_is_none(world: World):
    without = [{name: value for name, value in claims(world).items() if name != gone} for gone in ("iat", "exp")]
    now = int(world.clock.now.timestamp())
    part = [
        base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode() for each in ({"alg": "none"}, claims(world))
    ]
    headers = [
        *map(signed, without),
        signed(claims(world), secret="of somebody else, who is not known"),
        signed(claims(world), algorithm="HS384"),
        signed(claims(world, exp=now - 61)),
        signed(claims(world, iat=now + 61, exp=now + 100)),
        signed(claims(world, resources="all")),
        bearer(f"{part[0]}.{part[1]}."),
        bearer("nonsense"),
        bearer(""),
        {"Authorization": "Basic dXNlcjpwYXNzd29yZA=="},
        {"Authorization": signed(claims(world))["Authorization"].replace("Bearer", "Token")},
    ]
    for each in headers:
        unauthorized(await Api(world, each).get(CONTROL))


async def test_clocks_may_differ_a_little(world: World):
    now = int(world.clock.now.timestamp())
    assert (await Api(world, signed(claims(world, iat=now + 50))).get(CONTROL)).status_code == 200
    token = Api(world, signed(claims(world)))
    world.clock.advance(seconds=110)
    assert (await token.get(CONTROL)).status_code == 200
    world.clock.advance(seconds=20)
    unauthorized(await token.get(CONTROL))


async def test_a_superuser_may_do_everything(world: World):
    superuser = world.vouched({"*": [SUPERUSER]})
    path = await declare(superuser)
    assert await write(superuser, path, ["CZ"]) == "CZ"
    assert (await superuser.post("/other/lookup-control", json=COUNTRIES | {"name": "all", "global": True})).status_code == 200
    assert told(await superuser.delete("/third/lookup-control/all")) == OK


# --- global lookups ----------------------------------------------------------------------------------------------------


async def test_a_global_lookup_needs_both_scopes(world: World, editor: Api):
    new = COUNTRIES | {"name": "all", "global": True}
    forbidden(await editor.post(CONTROL, json=new))
    forbidden(await world.vouched({TENANT: [ACCESS, GLOBAL_EDIT]}).post(CONTROL, json=new))
    both = world.vouched({TENANT: [EDIT, GLOBAL_EDIT]})
    assert told(await both.post(CONTROL, json=new)) == (200, {"result": "OK", "id": "all", "lookup_id": "all"})

    for method, path in CHANGE[1:]:
        forbidden(await editor.request(method, path.replace(f"countries.{TENANT}", "all")))
    assert await write(both, f"/{TENANT}/lookup/all", ["CZ"]) == "CZ"


async def test_a_body_is_checked_before_the_global_scope(editor: Api):
    failed(await editor.post(CONTROL, json={"name": "not a name", "global": True}))
    erred(await editor.post(CONTROL, json={"global": True}), 400)


async def test_a_global_lookup_is_everybodys_to_read(world: World):
    both = world.vouched({TENANT: [EDIT, GLOBAL_EDIT]})
    await both.post(CONTROL, json=COUNTRIES | {"name": "all", "global": True})
    await write(both, f"/{TENANT}/lookup/all", ["CZ"])
    other = world.vouched({"other": [ACCESS]})
    assert (await other.get("/other/lookup/all/CZ")).json()["_id"] == "CZ"
    assert [each["id"] for each in (await other.get("/other/lookup-control")).json()["data"]] == ["all"]


async def test_no_list_shows_another_tenants_lookups(world: World, countries: str):
    other = world.vouched({"other": [ACCESS, EDIT]})
    await other.post("/other/lookup-control", json=COUNTRIES)
    both = world.vouched({"other": [ACCESS], TENANT: [ACCESS]})
    assert [each["id"] for each in (await both.get(CONTROL)).json()["data"]] == ["countries.standard"]
    assert [each["id"] for each in (await both.get("/other/lookup-control")).json()["data"]] == ["countries.other"]


# --- tenants -----------------------------------------------------------------------------------------------------------


async def test_a_tenant_that_nobody_has_listed(tmp_path: Path):
    """Before the token: with a list, an unknown tenant is not found."""
    async with running(tmp_path, SWITCHYARD_LOOKUPS_TENANTS="standard, other") as world:
        for caller in (world.anonymous(), world.vouched({"nowhere": [ACCESS]}), world.vouched({"*": [SUPERUSER]})):
            assert not_found(await caller.get("/nowhere/lookup-control")) == "404: Tenant not found."
        unauthorized(await world.anonymous().get(CONTROL))
        forbidden(await world.vouched({"other": [ACCESS]}).get(CONTROL))
        assert (await world.vouched({TENANT: [ACCESS]}).get(CONTROL)).status_code == 200


@pytest.mark.parametrize("tenant", ["a%2Fb", "UPPER", "x", "1st", "a" * 33, "%20"])
async def test_what_a_superuser_may_not_call_a_tenant(world: World, tenant: str):
    assert (await world.vouched({"*": [SUPERUSER]}).get(f"/{tenant}/lookup-control")).status_code == 403
    unauthorized(await world.anonymous().get(f"/{tenant}/lookup-control"))


async def test_the_id_of_an_error_is_in_the_log(anonymous: Api, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, "switchyard"):
        reply = await anonymous.get(CONTROL)
    assert reply.json()["uuid"] in caplog.text


async def test_a_token_does_not_outlive_itself(world: World):
    world.clock.tick = timedelta()
    token = world.vouched({TENANT: [ACCESS]}, lifetime=10)
    assert (await token.get(CONTROL)).status_code == 200
    world.clock.advance(hours=1)
    unauthorized(await token.get(CONTROL))
