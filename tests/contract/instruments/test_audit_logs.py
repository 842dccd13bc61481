"""The audit log: contract §10."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from core.vocabulary import AuditAction
from storage.sql.tables import audit_log
from tests.contract.instruments.resources import GROUPS, INSTRUMENTS, SERVICE_ACCOUNTS, STORAGE_LOCATIONS
from tests.contract.support import NOT_A_UUID, NOW, UNKNOWN, Api, TickingClock, World, places, refused, told

PATH = "/api/admin/audit-logs"


async def entries(api: Api, query: str = "") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await api.get(f"{PATH}{query}")).json()["items"]
    return items


async def test_an_entry(admin: Api):
    group = await GROUPS.create(admin)

    status, body = told(await admin.get(PATH))

    (entry,) = body.pop("items")
    assert (status, body) == (200, {"total": 1, "skip": 0, "limit": 50})
    assert list(entry.items())[1:] == [
        ("entity_type", "group"),
        ("entity_id", group["id"]),
        ("action", "create"),
        ("actor_id", str(admin.id)),
        ("actor_email", admin.email),
        ("changes", None),
        ("created_at", NOW),
    ]


async def test_newest_first(admin: Api):
    """Even of one moment."""
    group = await GROUPS.create(admin)
    path = f"{GROUPS.path}/{group['id']}"
    await admin.patch(path, json={"name": "x", "description": None})
    await admin.delete(path)
    await admin.post(f"{path}/restore")

    found = await entries(admin)

    assert [entry["action"] for entry in found] == ["restore", "delete", "update", "create"]
    assert found[2]["changes"] == {
        "name": {"before": group["name"], "after": "x"},
        "description": {"before": None, "after": None},
    }


async def test_secrets_are_hidden(admin: Api):
    account = await SERVICE_ACCOUNTS.create(admin)
    location = await STORAGE_LOCATIONS.create(admin)
    await admin.patch(f"{SERVICE_ACCOUNTS.path}/{account['id']}", json={"password": "swordfish-9"})
    await admin.patch(f"{STORAGE_LOCATIONS.path}/{location['id']}", json={"connection_config": {"token": "swordfish-9"}})

    hidden = {"before": "***", "after": "***"}
    assert [entry["changes"] for entry in (await entries(admin, "?action=update"))] == [
        {"connection_config": hidden},
        {"password": hidden},
    ]


async def add(world: World, **columns: Any) -> str:
    row = {
        "id": uuid4(),
        "domain": "instruments",
        "entity_type": "instrument",
        "entity_id": uuid4(),
        "action": AuditAction.CREATE,
        "created_at": datetime(2026, 11, 20, 12, tzinfo=UTC),
        **columns,
    }
    async with world.parts.database.transaction() as transaction:
        await transaction.insert(audit_log, **row)
    return str(row["id"])


class TestFilters:
    async def test_the_kind_of_thing(self, admin: Api):
        await INSTRUMENTS.create(admin)
        await GROUPS.create(admin)

        assert [entry["entity_type"] for entry in await entries(admin, "?entity_type=group")] == ["group"]
        assert await entries(admin, "?entity_type=nonsense") == []

    async def test_the_action(self, world: World, admin: Api):
        key = await add(world, action=AuditAction.DELETE)
        await add(world)

        assert [entry["id"] for entry in await entries(admin, "?action=delete")] == [key]

    async def test_who_did_it(self, world: World, admin: Api, user: Api):
        key = await add(world, actor_id=user.id)
        await add(world, actor_id=admin.id)
        await add(world)

        assert [entry["id"] for entry in await entries(admin, f"?actor_id={user.id}")] == [key]
        assert await entries(admin, f"?actor_id={UNKNOWN}") == []

    async def test_days_are_whole(self, world: World, admin: Api):
        """[FIX] In REAL, `until` today hides today."""
        moments = [
            datetime(2026, 11, 19, 23, 59, 59, 999999, tzinfo=UTC),
            datetime(2026, 11, 20, tzinfo=UTC),
            datetime(2026, 11, 20, 23, 59, 59, 999999, tzinfo=UTC),
            datetime(2026, 11, 21, tzinfo=UTC),
        ]
        before, first, last, after = [await add(world, created_at=moment) for moment in moments]

        async def found(query: str) -> list[str]:
            return [entry["id"] for entry in await entries(admin, query)]

        assert await found("?since=2026-11-20") == [after, last, first]
        assert await found("?until=2026-11-20") == [last, first, before]
        assert await found("?since=2026-11-20&until=2026-11-20") == [last, first]
        assert await found("?since=0001-01-01&until=9999-12-31") == [after, last, first, before]

    async def test_the_total_is_of_what_they_leave(self, world: World, admin: Api):
        for action in (AuditAction.CREATE, AuditAction.DELETE, AuditAction.DELETE):
            await add(world, action=action)

        body = (await admin.get(f"{PATH}?action=delete&limit=1&skip=1")).json()

        assert (len(body["items"]), body["total"], body["skip"], body["limit"]) == (1, 2, 1, 1)
        assert len((await admin.get(f"{PATH}?action=delete&shape=array")).json()) == 2

    @pytest.mark.parametrize(
        ("parameter", "value"),
        [
            ("action", "steal"),
            ("actor_id", NOT_A_UUID),
            ("since", "yesterday"),
            ("until", "2026-13-01"),
            ("until", "2026-11-21T12:00:00Z"),
            ("limit", "501"),
        ],
    )
    async def test_what_is_no_filter(self, admin: Api, parameter: str, value: str):
        assert places(await admin.get(PATH, params={parameter: value})) == [["query", parameter]]

    @pytest.mark.parametrize("value", ["", "%00", "😀", "x" * 5000])
    async def test_any_kind_of_thing(self, admin: Api, value: str):
        assert (await admin.get(f"{PATH}?entity_type={value}")).status_code in {200, 422}


async def test_what_other_domains_did_is_not_shown(world: World, admin: Api):
    await add(world, domain="replication")

    assert await entries(admin) == []


async def test_it_is_for_admins(user: Api, anonymous: Api, clock: TickingClock):
    assert told(await anonymous.get(f"{PATH}?limit=x")) == refused(401, "Unauthorized")
    assert told(await user.get(f"{PATH}?limit=x")) == refused(403, "Admin access required")
