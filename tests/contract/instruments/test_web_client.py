"""The web client's requests, in its order and with its quirks: contract §11 and what §1 to §10 say of it.

The client knows each shape by its keys and shows every string `detail` as it is, so both are compared whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.contract.instruments.records import add_file, add_transfer
from tests.contract.support import PASSWORD, Api, World, told

USER = frozenset({"id", "email", "is_active", "is_superuser", "is_verified", "role", "deleted_at"})
TIMES = frozenset({"created_at", "updated_at"})
INSTRUMENT = TIMES | {
    "id",
    "name",
    "description",
    "location",
    "pid",
    "cifs_host",
    "cifs_share",
    "cifs_base_path",
    "service_account_id",
    "transfer_adapter",
    "transfer_config",
    "enabled",
    "last_harvested_at",
    "deleted_at",
}
STORAGE_LOCATION = TIMES | {"id", "name", "type", "base_path", "connection_config", "enabled", "deleted_at"}
SERVICE_ACCOUNT = TIMES | {"id", "name", "domain", "username", "deleted_at"}
SCHEDULE = TIMES | {
    "id",
    "instrument_id",
    "default_storage_location_id",
    "cron_expression",
    "enabled",
    "prefect_deployment_id",
    "deleted_at",
}
HOOK = TIMES | {
    "id",
    "name",
    "description",
    "trigger",
    "implementation",
    "builtin_name",
    "script_path",
    "webhook_url",
    "config",
    "instrument_id",
    "priority",
    "enabled",
    "deleted_at",
}
GROUP = PROJECT = TIMES | {"id", "name", "description", "deleted_at"}
WISH = TIMES | {
    "id",
    "requester_id",
    "requester_email",
    "name",
    "location",
    "harvest_frequency",
    "justification",
    "description",
    "status",
    "admin_notes",
}
NOTIFICATION = frozenset({"id", "recipient_id", "type", "title", "message", "link", "read", "dismissed_at", "created_at"})
AUDIT_ENTRY = frozenset({"id", "entity_type", "entity_id", "action", "actor_id", "actor_email", "changes", "created_at"})
FILE = frozenset(
    {
        "id",
        "persistent_id",
        "persistent_id_type",
        "instrument_id",
        "source_path",
        "filename",
        "size_bytes",
        "source_mtime",
        "xxhash",
        "sha256",
        "first_discovered_at",
        "metadata_",
        "owner_id",
    }
)
TRANSFER = frozenset(
    {
        "id",
        "file_id",
        "storage_location_id",
        "destination_path",
        "transfer_adapter",
        "status",
        "bytes_transferred",
        "source_checksum",
        "dest_checksum",
        "checksum_verified",
        "started_at",
        "completed_at",
        "error_message",
        "prefect_flow_run_id",
    }
)

INSTRUMENT_FORM: Mapping[str, Any] = {
    "name": "Bruker 500",
    "description": None,
    "location": "B 12",
    "pid": None,
    "cifs_host": "nmr.example.org",
    "cifs_share": "data",
    "cifs_base_path": None,
    "service_account_id": None,
    "transfer_adapter": "rclone",
    "transfer_config": None,
    "enabled": True,
}
HOOK_FORM: Mapping[str, Any] = {
    "name": "No temporary files",
    "description": "",
    "trigger": "pre_transfer",
    "implementation": "builtin",
    "builtin_name": "file_filter",
    "script_path": "",
    "webhook_url": "",
    "config": {"exclude_patterns": ["*.tmp"]},
    "instrument_id": None,
    "priority": 0,
    "enabled": True,
}


def keys(row: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(row)


async def one_page(api: Api, path: str, limit: int = 25) -> list[Any]:
    """As every table of the client asks for its first page; the rows."""
    reply = await api.get(f"{path}?skip=0&limit={limit}")
    assert reply.status_code == 200, reply.text
    page = reply.json()
    assert list(page) == ["items", "total", "skip", "limit"]
    assert (page["skip"], page["limit"], page["total"]) == (0, limit, len(page["items"]))
    return list(page["items"])


async def whole(api: Api, path: str) -> list[Any]:
    """As the client asks for lists that have no pages."""
    reply = await api.get(path)
    assert reply.status_code == 200, reply.text
    rows = reply.json()
    assert isinstance(rows, list)
    return rows


async def frame(api: Api) -> None:
    """What every page asks for before anything else."""
    me = await api.get("/users/me")
    assert (me.status_code, keys(me.json())) == (200, USER)
    assert {keys(row) for row in await whole(api, "/api/notifications")} <= {NOTIFICATION}
    status, count = told(await api.get("/api/notifications/unread-count"))
    assert (status, keys(count)) == (200, {"count"})


async def test_signing_in(world: World, admin: Api):
    """The token first, then the cookie; the session is checked with the token."""
    form = {"username": admin.email, "password": PASSWORD}
    reply = await world.anonymous().post("/auth/jwt/login", data=form)
    assert (reply.status_code, list(reply.json()), reply.json()["token_type"]) == (
        200,
        ["access_token", "token_type"],
        "bearer",
    )
    cookie = await world.anonymous().post("/auth/cookie/login", data=form)
    assert (cookie.status_code, cookie.content) == (204, b"")
    assert cookie.headers["set-cookie"].startswith("streamweave_auth=")
    await frame(Api(world, {"Authorization": f"Bearer {reply.json()['access_token']}"}))


@pytest.mark.parametrize(
    "path",
    ["/users/me", "/api/notifications", "/api/files", "/api/instruments?skip=0&limit=500", "/api/hooks/builtins", "/api/me"],
)
async def test_an_ended_session_leads_to_the_login_page(anonymous: Api, path):
    assert told(await anonymous.get(path)) == (401, {"detail": "Unauthorized"})


async def test_the_dashboard(world: World, admin: Api):
    await add_transfer(world, await add_file(world))
    await frame(admin)
    assert [keys(row) for row in await whole(admin, "/api/files")] == [FILE]
    assert [keys(row) for row in await whole(admin, "/api/transfers")] == [TRANSFER]
    assert [keys(row) for row in await one_page(admin, "/api/instruments", 500)] == [INSTRUMENT]
    assert await whole(admin, "/api/transfers?status=failed") == []


async def test_the_pages_of_users(world: World, user: Api):
    """Files, transfers, wishes; names of instruments and locations instead of their ids."""
    await frame(user)
    assert await whole(user, "/api/files") == await whole(user, "/api/transfers") == []
    assert await one_page(user, "/api/instruments", 500) == await one_page(user, "/api/storage-locations", 500) == []
    wish = {
        "name": "Cryo-EM",
        "location": "B 12",
        "harvest_frequency": "daily",
        "justification": "much data",
        "description": "",
    }
    assert keys(await user.made("/api/instrument-requests", **wish)) == WISH
    assert [keys(row) for row in await one_page(user, "/api/instrument-requests")] == [WISH]
    me = (await user.get("/api/me")).json()
    assert keys(me) == USER | {"groups", "projects"}


async def test_instruments_and_their_accounts(admin: Api):
    """The edit form sends every field, uuids among them; the account's prefills its password."""
    account = await admin.made("/api/service-accounts", name="reader", domain=None, username="svc", password="hunter2-xyzzy")
    assert keys(account) == SERVICE_ACCOUNT
    prefilled = await admin.get(f"/api/service-accounts/{account['id']}/password")
    assert told(prefilled) == (200, {"password": "hunter2-xyzzy"})
    assert [keys(row) for row in await whole(admin, "/api/service-accounts")] == [SERVICE_ACCOUNT]
    instrument = await admin.made("/api/instruments", **INSTRUMENT_FORM)
    form = {**INSTRUMENT_FORM, "service_account_id": account["id"], "description": "by the door"}
    edited = await admin.patch(f"/api/instruments/{instrument['id']}", json=form)
    assert (edited.status_code, edited.json() | form) == (200, edited.json())
    assert keys(edited.json()) == INSTRUMENT
    assert (await admin.delete(f"/api/instruments/{instrument['id']}")).status_code == 204
    assert await one_page(admin, "/api/instruments") == []
    shown = (await admin.get("/api/instruments?skip=0&limit=25&include_deleted=true")).json()["items"]
    assert [row["deleted_at"] is not None for row in shown] == [True]
    restored = await admin.post(f"/api/instruments/{instrument['id']}/restore")
    assert (restored.status_code, restored.json()["enabled"], restored.json()["deleted_at"]) == (200, False, None)


