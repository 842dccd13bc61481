"""What subscriptions tell of runs and nodes, over real sockets, while another process writes: all of it, in order, to those who may."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, update

from core.clock import utc_now
from core.errors import Unavailable
from core.identity import INSTRUMENTS
from core.ids import encode_global_id
from core.vocabulary import AuditAction, StorageType, TransferAdapter
from jobs.acquisitions import Acquisitions
from jobs.active import ActiveRun
from jobs.copying import Copied, CopyFailedError
from jobs.known_files import WantedFile
from jobs.records import HarvestRecords, Outcome
from jobs.sources import FileState, FoundFile
from storage.sql.events import forget_events, newest
from storage.sql.tables import events, instruments, memberships, storage_locations, users
from tests.app.subscriptions.support import CHANGES, LOG, PROGRESS, Live, comes_true, socket
from tests.conftest import Caller

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


def error_of(message: dict) -> tuple[str, str]:
    """Message and code of the one error that ends a subscription."""
    assert message["type"] == "next", message
    (error,) = message["payload"]["errors"]
    return error["message"], error["extensions"]["code"]


# --- runs --------------------------------------------------------------------------------------------------------------


async def test_progress_until_the_end(live_on_both: Live):
    live = live_on_both
    run = await live.run()
    async with socket(live.address, live.admin) as client:
        await client.subscribe(PROGRESS, run=run.id)
        assert await client.next("runProgress") == {"run": {"state": "RUNNING", "progress": None}}
        await run.progress(found=3)
        assert await client.next("runProgress") == {"run": {"state": "RUNNING", "progress": {"found": 3}}}
        await run.log("beside the run itself")
        assert await client.silent()
        await run.finish()
        assert await client.next("runProgress") == {"run": {"state": "SUCCEEDED", "progress": {"found": 3}}}
        assert await client.receive() == {"id": "1", "type": "complete"}
    await live.nothing_is_open()


async def test_the_members_of_the_progress_have_types(live_on_both: Live):
    live = live_on_both
    run = await live.run()
    fields = "filesFound filesVanished bytesDone bytesPerSecond secondsLeft"
    asked = f"subscription ($run: UUID!) {{ runProgress(localId: $run) {{ run {{ {fields} }} }} }}"
    async with socket(live.address, live.admin) as client:
        await client.subscribe(asked, run=run.id)
        assert await client.next("runProgress") == {"run": dict.fromkeys(fields.split())}
        await run.progress(files_found=3, files_vanished=0, bytes_done=2**40, bytes_per_second=None)
        reached = {"filesFound": 3, "filesVanished": 0, "bytesDone": 2**40, "bytesPerSecond": None, "secondsLeft": None}
        assert await client.next("runProgress") == {"run": reached}


async def test_a_run_that_has_ended(live_on_both: Live):
    run = await live_on_both.run()
    await run.log("one")
    await run.finish()
    async with socket(live_on_both.address, live_on_both.admin) as client:
        await client.subscribe(PROGRESS, run=run.id)
        assert await client.next("runProgress") == {"run": {"state": "SUCCEEDED", "progress": None}}
        assert (await client.receive())["type"] == "complete"
        await client.subscribe(LOG, run=run.id)
        assert await client.next("runLog") == {"lines": [{"line": 1, "message": "one"}]}
        assert (await client.receive())["type"] == "complete"
        await client.subscribe(LOG, run=run.id, after=1)
        assert (await client.receive())["type"] == "complete"


async def test_of_progress_only_the_newest_counts(live: Live):
    """Whoever was slow is told how it is, not how it was."""
    run = await live.run()
    async with socket(live.address, live.admin) as client:
        await client.subscribe(PROGRESS, run=run.id)
        await client.next("runProgress")
        for done in range(200):
            await run.progress(done=done)
        told = []
        while not told or told[-1] != 199:
            told.append((await client.next("runProgress"))["run"]["progress"]["done"])
        assert told == sorted(set(told))
        assert len(told) < 100


async def test_no_line_is_lost(live_on_both: Live, monkeypatch):
    """Whenever a client comes back, and however much is read at a time."""
    live = live_on_both
    monkeypatch.setattr("resolvers.following.LINES", 7)
    run = await live.run()

    async def write() -> None:
        for number in range(1, 101):
            await run.log(f"line {number}")
        await run.finish()

    writing = asyncio.create_task(write())
    found: list[tuple[int, str]] = []
    ended = False
    while not ended:
        async with socket(live.address, live.admin) as client:
            await client.subscribe(LOG, run=run.id, after=found[-1][0] if found else 0)
            for _ in range(3):
                message = await client.receive()
                ended = message["type"] == "complete"
                if ended:
                    break
                lines = message["payload"]["data"]["runLog"]["lines"]
                found += [(line["line"], line["message"]) for line in lines]
            client.connection.transport.abort()
    await writing
    assert found == [(number, f"line {number}") for number in range(1, 101)]


@pytest.mark.parametrize("query", [PROGRESS, LOG])
async def test_a_run_that_is_not_there(live: Live, query: str):
    async with socket(live.address, live.admin) as client:
        await client.subscribe(query, run=uuid4())
        assert error_of(await client.receive()) == ("Harvest run not found", "NOT_FOUND")
        assert (await client.receive())["type"] == "complete"
        await client.subscribe(query, run="nobody")
        assert (await client.receive())["type"] == "error"


# --- nodes -------------------------------------------------------------------------------------------------------------


async def test_changes_of_a_node(live_on_both: Live):
    live = live_on_both
    key, node = await live.instrument("NMR")
    async with socket(live.address, live.admin) as client:
        await client.subscribe(CHANGES, id=node)
        first = await client.next("changes")
        assert (first["changes"], first["node"]) == ([], {"id": node, "name": "NMR"})
        await live.rename(key, "NMR 2")
        second = await client.next("changes")
        ((cursor, action),) = [(change["cursor"], change["action"]) for change in second["changes"]]
        assert first["cursor"] < cursor == second["cursor"]
        assert (action, second["node"]["name"]) == ("UPDATE", "NMR 2")
        await live.rename(key, "NMR 2")
        assert await client.silent()
        await live.world.admin.request("DELETE", f"/api/instruments/{key}")
        third = await client.next("changes")
        assert ([change["action"] for change in third["changes"]], third["node"]["name"]) == (["DELETE"], "NMR 2")


async def test_no_change_is_lost(live_on_both: Live, monkeypatch):
    """Not between two connections, and not while several processes write at once."""
    live = live_on_both
    monkeypatch.setattr("resolvers.following.CHANGES", 5)
    key, node = await live.instrument()

    async def write() -> None:
        for _ in range(30):
            async with live.database.transaction() as transaction:
                await transaction.update(instruments, key, updated_at=utc_now())
                transaction.announce(instruments, key, utc_now(), AuditAction.UPDATE)

    async with socket(live.address, live.admin) as client:
        await client.subscribe(CHANGES, id=node)
        cursor = (await client.next("changes"))["cursor"]
    writing = [asyncio.create_task(write()) for _ in range(3)]
    cursors: list[int] = []
    while len(cursors) < 90:
        async with socket(live.address, live.admin) as client:
            await client.subscribe(CHANGES, id=node, after=cursor)
            for _ in range(2):
                if len(cursors) < 90:
                    event = await client.next("changes")
                    cursors += [change["cursor"] for change in event["changes"]]
                    cursor = event["cursor"]
            client.connection.transport.abort()
    await asyncio.gather(*writing)
    assert len(cursors) == 90
    assert cursors == sorted(set(cursors))


async def test_two_equal_changes_are_two(live: Live):
    key, node = await live.instrument()
    async with socket(live.address, live.admin) as client:
        await client.subscribe("subscription ($id: ID!) { changes(id: $id) { changes { action } } }", id=node)
        assert await client.next("changes") == {"changes": []}
        for name in ("a", "b"):
            await live.rename(key, name)
            assert await client.next("changes") == {"changes": [{"action": "UPDATE"}]}


async def test_a_cursor_that_is_no_longer_kept(live_on_both: Live):
    live = live_on_both
    key, node = await live.instrument()
    async with socket(live.address, live.admin) as client:
        await client.subscribe(CHANGES, id=node)
        cursor = (await client.next("changes"))["cursor"]
        for name in ("a", "b", "c"):
            await live.rename(key, name)
        assert await forget_events(live.database, utc_now() + timedelta(seconds=1)) > 0
        for lost in (cursor, await newest(live.database) + 1):
            await client.send(id="lost", type="subscribe", payload={"query": CHANGES, "variables": {"id": node, "after": lost}})
            while (message := await client.receive())["id"] != "lost":
                pass
            told = "what changed after this cursor is no longer kept: read the node anew, and subscribe without `after`"
            assert error_of(message) == (told, "PRECONDITION_FAILED")
            assert (await client.receive()) == {"id": "lost", "type": "complete"}


@pytest.mark.parametrize(
    ("node", "message", "code"),
    [
        ("nothing", "not a global id", "INVALID_INPUT"),
        (encode_global_id("Instrument", "nothing"), "not a global id", "INVALID_INPUT"),
        (encode_global_id("Instrument", str(UUID(int=1))), "Instrument not found", "NOT_FOUND"),
        (
            encode_global_id("PersonalToken", str(UUID(int=1))),
            (
                "changes are told of Instrument, ServiceAccount, StorageLocation, HarvestSchedule, HarvestRun, "
                "FileRecord, Transfer, User, Group, Project"
            ),
            "NOT_SUPPORTED",
        ),
    ],
)
async def test_nodes_that_cannot_be_followed(live: Live, node: str, message: str, code: str):
    async with socket(live.address, live.admin) as client:
        await client.subscribe(CHANGES, id=node)
        assert error_of(await client.receive()) == (message, code)
        assert (await client.receive())["type"] == "complete"


async def test_a_run_is_a_node(live: Live):
    run = await live.run()
    async with socket(live.address, live.admin) as client:
        await client.subscribe(CHANGES, id=encode_global_id("HarvestRun", str(run.id).upper()))
        await client.next("changes")
        await run.log("beside it")
        await run.progress(found=1)
        assert [change["action"] for change in (await client.next("changes"))["changes"]] == ["UPDATE"]


NAMED = """subscription ($id: ID!) { changes(id: $id) {
  changes { action } node { ... on Group { name members { totalCount } } ... on Project { name members { totalCount } } }
} }"""


@pytest.mark.parametrize(
    ("path", "kind", "member"),
    [
        ("/api/groups", "Group", lambda user: {"user_id": user}),
        ("/api/projects", "Project", lambda user: {"member_type": "user", "member_id": user}),
    ],
    ids=["group", "project"],
)
async def test_a_group_and_a_project_are_nodes(live_on_both: Live, path: str, kind: str, member):
    """Admins follow them to the end; others as long as they are in it."""
    live = live_on_both
    admin, user = live.world.admin, str(live.world.user.id)
    key = (await admin.request("POST", path, json={"name": uuid4().hex})).json()["id"]
    node, own = encode_global_id(kind, key), f"{path}/{key}"

    async with socket(live.address, live.admin) as client, socket(live.address, live.user) as other:
        await client.subscribe(NAMED, id=node)
        assert (await client.next("changes"))["changes"] == []
        await other.subscribe(NAMED, id=node)
        assert error_of(await other.receive()) == (f"{kind} not found", "NOT_FOUND")
        assert (await other.receive())["type"] == "complete"

        assert (await admin.request("POST", f"{own}/members", json=member(user))).status_code == 201
        told = await client.next("changes")
        assert (told["changes"], told["node"]["members"]) == ([{"action": "UPDATE"}], {"totalCount": 1})
        await other.subscribe(NAMED, id=node)
        assert (await other.next("changes"))["changes"] == []

        assert (await admin.request("PATCH", own, json={"name": f"new {kind} {key}"})).status_code == 200
        for each, count in ((client, 1), (other, 0)):
            expected = {"name": f"new {kind} {key}", "members": {"totalCount": count}}
            assert await each.next("changes") == {"changes": [{"action": "UPDATE"}], "node": expected}

        assert (await admin.request("DELETE", f"{own}/members/{user}")).status_code == 204
        assert (await client.next("changes"))["node"]["members"] == {"totalCount": 0}
        assert error_of(await other.receive()) == (f"{kind} not found", "NOT_FOUND")
        for method, action, way in (("DELETE", "DELETE", own), ("POST", "RESTORE", f"{own}/restore")):
            assert (await admin.request(method, way)).status_code in {200, 204}
            assert (await client.next("changes"))["changes"] == [{"action": action}]


FILE = """subscription ($id: ID!) { changes(id: $id) {
  changes { action } node { ... on FileRecord { checksum } ... on Transfer { status file { id } } }
} }"""


async def test_a_file_and_its_transfers_are_nodes(live_on_both: Live):
    """Told when the group with the file is recorded, together with the run's progress."""
    live = live_on_both
    key, _ = await live.instrument()
    location = uuid4()
    async with live.database.transaction() as transaction:
        times = {"created_at": utc_now(), "updated_at": utc_now()}
        named = {"id": location, "name": "Archive", "type": StorageType.POSIX, "base_path": "/archive", "enabled": True}
        await transaction.insert(storage_locations, **named, **times)
    run = await live.run()
    active = ActiveRun(live.database, run.queue, run.claim)
    instrument = {"id": key, "transfer_adapter": TransferAdapter.RCLONE}
    records = HarvestRecords(active, instrument, location, lambda: f"ark:/{uuid4()}", Acquisitions())
    good, bad = await records.begin(
        [(WantedFile(FoundFile(name, FileState(5, 10**18)), None), f"/archive/{name}") for name in ("good", "bad")]
    )
    nodes = [
        encode_global_id(*each)
        for each in (
            ("FileRecord", str(good.record_id)),
            ("Transfer", str(good.transfer_id)),
            ("FileRecord", str(bad.record_id)),
            ("Transfer", str(bad.transfer_id)),
        )
    ]
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(socket(live.address, live.admin)) for _ in nodes]
        for client, node in zip(clients, nodes, strict=True):
            await client.subscribe(FILE, id=node)
            assert (await client.next("changes"))["changes"] == []
        now = utc_now()
        copied = Copied(FileState(5, 10**18), "00", "00")
        await records.settle([Outcome(good, copied, now, now), Outcome(bad, CopyFailedError("lost"), now, now)])
        told = [{"action": "UPDATE"}]
        assert await clients[0].next("changes") == {"changes": told, "node": {"checksum": "00"}}
        expected = [
            {"status": status, "file": {"id": node}} for status, node in (("COMPLETED", nodes[0]), ("FAILED", nodes[2]))
        ]
        assert await clients[1].next("changes") == {"changes": told, "node": expected[0]}
        assert await clients[3].next("changes") == {"changes": told, "node": expected[1]}
        assert await clients[2].silent()  # nothing was learned of the file itself
    async with socket(live.address, live.user) as client:
        for node, noun in zip(nodes[:2], ("File", "Transfer"), strict=True):
            await client.subscribe(FILE, id=node)
            assert error_of(await client.receive()) == (f"{noun} not found", "NOT_FOUND")
            assert (await client.receive())["type"] == "complete"
    await run.finish()


