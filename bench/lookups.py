"""What lookups cost: an upload beside `csv.DictReader`, its memory, filters with and without the index, a page, an export.

`python -m bench.lookups [rows]`
"""

from __future__ import annotations

import asyncio
import csv
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson

from core.clock import utc_now
from core.lookups.declarations import Lookup
from core.lookups.items import Query
from resolvers.lookups.csv_writing import CsvWriter
from resolvers.lookups.declarations import declared
from resolvers.lookups.uploading import upload
from storage.lookups import registry
from storage.lookups.sql import SqlLookupStore
from storage.sql.database import Database
from storage.sql.migrate import migrate
from storage.sql.opening import open_database

DECLARATION = {
    "name": "ipgeo",
    "type": "lookup/ipaddressrange",
    "fields": {
        "city_name": {"type": "str"},
        "country_iso_code": {"type": "str"},
        "location": {"type": "geopoint"},
        "as_number": {"type": "ui32"},
        "risk": {"type": "fp64"},
        "timezone": {"type": "str"},
    },
}
WORDS = [
    "Praha",
    "Belgrade",
    "Pristina",
    "Larkana",
    "Qarchak",
    "Helsinki",
    "Bogota",
    "Nairobi",
    "Osaka",
    "Lima",
    "Quito",
    "Accra",
    "Dakar",
    "Turku",
    "Porto",
    "Bergen",
]


def make_file(path: Path, rows: int) -> None:
    """Ranges of addresses with places, as in the sample data."""
    some = random.Random(7)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["_keys", *DECLARATION["fields"]])
        for number in range(rows):
            first = (
                f"10.{number >> 12 & 255}.{number >> 4 & 255}.{number % 16 * 16}" if number < 2**20 else f"2001:db8::{number:x}"
            )
            last = first if ":" in first else f"{first.rpartition('.')[0]}.{number % 16 * 16 + 15}"
            place = f"{some.uniform(-89, 89):.6f}, {some.uniform(-179, 179):.6f}"
            city = f"{some.choice(WORDS)} {some.choice(WORDS)}"
            zone = f"Europe/{some.choice(WORDS)}"
            writer.writerow(
                [f"{first},{last}", city, some.choice(["CZ", "DE", "PK"]), place, number, round(some.random(), 4), zone]
            )


def read_plainly(path: Path) -> float:
    """Seconds of processor time that `csv.DictReader` takes."""
    begun = time.process_time()
    with path.open(newline="", encoding="utf-8-sig") as file:
        for _ in csv.DictReader(file, delimiter=";"):
            pass
    return time.process_time() - begun


async def new_lookup(database: Database) -> Lookup:
    async with database.transaction() as transaction:
        return await registry.add(transaction, declared(DECLARATION), "standard", utc_now())


async def timed(work: Callable[[], Awaitable[Any]], rounds: int = 5) -> tuple[float, Any]:
    """The least seconds of processor time, and what it returned."""
    best, result = float("inf"), None
    for _ in range(rounds):
        begun = time.process_time()
        result = await work()
        best = min(best, time.process_time() - begun)
    return best, result


def peak() -> float:
    """Megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def measure(rows: int, url: str, folder: Path) -> None:
    path = folder / "rows.csv"
    make_file(path, rows)
    database = await open_database(url)
    try:
        await migrate(database)
        store = SqlLookupStore(database)
        lookup = await new_lookup(database)
        plain = min(read_plainly(path) for _ in range(3))
        before = peak()
        begun, clock = time.process_time(), time.perf_counter()
        with path.open("rb") as file:
            done = await upload(store, lookup, file, folder)
        spent, lasted = time.process_time() - begun, time.perf_counter() - clock
        size = path.stat().st_size / 2**20
        print(
            f"{done.count:,} rows, {size:.0f} MB: DictReader {plain:.2f} s, upload {spent:.2f} s of CPU, {lasted:.2f} s by the clock"
        )
        print(f"  {spent / plain:.1f}x, by the clock {lasted / plain:.1f}x; memory grew by {peak() - before:.0f} MB")
        await _ask(store, lookup, database)
        before, clock, length = peak(), time.process_time(), 0
        writer = CsvWriter(lookup.declaration)
        async for batch in store.walk(lookup):
            length += len(writer.rows(batch))
        print(
            f"  export of {length / 2**20:.0f} MB: {time.process_time() - clock:.2f} s of CPU, memory grew by {peak() - before:.0f} MB"
        )
    finally:
        await database.close()


async def _ask(store: SqlLookupStore, lookup: Lookup, database: Database) -> None:
    for text in ("10.17.34.", "dakar tur", "qqq", "ac"):
        spent, items = await timed(lambda text=text: store.count(lookup, Query(text)))
        like, same = await timed(lambda text=text: _scan(database, text), 2)
        print(
            f"  filter {text!r}: {items} items, {spent * 1000:.1f} ms; LIKE scan {same}, {like * 1000:.1f} ms: {like / spent:.1f}x"
        )
    spent, items = await timed(lambda: store.page(lookup, limit=1000))
    by_hand, _ = await timed(lambda: _page_by_hand(database))
    print(f"  page of {len(items)}: {spent * 1000:.1f} ms, by hand {by_hand * 1000:.1f} ms: {spent / by_hand:.1f}x")
    spent, found = await timed(lambda: store.find(lookup, [(f"10.{at}.7.9",) for at in range(200)]))
    print(f"  find of 200 addresses: {sum(item is not None for item in found)} found, {spent * 1000:.1f} ms")


async def _scan(database: Database, text: str) -> Any:
    """What a filter without an index does."""
    statement = "SELECT count(*) FROM lookup_items WHERE search_text LIKE {}"
    if database.dialect.name == "postgresql":  # pragma: no cover
        statement = statement.replace("lookup_items", "(SELECT search_text || '' AS search_text FROM lookup_items) AS i")
    return (await database.fetch(statement.format(f"'%{text}%'"), []))[0][0]


async def _page_by_hand(database: Database) -> bytes:
    rows = await database.fetch(
        "SELECT item_id, keys, fields, expires_at, created_at, modified_at, version FROM lookup_items ORDER BY space, item_id LIMIT 1000",
        [],
    )
    names = list(DECLARATION["fields"])
    return orjson.dumps(
        [
            {"_id": row[0], "_keys": orjson.loads(row[1]), **dict(zip(names, orjson.loads(row[2]), strict=True)), "_v": row[6]}
            for row in rows
        ]
    )


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    with tempfile.TemporaryDirectory() as folder:
        url = os.environ.get("SWITCHYARD_DATABASE_URL") or f"sqlite+aiosqlite:///{folder}/switchyard.db"
        asyncio.run(measure(rows, url, Path(folder)))


if __name__ == "__main__":
    main()