async def test_storage_locations(admin: Api):
    """The edit form sends back the masks that it was shown."""
    secret = {"bucket": "b", "region": "r", "access_key_id": "k", "secret_access_key": "s3cr3t", "endpoint_url": None}
    made = await admin.made(
        "/api/storage-locations", name="S3", type="s3", base_path="x", connection_config=secret, enabled=True
    )
    assert (keys(made), made["connection_config"]["secret_access_key"]) == (STORAGE_LOCATION, "****")
    form = {name: made[name] for name in ("name", "type", "base_path", "connection_config", "enabled")}
    edited = await admin.patch(f"/api/storage-locations/{made['id']}", json={**form, "name": "Archive"})
    assert (edited.status_code, edited.json()["connection_config"]) == (200, made["connection_config"])
    assert [keys(row) for row in await one_page(admin, "/api/storage-locations")] == [STORAGE_LOCATION]


async def test_schedules(admin: Api):
    """Its link to a run is made of the id that a trigger gives."""
    instrument = await admin.made("/api/instruments", **INSTRUMENT_FORM)
    location = await admin.made(
        "/api/storage-locations", name="A", type="posix", base_path="/a", connection_config=None, enabled=True
    )
    form = {
        "instrument_id": instrument["id"],
        "default_storage_location_id": location["id"],
        "cron_expression": "0 3 * * *",
        "enabled": True,
    }
    schedule = await admin.made("/api/schedules", **form)
    assert (keys(schedule), schedule["prefect_deployment_id"] is not None) == (SCHEDULE, True)
    edited = await admin.patch(f"/api/schedules/{schedule['id']}", json={**form, "cron_expression": "0 4 * * *"})
    assert (edited.status_code, edited.json()["prefect_deployment_id"]) == (200, schedule["prefect_deployment_id"])
    triggered = await admin.post(f"/api/schedules/{schedule['id']}/trigger")
    assert (triggered.status_code, keys(triggered.json())) == (200, {"flow_run_id", "schedule_id"})
    assert [keys(row) for row in await one_page(admin, "/api/schedules")] == [SCHEDULE]


