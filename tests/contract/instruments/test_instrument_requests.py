"""Instrument requests and notifications: contract §10."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from core.vocabulary import NotificationType
from storage.sql.tables import audit_log, notifications
from tests.contract.support import (
    NOT_A_UUID,
    NOW,
    ODD,
    START,
    UNKNOWN,
    Api,
    TickingClock,
    World,
    fault,
    ids,
    places,
    refused,
    send,
    told,
    uuid_fault,
)

PATH = "/api/instrument-requests"
WISH = {
    "name": "Cryo-EM",
    "location": "B 12",
    "harvest_frequency": "daily",
    "justification": "Nobody copies by hand any more",
}
LATER = "2026-11-21T00:29:28.495180Z"


async def told_to(api: Api) -> list[Any]:
    """What somebody's notifications say, without their ids."""
    rows = (await api.get("/api/notifications")).json()
    return [{name: value for name, value in row.items() if name != "id"} for row in rows]


class TestRequest:
    async def test_anybody_may_wish(self, world: World, user: Api):
        status, row = told(await user.post(PATH, json=WISH))

        assert (status, {**row, "id": None}) == (
            201,
            {
                "id": None,
                "requester_id": str(user.id),
                "requester_email": user.email,
                **WISH,
                "description": None,
                "status": "pending",
                "admin_notes": None,
                "created_at": NOW,
                "updated_at": NOW,
            },
        )
        (entry,) = await world.rows(audit_log)
        assert (entry["entity_type"], str(entry["entity_id"]), entry["action"], entry["changes"], entry["actor_email"]) == (
            "instrument_request",
            row["id"],
            "create",
            None,
            user.email,
        )

    async def test_every_active_admin_is_told(self, world: World, admin: Api, user: Api):
        other = await world.person("grace@example.org", "admin")
        away = await world.person("alan@example.org", "admin", is_active=False)
        gone = await world.person("kurt@example.org", "admin", deleted_at=START)
        await user.made(PATH, **WISH)

        for person in (admin, other):
            assert await told_to(person) == [
                {
                    "recipient_id": str(person.id),
                    "type": "instrument_request_submitted",
                    "title": "New Instrument Request",
                    "message": "bob@example.org requests the instrument Cryo-EM",
                    "link": "/admin/instrument-requests",
                    "read": False,
                    "dismissed_at": None,
                    "created_at": NOW,
                }
            ]
        recipients = {row["recipient_id"] for row in await world.rows(notifications)}
        assert recipients.isdisjoint({away.id, gone.id, user.id})

    async def test_each_field_is_required(self, user: Api):
        reply = await user.post(PATH, json={})

        assert told(reply) == refused(422, [fault("missing", ["body", name], "Field required", {}) for name in WISH])

    @pytest.mark.parametrize("field", ["name", "location", "harvest_frequency"])
    async def test_a_text_that_is_too_long(self, user: Api, field: str):
        assert places(await user.post(PATH, json={**WISH, field: "x" * 256})) == [["body", field]]

    @pytest.mark.parametrize("field", ["justification", "description"])
    async def test_whoever_wishes_is_brief(self, user: Api, field: str):
        """The contract has no bound; anybody who registers would fill the disk, and the memory of who reads the list."""
        assert (await user.made(PATH, **{**WISH, field: "ü" * 10_000}))[field] == "ü" * 10_000
        assert places(await user.post(PATH, json={**WISH, field: "x" * 10_001})) == [["body", field]]

    async def test_nothing_is_too_odd(self, user: Api):
        for field in (*WISH, "description"):
            for value in ODD:
                assert (await send(user, "POST", PATH, {**WISH, field: value})).status_code in {201, 422}

    async def test_anonymous_may_not(self, anonymous: Api):
        assert told(await anonymous.post(PATH, json={})) == refused(401, "Unauthorized")


