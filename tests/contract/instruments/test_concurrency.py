"""Several clients who do the same at the same moment: the rules hold as if they had come one after another."""

from __future__ import annotations

import asyncio
from collections import Counter

from storage.sql.tables import audit_log, users
from tests.contract.support import PASSWORD, refused, told

AT_ONCE = 8


async def test_one_of_those_who_register_an_address_gets_it(world, anonymous):
    body = {"email": "sam@example.org", "password": PASSWORD}
    other = body | {"email": "SAM@example.org"}
    replies = await asyncio.gather(*[anonymous.post("/auth/register", json=each) for each in (body, other) * (AT_ONCE // 2)])
    assert Counter(reply.status_code for reply in replies) == {201: 1, 400: AT_ONCE - 1}
    assert all(told(reply) == refused(400, "REGISTER_USER_ALREADY_EXISTS") for reply in replies if reply.status_code == 400)
    assert [row["email_folded"] for row in await world.rows(users)] == ["sam@example.org"]


async def test_of_two_who_change_to_one_address_one_gets_it(world):
    people = [await world.person(f"{name}@example.org") for name in ("ann", "ben", "cat", "dan")]
    replies = await asyncio.gather(*[person.patch("/users/me", json={"email": "new@example.org"}) for person in people])
    assert Counter(reply.status_code for reply in replies) == {200: 1, 400: 3}


async def test_a_session_that_is_ended_many_times(user):
    replies = await asyncio.gather(*[user.post("/auth/jwt/logout") for _ in range(AT_ONCE)])
    assert {reply.status_code for reply in replies} <= {204, 401}
    assert (await user.get("/users/me")).status_code == 401


async def test_one_of_those_who_delete_a_row_does(world, admin, resource):
    row = await resource.create(admin)
    replies = await asyncio.gather(*[admin.delete(f"{resource.path}/{row['id']}") for _ in range(AT_ONCE)])
    assert Counter(reply.status_code for reply in replies) == {204: 1, 404: AT_ONCE - 1}
    deletions = [each for each in await world.rows(audit_log) if each["action"].value == "delete"]
    assert len(deletions) == 1


async def test_changes_of_different_fields_are_all_kept(admin, resource):
    row = await resource.create(admin)
    fields = [name for name in ("description", "location", "pid", "cifs_base_path") if name in row]
    await asyncio.gather(*[admin.patch(f"{resource.path}/{row['id']}", json={name: f"the {name}"}) for name in fields])
    body = (await admin.get(f"{resource.path}/{row['id']}")).json()
    assert {name: body[name] for name in fields} == {name: f"the {name}" for name in fields}
