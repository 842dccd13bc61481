"""Who may ask which root field, and who reaches which row: by every edge, by `node(id:)`, and in whole lists."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from graphql import (
    get_named_type,
    is_composite_type,
    is_enum_type,
    is_input_object_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from sqlalchemy import delete

from core.policy import Verb
from engine.declare import stored_type
from schema.instruments.access import may
from storage.sql.tables import (
    file_access_grants,
    file_records,
    file_transfers,
    group_members,
    groups,
    hooks,
    instruments,
    metadata,
    project_members,
    projects,
    runs,
    schedules,
    service_accounts,
    storage_locations,
    user_instrument_access,
)

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NOWHERE = "00000000-0000-4000-8000-000000000000"

# Contract streamweave §2-§6 and §9: what those may do who are no admins. Admins may do everything.
ANYBODY = {
    "login",
    "register",
    "requestPasswordReset",
    "resetPassword",
    "requestVerification",
    "verifyEmail",
}
MEMBERS = ANYBODY | {
    "changes",
    "me",
    "node",
    "instruments",
    "storageLocations",
    "file",
    "fileByPersistentId",
    "files",
    "transfer",
    "transfers",
    "logout",
    "updateMe",
    "allInstruments",
    "allStorageLocations",
    "allFiles",
    "allTransfers",
    "personalTokens",
    "createPersonalToken",
    "revokePersonalToken",
    "allInstrumentRequests",
    "dismissNotification",
    "instrumentRequest",
    "instrumentRequests",
    "markAllNotificationsRead",
    "markNotificationRead",
    "notifications",
    "requestInstrument",
}


def literal(kind: Any) -> str:
    """Some value of an input type, well-formed and of nothing that exists."""
    if is_non_null_type(kind):
        return literal(kind.of_type)
    if is_list_type(kind):
        return "[]"
    if is_enum_type(kind):
        return next(iter(kind.values))
    if is_input_object_type(kind):
        fields = [f"{name}: {literal(field.type)}" for name, field in kind.fields.items() if is_non_null_type(field.type)]
        return "{" + ", ".join(fields) + "}"
    return {
        "UUID": f'"{NOWHERE}"',
        "DateTime": '"2026-11-21T12:00:00Z"',
        "Boolean": "false",
        "Int": "1",
        "ID": '"VXNlcjp4"',
        "JSON": "{}",
        "Upload": "$file",
    }.get(kind.name, '"x"')


def question(schema, root: str, name: str) -> str:
    field = schema.type_map[root].fields[name]
    given = [f"{name}: {literal(argument.type)}" for name, argument in field.args.items() if is_non_null_type(argument.type)]
    arguments = f"({', '.join(given)})" if given else ""
    variables = "($file: Upload!)" if "$file" in arguments else ""
    selection = "" if is_leaf_type(get_named_type(field.type)) else " { __typename }"
    return f"{root.lower()} {variables} {{ {name}{arguments}{selection} }}"


async def codes(world, caller, query: str) -> set[str]:
    """The codes of the errors that the guards raise."""
    graph = world.parts.graph
    document, errors = graph.document(query)
    assert document is not None, errors
    headers = {name.lower(): value for name, value in caller.headers.items()}
    ctx = world.parts.contexts.context(await world.parts.contexts.schemes.authenticate(headers, {}))
    try:
        graph.operation(query, document, None).guard(ctx)
    except Exception as error:  # noqa: BLE001
        return {error.code}
    return set()


LOOKUPS = {
    "lookup",
    "lookups",
    "lookupCsv",
    "createLookup",
    "updateLookup",
    "deleteLookup",
    "clearLookup",
    "writeLookupItem",
    "updateLookupItem",
    "deleteLookupItem",
    "uploadLookup",
}
"""Fields of another domain: whoever signs in to instruments is nobody there (contract lmio-watcher §3)."""


@pytest.mark.parametrize("root", ["Query", "Mutation", "Subscription"])
async def test_the_guards_of_every_root_field(world, root):
    schema = world.parts.graph.schema
    found = {}
    for name in schema.type_map[root].fields:
        query = question(schema, root, name)
        found[name] = [await codes(world, caller, query) for caller in (world.anonymous, world.user, world.admin)]
    assert found == {
        name: [
            set() if name in ANYBODY else {"UNAUTHENTICATED"},
            {"UNAUTHENTICATED"} if name in LOOKUPS else set() if name in MEMBERS else {"FORBIDDEN"},
            {"UNAUTHENTICATED"} if name in LOOKUPS else set(),
        ]
        for name in found
    }


@pytest.mark.parametrize("root", ["Query", "Mutation", "Subscription"])
async def test_members_of_lookups_pass_its_guards_and_no_others(world, root):
    """What they may do in which tenant is asked with the tenant: in `test_lookups`."""
    schema, caller = world.parts.graph.schema, world.bearer({})
    names = list(schema.type_map[root].fields)
    found = {name: await codes(world, caller, question(schema, root, name)) for name in names}
    of_everybody = LOOKUPS | ANYBODY | {"node", "changes"}
    persons = {"personalTokens", "createPersonalToken", "revokePersonalToken"}
    assert found == {
        name: set() if name in of_everybody else {"FORBIDDEN"} if name in persons else {"UNAUTHENTICATED"} for name in names
    }


async def test_guards_are_asked_by_execution_too(world):
    """Not only by transports that ask beforehand; and never after something happened."""
    schema = world.parts.graph.schema
    for root in ("Query", "Mutation"):
        for name in schema.type_map[root].fields:
            query = question(schema, root, name)
            if name in ANYBODY or "$file" in query:  # with a file: in `test_lookups`
                continue
            (error,) = (await world.anonymous.ask(query))["errors"]
            assert (error["extensions"]["code"], error["path"]) == ("UNAUTHENTICATED", [name])
            if name not in MEMBERS | LOOKUPS:
                (error,) = (await world.user.ask(query))["errors"]
                assert (error["extensions"]["code"], error["path"]) == ("FORBIDDEN", [name])


async def test_a_member_of_another_domain_is_nobody_here(world):
    carol = await world.person(f"{uuid4()}@example.org", "admin", domain="replication")
    for query in ("{ me { email } }", "{ instruments { totalCount } }", '{ node(id: "x") { id } }'):
        (error,) = (await carol.ask(query))["errors"]
        assert error["extensions"]["code"] == "UNAUTHENTICATED"


# --- rows --------------------------------------------------------------------------------------------------------------


class Rows:
    """One of everything, and two files: one that Bob may see, one that he may not."""

    def __init__(self) -> None:
        self.account, self.location, self.schedule, self.run, self.hook = (uuid4() for _ in range(5))
        self.instrument, self.other_instrument = uuid4(), uuid4()
        self.seen, self.hidden = uuid4(), uuid4()
        self.seen_transfer, self.hidden_transfer = uuid4(), uuid4()


@pytest_asyncio.fixture(loop_scope="session")
async def rows(world):
    await clear(world)
    rows = Rows()
    times = {"created_at": NOON, "updated_at": NOON}
    async with world.parts.database.transaction() as tx:
        await tx.insert(service_accounts, id=rows.account, name="a", username="u", password_sealed="x", **times)
        for key in (rows.instrument, rows.other_instrument):
            await tx.insert(
                instruments,
                id=key,
                name="NMR",
                cifs_host="nas",
                cifs_share="share",
                service_account_id=rows.account,
                transfer_adapter="rclone",
                transfer_config={"token": "hunter2"},
                enabled=True,
                **times,
            )
        await tx.insert(
            storage_locations,
            id=rows.location,
            name="l",
            type="posix",
            base_path="/x",
            connection_config={"a": "****"},
            enabled=True,
            **times,
        )
        await tx.insert(
            schedules,
            id=rows.schedule,
            instrument_id=rows.instrument,
            default_storage_location_id=rows.location,
            cron_expression="* * * * *",
            enabled=False,
            **times,
        )
        await tx.insert(
            hooks,
            id=rows.hook,
            name="h",
            trigger="pre_transfer",
            implementation="http_webhook",
            webhook_url="https://hooks.example.org/hunter2",
            instrument_id=rows.instrument,
            priority=0,
            enabled=True,
            **times,
        )
        await tx.insert(
            runs,
            id=rows.run,
            kind="harvest",
            parameters={},
            state="succeeded",
            attempt=1,
            subject_id=rows.schedule,
            target_id=rows.instrument,
            created_at=NOON,
        )
        for key, transfer, owner in ((rows.seen, rows.seen_transfer, world.user.id), (rows.hidden, rows.hidden_transfer, None)):
            await tx.insert(
                file_records,
                id=key,
                persistent_id=f"ark:/99999/{key}",
                persistent_id_type="ark",
                instrument_id=rows.instrument,
                source_path=str(key),
                filename="f",
                first_discovered_at=NOON,
                owner_id=owner,
            )
            await tx.insert(
                file_transfers,
                id=transfer,
                file_id=key,
                storage_location_id=rows.location,
                transfer_adapter="rclone",
                status="completed",
                run_id=rows.run,
            )
    yield rows
    await clear(world)


async def clear(world) -> None:
    """Everything but people: other tests share this world."""
    people = {"users", "memberships", "revoked_tokens"}
    async with world.parts.database.transaction() as tx:
        for table in reversed(metadata.sorted_tables):
            if table.name not in people:
                await tx.execute(delete(table))


async def global_ids(world, rows) -> dict[str, str]:
    """Everybody's, as an admin is told them."""
    answer = await world.admin.ask(
        """query ($i: UUID!, $a: UUID!, $l: UUID!, $s: UUID!, $r: UUID!, $seen: UUID!, $hidden: UUID!, $st: UUID!, $ht: UUID!, $hook: UUID!) {
            instrument(localId: $i) { id }
            serviceAccount(localId: $a) { id }
            storageLocation(localId: $l) { id }
            schedule(localId: $s) { id }
            harvestRun(localId: $r) { id }
            hook(localId: $hook) { id }
            seen: file(localId: $seen) { id }
            hidden: file(localId: $hidden) { id }
            seenTransfer: transfer(localId: $st) { id }
            hiddenTransfer: transfer(localId: $ht) { id }
            me { id }
        }""",
        {
            "i": str(rows.instrument),
            "a": str(rows.account),
            "l": str(rows.location),
            "s": str(rows.schedule),
            "r": str(rows.run),
            "seen": str(rows.seen),
            "hidden": str(rows.hidden),
            "st": str(rows.seen_transfer),
            "ht": str(rows.hidden_transfer),
            "hook": str(rows.hook),
        },
    )
    assert "errors" not in answer, answer
    return {name: found["id"] for name, found in answer["data"].items()}