class TestList:
    async def test_newest_first(self, user: Api, clock: TickingClock):
        clock.tick = timedelta(milliseconds=1)
        rows = [await user.made(PATH, **WISH) for _ in range(3)]

        assert told(await user.get(PATH)) == (200, {"items": rows[::-1], "total": 3, "skip": 0, "limit": 25})
        assert told(await user.get(f"{PATH}?skip=1&limit=1")) == (
            200,
            {"items": rows[1:2], "total": 3, "skip": 1, "limit": 1},
        )
        assert told(await user.get(f"{PATH}?shape=array")) == (200, rows[::-1])

    async def test_everybody_sees_their_own_and_admins_all(self, admin: Api, user: Api):
        row, other = await user.made(PATH, **WISH), await admin.made(PATH, **WISH)

        assert ids((await user.get(PATH)).json()["items"]) == [row["id"]]
        assert ids((await user.get(f"{PATH}?shape=array")).json()) == [row["id"]]
        assert sorted(ids((await admin.get(PATH)).json()["items"])) == sorted([row["id"], other["id"]])


class TestRead:
    async def test_it_is_for_who_has_it_and_admins(self, world: World, admin: Api, user: Api):
        row, other = await user.made(PATH, **WISH), await world.person("eve@example.org")

        assert told(await user.get(f"{PATH}/{row['id']}")) == (200, row)
        assert told(await admin.get(f"{PATH}/{row['id']}")) == (200, row)
        assert told(await other.get(f"{PATH}/{row['id']}")) == refused(403, "Access denied")

    async def test_an_unknown_one(self, user: Api):
        assert told(await user.get(f"{PATH}/{UNKNOWN}")) == refused(404, "Request not found")
        assert told(await user.get(f"{PATH}/{NOT_A_UUID}")) == refused(422, [uuid_fault("path", "request_id")])


class TestReview:
    @pytest.mark.parametrize(("status", "title"), [("approved", "Request Approved"), ("rejected", "Request Rejected")])
    async def test_the_requester_is_told(self, admin: Api, user: Api, clock: TickingClock, status: str, title: str):
        row = await user.made(PATH, **WISH)
        clock.advance(seconds=1)

        reply = await admin.patch(f"{PATH}/{row['id']}", json={"status": status, "admin_notes": "after the holidays"})

        assert told(reply) == (200, {**row, "status": status, "admin_notes": "after the holidays", "updated_at": LATER})
        assert await told_to(user) == [
            {
                "recipient_id": str(user.id),
                "type": f"instrument_request_{status}",
                "title": title,
                "message": f"Your request for the instrument Cryo-EM was {status}: after the holidays",
                "link": "/request",
                "read": False,
                "dismissed_at": None,
                "created_at": LATER,
            }
        ]

    async def test_notes_that_are_absent_are_null(self, admin: Api, user: Api):
        row = await user.made(PATH, **WISH)
        await admin.patch(f"{PATH}/{row['id']}", json={"status": "rejected", "admin_notes": "why"})

        assert (await admin.patch(f"{PATH}/{row['id']}", json={"status": "approved"})).json()["admin_notes"] is None

    async def test_nobody_is_told_of_what_is_pending_again(self, admin: Api, user: Api):
        row = await user.made(PATH, **WISH)

        assert (await admin.patch(f"{PATH}/{row['id']}", json={"status": "pending"})).status_code == 200
        assert await told_to(user) == []

    async def test_it_is_audited(self, world: World, admin: Api, user: Api):
        row = await user.made(PATH, **WISH)
        await admin.patch(f"{PATH}/{row['id']}", json={"status": "approved"})

        entry = max(await world.rows(audit_log), key=lambda each: each["number"])
        assert (entry["action"], entry["actor_email"], entry["changes"]) == (
            "update",
            admin.email,
            {"status": {"before": "pending", "after": "approved"}, "admin_notes": {"before": None, "after": None}},
        )

    async def test_only_admins_review(self, user: Api):
        row = await user.made(PATH, **WISH)

        assert told(await user.patch(f"{PATH}/{row['id']}", json={})) == refused(403, "Admin access required")

    async def test_what_is_wrong_with_it(self, admin: Api):
        path = f"{PATH}/{UNKNOWN}"

        assert told(await admin.patch(path, json={"status": "approved"})) == refused(404, "Request not found")
        assert places(await admin.patch(path, json={})) == [["body", "status"]]
        assert places(await admin.patch(path, json={"status": None})) == [["body", "status"]]
        (problem,) = (await admin.patch(path, json={"status": "maybe"})).json()["detail"]
        assert problem["msg"] == "Input should be 'pending', 'approved' or 'rejected'"


