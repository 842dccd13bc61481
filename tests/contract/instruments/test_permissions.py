"""Every endpoint of the ledger against everybody who may call it: contract §1 "Order of checks", §2 and the roles of §3 to §10.

What is listed nowhere here is for admins, so a new endpoint for others fails until it is.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from core.vocabulary import NotificationType
from storage.sql.tables import instrument_requests, memberships, notifications
from tests.contract.instruments.records import add_file, add_transfer, created
from tests.contract.instruments.test_ledger import listed
from tests.contract.support import START, UNKNOWN, Api, World, refused, told

UNAUTHORIZED = refused(401, "Unauthorized")

ANYBODY = {
    "POST /auth/register",
    "POST /auth/jwt/login",
    "POST /auth/cookie/login",
    "POST /auth/forgot-password",
    "POST /auth/reset-password",
    "POST /auth/request-verify-token",
    "POST /auth/verify",
}
MEMBERS = {
    "POST /auth/jwt/logout",
    "POST /auth/cookie/logout",
    "GET /users/me",
    "PATCH /users/me",
    "GET /api/me",
    "GET /api/instruments",
    "GET /api/storage-locations",
    "GET /api/files",
    "GET /api/files/{file_id}",
    "GET /api/transfers",
    "GET /api/transfers/{transfer_id}",
    "GET /api/instrument-requests",
    "GET /api/instrument-requests/{request_id}",
    "POST /api/instrument-requests",
    "GET /api/notifications",
    "GET /api/notifications/unread-count",
    "POST /api/notifications/{notification_id}/read",
    "POST /api/notifications/{notification_id}/dismiss",
    "POST /api/notifications/read-all",
}
ROUTES = listed()


def path_of(route: str, key: object = UNKNOWN) -> str:
    return re.sub(r"{\w+}", str(key), route.partition(" ")[2])


async def call(caller: Api, route: str, key: object = UNKNOWN) -> tuple[int, object]:
    """Something well-formed about something that is not there, with a body in which everything is missing."""
    method = route.partition(" ")[0]
    return told(await caller.request(method, path_of(route, key), **({} if method in {"GET", "DELETE"} else {"json": {}})))


def denial(route: str) -> tuple[int, object]:
    """What is said to a user. Contract §2 has other words for the routes of single users."""
    return refused(403, "Forbidden" if "/users/{id}" in route else "Admin access required")


def test_only_endpoints_that_there_are():
    assert (ANYBODY | MEMBERS) - set(ROUTES) == set()


@pytest.mark.parametrize("route", ROUTES)
async def test_by_role(world: World, anonymous: Api, route: str):
    """Nobody, members, admins; and for members of another domain the same as for nobody."""
    stranger = await world.person("carol@example.org", "admin")
    async with world.parts.database.transaction() as transaction:
        await transaction.execute(update(memberships).where(memberships.c.user_id == stranger.id).values(domain="replication"))
    user, admin = await world.person("bob@example.org"), await world.person("ada@example.org", "admin")

    for nobody in (anonymous, stranger):
        reply = await call(nobody, route)
        assert reply[0] not in {401, 403} if route in ANYBODY else reply == UNAUTHORIZED
    reply = await call(user, route)
    assert reply[0] not in {401, 403} if route in ANYBODY | MEMBERS else reply == denial(route)
    assert (await call(admin, route))[0] not in {401, 403}


async def test_the_role_is_looked_at_before_the_id(anonymous: Api, user: Api):
    for route in (route for route in ROUTES if "{" in route):
        assert await call(anonymous, route, "abc") == UNAUTHORIZED, route
        reply = await call(user, route, "abc")
        assert reply[0] == 422 if route in MEMBERS else reply == denial(route), route


# --- what is somebody else's ---------------------------------------------------------------------------------------------


async def a_file(world: World, _: UUID) -> UUID:
    return await add_file(world)


async def a_transfer(world: World, _: UUID) -> UUID:
    return await add_transfer(world, await add_file(world))


async def a_request(world: World, owner: UUID) -> UUID:
    texts = dict.fromkeys(("name", "location", "harvest_frequency", "justification"), "x")
    row = created(requester_id=owner, status="pending", **texts)
    await world.insert(instrument_requests, row)
    key: UUID = row["id"]
    return key


async def a_notification(world: World, owner: UUID) -> UUID:
    key = uuid4()
    told_of = {"type": NotificationType.INSTRUMENT_REQUEST_APPROVED, "title": "x", "message": "x", "read": False}
    await world.insert(notifications, {"id": key, "recipient_id": owner, "created_at": START, **told_of})
    return key


HIDDEN: dict[str, tuple[Callable[[World, UUID], Awaitable[UUID]], int, str]] = {
    "file_id": (a_file, 404, "File not found"),
    "transfer_id": (a_transfer, 404, "Transfer not found"),
    "request_id": (a_request, 403, "Access denied"),
    "notification_id": (a_notification, 403, "Access denied"),
}


@pytest.mark.parametrize("route", sorted(route for route in MEMBERS if "{" in route))
async def test_what_is_somebody_elses(world: World, admin: Api, user: Api, route: str):
    make, status, detail = HIDDEN[re.findall(r"{(\w+)}", route)[0]]
    assert admin.id

    assert await call(user, route, await make(world, admin.id)) == refused(status, detail)