async def test_hooks(admin: Api):
    """Texts that are not used are sent empty."""
    names = [row["name"] for row in await whole(admin, "/api/hooks/builtins")]
    assert names == ["file_filter", "metadata_enrichment", "access_assignment"]
    hook = await admin.made("/api/hooks", **HOOK_FORM)
    assert (keys(hook), hook | dict(HOOK_FORM)) == (HOOK, hook)
    instrument = await admin.made("/api/instruments", **INSTRUMENT_FORM)
    edited = await admin.patch(f"/api/hooks/{hook['id']}", json={**HOOK_FORM, "instrument_id": instrument["id"], "priority": 5})
    assert (edited.status_code, edited.json()["instrument_id"], edited.json()["priority"]) == (200, instrument["id"], 5)
    assert [keys(row) for row in await one_page(admin, "/api/hooks")] == [HOOK]


async def test_users_groups_and_projects(admin: Api):
    registered = await admin.post("/auth/register", json={"email": "eve@example.org", "password": PASSWORD, "role": "admin"})
    assert (registered.status_code, keys(registered.json()), registered.json()["role"]) == (201, USER, "admin")
    person = registered.json()["id"]
    assert {keys(row) for row in await one_page(admin, "/api/admin/users")} == {USER}
    demoted = await admin.patch(f"/users/{person}", json={"role": "user"})
    assert (demoted.status_code, demoted.json()["role"]) == (200, "user")
    group = await admin.made("/api/groups", name="NMR", description="")
    project = await admin.made("/api/projects", name="Caffeine", description="")
    assert (keys(group), keys(project)) == (GROUP, PROJECT)
    member = await admin.made(f"/api/groups/{group['id']}/members", user_id=person)
    assert member == {"group_id": group["id"], "user_id": person, "email": "eve@example.org"}
    again = await admin.post(f"/api/groups/{group['id']}/members", json={"user_id": person})
    assert told(again) == (409, {"detail": "User already in group"})
    added = await admin.made(f"/api/projects/{project['id']}/members", member_type="group", member_id=group["id"])
    assert (keys(added), added["email"]) == ({"id", "project_id", "member_type", "member_id", "email"}, None)
    assert [keys(row) for row in await whole(admin, f"/api/admin/users/{person}/groups")] == [GROUP]
    assert await whole(admin, f"/api/admin/users/{person}/projects") == []
    assert (await admin.delete(f"/api/projects/{project['id']}/members/{group['id']}")).status_code == 204
    assert (await admin.delete(f"/api/groups/{group['id']}/members/{person}")).status_code == 204
    assert (await admin.delete(f"/api/admin/users/{person}")).status_code == 204
    assert [row["email"] for row in await one_page(admin, "/api/admin/users")] == [admin.email]
    restored = await admin.post(f"/api/admin/users/{person}/restore")
    assert (restored.status_code, restored.json()["deleted_at"]) == (200, None)