# --- who may -----------------------------------------------------------------------------------------------------------


async def test_nobody_follows_anything(live: Live):
    _, node = await live.instrument()
    async with socket(live.address, "") as client:
        await client.subscribe(CHANGES, id=node)
        assert error_of(await client.receive()) == ("Unauthorized", "UNAUTHENTICATED")


async def test_what_one_does_not_see_is_not_there(live: Live):
    other = encode_global_id("User", str(live.world.admin.id))
    async with socket(live.address, live.user) as client:
        await client.subscribe(CHANGES, id=other)
        assert error_of(await client.receive()) == ("User not found", "NOT_FOUND")


async def test_what_is_no_longer_seen_ends(live_on_both: Live):
    """Here it is gone for good; a row that is hidden looks the same."""
    live = live_on_both
    key, node = await live.instrument()
    async with socket(live.address, live.admin) as client:
        await client.subscribe(CHANGES, id=node)
        await client.next("changes")
        async with live.database.transaction() as transaction:
            await transaction.execute(delete(instruments).where(instruments.c.id == key))
            transaction.announce(instruments, key, utc_now(), AuditAction.DELETE)
        assert error_of(await client.receive()) == ("Instrument not found", "NOT_FOUND")
        assert (await client.receive())["type"] == "complete"


async def person(live: Live, role: str = "admin") -> tuple[UUID, str]:
    who = await live.world.person(f"{uuid4().hex}@example.org", role)
    assert who.id is not None
    return who.id, who.headers["Authorization"].removeprefix("Bearer ")


