"""What the graph says of lookups is the same on every database, by plan and by reference."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import orjson
import pytest
from graphql import parse
from sqlalchemy import insert

from core.identity import INSTRUMENTS, LOOKUPS, Principal, Principals
from core.policy import ACCESS, ADMIN, EDIT, MEMBER, SUPERUSER
from engine.graph import Graph
from resolvers.context import RequestContext
from resolvers.lookups.items import write_item
from resolvers.lookups.lookups import create_lookup
from resolvers.lookups.services import LookupServices
from schema.root import build_schema
from storage.lookups.sql import SqlLookupStore
from storage.sql.tables import file_records, instruments
from tests.engine.world import reference

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

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


async def test_lookups_are_filtered_and_sorted(asked_by):
    """Those of the tenant, whatever the filter."""
    context, ask = asked_by
    superuser = context(SUPERUSER)
    for tenant, name, more in (
        ("aaa", "b", {"label": "X", "group": "geo"}),
        ("aaa", "a", {"label": "Y"}),
        ("bbb", "c", {"label": "Z", "group": "geo"}),
        ("aaa", "d", {"label": "Z", "global": True}),
    ):
        await create_lookup(superuser, tenant, {"name": name, **more})
    ctx = context(MEMBER, "aaa")
    for arguments, found in (
        ("orderBy: [{field: LABEL, direction: DESC}]", ["d", "a.aaa", "b.aaa"]),
        ("orderBy: [{field: GROUP}, {field: NAME}]", ["b.aaa", "a.aaa", "d"]),
        ("filter: {isGlobal: {eq: false}}", ["a.aaa", "b.aaa"]),
        ('filter: {group: {eq: "geo"}}', ["b.aaa"]),
        ('filter: {or: [{type: {eq: "lookup/string"}}, {modifiedAt: {isNull: false}}]}, first: 1', ["a.aaa"]),
        ('filter: {name: {in: ["a", "c"]}}, text: "y"', ["a.aaa"]),
    ):
        shown = await ask(ctx, f'{{ lookups(tenant: "aaa", {arguments}) {{ nodes {{ localId }} }} }}')
        assert [each["localId"] for each in shown["lookups"]["nodes"]] == found, arguments


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


FILES_WITH_ITEMS = """{ instruments { nodes { files(first: 500) { nodes {
    lookupItem(tenant: "aaa", lookupId: "%s", metadataKey: "%s") { localId }
} } } } }"""


def noting(read: Any, sent: list[Any]) -> Any:
    """The same read, of one statement or of several, which writes down what it is asked."""

    def asked(statements: Any) -> Any:
        sent.extend(statements if isinstance(statements, Sequence) else [statements])
        return read(statements)

    return asked


@pytest.fixture
async def thousand_files(database):
    """On two instruments."""
    machine = {"name": "NMR", "cifs_host": "nas", "cifs_share": "s", "transfer_adapter": "rclone", "enabled": True}
    found = {"persistent_id_type": "ark", "first_discovered_at": NOON}
    async with database.transaction() as transaction:
        for number in (1, 2):
            await transaction.insert(instruments, id=UUID(int=number), created_at=NOON, updated_at=NOON, **machine)
        files = [
            {
                "id": UUID(int=number),
                "instrument_id": UUID(int=1 + number % 2),
                "persistent_id": f"ark:/1/{number}",
                "source_path": str(number),
                "filename": str(number),
                "metadata_": {"sample": number, "host": f"10.0.0.{number % 50}"},
                **found,
            }
            for number in range(1000)
        ]
        await transaction.execute(insert(file_records), files)


@pytest.mark.slow
@pytest.mark.usefixtures("thousand_files")
@pytest.mark.parametrize(
    ("declaration", "keys", "metadata_key", "leads"),
    [
        ({"type": "lookup", "keys": [{"name": "sample", "type": "ui16"}]}, [[7], [500]], "sample", 2),
        (
            {"type": "lookup/ipaddressrange", "keys": [{"name": end, "type": "ip"} for end in ("first", "last")]},
            [["10.0.0.10", "10.0.0.19"]],
            "host",
            200,
        ),
    ],
    ids=["keys", "ranges"],
)
async def test_a_thousand_files_find_their_items_in_one_statement(
    asked_by, database, monkeypatch, declaration, keys, metadata_key, leads
):
    context, ask = asked_by
    ctx = context(MEMBER, "aaa")
    await create_lookup(ctx, "aaa", {"name": "one", **declaration})
    for key in keys:
        await write_item(ctx, "aaa", "one.aaa", {"keys": key})
    ctx.principals = Principals([*ctx.principals, Principal(INSTRUMENTS, UUID(int=1), ADMIN)])
    text = FILES_WITH_ITEMS % ("one.aaa", metadata_key)
    found = await ask(ctx, text)
    items = [file["lookupItem"] for each in found["instruments"]["nodes"] for file in each["files"]["nodes"]]
    assert (len(items), len([each for each in items if each])) == (1000, leads)

    sent: list[Any] = []
    for read in ("fetch_all", "first"):
        monkeypatch.setattr(database, read, noting(getattr(database, read), sent))
    operation = Graph(build_schema(), database.dialect).prepare(parse(text), None)
    assert operation.nodes({}) == 1 + 25 * (1 + 1 + 500 * 2)
    assert not (await operation.execute(ctx, {})).errors
    assert len(sent) == len(["instruments", "files", "the lookup", "its items"])
