"""Service accounts: contract §4. A password is read by one route, and found nowhere else."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from storage.sql.tables import audit_log
from tests.contract.instruments.resources import SERVICE_ACCOUNTS
from tests.contract.support import NOT_A_UUID, NOW, UNKNOWN, Api, World, places, refused, running, told, uuid_fault

PATH = "/api/service-accounts"
PASSWORD = "hunter2-xyzzy"
CHANGED = "swordfish-plugh"
KEY = urlsafe_b64encode(b"k" * 32).decode()


async def test_a_new_one_in_full(admin: Api):
    status, body = told(
        await admin.post(PATH, json={"name": "reader", "domain": "LAB", "username": "svc", "password": PASSWORD})
    )

    assert (status, body) == (
        201,
        {
            "id": body["id"],
            "name": "reader",
            "domain": "LAB",
            "username": "svc",
            "created_at": NOW,
            "updated_at": NOW,
            "deleted_at": None,
        },
    )


@pytest.mark.parametrize("changes", [{"name": "n"}, {"username": "u"}, {"domain": "D"}], ids=str)
async def test_each_field_can_be_changed_alone(admin: Api, changes: dict[str, str]):
    row = await SERVICE_ACCOUNTS.create(admin)

    assert told(await admin.patch(f"{PATH}/{row['id']}", json=changes)) == (200, {**row, **changes})
    assert (await admin.get(f"{PATH}/{row['id']}/password")).json() == {"password": PASSWORD}


async def test_names_are_as_long_as_one_likes(admin: Api):
    assert (await SERVICE_ACCOUNTS.create(admin, name="x" * 3000))["name"] == "x" * 3000


class TestPassword:
    @pytest.mark.parametrize("password", [PASSWORD, "", "  ü\t测 ", "x" * 3000])
    async def test_an_admin_reads_it(self, admin: Api, password: str):
        row = await SERVICE_ACCOUNTS.create(admin, password=password)

        assert told(await admin.get(f"{PATH}/{row['id']}/password")) == (200, {"password": password})

    async def test_it_can_be_changed(self, admin: Api):
        row = await SERVICE_ACCOUNTS.create(admin)

        assert told(await admin.patch(f"{PATH}/{row['id']}", json={"password": CHANGED})) == (200, row)
        assert told(await admin.get(f"{PATH}/{row['id']}/password")) == (200, {"password": CHANGED})

    async def test_it_is_there_again_after_a_restore(self, admin: Api):
        row = await SERVICE_ACCOUNTS.create(admin)
        await admin.delete(f"{PATH}/{row['id']}")
        assert told(await admin.get(f"{PATH}/{row['id']}/password")) == refused(404, "Service account not found")

        await admin.post(f"{PATH}/{row['id']}/restore")

        assert told(await admin.get(f"{PATH}/{row['id']}/password")) == (200, {"password": PASSWORD})

    async def test_the_order_of_checks(self, anonymous: Api, user: Api, admin: Api):
        path = f"{PATH}/{NOT_A_UUID}/password"

        assert told(await anonymous.get(path)) == refused(401, "Unauthorized")
        assert told(await user.get(path)) == refused(403, "Admin access required")
        assert told(await admin.get(path)) == refused(422, [uuid_fault("path", "account_id")])
        assert told(await admin.get(f"{PATH}/{UNKNOWN}/password")) == refused(404, "Service account not found")

    async def test_each_reading_of_it_is_audited(self, world: World, admin: Api):
        row = await SERVICE_ACCOUNTS.create(admin)
        before = len(await world.rows(audit_log))

        await admin.get(f"{PATH}/{row['id']}/password")
        await admin.get(f"{PATH}/{row['id']}/password")

        entries = [each for each in await world.rows(audit_log) if str(each["entity_id"]) == row["id"]]
        assert len(await world.rows(audit_log)) == before + 2
        assert [each["actor_email"] for each in entries[-2:]] == ["ada@example.org"] * 2

    @pytest.mark.parametrize("settings", [{}, {"STREAMWEAVE_ENCRYPTION_KEY": KEY}], ids=["derived key", "own key"])
    async def test_another_start_still_reads_it(self, tmp_path: Path, settings: dict[str, str]):
        async with running(tmp_path, **settings) as world:
            row = await SERVICE_ACCOUNTS.create(await world.person("ada@example.org", "admin"))

        async with running(tmp_path, **settings) as world:
            admin = await world.person("eve@example.org", "admin")
            assert told(await admin.get(f"{PATH}/{row['id']}/password")) == (200, {"password": PASSWORD})

    @pytest.mark.parametrize("key", ["short", "not base64!", urlsafe_b64encode(b"k" * 33).decode()])
    async def test_a_key_of_another_length_refuses_to_start(self, tmp_path: Path, key: str):
        with pytest.raises(ValueError, match="encryption key"):
            async with running(tmp_path, STREAMWEAVE_ENCRYPTION_KEY=key):
                pass

    @pytest.mark.parametrize("password", [None, 7, ["x"]], ids=repr)
    async def test_what_is_no_text(self, admin: Api, password: object):
        reply = await admin.post(PATH, json={"name": "x", "username": "y", "password": password})

        assert places(reply) == [["body", "password"]]


class TestSecrecy:
    async def test_no_other_reply_holds_it(self, admin: Api, user: Api):
        body = {"name": "reader", "username": "svc", "password": PASSWORD}
        created = await admin.post(PATH, json=body)
        path = f"{PATH}/{created.json()['id']}"
        replies = [
            created,
            await admin.post(PATH, json={**body, "name": 7}),
            await admin.get(PATH),
            await admin.get(path),
            await admin.patch(path, json={"password": CHANGED}),
            await admin.patch(path, json={"password": CHANGED, "name": 7}),
            await admin.patch(path, json={"password": CHANGED, "username": "\0"}),
            await admin.patch(path, json={"password": f"{CHANGED}\0"}),
            await admin.get(path),
            await user.get(path),
            await admin.delete(path),
            await admin.get(f"{PATH}?include_deleted=true"),
            await admin.post(f"{path}/restore"),
            await admin.get("/api/instruments"),
        ]

        for reply in replies:
            assert PASSWORD not in reply.text
            assert CHANGED not in reply.text
            assert "password_" not in reply.text

    async def test_the_audit_log_does_not_hold_it(self, world: World, admin: Api):
        row = await SERVICE_ACCOUNTS.create(admin)
        await admin.patch(f"{PATH}/{row['id']}", json={"password": CHANGED, "domain": "LAB"})
        await admin.get(f"{PATH}/{row['id']}/password")

        entries = repr([dict(each) for each in await world.rows(audit_log)])
        assert "domain" in entries
        assert PASSWORD not in entries
        assert CHANGED not in entries
        assert "password_sealed" not in entries
        assert "password_encrypted" not in entries

    async def test_an_audited_change_hides_both_sides(self, world: World, admin: Api):
        row = await SERVICE_ACCOUNTS.create(admin)
        await admin.patch(f"{PATH}/{row['id']}", json={"password": CHANGED})

        (entry,) = [each for each in await world.rows(audit_log) if each["action"].value == "update"]
        assert (entry["entity_type"], entry["changes"]) == (
            "service_account",
            {"password": {"before": "***", "after": "***"}},
        )

    async def test_the_disk_does_not_hold_it(self, world: World, admin: Api):
        row = await SERVICE_ACCOUNTS.create(admin, username="found-on-disk")
        await admin.patch(f"{PATH}/{row['id']}", json={"password": CHANGED})

        stored = await world.stored_bytes()
        assert b"found-on-disk" in stored
        assert PASSWORD.encode() not in stored
        assert CHANGED.encode() not in stored
