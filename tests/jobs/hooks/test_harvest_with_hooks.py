"""Hooks in a harvest, on each database: contract streamweave §7 "Execution" and §8.3."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from ipaddress import ip_network
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event

from core.vocabulary import GranteeType, HookImplementation, HookTrigger, RunState, TransferStatus
from jobs.hooks.access import WebhookAccess
from jobs.pace import Pace
from jobs.queue import cancel
from storage.objects.posix import PosixWriter
from storage.sql.tables import (
    file_access_grants,
    file_records,
    file_transfers,
    hooks,
    instruments,
    runs,
)
from tests.jobs.conftest import NOON, Laboratory, until
from tests.jobs.hooks.conftest import reply

PATH = {"pattern": r"(?P<date>\d{8})_(?P<sample>\w+)/run_(?P<run>\d+)(?P<opt>x)?"}


async def statuses(rows) -> dict[str, tuple[TransferStatus, str | None]]:
    paths = {row["id"]: row["source_path"] for row in await rows(file_records)}
    return {paths[row["file_id"]]: (row["status"], row["error_message"]) for row in await rows(file_transfers)}


async def metadata(rows) -> dict[str, Any]:
    return {row["source_path"]: row["metadata"] for row in await rows(file_records)}


async def grants(rows) -> list[tuple[str, GranteeType, UUID]]:
    paths = {row["id"]: row["source_path"] for row in await rows(file_records)}
    found = [(paths[row["file_id"]], row["grantee_type"], row["grantee_id"]) for row in await rows(file_access_grants)]
    return sorted(found, key=str)


async def warnings(log_of, run) -> list[str]:
    return [message for level, message in await log_of(run["id"]) if level != "info"]


OUTSIDE = "the storage location's base path '/etc' lies outside the folders that this server may use"


# Before the copy


async def test_a_skipped_file_is_recorded_and_never_looked_at_again(laboratory, rows, add_hook):
    laboratory.put("a.tmp")
    await add_hook("file_filter", {"exclude_patterns": ["*.tmp"]})

    run = await laboratory.harvest()

    (record,) = await rows(file_records)
    assert (record["metadata"], record["xxhash"], record["persistent_id"][:14]) == ({}, None, "ark:/99999/fk4")
    (transfer,) = await rows(file_transfers)
    assert transfer == {
        **dict.fromkeys(transfer),
        "id": transfer["id"],
        "file_id": record["id"],
        "storage_location_id": laboratory.location_id,
        "transfer_adapter": transfer["transfer_adapter"],
        "status": TransferStatus.SKIPPED,
        "error_message": "Excluded by pattern '*.tmp'",
        "run_id": run["id"],
    }
    assert laboratory.archived() == {}
    assert (run["state"], run["message"]) == (RunState.SUCCEEDED, "0 files copied (0 bytes), 1 skipped by hooks")
    assert (run["progress"]["files_new"], run["progress"]["files_skipped"], run["progress"]["files_done"]) == (0, 1, 0)
    async with laboratory.database.transaction() as transaction:
        await transaction.execute(hooks.update().values(enabled=False))
    assert (await laboratory.harvest())["message"] == "nothing new among 1 file"
    assert len(await rows(file_transfers)) == 1


async def test_some_are_skipped_and_some_are_not(laboratory, rows, add_hook):
    for number in range(40):
        laboratory.put(f"{number:02}.{'tmp' if number % 3 else 'raw'}")
    await add_hook("file_filter", {"include_patterns": ["*.raw"]})

    run = await laboratory.harvest()

    assert sorted(laboratory.archived()) == [f"NMR 400/{number:02}.raw" for number in range(0, 40, 3)]
    assert run["message"] == "14 files copied (196 bytes), 26 skipped by hooks"
    assert set((await statuses(rows)).values()) == {
        (TransferStatus.COMPLETED, None),
        (TransferStatus.SKIPPED, "Not matched by any include pattern"),
    }
    assert run["progress"]["files_new"] == run["progress"]["files_done"] == 14


async def test_a_redirect_takes_the_place_of_the_base_path(laboratory, rows, add_hook, tmp_path):
    laboratory.put("raw/a.raw")
    laboratory.put("b.txt")
    elsewhere = tmp_path / "large"
    await add_hook("file_filter", {"redirect_rules": [{"pattern": "*.raw", "destination": str(elsewhere)}]})

    await laboratory.harvest()

    assert (elsewhere / "NMR 400/raw/a.raw").read_bytes() == b"hello caffeine"
    assert laboratory.archived() == {"NMR 400/b.txt": b"hello caffeine"}
    assert sorted(row["destination_path"] for row in await rows(file_transfers)) == [
        f"{laboratory.archive}/NMR 400/b.txt",
        f"{elsewhere}/NMR 400/raw/a.raw",
    ]


@pytest.mark.parametrize("destination", ["/etc", "relative", "", "/{root}/../up", "{root}/../../up"])
async def test_a_redirect_out_of_the_allowed_roots_is_refused(laboratory, rows, add_hook, tmp_path, destination):
    laboratory.put("a")
    where = destination.format(root=tmp_path)
    await add_hook("file_filter", {"redirect_rules": [{"pattern": "*", "destination": where}]})

    run = await laboratory.harvest()

    ((status, message),) = (await statuses(rows)).values()
    assert status is TransferStatus.FAILED
    assert message.startswith(f"a hook redirects the copy to {where!r}: the storage location's base path ")
    assert laboratory.archived() == {}
    assert run["message"].startswith("0 files copied (0 bytes), 1 failed")


async def test_a_redirect_into_the_harvested_folder_is_refused(laboratory, rows, add_hook):
    laboratory.put("a")
    await add_hook("file_filter", {"redirect_rules": [{"pattern": "*", "destination": str(laboratory.source)}]})

    await laboratory.harvest()

    ((status, message),) = (await statuses(rows)).values()
    assert status is TransferStatus.FAILED
    assert message.endswith("and that is, holds, or lies in the folder that is harvested")
    assert [each.name for each in laboratory.source.iterdir()] == ["a"]


async def test_a_redirected_copy_never_replaces_another_instruments(laboratory, rows, add_hook, tmp_path, monkeypatch):
    laboratory.put("a")
    await add_hook("file_filter", {"redirect_rules": [{"pattern": "*", "destination": str(tmp_path / "shared")}]})
    await laboratory.harvest()
    other = Laboratory.__new__(Laboratory)
    other.__dict__ = laboratory.__dict__ | {"instrument_id": uuid4(), "location_id": uuid4(), "schedule_id": uuid4()}
    await other.set_up(lambda: NOON)
    laboratory.put("a", b"another content")

    await other.harvest()

    assert (tmp_path / "shared/NMR 400/a").read_bytes() == b"hello caffeine"
    assert {each[1] for each in [(r["status"], r["error_message"]) for r in await rows(file_transfers)]} == {
        None,
        "the destination holds a file of another instrument of the same name",
    }


async def test_the_first_that_skips_or_redirects_ends_the_chain(laboratory, rows, add_hook, tmp_path):
    laboratory.put("a.raw")
    laboratory.put("b.tmp")
    elsewhere = str(tmp_path / "elsewhere")
    await add_hook("file_filter", {"exclude_patterns": ["*"]}, priority=9, name="last")
    await add_hook("file_filter", {"exclude_patterns": ["*.tmp"]}, priority=-1, name="first")
    await add_hook("file_filter", {"redirect_rules": [{"pattern": "*.raw", "destination": elsewhere}]}, priority=1)

    await laboratory.harvest()

    assert await statuses(rows) == {
        "a.raw": (TransferStatus.COMPLETED, None),
        "b.tmp": (TransferStatus.SKIPPED, "Excluded by pattern '*.tmp'"),
    }


async def test_a_file_that_failed_is_asked_about_again(laboratory, rows, add_hook, monkeypatch):
    laboratory.put("a")
    with monkeypatch.context() as broken:
        broken.setattr(PosixWriter, "write", _disk_full)
        await laboratory.harvest()
    await add_hook("file_filter", {"min_size_bytes": 100})

    await laboratory.harvest()

    (record,) = await rows(file_records)
    assert sorted((row["status"].value, row["file_id"]) for row in await rows(file_transfers)) == [
        ("failed", record["id"]),
        ("skipped", record["id"]),
    ]


def _disk_full(*_: object) -> None:
    raise OSError(28, "No space left on device")


# After the copy


async def test_metadata_is_read_from_paths(laboratory, rows, add_hook):
    laboratory.put("20260115_sampleA/run_001.csv")
    laboratory.put("other")
    await add_hook("metadata_enrichment", {"rules": [PATH]})

    await laboratory.harvest()

    assert await metadata(rows) == {
        "20260115_sampleA/run_001.csv": {"date": "20260115", "sample": "sampleA", "run": "001", "opt": None},
        "other": {},
    }


async def test_of_equal_keys_the_later_hook_wins(laboratory, rows, add_hook):
    laboratory.put("x/y")
    await add_hook("metadata_enrichment", {"rules": [{"pattern": "(?P<a>x)(?P<b>/)"}]}, priority=2)
    await add_hook("metadata_enrichment", {"rules": [{"pattern": "(?P<a>y)", "source": "filename"}]}, priority=5)
    await add_hook("metadata_enrichment", {"rules": [{"pattern": "(?P<b>y)(?P<c>)"}]}, priority=1)

    await laboratory.harvest()

    assert await metadata(rows) == {"x/y": {"a": "y", "b": "/", "c": ""}}


async def test_grants_by_metadata_and_by_id(laboratory, rows, add_hook, known):
    ada, core = await known(email="Ada@example.org"), await known(group="core facility")
    caffeine = await known(project="caffeine")
    laboratory.put("ada@EXAMPLE.org/caffeine/1")
    laboratory.put("nobody@example.org/tea/2")
    await add_hook("metadata_enrichment", {"rules": [{"pattern": "^(?P<operator>[^/]+)/(?P<project>[^/]+)/"}]}, priority=1)
    config = {
        "grants": [
            {"grantee_type": "user", "match_field": "operator"},
            {"grantee_type": "project", "match_field": "project", "source": "metadata"},
            {"grantee_type": "group", "match_field": str(core), "source": "literal"},
        ]
    }
    await add_hook("access_assignment", config, priority=2)

    await laboratory.harvest()

    assert await grants(rows) == [
        ("ada@EXAMPLE.org/caffeine/1", GranteeType.GROUP, core),
        ("ada@EXAMPLE.org/caffeine/1", GranteeType.PROJECT, caffeine),
        ("ada@EXAMPLE.org/caffeine/1", GranteeType.USER, ada),
        ("nobody@example.org/tea/2", GranteeType.GROUP, core),
    ]


async def test_whoever_is_not_there_is_told_once(laboratory, rows, add_hook, known, log_of):
    gone = await known(email="gone@example.org", deleted_at=NOON)
    await known(email="stranger@example.org", domain="replication")
    for number in range(20):
        laboratory.put(f"gone@example.org/{number}")
    laboratory.put("stranger@example.org/1")
    await add_hook("metadata_enrichment", {"rules": [{"pattern": "^(?P<operator>[^/]+)/"}]})
    config = {
        "grants": [
            {"grantee_type": "user", "match_field": "operator"},
            {"grantee_type": "user", "match_field": str(gone), "source": "literal"},
            {"grantee_type": "group", "match_field": "team"},
        ]
    }
    await add_hook("access_assignment", config, priority=1)

    run = await laboratory.harvest()

    assert await grants(rows) == []
    assert sorted(await warnings(log_of, run)) == [
        "Not granted: the metadata has no 'team' that names a group",
        f"Not granted: there is no user '{gone}'",
        "Not granted: there is no user 'gone@example.org'",
        "Not granted: there is no user 'stranger@example.org'",
    ]
    assert run["progress"]["files_done"] == 21


async def test_the_same_grantee_twice_is_one_grant(laboratory, rows, add_hook, known):
    ada = await known(email="ada@example.org")
    laboratory.put("ada@example.org/1")
    await add_hook("metadata_enrichment", {"rules": [{"pattern": "^(?P<operator>[^/]+)/"}]})
    literal = {"grantee_type": "user", "match_field": str(ada), "source": "literal"}
    by_name = {"grantee_type": "user", "match_field": "operator"}
    await add_hook("access_assignment", {"grants": [literal, by_name]}, priority=1)
    await add_hook("access_assignment", {"grants": [literal]}, priority=2)

    await laboratory.harvest()

    assert await grants(rows) == [("ada@example.org/1", GranteeType.USER, ada)]


async def test_a_grant_that_was_made_by_hand_stays_one(laboratory, rows, add_hook, known, monkeypatch):
    ada = await known(email="ada@example.org")
    laboratory.put("a")
    with monkeypatch.context() as broken:
        broken.setattr(PosixWriter, "write", _disk_full)
        await laboratory.harvest()
    (record,) = await rows(file_records)
    async with laboratory.database.transaction() as transaction:
        by_hand = {"file_id": record["id"], "grantee_type": GranteeType.USER, "grantee_id": ada, "granted_at": NOON}
        await transaction.insert(file_access_grants, id=uuid4(), **by_hand)
    literal = {"grantee_type": "user", "match_field": str(ada), "source": "literal"}
    await add_hook("access_assignment", {"grants": [literal]})

    await laboratory.harvest()

    assert [row["granted_at"] for row in await rows(file_access_grants)] == [NOON]
    assert [row["status"].value for row in await rows(file_transfers, "started_at")] == ["failed", "completed"]


async def test_a_failed_copy_has_no_findings(laboratory, rows, add_hook, known, monkeypatch):
    ada = await known(email="ada@example.org")
    laboratory.put("a")
    await add_hook("metadata_enrichment", {"rules": [{"pattern": "(?P<name>a)"}]})
    await add_hook(
        "access_assignment", {"grants": [{"grantee_type": "user", "match_field": str(ada), "source": "literal"}]}, priority=1
    )
    with monkeypatch.context() as broken:
        broken.setattr(PosixWriter, "write", _disk_full)
        await laboratory.harvest()
    assert (await metadata(rows), await grants(rows)) == ({"a": {}}, [])

    await laboratory.harvest()

    assert (await metadata(rows), await grants(rows)) == ({"a": {"name": "a"}}, [("a", GranteeType.USER, ada)])


# Which hooks, and what is wrong with them


async def test_only_live_enabled_hooks_of_the_instrument(laboratory, rows, add_hook):
    other = uuid4()
    async with laboratory.database.transaction() as transaction:
        row = await transaction.get(instruments, laboratory.instrument_id)
        await transaction.insert(instruments, **{**row, "id": other})
    laboratory.put("a")
    everything = {"exclude_patterns": ["*"]}
    await add_hook("file_filter", everything, instrument_id=other)
    await add_hook("file_filter", everything, enabled=False)
    await add_hook("file_filter", everything, deleted_at=NOON)
    await add_hook("metadata_enrichment", {"rules": [{"pattern": "(?P<own>a)"}]}, instrument_id=laboratory.instrument_id)

    await laboratory.harvest()

    assert await metadata(rows) == {"a": {"own": "a"}}


@pytest.mark.parametrize(
    ("builtin", "columns", "reason"),
    [
        ("no_such", {}, "there is no builtin 'no_such', only file_filter, metadata_enrichment, access_assignment"),
        ("", {}, "there is no builtin '', only file_filter, metadata_enrichment, access_assignment"),
        (
            "file_filter",
            {"config": {"exclude_patterns": "*.tmp", "min_size_bytes": "1"}},
            "its config cannot be used: min_size_bytes: Input should be a valid integer; exclude_patterns: Input should be a valid array",
        ),
        ("file_filter", {"trigger": HookTrigger.POST_TRANSFER}, "file_filter is for pre_transfer"),
        (
            "metadata_enrichment",
            {"config": {"rules": [{"pattern": "("}]}},
            "the expression '(' is not valid: missing ) at position 1",
        ),
        (
            "access_assignment",
            {"config": {"grants": [{"grantee_type": "user", "match_field": "ada", "source": "literal"}]}},
            "its config cannot be used: grants.0: match_field has to be the grantee's id, a UUID",
        ),
        (
            "x",
            {"implementation": HookImplementation.PYTHON_SCRIPT, "script_path": "/tmp/x.py"},
            "this server runs no scripts",
        ),
        ("x", {"implementation": HookImplementation.HTTP_WEBHOOK}, "it has no webhook_url"),
        (
            "x",
            {"implementation": HookImplementation.HTTP_WEBHOOK, "webhook_url": "ftp://sesame@x/"},
            "its webhook_url is no address: write it as https://host/path",
        ),
    ],
)
async def test_what_cannot_be_used_is_told_and_the_harvest_goes_on(
    laboratory, rows, add_hook, log_of, builtin, columns, reason
):
    laboratory.put("a")
    await add_hook(builtin, **{"name": "H", **columns})

    run = await laboratory.harvest()

    assert await warnings(log_of, run) == [f"The hook 'H' is left out: {reason}"]
    assert await statuses(rows) == {"a": (TransferStatus.COMPLETED, None)}


@pytest.mark.slow
async def test_an_expression_without_end_costs_seconds_and_no_file(laboratory, rows, add_hook, log_of, monkeypatch):
    monkeypatch.setattr("jobs.hooks.metadata_enrichment.LONGEST", 0.05)
    for number in range(8):
        laboratory.put("a" * 100 + f"{number}!")
    await add_hook("metadata_enrichment", {"rules": [{"pattern": r"^(?P<x>(a|aa)+)$"}]}, name="slow")
    await add_hook("metadata_enrichment", {"rules": [{"pattern": "(?P<last>.)$"}]}, priority=1)

    run = await laboratory.harvest()

    assert set(map(str, (await metadata(rows)).values())) == {"{'last': '!'}"}
    told = await warnings(log_of, run)
    assert told[0].startswith("The hook 'slow' failed for aaa")
    assert told[0].endswith("takes more than 0.05 s")
    assert told[5:] == [
        "The hook 'slow' has failed 5 times in a row: it is left out for 60 s",
        "The hook 'slow' failed: 8 times in all",
    ]


# What it costs


async def test_statements_do_not_grow_with_files(laboratory, rows, add_hook, known, monkeypatch):
    """One more group of the same size costs the same, and nothing is asked twice."""
    for number in range(10):
        await known(email=f"{number}@example.org")
    monkeypatch.setattr(Pace, "took", lambda self, _: setattr(self, "_count", 50))
    await add_hook("file_filter", {"exclude_patterns": ["*.tmp"]})
    await add_hook("metadata_enrichment", {"rules": [{"pattern": "^(?P<operator>[^/]+)/"}]})
    await add_hook("access_assignment", {"grants": [{"grantee_type": "user", "match_field": "operator"}]}, priority=1)
    counts = []
    for folder, size in (("few", 10), ("many", 50)):
        laboratory.put(f"{folder}/a-first-group-of-one")
        for number in range(size):
            laboratory.put(f"{number % 10}@example.org/{folder}/{number}")
        seen: list[str] = []

        def watch(_connection: object, _cursor: object, text: str, *_: object, seen: list[str] = seen) -> None:
            if "file_" in text or "users" in text or "hooks" in text:
                seen.append(text)

        event.listen(laboratory.database.engine.sync_engine, "before_cursor_execute", watch)
        await laboratory.harvest()
        event.remove(laboratory.database.engine.sync_engine, "before_cursor_execute", watch)
        counts.append(len(seen))
    assert len(await rows(file_access_grants)) == 60
    assert counts[0] == counts[1]


# Webhooks


@pytest.fixture
def webhooks(laboratory, add_hook, server):
    """Adds a hook that calls the server; this machine may be called."""
    access = WebhookAccess(networks=[ip_network("127.0.0.1")], timeout=10)
    laboratory.settings = replace(laboratory.settings, webhooks=access)

    async def add(trigger: HookTrigger, **columns: Any) -> UUID:
        implementation = HookImplementation.HTTP_WEBHOOK
        return await add_hook("", trigger=trigger, implementation=implementation, webhook_url=server.url, **columns)

    return add


async def test_a_webhook_decides_before_the_copy(laboratory, rows, webhooks, server, tmp_path):
    said = {
        "a": {"action": "skip", "message": "under embargo"},
        "b": {"action": "skip"},
        "c": {"action": "redirect", "redirect_path": str(tmp_path / "elsewhere")},
        "d": {"metadata_updates": {"x": 1}},
        "e": {"action": "redirect", "redirect_path": "/etc"},
    }
    for name in said:
        laboratory.put(name)
    server.answer = lambda handler, hearing: reply(handler, said[hearing.body["source_path"]])
    await webhooks(HookTrigger.PRE_TRANSFER, name="Embargoes")

    await laboratory.harvest()

    assert await statuses(rows) == {
        "a": (TransferStatus.SKIPPED, "under embargo"),
        "b": (TransferStatus.SKIPPED, "Skipped by the hook 'Embargoes'"),
        "c": (TransferStatus.COMPLETED, None),
        "d": (TransferStatus.COMPLETED, None),
        "e": (
            TransferStatus.FAILED,
            f"a hook redirects the copy to '/etc': {OUTSIDE}",
        ),
    }
    assert await metadata(rows) == {name: {} for name in said}
    assert laboratory.archived() == {"NMR 400/d": b"hello caffeine"}
    assert (tmp_path / "elsewhere/NMR 400/c").exists()


async def test_a_webhook_adds_after_the_copy(laboratory, rows, webhooks, server, add_hook, known):
    core, ada = await known(group="core"), await known(email="ada@example.org")
    laboratory.put("a")
    server.says(
        {
            "action": "skip",
            "metadata_updates": {"operator": "ada@example.org", "list": [1, None]},
            "access_grants": [{"grantee_type": "group", "grantee_id": str(core)}],
        }
    )
    await add_hook("metadata_enrichment", {"rules": [{"pattern": "(?P<name>a)"}]}, priority=-1)
    await webhooks(HookTrigger.POST_TRANSFER, config={"team": "NMR"})
    await add_hook("access_assignment", {"grants": [{"grantee_type": "user", "match_field": "operator"}]}, priority=1)

    run = await laboratory.harvest()

    assert await metadata(rows) == {"a": {"name": "a", "operator": "ada@example.org", "list": [1, None]}}
    assert await grants(rows) == [("a", GranteeType.GROUP, core), ("a", GranteeType.USER, ada)]
    ((record,), (transfer,), (heard,)) = await rows(file_records), await rows(file_transfers), server.heard
    assert heard.body == {
        **heard.body,
        "trigger": "post_transfer",
        "config": {"team": "NMR"},
        "flow_run_id": str(run["id"]),
        "metadata": {"name": "a"},
        "file_id": str(record["id"]),
        "transfer_id": str(transfer["id"]),
        "destination_path": transfer["destination_path"],
        "xxhash": "d6a06c8f22ac88e4",
    }
    assert transfer["status"] is TransferStatus.COMPLETED


async def test_a_webhook_that_is_down_costs_no_file_and_has_a_rest(laboratory, rows, webhooks, server, log_of):
    for number in range(30):
        laboratory.put(f"{number:02}")
    server.answer = lambda handler, _: reply(handler, b"", 503)
    await webhooks(HookTrigger.PRE_TRANSFER, name="Down")

    run = await laboratory.harvest()

    assert run["progress"]["files_done"] == 30
    assert len(server.heard) == 5
    assert await warnings(log_of, run) == [
        *[f"The hook 'Down' failed for {number:02}: 127.0.0.1 answered 503" for number in range(5)],
        "The hook 'Down' has failed 5 times in a row: it is left out for 60 s",
        "The hook 'Down' failed: 30 times in all",
    ]


async def test_a_rest_ends(laboratory, rows, webhooks, server, monkeypatch):
    monkeypatch.setattr("jobs.hooks.chain.REST", 0.0)
    for number in range(10):
        laboratory.put(f"{number}")
    server.answer = lambda handler, _: reply(handler, {"action": "skip"}, 503 if len(server.heard) <= 7 else 200)
    await webhooks(HookTrigger.PRE_TRANSFER)

    run = await laboratory.harvest()

    assert (run["progress"]["files_done"], run["progress"]["files_skipped"]) == (7, 3)


@pytest.mark.slow
async def test_what_a_slow_webhook_has_decided_is_recorded_meanwhile(laboratory, rows, webhooks, server, monkeypatch, database):
    monkeypatch.setattr("jobs.groups.LONG", 0.1)
    monkeypatch.setattr(Pace, "took", lambda self, _: setattr(self, "_count", 50))
    for number in range(12):
        laboratory.put(f"{number:02}")
    recorded = []

    def slow(handler, hearing):
        recorded.append(sum(path.is_file() for path in laboratory.archive.rglob("*")))
        time.sleep(0.03)
        reply(handler, {})

    server.answer = slow
    await webhooks(HookTrigger.PRE_TRANSFER)
    await webhooks(HookTrigger.POST_TRANSFER)

    run = await laboratory.harvest()

    assert run["progress"]["files_done"] == 12
    assert len(set(recorded)) > 3


@pytest.mark.slow
async def test_a_harvest_that_is_cancelled_does_not_wait_for_all_its_webhooks(laboratory, rows, webhooks, server, database):
    for number in range(100):
        laboratory.put(f"{number:03}")
    server.answer = lambda handler, _: (time.sleep(0.05), reply(handler, {}))[1]
    await webhooks(HookTrigger.PRE_TRANSFER)
    run_id = await laboratory.trigger()
    working = asyncio.create_task(laboratory.let_work())

    async def asked() -> bool:
        return len(server.heard) >= 5

    await until(asked)
    async with database.transaction() as transaction:
        await cancel(transaction, run_id, now=NOON)
    await working

    (run,) = await rows(runs)
    assert run["state"] is RunState.CANCELED
    assert len(server.heard) < 80
    assert {row["status"] for row in await rows(file_transfers)} <= {TransferStatus.COMPLETED, TransferStatus.FAILED}