async def test_the_access_of_a_file(world: World, admin: Api, user: Api):
    file = str(await add_file(world))
    assert told(await user.get(f"/api/files/{file}")) == (404, {"detail": "File not found"})
    grant = await admin.made(f"/api/files/{file}/access", grantee_type="user", grantee_id=str(user.id))
    assert keys(grant) == {"id", "file_id", "grantee_type", "grantee_id", "granted_at"}
    assert await whole(admin, f"/api/files/{file}/access") == [grant]
    assert [row["id"] for row in await whole(user, "/api/files")] == [file]
    assert (await admin.delete(f"/api/files/{file}/access/{grant['id']}")).status_code == 204
    assert await whole(user, "/api/files") == []


async def test_wishes_are_reviewed(admin: Api, user: Api):
    """The bell of every page shows what became of it."""
    wish = {"name": "Cryo-EM", "location": "B 12", "harvest_frequency": "daily", "justification": "much data"}
    made = await user.made("/api/instrument-requests", **wish)
    (told_of,) = await whole(admin, "/api/notifications")
    assert (told_of["title"], told_of["link"]) == ("New Instrument Request", "/admin/instrument-requests")
    reviewed = await admin.patch(f"/api/instrument-requests/{made['id']}", json={"status": "approved", "admin_notes": "in May"})
    assert (reviewed.status_code, reviewed.json()["status"], reviewed.json()["admin_notes"]) == (200, "approved", "in May")
    assert told(await user.get("/api/notifications/unread-count")) == (200, {"count": 1})
    (answer,) = await whole(user, "/api/notifications")
    assert (answer["title"], answer["link"]) == ("Request Approved", "/request")
    read = await user.post(f"/api/notifications/{answer['id']}/read")
    assert (read.status_code, keys(read.json()), read.json()["read"]) == (200, NOTIFICATION, True)
    assert told(await user.post("/api/notifications/read-all")) == (200, {"ok": True})
    assert (await user.post(f"/api/notifications/{answer['id']}/dismiss")).status_code == 200
    assert await whole(user, "/api/notifications") == []


async def test_the_audit_page(admin: Api):
    instrument = await admin.made("/api/instruments", **INSTRUMENT_FORM)
    await admin.patch(f"/api/instruments/{instrument['id']}", json={"name": "Bruker 600"})
    changed, made = await one_page(admin, "/api/admin/audit-logs", 50)
    assert {keys(changed), keys(made)} == {AUDIT_ENTRY}
    assert changed["changes"] == {"name": {"before": "Bruker 500", "after": "Bruker 600"}}
    day = made["created_at"][:10]
    filtered = f"/api/admin/audit-logs?skip=0&limit=50&entity_type=instrument&action=create&since={day}&until={day}"
    assert [row["id"] for row in (await admin.get(filtered)).json()["items"]] == [made["id"]]
