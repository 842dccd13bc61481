"""What the graph says of lookups is the same on every database, by plan and by reference."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import orjson
import pytest
from graphql import parse

from core.identity import LOOKUPS, Principal, Principals
from core.policy import ACCESS, EDIT, MEMBER, SUPERUSER
from engine.graph import Graph
from resolvers.context import RequestContext
from resolvers.lookups.items import write_item
from resolvers.lookups.lookups import create_lookup
from resolvers.lookups.services import LookupServices
from schema.root import build_schema
from storage.lookups.sql import SqlLookupStore
from tests.engine.world import reference

LOOKUP_FIELDS = 'localId fieldMap keys { name type } createdSeconds items(text: "X_") { totalCount nodes { localId values } }'


@pytest.fixture
def asked_by(database, tmp_path):
    graph = Graph(build_schema(), database.dialect)
    services: Any = SimpleNamespace(lookups=LookupServices(SqlLookupStore(database), tmp_path))

    def context(role: str, *tenants: str) -> RequestContext:
        grants = tuple((tenant, frozenset({ACCESS, EDIT})) for tenant in tenants)
        principal = Principal(LOOKUPS, UUID(int=1), role, grants=grants, is_person=False)
        return RequestContext(sql=database, services=services, principals=Principals([principal]), report=lambda _: "1")

    async def ask(ctx: RequestContext, text: str) -> Any:
        outcome = await graph.prepare(parse(text), None).execute(ctx, {})
        again = await reference(graph, text).execute(
            RequestContext(sql=ctx.sql, services=ctx.services, principals=ctx.principals, report=ctx.report), {}
        )
        data = orjson.loads(orjson.dumps(outcome.data))
        assert (data, [each.message for each in outcome.errors]) == (again.data, [each.message for each in again.errors])
        assert not outcome.errors, outcome.errors
        return data

    return context, ask


async def test_who_sees_which_lookups(asked_by):
    context, ask = asked_by
    superuser = context(SUPERUSER)
    for tenant, name, everybodys in (("aaa", "one", False), ("bbb", "two", False), ("aaa", "all", True)):
        await create_lookup(superuser, tenant, {"name": name, "global": everybodys})
    ids = {
        who: {
            tenant: [
                each["localId"]
                for each in (await ask(ctx, f'{{ lookups(tenant: "{tenant}") {{ nodes {{ localId }} }} }}'))["lookups"]["nodes"]
            ]
            for tenant in tenants
        }
        for who, ctx, tenants in (
            ("superuser", superuser, ("aaa", "bbb", "ccc")),
            ("a", context(MEMBER, "aaa"), ("aaa",)),
            ("b and c", context(MEMBER, "bbb", "ccc"), ("bbb", "ccc")),
        )
    }
    assert ids == {
        "superuser": {"aaa": ["all", "one.aaa"], "bbb": ["all", "two.bbb"], "ccc": ["all"]},
        "a": {"aaa": ["all", "one.aaa"]},
        "b and c": {"bbb": ["all", "two.bbb"], "ccc": ["all"]},
    }


async def test_text_has_no_wildcards_and_values_are_typed(asked_by):
    context, ask = asked_by
    ctx = context(MEMBER, "aaa")
    await create_lookup(ctx, "aaa", {"name": "one", "label": "100%", "fields": {"n": {"type": "ui64"}, "b": {"type": "bool"}}})
    await create_lookup(ctx, "aaa", {"name": "two", "label": "100"})
    for key, fields in (("x_1", {"n": 2**64 - 1, "b": True}), ("xy2", {})):
        await write_item(ctx, "aaa", "one.aaa", {"keys": [key], "fields": fields})
    found = await ask(ctx, f'{{ lookups(tenant: "aaa", text: " 0% ") {{ totalCount nodes {{ {LOOKUP_FIELDS} }} }} }}')
    (shown,) = found["lookups"]["nodes"]
    assert shown.pop("createdSeconds") > 1_700_000_000
    assert (found["lookups"]["totalCount"], shown) == (
        1,
        {
            "localId": "one.aaa",
            "fieldMap": {"n": {"type": "ui64"}, "b": {"type": "bool"}},
            "keys": [{"name": "key", "type": "STR"}],
            "items": {"totalCount": 1, "nodes": [{"localId": "x_1", "values": {"n": 2**64 - 1, "b": True}}]},
        },
    )
