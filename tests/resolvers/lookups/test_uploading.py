"""Uploads: all of the file or nothing, chunk by chunk, in memory that does not grow (contract lmio-watcher §9.1)."""

from __future__ import annotations

import asyncio
import io
import shutil
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from core.errors import InvalidInput, Unavailable
from core.lookups.items import Query
from resolvers.lookups.csv_writing import CsvWriter
from resolvers.lookups.declarations import declared
from resolvers.lookups.uploading import Uploaded, upload
from storage.lookups import registry
from storage.lookups.sql import SqlLookupStore


async def declare(database, **body):
    async with database.transaction() as transaction:
        return await registry.add(transaction, declared({"name": "x"} | body), "standard", datetime.now(UTC))


def rows(count: int, field: str = "a") -> io.BytesIO:
    return io.BytesIO(f"_id;{field}\n".encode() + b"".join(f"{at:06};text {at}\n".encode() for at in range(count)))


async def test_every_row_is_stored(database, tmp_path):
    lookup, store = await declare(database, fields={"a": {}}), SqlLookupStore(database)
    file = io.BytesIO(b"_id;a\nx;1\n;2\ny;3\nx;4\n")
    assert await upload(store, lookup, file, tmp_path / "new folder") == Uploaded(3, 1)
    assert [(item.id, item.fields["a"]) for item in await store.page(lookup, limit=5)] == [("x", "4"), ("y", "3")]
    assert not file.closed


async def test_nothing_is_stored_of_a_file_whose_last_row_is_bad(database, tmp_path):
    lookup, store = await declare(database, fields={"a": {"type": "ui16"}}), SqlLookupStore(database)
    file = io.BytesIO(b"_id;a\n" + b"".join(f"{at};{at}\n".encode() for at in range(5_000)) + b"bad;70000\n")
    with pytest.raises(InvalidInput, match="line 5002, column a"):
        await upload(store, lookup, file, tmp_path)
    assert await store.count(lookup) == 0


async def test_an_empty_file(database, tmp_path):
    lookup, store = await declare(database), SqlLookupStore(database)
    assert await upload(store, lookup, io.BytesIO(b""), tmp_path) == Uploaded(0, 0)


async def test_nothing_is_left_in_the_folder(database, tmp_path):
    lookup, store = await declare(database, fields={"a": {}}), SqlLookupStore(database)
    await upload(store, lookup, rows(10), tmp_path / "folder")
    with pytest.raises(InvalidInput):
        await upload(store, lookup, io.BytesIO(b"a\nx\n"), tmp_path / "folder")
    assert list((tmp_path / "folder").iterdir()) == []


async def test_a_folder_that_cannot_be_written(database, tmp_path):
    lookup, store = await declare(database), SqlLookupStore(database)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable):
        await upload(store, lookup, rows(1), tmp_path / "file")


async def test_two_uploads_at_once(database, tmp_path):
    lookup, store = await declare(database, fields={"a": {}, "b": {}}), SqlLookupStore(database)
    both = [upload(store, lookup, rows(500, field), tmp_path, chunk=50) for field in ("a", "b")]
    assert await asyncio.gather(*both) == [Uploaded(500, 0), Uploaded(500, 0)]
    items = await store.page(lookup, limit=1000)
    assert [(dict(item.fields), item.version) for item in items] == [
        ({"a": f"text {at}", "b": f"text {at}"}, 2) for at in range(500)
    ]


@pytest.mark.slow
async def test_others_are_answered_while_a_file_is_read(database, tmp_path):
    lookup, store = await declare(database, fields={"a": {}}), SqlLookupStore(database)
    longest, last = 0.0, asyncio.get_running_loop().time()
    task = asyncio.create_task(upload(store, lookup, rows(20_000), tmp_path))
    while not task.done():
        await asyncio.sleep(0.005)
        now = asyncio.get_running_loop().time()
        longest, last = max(longest, now - last), now
    assert await task == Uploaded(20_000, 0)
    assert longest < 1


async def test_what_is_exported_can_be_uploaded_again(database, tmp_path):
    lookup, store = await declare(database, fields={"a": {}, "at": {"type": "geopoint"}}), SqlLookupStore(database)
    await upload(store, lookup, io.BytesIO("_id;a;at\nü;1;0, 0\ny;=1+1;50°N, 14°E\n".encode()), tmp_path)
    before = [(item.id, item.keys, item.fields) async for batch in store.walk(lookup) for item in batch]
    writer = CsvWriter(lookup.declaration)
    text = writer.header() + "".join([writer.rows(batch) async for batch in store.walk(lookup, batch=1)])
    await store.clear(lookup)
    assert await store.count(lookup, Query("1+1")) == 0
    await upload(store, lookup, io.BytesIO(text.encode()), tmp_path)
    assert [(item.id, item.keys, item.fields) async for batch in store.walk(lookup) for item in batch] == before


MEASURED = """
import asyncio, resource, sys
from datetime import UTC, datetime
from pathlib import Path
from resolvers.lookups.declarations import declared
from resolvers.lookups.uploading import upload
from storage.lookups import registry
from storage.lookups.sql import SqlLookupStore
from storage.sql.opening import open_database

async def main(path, folder, counts):
    database = await open_database(f"sqlite+aiosqlite:///{path}")
    store = SqlLookupStore(database)
    async with database.transaction() as transaction:
        lookup = await registry.add(transaction, declared({"name": "x", "fields": {"a": {}}}), "t", datetime.now(UTC))
    for count in counts:
        with (Path(folder) / "rows.csv").open("w+b") as file:
            file.write(b"_id;a\\n")
            file.writelines(f"{at:07};some longer text {at}\\n".encode() for at in range(count))
            await upload(store, lookup, file, Path(folder))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    await database.close()

asyncio.run(main(sys.argv[1], sys.argv[2], [int(count) for count in sys.argv[3:]]))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(migrated, tmp_path):
    path = shutil.copy(migrated, tmp_path / "switchyard.db")
    command = [sys.executable, "-c", MEASURED, path, tmp_path, "4000", "60000"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    small, large = map(int, printed.split())
    assert large - small < 30