class TestNotifications:
    async def test_there_are_none_at_first(self, user: Api, anonymous: Api):
        assert told(await user.get("/api/notifications")) == (200, [])
        assert told(await user.get("/api/notifications/unread-count")) == (200, {"count": 0})
        assert told(await anonymous.get("/api/notifications")) == refused(401, "Unauthorized")

    async def test_unread_first_then_newest(self, admin: Api, user: Api, clock: TickingClock):
        clock.tick = timedelta(milliseconds=1)
        for _ in range(4):
            await user.made(PATH, **WISH)
        newest = ids((await admin.get("/api/notifications")).json())
        await admin.post(f"/api/notifications/{newest[0]}/read")
        await admin.post(f"/api/notifications/{newest[2]}/read")

        rows = (await admin.get("/api/notifications")).json()

        assert ids(rows) == [newest[1], newest[3], newest[0], newest[2]]
        assert [row["created_at"] for row in rows[:2]] == sorted((row["created_at"] for row in rows[:2]), reverse=True)
        assert told(await admin.get("/api/notifications/unread-count")) == (200, {"count": 2})

    async def test_at_most_50(self, world: World, user: Api):
        assert user.id
        rows = [
            {
                "recipient_id": user.id,
                "type": NotificationType.INSTRUMENT_REQUEST_APPROVED,
                "title": "x",
                "message": "x",
                "read": False,
                "created_at": START + timedelta(seconds=number),
            }
            for number in range(60)
        ]
        await world.insert(notifications, *({"id": uuid4(), **row} for row in rows))

        shown = (await user.get("/api/notifications")).json()

        assert (len(shown), shown[0]["created_at"]) == (50, "2026-11-21T00:30:26.495180Z")
        assert told(await user.get("/api/notifications/unread-count")) == (200, {"count": 60})

    async def test_reading_one(self, admin: Api, user: Api):
        await user.made(PATH, **WISH)
        (row,) = (await admin.get("/api/notifications")).json()

        for _ in range(2):
            assert told(await admin.post(f"/api/notifications/{row['id']}/read")) == (200, {**row, "read": True})
        assert told(await admin.get("/api/notifications/unread-count")) == (200, {"count": 0})

    async def test_putting_one_aside(self, admin: Api, user: Api, clock: TickingClock):
        await user.made(PATH, **WISH)
        (row,) = (await admin.get("/api/notifications")).json()
        clock.advance(seconds=1)

        for _ in range(2):
            reply = await admin.post(f"/api/notifications/{row['id']}/dismiss")
            assert told(reply) == (200, {**row, "dismissed_at": LATER})
            clock.advance(seconds=1)
        assert told(await admin.get("/api/notifications")) == (200, [])
        assert told(await admin.get("/api/notifications/unread-count")) == (200, {"count": 0})

    async def test_reading_all(self, world: World, admin: Api, user: Api):
        other = await world.person("grace@example.org", "admin")
        await user.made(PATH, **WISH)
        await user.made(PATH, **WISH)

        assert told(await admin.post("/api/notifications/read-all")) == (200, {"ok": True})
        assert told(await admin.get("/api/notifications/unread-count")) == (200, {"count": 0})
        assert told(await other.get("/api/notifications/unread-count")) == (200, {"count": 2})

    @pytest.mark.parametrize("verb", ["read", "dismiss"])
    async def test_those_of_others(self, world: World, admin: Api, user: Api, verb: str):
        other = await world.person("grace@example.org", "admin")
        await user.made(PATH, **WISH)
        (row,) = (await admin.get("/api/notifications")).json()

        for person in (user, other):
            assert told(await person.post(f"/api/notifications/{row['id']}/{verb}")) == refused(403, "Access denied")
        assert told(await admin.get("/api/notifications")) == (200, [row])

    @pytest.mark.parametrize("verb", ["read", "dismiss"])
    async def test_an_unknown_one(self, user: Api, verb: str):
        assert told(await user.post(f"/api/notifications/{UNKNOWN}/{verb}")) == refused(404, "Notification not found")
        assert told(await user.post(f"/api/notifications/{NOT_A_UUID}/{verb}")) == refused(
            422, [uuid_fault("path", "notification_id")]
        )
