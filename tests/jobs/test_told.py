"""What a harvest tells those who follow files and transfers: a row of the feed for each, with the group that it is recorded in."""

from __future__ import annotations

from collections import Counter

from core.vocabulary import AuditAction, TransferStatus
from jobs.acquisitions import Acquisitions
from jobs.active import ActiveRun
from jobs.known_files import KnownFiles, WantedFile
from jobs.queue import Queue
from jobs.records import HarvestRecords
from jobs.sources import FileState, FoundFile
from storage.sql.tables import events, file_records, file_transfers, instruments


async def test_each_file_once_and_each_transfer_once(laboratory, rows):
    for number in range(20):
        laboratory.put(f"{number}.raw", b"x" * (number + 1))
    await laboratory.harvest()
    told = [(row["entity"], row["entity_id"], row["action"]) for row in await rows(events, "number")]
    for table in (file_records, file_transfers):
        expected = {(table.name, str(row["id"]), AuditAction.UPDATE) for row in await rows(table)}
        assert Counter(each for each in told if each[0] == table.name) == dict.fromkeys(expected, 1)


async def test_transfers_that_nobody_ends(laboratory, rows, database, clock):
    await laboratory.trigger()
    queue = Queue(database)
    claim = await queue.claim("test", ["harvest"])
    run = ActiveRun(database, queue, claim)
    instrument = next(row for row in await rows(instruments))
    records = HarvestRecords(run, instrument, laboratory.location_id, lambda: "ark:/99999/fk4x", Acquisitions())
    (attempt,) = await records.begin([(WantedFile(FoundFile("a", FileState(1, 1)), None), "/archive/a")])
    await records.fail_open(await KnownFiles(database, instrument["id"]).open_transfers(), "the worker died during the copy")
    told = [row["entity_id"] for row in await rows(events, "number") if row["entity"] == file_transfers.name]
    (transfer,) = await rows(file_transfers)
    assert (told, transfer["status"]) == ([str(attempt.transfer_id)], TransferStatus.FAILED)
