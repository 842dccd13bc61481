"""Workers that are killed between hooks: no grant twice, no metadata lost, and nothing of a copy that is not recorded."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from core.vocabulary import GranteeType, RunState, TransferStatus
from jobs.queue import Queue
from storage.sql.tables import file_access_grants, file_records, file_transfers, runs
from tests.jobs.conftest import all_finished, until

pytestmark = pytest.mark.slow


async def test_workers_killed_at_random_points(laboratory, database, rows, start_worker, faults, add_hook, known):
    """kill -9. Every completed transfer comes with its metadata and grants, every other one with none."""
    people = {name: await known(email=f"{name}@example.org") for name in ("ada", "bob")}
    core = await known(group="core")
    await add_hook("file_filter", {"exclude_patterns": ["*.tmp"]})
    await add_hook("metadata_enrichment", {"rules": [{"pattern": r"^(?P<operator>[^/]+)/(?P<number>\d+)"}]})
    literal = {"grantee_type": "group", "match_field": str(core), "source": "literal"}
    by_name = {"grantee_type": "user", "match_field": "operator"}
    await add_hook("access_assignment", {"grants": [literal, by_name]}, priority=1)

    async def running() -> bool:
        return any(row["state"] is RunState.RUNNING for row in await rows(runs))

    async def check() -> None:
        records = {row["id"]: row for row in await rows(file_records)}
        granted: dict = {key: [] for key in records}
        for grant in await rows(file_access_grants):
            granted[grant["file_id"]].append((grant["grantee_type"], grant["grantee_id"]))
        completed = {row["file_id"] for row in await rows(file_transfers) if row["status"] is TransferStatus.COMPLETED}
        for key, record in records.items():
            operator, _, name = record["source_path"].partition("/")
            if key not in completed:
                assert (record["metadata"], granted[key]) == ({}, [])
                continue
            assert record["metadata"] == {"operator": operator, "number": name.partition(".")[0]}
            person = (GranteeType.USER, people[operator.partition("@")[0]])
            assert sorted(granted[key], key=str) == sorted([(GranteeType.GROUP, core), person], key=str)

    for number in range(faults.rounds):
        for extra in range(20):
            kind = "tmp" if extra % 4 == 3 else "raw"
            name = "ada" if extra % 2 else "bob"
            laboratory.put(f"{name}@example.org/{number:02}{extra:02}.{kind}", faults.dice.randbytes(100))
        await laboratory.trigger()
        worker = start_worker(pause=0.01)
        await until(running)
        await asyncio.sleep(faults.dice.uniform(0, 0.4))
        worker.kill()
        worker.wait()
        await check()
        await Queue(database, clock=lambda: datetime.now(UTC) + timedelta(seconds=31)).recover()

    await laboratory.trigger()
    start_worker(pause=0)
    await until(all_finished(rows))
    await check()
    ended = [row["status"] for row in await rows(file_transfers)]
    assert ended.count(TransferStatus.COMPLETED) == 15 * faults.rounds
    assert ended.count(TransferStatus.SKIPPED) == 5 * faults.rounds
    assert {row["error_message"] for row in await rows(file_transfers)} <= {
        None,
        "Excluded by pattern '*.tmp'",
        "the worker died during the copy",
    }