async def change_user(live: Live, key: UUID, *statements) -> None:
    async with live.database.transaction() as transaction:
        for statement in statements:
            await transaction.execute(statement)
        transaction.announce(users, key, utc_now(), AuditAction.UPDATE)


@pytest.mark.parametrize(
    ("end", "code", "reason"),
    [
        ("deleted", 4401, "Unauthorized: the credentials are no longer valid"),
        ("password", 4401, "Unauthorized: the credentials are no longer valid"),
        ("logout", 4401, "Unauthorized: the credentials are no longer valid"),
        ("role", 4403, "Forbidden: your rights have changed"),
    ],
)
async def test_who_loses_their_rights_hears_nothing_more(live_on_both: Live, end: str, code: int, reason: str):
    live = live_on_both
    run, (who, token) = await live.run(), await person(live)
    async with socket(live.address, token) as client:
        await client.subscribe(PROGRESS, run=run.id)
        await client.next("runProgress")
        match end:
            case "deleted":
                await change_user(live, who, update(users).where(users.c.id == who).values(deleted_at=utc_now()))
            case "password":
                changed = users.c.credentials_version + 1
                await change_user(live, who, update(users).where(users.c.id == who).values(credentials_version=changed))
            case "logout":
                caller = Caller(live.world.app, {"Authorization": f"Bearer {token}"})
                assert (await caller.request("POST", "/auth/jwt/logout")).status_code == 204
            case "role":
                own = (memberships.c.user_id == who, memberships.c.domain == INSTRUMENTS)
                await change_user(live, who, update(memberships).where(*own).values(role="user"))
        await run.progress(secret=1)
        assert (await client.closed(), client.rest) == ((code, reason), [])
    await live.nothing_is_open()