async def test_node_shows_what_may_be_seen_and_nothing_else(world, rows):
    ids = await global_ids(world, rows)
    for name, key in ids.items():
        query = "query ($id: ID!) { node(id: $id) { id } }"
        assert await world.admin.ask(query, {"id": key}) == {"data": {"node": {"id": key}}}, name
        expected = {"id": key} if name in {"instrument", "storageLocation", "seen", "seenTransfer"} else None
        assert await world.user.ask(query, {"id": key}) == {"data": {"node": expected}}, name
        (error,) = (await world.anonymous.ask(query, {"id": key}))["errors"]
        assert error["extensions"]["code"] == "UNAUTHENTICATED"
    mine = (await world.user.ask("{ me { id } }"))["data"]["me"]["id"]
    assert (await world.user.ask("query ($id: ID!) { node(id: $id) { id } }", {"id": mine}))["data"]["node"] == {"id": mine}


NOTHING: dict[str, Any] = {"totalCount": 0, "nodes": []}
EVERY_EDGE = """query ($id: UUID!) {
    file(localId: $id) {
        owner { email groups { totalCount nodes { id } } projects { totalCount nodes { id } } }
        instrument {
            name transferConfig
            serviceAccount { username }
            schedules { totalCount nodes { id } }
            hooks { totalCount nodes { id } }
            runs { totalCount nodes { id } }
            files { totalCount nodes { localId transfers { totalCount } } }
        }
        transfers { nodes { run { id log { totalCount } } storageLocation { name connectionConfig } file { localId } } }
    }
}"""


