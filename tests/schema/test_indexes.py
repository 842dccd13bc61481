"""Lists that grow without bound: what clients filter and sort them by is found through an index."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest
from graphql import get_named_type, is_object_type, parse
from sqlalchemy import Index, Table, UniqueConstraint, insert, make_url

from core.identity import INSTRUMENTS, Principal, Principals
from core.sql import Bound, Row
from core.vocabulary import AuditAction, GranteeType, NotificationType, PersistentIdType, TransferAdapter
from engine.declare import kind_of, stored_type
from engine.graph import Graph
from engine.kinds import Many
from resolvers.context import RequestContext
from schema.root import build_schema
from storage.sql.tables import (
    audit_log,
    file_access_grants,
    file_records,
    file_transfers,
    groups,
    instruments,
    memberships,
    notifications,
    runs,
    users,
)

START = datetime(2026, 11, 21, tzinfo=UTC)
ROWS = 2000
ADMIN, GROUP, FILE = uuid4(), uuid4(), uuid4()
RARE = str(uuid4())

# What the viewer or the parent says already: an index may begin with these.
GROWING: dict[Table, set[str]] = {
    file_records: set(),
    file_transfers: set(),
    runs: set(),
    audit_log: {"domain"},
    notifications: {"recipient_id"},
    file_access_grants: {"file_id", "grantee_type", "grantee_id"},
}
WITHIN = {"file_records.source_path": {"instrument_id"}, "file_records.acquisition": {"instrument_id"}}


# --- what is declared --------------------------------------------------------------------------------------------------


def test_each_choice_has_an_index():
    without: set[str] = set()
    seen: set[Table] = set()
    for table, columns in _chosen():
        if table in GROWING:
            seen.add(table)
            without |= {str(column) for column in columns if not _is_indexed(table, column)}
    assert without == set()
    assert seen == set(GROWING)


def _chosen() -> list[tuple[Table, list[Any]]]:
    """Of every list of the schema: the table of its rows, and the columns of its choices."""
    kinds = [kind for kind in build_schema()._schema.type_map.values() if is_object_type(kind)]
    found = []
    for field in [field for kind in kinds for field in kind.fields.values()]:
        many = kind_of(field)
        if isinstance(many, Many) and many.choices is not None:
            page: Any = get_named_type(field.type)
            stored: Any = stored_type(get_named_type(page.fields["nodes"].type))
            found.append((stored.table, [each.expression for each in many.choices.columns.values()]))
    return found


def _is_indexed(table: Table, column: Any) -> bool:
    known = GROWING[table] | WITHIN.get(str(column), set())
    uniques = [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    lists: list[Index | UniqueConstraint] = [*table.indexes, *uniques]
    for names in ([each.name for each in index.columns] for index in lists):
        if column.name in names and set(names[: names.index(column.name)]) <= known:
            return True
    return column.unique is True


# --- what databases make of it -----------------------------------------------------------------------------------------


class Recording:
    """A `core.sql.SqlStore` that remembers what it was asked."""

    def __init__(self, database: Any) -> None:
        self.dialect, self._database = database.dialect, database
        self.asked: list[Bound] = []

    async def fetch(self, text: str, values: Sequence[object]) -> list[Row]:
        (rows,) = await self.fetch_all([(text, values)])
        return rows

    async def fetch_all(self, queries: Sequence[Bound]) -> list[list[Row]]:
        self.asked += queries
        found: list[list[Row]] = await self._database.fetch_all(queries)
        return found


@pytest.fixture
async def explained(database, database_url):
    """What the database does to answer a query: names of indexes, and whether it sorts."""
    await _fill(database)
    graph = Graph(build_schema(), database.dialect)
    principals = Principals([Principal(INSTRUMENTS, ADMIN, "admin")])

    async def explain(field: str, arguments: str) -> str:
        query = f"{{ {field}({arguments}) {{ nodes {{ localId }} }} }}" + "}" * field.count("{")
        store = Recording(database)
        services: Any = None
        ctx = RequestContext(sql=store, services=services, principals=principals, report=lambda _: "1")
        outcome = await graph.prepare(parse(query), None).execute(ctx, {})
        assert not outcome.errors, outcome.errors
        text, values = store.asked[-1]
        if database.dialect.name == "sqlite":
            return "\n".join(row[-1] for row in await database.fetch(f"EXPLAIN QUERY PLAN {text}", values))
        dsn = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute("ANALYZE")
            ((plan,),) = await connection.fetch(f"EXPLAIN (FORMAT JSON) {text}", *values)
        finally:
            await connection.close()
        return "\n".join(_nodes(orjson.loads(plan)[0]["Plan"]))

    return explain


def _nodes(plan: dict[str, Any]) -> list[str]:
    told = f"{plan['Node Type']} {plan.get('Index Name', '')} {plan.get('Index Cond', '')}"
    return [told, *(each for part in plan.get("Plans", ()) for each in _nodes(part))]


async def _fill(database: Any) -> None:
    """Many rows of many people, of which few are what is looked for."""
    times = {"created_at": START, "updated_at": START}
    person = {"password_hash": "", "credentials_version": 1, "is_active": True, "is_superuser": False, "is_verified": True}
    people = [ADMIN, *(uuid4() for _ in range(9))]
    machine, files = uuid4(), [FILE, *(uuid4() for _ in range(ROWS - 1))]
    moments = [START + timedelta(minutes=number) for number in range(ROWS)]
    async with database.transaction() as tx:
        for key in people:
            await tx.insert(users, id=key, email=f"{key}@x", email_folded=f"{key}@x", **person, **times)
        await tx.insert(memberships, user_id=ADMIN, domain=INSTRUMENTS, role="admin", created_at=START)
        named = {"name": "NMR", "cifs_host": "nas", "cifs_share": "s", "transfer_adapter": TransferAdapter.RCLONE}
        await tx.insert(instruments, id=machine, enabled=True, **named, **times)
        lots = [GROUP, *(uuid4() for _ in range(9))]
        for key in lots:
            await tx.insert(groups, id=key, name=str(key), **times)
        await tx.execute(insert(audit_log), [_entry(number, at) for number, at in enumerate(moments)])
        told = [_notification(number, people[number % 10], at) for number, at in enumerate(moments)]
        await tx.execute(insert(notifications), told)
        await tx.execute(insert(file_records), [_file(key, machine) for key in files])
        granted = [(key, lots[number % 10], at) for number, (key, at) in enumerate(zip(files, moments, strict=True))]
        await tx.execute(insert(file_access_grants), [_grant(*each) for each in granted])


def _entry(number: int, at: datetime) -> dict[str, Any]:
    rare = number == ROWS // 2
    return {
        "id": uuid4(),
        "number": number + 1,
        "domain": INSTRUMENTS,
        "entity_type": "hook" if rare else f"kind {number % 7}",
        "entity_id": UUID(RARE) if rare else uuid4(),
        "action": AuditAction.RESTORE if rare else AuditAction.UPDATE,
        "actor_id": UUID(RARE) if rare else uuid4(),
        "actor_email": "rare@example.org" if rare else f"somebody {number}",
        "created_at": at,
    }


def _notification(number: int, person: UUID, at: datetime) -> dict[str, Any]:
    rare = number % 500 == 0
    kind = NotificationType.INSTRUMENT_REQUEST_REJECTED if rare else NotificationType.INSTRUMENT_REQUEST_SUBMITTED
    row = {"id": uuid4(), "recipient_id": person, "type": kind, "title": "t", "message": "m", "read": not rare}
    return row | {"dismissed_at": at if rare else None, "created_at": at}


def _file(key: UUID, instrument: UUID) -> dict[str, Any]:
    row = {"id": key, "persistent_id": f"ark:/{key}", "persistent_id_type": PersistentIdType.ARK, "filename": "f"}
    return row | {"instrument_id": instrument, "source_path": str(key), "first_discovered_at": START}


def _grant(file: UUID, group: UUID, at: datetime) -> dict[str, Any]:
    return {"id": uuid4(), "file_id": file, "grantee_type": GranteeType.GROUP, "grantee_id": group, "granted_at": at}


LATE = f'"{(START + timedelta(minutes=ROWS - 5)).isoformat()}"'
GRANTS = f'group(localId: "{GROUP}") {{ grants'

FILTERS = [
    ("auditLog", 'filter: {entityType: {eq: "hook"}}', "ix_audit_log_domain_entity_type_number"),
    ("auditLog", f'filter: {{entityId: {{eq: "{RARE}"}}}}', "ix_audit_log_domain_entity_id_number"),
    ("auditLog", "filter: {action: {eq: RESTORE}}", "ix_audit_log_domain_action_number"),
    ("auditLog", f'filter: {{actorId: {{eq: "{RARE}"}}}}', "ix_audit_log_domain_actor_id_number"),
    ("auditLog", 'filter: {actorEmail: {eq: "rare@example.org"}}', "ix_audit_log_domain_actor_email_number"),
    ("auditLog", 'filter: {actorEmail: {startsWith: "rare@"}}', "ix_audit_log_domain_actor_email_number"),
    ("notifications", "filter: {read: {eq: false}}", "ix_notifications_recipient_id_read_created_at_id"),
    (GRANTS, f'filter: {{fileId: {{eq: "{FILE}"}}}}', "file_id"),
    (
        GRANTS,
        f"filter: {{grantedAt: {{gte: {LATE}}}}}",
        "ix_file_access_grants_grantee_type_grantee_id_granted_at_id",
    ),
]
RANGES = [
    (
        "auditLog",
        f"filter: {{createdAt: {{gte: {LATE}}}}}, orderBy: [{{field: CREATED_AT}}]",
        "ix_audit_log_domain_created_at_id",
    ),
    (
        "notifications",
        f"filter: {{createdAt: {{gte: {LATE}}}}}, orderBy: [{{field: CREATED_AT}}]",
        "ix_notifications_recipient_id_created_at_id",
    ),
    (
        "notifications",
        "filter: {type: {eq: INSTRUMENT_REQUEST_REJECTED}}, orderBy: [{field: CREATED_AT}]",
        "ix_notifications_recipient_id_type_created_at_id",
    ),
    (
        "notifications",
        f"filter: {{dismissedAt: {{gte: {LATE}}}}}, orderBy: [{{field: DISMISSED_AT, direction: DESC}}]",
        "ix_notifications_recipient_id_dismissed_at_id",
    ),
]
ORDERS = [
    ("auditLog", "orderBy: [{field: CREATED_AT}]", "ix_audit_log_domain_created_at_id"),
    ("auditLog", "orderBy: [{field: CREATED_AT, direction: DESC}]", "ix_audit_log_domain_created_at_id"),
    ("notifications", "orderBy: [{field: CREATED_AT}]", "ix_notifications_recipient_id_created_at_id"),
    ("notifications", "orderBy: [{field: CREATED_AT, direction: DESC}]", "ix_notifications_recipient_id_created_at_id"),
    ("notifications", "orderBy: [{field: DISMISSED_AT, direction: DESC}]", "ix_notifications_recipient_id_dismissed_at_id"),
]


@pytest.mark.slow
async def test_a_filter_finds_rows_by_an_index(explained):
    plans = [(arguments, index, await explained(field, arguments)) for field, arguments, index in [*FILTERS, *RANGES]]
    assert [(arguments, plan) for arguments, index, plan in plans if index not in plan] == []


@pytest.mark.slow
async def test_an_order_is_that_of_an_index(explained):
    plans = [(arguments, index, await explained(field, arguments)) for field, arguments, index in [*RANGES, *ORDERS]]
    sorts = ("Sort", "TEMP B-TREE")
    assert [
        (arguments, plan) for arguments, index, plan in plans if index not in plan or any(each in plan for each in sorts)
    ] == []