async def test_what_the_feed_does_not_tell_is_found_out_in_time(live: Live, monkeypatch):
    """A change of the database by hand."""
    monkeypatch.setattr("app.subscriptions.session.MADE_SURE_EVERY", 0.3)
    who, token = await person(live)
    async with socket(live.address, token) as client:
        async with live.database.transaction() as transaction:
            await transaction.execute(update(users).where(users.c.id == who).values(is_active=False))
        assert await client.closed() == (4401, "Unauthorized: the credentials are no longer valid")


async def test_an_expired_token_closes_the_socket(serving):
    async with serving(SWITCHYARD_TOKEN_LIFETIME=2) as live:
        _, node = await live.instrument()
        async with socket(live.address, live.admin) as client:
            await client.subscribe(CHANGES, id=node)
            await client.next("changes")
            assert await client.closed() == (4403, "Forbidden: the token has expired")
        await live.nothing_is_open()


async def test_an_expired_personal_token_closes_the_socket(live: Live):
    ends = (utc_now() + timedelta(seconds=1.5)).isoformat()
    made = await live.world.admin.ask(
        """mutation ($ends: DateTime!) { createPersonalToken(
             input: { name: "t", scopes: [INSTRUMENTS_READ], expiresAt: $ends }) { token } }""",
        {"ends": ends},
    )
    async with socket(live.address, made["data"]["createPersonalToken"]["token"]) as client:
        await client.subscribe("{ me { email } }")
        await client.next("me")
        await client.receive()
        assert await client.closed() == (4403, "Forbidden: the token has expired")