async def test_every_edge_of_what_a_user_sees(world, rows):
    """The same predicate on every way to a row: what is hidden is null, absent, and not counted."""
    answer = await world.user.ask(EVERY_EDGE, {"id": str(rows.seen)})
    assert answer == {
        "data": {
            "file": {
                "owner": {"email": world.user.email, "groups": NOTHING, "projects": NOTHING},
                "instrument": {
                    "name": "NMR",
                    "transferConfig": None,
                    "serviceAccount": None,
                    "schedules": {"totalCount": 0, "nodes": []},
                    "hooks": {"totalCount": 0, "nodes": []},
                    "runs": {"totalCount": 0, "nodes": []},
                    "files": {"totalCount": 1, "nodes": [{"localId": str(rows.seen), "transfers": {"totalCount": 1}}]},
                },
                "transfers": {
                    "nodes": [
                        {
                            "run": None,
                            "storageLocation": {"name": "l", "connectionConfig": None},
                            "file": {"localId": str(rows.seen)},
                        }
                    ]
                },
            }
        }
    }


async def test_every_edge_of_what_an_admin_sees(world, rows):
    answer = await world.admin.ask(EVERY_EDGE, {"id": str(rows.seen)})
    file = answer["data"]["file"]
    assert file["instrument"]["transferConfig"] == {"token": "hunter2"}
    assert file["instrument"]["serviceAccount"] == {"username": "u"}
    assert file["instrument"]["schedules"]["totalCount"] == file["instrument"]["runs"]["totalCount"] == 1
    assert file["instrument"]["hooks"]["totalCount"] == 1
    assert file["instrument"]["files"]["totalCount"] == 2
    (transfer,) = file["transfers"]["nodes"]
    assert transfer["run"]["log"] == {"totalCount": 0}
    assert transfer["storageLocation"] == {"name": "l", "connectionConfig": {"a": "****"}}


