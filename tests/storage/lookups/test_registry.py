"""Declarations as rows: what goes in comes out, ids are taken once, fields keep their places."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from core.errors import Conflict, NotFound
from resolvers.lookups.declarations import declared
from storage.lookups import registry
from storage.sql.tables import lookups

BODY = {
    "name": "users",
    "label": "Users",
    "group": "people",
    "keys": [{"name": "user"}, {"name": "port", "type": "ui16"}],
    "fields": [{"name": "z \"quoted\" '$[0]'", "type": "ip", "label": "Z"}, {"name": "a", "value": [1, None]}],
    "descriptionTitle": "Title",
    "descriptionContent": "Content",
    "default_expiration": "2h",
    "feedPath": "/feed",
}


async def test_a_declaration_is_read_as_it_was_made(stores):
    lookup = await stores.declare(BODY)
    assert (lookup.id, lookup.tenant, lookup.version, lookup.declaration) == ("users.standard", "standard", 1, declared(BODY))
    assert await registry.find(stores.database, "users.standard") == lookup
    assert await registry.find(stores.database, "users.other") is None


async def test_a_global_one_has_no_tenant(stores):
    lookup = await stores.declare(BODY, **{"global": True})
    assert (lookup.id, lookup.tenant) == ("users", None)
    assert await registry.find(stores.database, "users") == lookup


async def test_what_the_list_is_filtered_by(stores):
    await stores.declare(BODY, label="ČESKO")
    row = await stores.database.first(select(lookups.c.search_text))
    assert row["search_text"].split("\x1f") == ["users.standard", "česko", "users", "people", "title", "content", "7200"]


async def test_an_id_is_taken_once(stores):
    made = await asyncio.gather(*(stores.declare(BODY) for _ in range(5)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in made) == ["Conflict"] * 4 + ["Lookup"]
    assert [each.field for each in made if isinstance(each, Conflict)] == ["name"] * 4
    assert (await stores.declare(BODY, tenant="other")).id == "users.other"


async def test_a_change(stores):
    lookup = await stores.declare(BODY)
    new = await stores.change(lookup, label="New", fields={"b": {}, "a": {"value": 5}})
    assert (new.key, new.version, new.declaration.label, list(new.declaration.field_types)) == (
        lookup.key,
        2,
        "New",
        ["b", "a"],
    )
    assert new.slots == (2, 1), "what stays keeps its place, what is new has one that nothing had"
    assert (await stores.change(new, fields={"c": {}})).slots == (3,)
    newest = await stores.change(lookup)
    assert await registry.find(stores.database, lookup.id) == newest


async def test_one_that_is_gone_is_not_held(stores):
    lookup = await stores.declare(BODY)
    await stores.remove(lookup)
    assert await registry.find(stores.database, lookup.id) is None
    async with stores.database.transaction() as transaction:
        with pytest.raises(NotFound):
            await registry.held(transaction, lookup.key)


async def test_times(stores):
    await stores.declare(BODY)
    row = await stores.database.first(select(lookups.c.created_at, lookups.c.updated_at))
    assert tuple(row.values()) == (datetime(2026, 11, 21, 12, tzinfo=UTC),) * 2
