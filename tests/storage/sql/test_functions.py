"""Functions that every database has in its own words."""

from __future__ import annotations

import re

from sqlalchemy import select

from storage.sql.functions import random_uuid
from storage.sql.tables import users

V4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


async def test_each_uuid_is_a_new_one_of_version_4(database):
    found = [str((await database.first(select(random_uuid().label("key"))))["key"]) for _ in range(50)]

    assert all(V4.fullmatch(key) for key in found)
    assert len(set(found)) == 50
    assert {key[19] for key in found} == set("89ab")


async def test_it_is_the_type_of_a_key(database):
    row = await database.first(select(random_uuid().label("key")))

    assert type(row["key"]) is users.c.id.type.python_type