async def test_every_edge_is_looked_at_here(world):
    """A new edge to a stored type belongs into `EVERY_EDGE`, or among those that only admins reach."""
    schema = world.parts.graph.schema
    for_admins = {"Hook", "HarvestSchedule", "HarvestRun", "ServiceAccount", "RunLogLine"}
    for_admins |= {"AuditEntry", "FileGrant", "GroupMember", "InstrumentAccess", "ProjectMember"}
    edges = {
        f"{kind.name}.{name}"
        for kind in schema.type_map.values()
        if stored_type(kind) is not None and kind.name not in for_admins
        for name, field in kind.fields.items()
        if is_composite_type(get_named_type(field.type))
    }
    assert edges == {
        "FileRecord.owner",
        "FileRecord.instrument",
        "FileRecord.transfers",
        "Instrument.files",
        "Instrument.hooks",
        "Instrument.runs",
        "Instrument.schedules",
        "Instrument.serviceAccount",
        "Transfer.file",
        "Transfer.run",
        "Transfer.storageLocation",
        "User.groups",
        "User.projects",
        # in `test_lookups`
        "Lookup.fields",
        "Lookup.item",
        "Lookup.items",
        "Lookup.keys",
        "Lookup.match",
        "Lookup.stats",
        # in `test_enrichment`
        "FileRecord.lookupItem",
        "Instrument.lookupItem",
        # in `tests/contract/instruments/test_finding.py`
        "FileRecord.consumedBy",
        "FileRecord.downstream",
        "FileRecord.producedBy",
        "FileRecord.upstream",
        # in `tests/contract/instruments/test_acquisitions.py`
        "FileRecord.acquisitionFiles",
        # in `test_sharing`
        "FileRecord.grants",
        "Group.grants",
        "Group.members",
        "Group.projects",
        "Instrument.access",
        "InstrumentRequest.requester",
        "Notification.recipient",
        "Project.grants",
        "Project.members",
    }


async def seen_by(caller) -> set[UUID]:
    answer = await caller.ask("{ files { totalCount nodes { localId } } transfers { totalCount nodes { fileId } } }")
    files, transfers = answer["data"]["files"], answer["data"]["transfers"]
    keys = {UUID(node["localId"]) for node in files["nodes"]}
    assert files["totalCount"] == len(keys)
    assert transfers["totalCount"] == len(transfers["nodes"])
    assert {UUID(node["fileId"]) for node in transfers["nodes"]} == keys, "whoever sees a file sees its transfers"
    streamed = await caller.request("GET", "/api/files")
    assert {UUID(row["id"]) for row in streamed.json()} == keys, "and the same in REST"
    return keys


