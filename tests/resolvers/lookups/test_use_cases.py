"""Lookups and items as use cases change them, and the order in which calls are refused (contract lmio-watcher §3.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import select

from core.errors import Conflict, Forbidden, InvalidInput, NotFound, Refused, Unauthenticated
from core.identity import LOOKUPS, Principal, Principals
from core.policy import ACCESS, EDIT, GLOBAL_EDIT, MEMBER, SUPERUSER, Verb
from core.uploads import Upload
from resolvers.lookups.exports import export, sample
from resolvers.lookups.items import delete_item, update_item, write_item
from resolvers.lookups.lookups import clear_lookup, create_lookup, delete_lookup, update_lookup
from resolvers.lookups.paths import found
from resolvers.lookups.uploads import upload_items
from storage.sql.tables import audit_log, events

BODY = {"name": "places", "fields": {"city": {}, "height": {"type": "si32"}}, "default_expiration": "1h"}
ID = "places.standard"


def principal(*scopes: str, tenant: str = "standard", role: str = MEMBER) -> Principal:
    return Principal(LOOKUPS, UUID(int=7), role, "user:42", grants=((tenant, frozenset(scopes)),), is_person=False)


@pytest.fixture
def ctx(context):
    return context(principal(ACCESS, EDIT))


@pytest.fixture
async def lookup(ctx):
    return await create_lookup(ctx, "standard", BODY)


def asking(ctx, who: Principal | None, tenants: frozenset[str] | None = None):
    """The same request of somebody else, where there are these tenants."""
    services = replace(ctx.services, lookups=replace(ctx.services.lookups, tenants=tenants))
    return replace(ctx, principals=Principals([who] if who else []), services=services)


async def logged(ctx):
    rows = await ctx.sql.all(select(audit_log).order_by(audit_log.c.number))
    return [(row["domain"], row["entity_type"], row["action"], row["actor_email"], row["changes"]) for row in rows]


async def sent(text: bytes, folder) -> Upload:
    async def pieces() -> AsyncIterator[bytes]:
        yield text

    upload = Upload()
    await upload.fill(pieces(), folder)
    return upload


# --- the order of checks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "tenant", "lookup_id", "error"),
    [
        (None, "nowhere", "x.y", NotFound),
        (None, "standard", "x.y", Unauthenticated),
        (principal(ACCESS, tenant="other"), "standard", "x.y", Forbidden),
        (principal(ACCESS), "standard", "x.y", Forbidden),
        (principal(EDIT), "standard", "x.y", Refused),
        (principal(EDIT), "standard", "x.standard", NotFound),
        (principal(EDIT), "standard", "everybodys", Forbidden),
        (principal(EDIT, GLOBAL_EDIT), "standard", "everybodys", InvalidInput),
        (principal(role=SUPERUSER), "standard", "x.other", Refused),
        (principal(role=SUPERUSER), "standard", "everybodys", InvalidInput),
    ],
)
async def test_what_is_told_first(ctx, who, tenant, lookup_id, error):
    superuser = asking(ctx, principal(role=SUPERUSER))
    await create_lookup(superuser, "standard", {"name": "everybodys", "global": True})
    with pytest.raises(error) as raised:
        await write_item(asking(ctx, who, frozenset({"standard", "other"})), tenant, lookup_id, {})
    assert type(raised.value) is error
    assert error is not Refused or raised.value.reason == "TENANT-NO-ACCESS"


@pytest.mark.parametrize(("tenant", "error"), [("standard", None), ("Standard", Forbidden), ("ab", Forbidden), ("a.b-c", None)])
async def test_without_a_list_superusers_enter_what_may_be_a_tenant(ctx, tenant, error):
    superuser = asking(ctx, principal(role=SUPERUSER))
    if error is None:
        assert (await create_lookup(superuser, tenant, BODY)).id == f"places.{tenant}"
    else:
        with pytest.raises(error):
            await create_lookup(superuser, tenant, BODY)


async def test_a_tenant_does_not_reach_those_of_another_whose_name_ends_like_its_own(ctx):
    superuser = asking(ctx, principal(role=SUPERUSER))
    await create_lookup(superuser, "one.two", BODY)
    with pytest.raises(Refused):
        await found(superuser, "two", "places.one.two", Verb.READ)
    assert (await found(superuser, "one.two", "places.one.two", Verb.READ))[0].tenant == "one.two"


async def test_a_global_lookup_is_declared_after_its_body_was_found_right(ctx):
    with pytest.raises(InvalidInput):
        await create_lookup(ctx, "standard", {"name": "No", "global": True})
    with pytest.raises(Forbidden):
        await create_lookup(ctx, "standard", {"name": "places", "global": True})


# --- changes -----------------------------------------------------------------------------------------------------------


async def test_what_is_done_is_logged_and_told(ctx, lookup):
    await write_item(ctx, "standard", ID, {"keys": ["a"]})
    await update_lookup(ctx, "standard", ID, {"label": "Places"})
    await clear_lookup(ctx, "standard", ID)
    await delete_lookup(ctx, "standard", ID)
    changes = [None, *({name: {"before": None, "after": after}} for name, after in [("item written", "a")])]
    changes += [{"label": {"before": "places", "after": "Places"}}, {"items": {"before": None, "after": "cleared"}}, None]
    actions = ["create", "update", "update", "update", "delete"]
    expected = [(LOOKUPS, "lookup", action, "user:42", change) for action, change in zip(actions, changes, strict=True)]
    assert await logged(ctx) == expected
    told = await ctx.sql.all(select(events).order_by(events.c.number))
    assert [(row["entity"], row["entity_id"], row["action"]) for row in told] == [
        ("lookups", str(lookup.key), action) for action in actions
    ]


async def test_what_is_refused_is_not_logged(ctx, lookup):
    await write_item(ctx, "standard", ID, {"keys": ["a"], "fields": {"height": 3}})
    before = await logged(ctx)
    for body, error in (({"keys": [{"name": "key", "type": "ip"}], "type": "lookup"}, Conflict), ({"name": "x"}, InvalidInput)):
        with pytest.raises(error):
            await update_lookup(ctx, "standard", ID, body)
    with pytest.raises(Conflict):
        await create_lookup(ctx, "standard", BODY)
    assert await logged(ctx) == before
    assert (await found(ctx, "standard", ID, Verb.READ))[0] == lookup


async def test_what_only_an_empty_lookup_can_be_changed_to(ctx, lookup):
    changed = await update_lookup(ctx, "standard", ID, {"type": "lookup", "keys": [{"name": "address", "type": "ip"}]})
    assert (changed.version, changed.declaration.key_types) == (2, {"address": "ip"})
    assert await write_item(ctx, "standard", ID, {"keys": ["::ffff:10.0.0.1"]}) == (changed, "10.0.0.1")


async def test_items_live_as_long_as_the_lookup_says(ctx, lookup, clock):
    await write_item(ctx, "standard", ID, {"keys": ["a"]})
    await write_item(ctx, "standard", ID, {"keys": ["b"], "_exp": None})
    a, b = await ctx.services.lookups.store.get(lookup, ["a", "b"])
    assert (a.expires_at, b.expires_at) == (clock.now.timestamp() + 3600, None)


async def test_an_item_gets_the_id_of_its_new_key(ctx, lookup):
    await write_item(ctx, "standard", ID, {"keys": ["a"], "fields": {"city": "x"}})
    assert await update_item(ctx, "standard", ID, "a", {"keys": ["b"]}) == (lookup, "b")
    a, b = await ctx.services.lookups.store.get(lookup, ["a", "b"])
    assert (a, b.fields) == (None, {"city": "x"})
    with pytest.raises(NotFound):
        await update_item(ctx, "standard", ID, "a", {})
    await delete_item(ctx, "standard", ID, "b")
    with pytest.raises(NotFound):
        await delete_item(ctx, "standard", ID, "b")


async def test_a_file_goes_in_and_comes_out(ctx, lookup, tmp_path):
    renewed = []
    ctx.limit = type("Limit", (), {"renew": lambda _: renewed.append(1)})()
    upload = await sent(b"_id;city;height\r\nb;;2\r\na;Brno;1\r\n;nowhere;\r\n", tmp_path)
    assert (await upload_items(ctx, "standard", ID, upload))[1] == (await upload_items(ctx, "standard", ID, upload))[1]
    pieces = [piece async for piece in export(ctx, "standard", ID)]
    assert "".join(pieces) == "_id;city;height\r\na;Brno;1\r\nb;;2\r\n" == await sample(ctx, lookup)
    assert len(renewed) >= 4
    await upload.close()


async def test_a_wrong_file_changes_nothing(ctx, lookup, tmp_path):
    upload = await sent(b"_id,height\na,1\nb,x\n", tmp_path)
    for delimiter, told in ((",", "line 3, column height"), (None, "is the delimiter another one"), (";;", "one character")):
        with pytest.raises(InvalidInput, match=told):
            await upload_items(ctx, "standard", ID, upload, delimiter)
    assert await ctx.services.lookups.store.count(lookup) == 0
    await upload.close()


async def test_reading_and_editing_are_two_rights(ctx, lookup, tmp_path):
    reader, editor = asking(ctx, principal(ACCESS)), asking(ctx, principal(EDIT))
    upload = await sent(b"", tmp_path)
    for change in (
        create_lookup(reader, "standard", {}),
        update_lookup(reader, "standard", ID, {}),
        delete_lookup(reader, "standard", ID),
        clear_lookup(reader, "standard", ID),
        write_item(reader, "standard", ID, {}),
        update_item(reader, "standard", ID, "a", {}),
        delete_item(reader, "standard", ID, "a"),
        upload_items(reader, "standard", ID, upload),
        anext(export(editor, "standard", ID)),
    ):
        with pytest.raises(Forbidden):
            await change
    await upload.close()