# --- together ----------------------------------------------------------------------------------------------------------


async def test_equal_subscriptions_of_one_person_look_together(live: Live, monkeypatch):
    run = await live.run()
    statements = 0
    fetch = type(live.world.parts.database).fetch

    async def counting(self, text, values):
        nonlocal statements
        statements += "FROM runs" in text
        return await fetch(self, text, values)

    async with socket(live.address, live.admin) as one, socket(live.address, live.admin) as other:
        for client in (one, other):
            for _ in range(5):
                await client.subscribe(PROGRESS, run=run.id)
                await client.next("runProgress")
        monkeypatch.setattr(type(live.world.parts.database), "fetch", counting)
        await run.progress(found=1)
        for client in (one, other):
            told = [await client.receive() for _ in range(5)]
            assert sorted(message["id"] for message in told) == ["1", "2", "3", "4", "5"]
        assert statements == 2  # whether it is there, and what it is like
    monkeypatch.undo()
    await live.nothing_is_open()


async def test_others_look_for_themselves(live: Live):
    """The same selection of the same node, by people who see different things."""
    _, token = await person(live, "user")
    node = encode_global_id("User", str(live.world.user.id))
    async with socket(live.address, live.user) as own, socket(live.address, token) as other:
        await own.subscribe(CHANGES, id=node)
        await own.next("changes")
        await other.subscribe(CHANGES, id=node)
        assert error_of(await other.receive()) == ("User not found", "NOT_FOUND")


async def test_a_store_that_fails_for_a_moment_ends_nothing(live: Live, monkeypatch):
    run = await live.run()
    database = live.world.parts.database
    fetch, failures = type(database).fetch, 0

    async def failing(self, text, values):
        nonlocal failures
        if self is database and failures < 3 and "FROM runs" in text:
            failures += 1
            raise Unavailable("the database does not answer")
        return await fetch(self, text, values)

    async with socket(live.address, live.admin) as client:
        await client.subscribe(PROGRESS, run=run.id)
        await client.next("runProgress")
        monkeypatch.setattr(type(database), "fetch", failing)
        await run.progress(found=1)
        assert await client.next("runProgress") == {"run": {"state": "RUNNING", "progress": {"found": 1}}}
        assert failures == 3


async def test_the_database_is_watched_only_while_somebody_follows_something(live: Live):
    run = await live.run()
    async with socket(live.address, live.admin) as client:
        await client.subscribe(PROGRESS, run=run.id)
        await client.next("runProgress")
        assert live.counted("switchyard_changes_followed") == 2  # the run, and the person
    await comes_true(lambda: live.counted("switchyard_changes_followed") == 0)
    before = await newest(live.database)
    await run.progress(found=1)
    assert await newest(live.database) > before
    assert await live.database.first(events.select().limit(1)) is not None