async def grant(world, file: UUID, kind: str, key: UUID) -> None:
    row = {"id": uuid4(), "file_id": file, "grantee_type": kind, "grantee_id": key, "granted_at": NOON}
    async with world.parts.database.transaction() as tx:
        await tx.insert(file_access_grants, **row)


async def test_ways_to_see_a_file(world, rows):
    """Contract §9: access to the instrument, ownership, a grant to oneself, to one's groups, to one's projects."""
    database = world.parts.database
    assert await seen_by(world.admin) == {rows.seen, rows.hidden}
    assert await seen_by(world.user) == {rows.seen}
    dora = await world.person(f"{uuid4()}@example.org")
    assert await seen_by(dora) == set()

    times = {"created_at": NOON, "updated_at": NOON}
    group, project = uuid4(), uuid4()
    async with database.transaction() as tx:
        await tx.insert(groups, id=group, name=str(group), **times)
        await tx.insert(projects, id=project, name=str(project), **times)

    async def granted(kind: str, key: UUID) -> set[UUID]:
        await grant(world, rows.hidden, kind, key)
        found = await seen_by(dora)
        async with database.transaction() as tx:
            await tx.execute(delete(file_access_grants))
        return found

    assert await granted("user", dora.id) == {rows.hidden}
    assert await granted("user", world.user.id) == set()
    assert await granted("group", group) == set()
    assert await granted("project", project) == set()
    async with database.transaction() as tx:
        await tx.insert(group_members, user_id=dora.id, group_id=group, created_at=NOON)
        await tx.insert(project_members, id=uuid4(), project_id=project, member_type="group", member_id=group, created_at=NOON)
    assert await granted("group", group) == {rows.hidden}
    assert await granted("project", project) == {rows.hidden}
    async with database.transaction() as tx:
        await tx.update(groups, group, deleted_at=NOON)
    assert await granted("group", group) == set()
    assert await granted("project", project) == set()
    async with database.transaction() as tx:
        await tx.insert(user_instrument_access, user_id=dora.id, instrument_id=rows.instrument, created_at=NOON)
    assert await seen_by(dora) == {rows.seen, rows.hidden}


async def test_who_is_seen(world, rows):
    """Oneself; all members for an admin; nobody of another domain, whatever the way."""
    carol = await world.person(f"{uuid4()}@example.org", domain="replication")
    eve = await world.person(f"{uuid4()}@example.org")
    query = "query ($id: UUID!) { file(localId: $id) { owner { email } } }"
    await grant(world, rows.seen, "user", world.user.id)
    for owner, for_admin in ((carol, None), (eve, {"email": eve.email})):
        async with world.parts.database.transaction() as tx:
            await tx.update(file_records, rows.seen, owner_id=owner.id)
        assert (await world.admin.ask(query, {"id": str(rows.seen)}))["data"] == {"file": {"owner": for_admin}}
        assert (await world.user.ask(query, {"id": str(rows.seen)}))["data"] == {"file": {"owner": None}}


async def test_what_is_deleted_is_not_listed(world, rows):
    async with world.parts.database.transaction() as tx:
        await tx.update(instruments, rows.other_instrument, deleted_at=NOON)
    for caller in (world.user, world.admin):
        for options, count in (("", 1), ("(includeDeleted: true)", 2)):
            answer = await caller.ask(f"{{ instruments{options} {{ totalCount }} }}")
            assert answer == {"data": {"instruments": {"totalCount": count}}}
    query = "query ($id: UUID!) { instrument(localId: $id) { name } }"
    assert await world.admin.ask(query, {"id": str(rows.other_instrument)}) == {"data": {"instrument": None}}


def test_a_guard_for_what_policy_does_not_know_is_refused():
    """It would deny everybody, and nobody would know why."""
    with pytest.raises(ValueError, match="policy has no rule for 'instrumnet'"):
        may(Verb.READ, "instrumnet")
