"""Lookups: an upload beside `csv.DictReader`, filters beside a scan, a page beside a handler by hand, an export.

Measured in a process of its own, whose memory nobody else has used: `python -m bench.lookups URL UPLOADED STORED`.
On Elasticsearch, when one answers: an upload beside a script that sends the same rows with the client's bulk helper.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from elasticsearch import AsyncElasticsearch
from elasticsearch.helpers import async_bulk

from app.collecting import settle_garbage_collector
from bench.databases import elasticsearch, fresh
from core.clock import utc_now
from core.lookups.declarations import Lookup
from core.lookups.items import Query
from resolvers.lookups.csv_writing import CsvWriter
from resolvers.lookups.declarations import declared
from resolvers.lookups.uploading import upload
from storage.lookups import registry
from storage.lookups.elasticsearch import ElasticsearchLookupStore
from storage.lookups.elasticsearch_server import Server
from storage.lookups.protocol import LookupStore
from storage.lookups.sql import SqlLookupStore
from storage.sql.database import Database
from storage.sql.migrate import migrate
from storage.sql.opening import open_database

FIELDS = {
    "city_name": {"type": "str"},
    "country_iso_code": {"type": "str"},
    "location": {"type": "geopoint"},
    "as_number": {"type": "ui32"},
    "risk": {"type": "fp64"},
    "timezone": {"type": "str"},
}
DECLARATION = {"name": "ipgeo", "type": "lookup/ipaddressrange", "fields": FIELDS}

CITIES = [
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

SELECTIVE, BROADER = "10.17.34.", "dakar tur"
"""Filters of three or more characters: a network of 16 ranges, and two words that one item in 300 has."""

PAGE = 1_000
TIMES = 5
"""How often a question is asked; the quickest answer counts."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds, megabytes, and how many of what. The upload's are of processor time; the rest waits for its database."""

    uploaded: int
    plain: float
    upload: float
    upload_growth: float
    stored: int
    filtered: float
    scanned: float
    filtered_broader: float
    scanned_broader: float
    page: float
    page_by_hand: float
    export: float
    export_size: float
    export_growth: float


async def measure(database: str, uploaded: int, stored: int) -> Figures:
    """Upload a file, then more until that many items are stored, and ask."""
    async with fresh(database) as settings:
        argv = [sys.executable, "-m", "bench.lookups", settings.url, str(uploaded), str(stored)]
        done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Figures(**json.loads(done.stdout))


async def figures(url: str, uploaded: int, stored: int, folder: Path) -> Figures:
    """What this process finds out."""
    settle_garbage_collector()
    files = folder / "uploaded.csv", folder / "more.csv"
    make_file(files[0], range(uploaded))
    make_file(files[1], range(uploaded, stored))
    database = await open_database(url)
    try:
        await migrate(database)
        store, lookup = SqlLookupStore(database), await new_lookup(database)
        before, plain, spent = peak(), [], []
        for _ in range(2):  # the quicker of two of each, in turn: a processor is not always as fast
            await store.clear(lookup)
            await store.purge()
            plain.append(min(_read_plainly(files[0]) for _ in range(3)))
            begun = time.process_time()
            await upload_file(store, lookup, files[0])
            spent.append(time.process_time() - begun)
        grown = peak() - before
        if stored > uploaded:
            await upload_file(store, lookup, files[1])
        asked = await _ask(store, lookup, database)
        before, begun, size, writer = peak(), time.process_time(), 0, CsvWriter(lookup.declaration)
        async for batch in store.walk(lookup):
            size += len(writer.rows(batch))
        export = {"export": time.process_time() - begun, "export_size": size / 2**20, "export_growth": peak() - before}
        return Figures(uploaded, min(plain), min(spent), grown, stored, **asked, **export)
    finally:
        await database.close()


@dataclass(frozen=True, slots=True)
class Sent:
    """Seconds by the clock, the quickest of some rounds: rows that Elasticsearch can be asked for when they are over."""

    rows: int
    ours: float
    script: float


async def measure_elasticsearch(rows: int, rounds: int = 3) -> Sent | None:
    """None when no Elasticsearch answers."""
    address = elasticsearch()
    if address is None:
        return None
    server, prefix, ours, script = Server(address), f"bench{os.getpid()}-", [], []
    try:
        async with fresh("sqlite") as settings, AsyncElasticsearch(address) as client:
            database, path = await open_database(settings.url), settings.data_dir / "rows.csv"
            await asyncio.to_thread(make_file, path, range(rows))
            await migrate(database)
            store, lookup = ElasticsearchLookupStore(server, database, prefix=prefix), await new_lookup(database)
            for number in range(rounds):
                await store.clear(lookup)
                begun = time.perf_counter()
                await upload_file(store, lookup, path)
                ours.append(time.perf_counter() - begun)
                begun = time.perf_counter()
                await _send(client, f"{prefix}script-{number}.lkp-bench", path)
                script.append(time.perf_counter() - begun)
            await database.close()
        return Sent(rows, min(ours), min(script))
    finally:
        for index in await server.notes(f"{prefix}*"):
            await server.remove(index)
        await server.close()


async def _send(client: AsyncElasticsearch, index: str, path: Path) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter=";")
        await async_bulk(client, ({"_index": index, "_id": row.pop("_keys"), **row} for row in rows))
    await client.indices.refresh(index=index)


def make_file(path: Path, numbers: range) -> None:
    """Ranges of addresses with places, as in the sample data; the same for the same numbers."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["_keys", *FIELDS])
        for number in numbers:
            some = random.Random(number)
            network = f"10.{number >> 12 & 255}.{number >> 4 & 255}.{number % 16 * 16}"
            addresses = f"{network},{network.rpartition('.')[0]}.{number % 16 * 16 + 15}"
            city = f"{some.choice(CITIES)} {some.choice(CITIES)}"
            place = f"{some.uniform(-89, 89):.6f}, {some.uniform(-179, 179):.6f}"
            zone = f"Europe/{some.choice(CITIES)}"
            writer.writerow([addresses, city, some.choice(["CZ", "DE", "PK"]), place, number, round(some.random(), 4), zone])


async def new_lookup(database: Database) -> Lookup:
    """Of the address ranges in the files."""
    async with database.transaction() as transaction:
        return await registry.add(transaction, declared(DECLARATION), "standard", utc_now())


async def upload_file(store: LookupStore, lookup: Lookup, path: Path) -> None:
    """All of it."""
    with path.open("rb") as file:
        await upload(store, lookup, file, path.parent)


async def _ask(store: SqlLookupStore, lookup: Lookup, database: Database) -> Mapping[str, float]:
    filters: dict[str, float] = {}
    for needle, kind in ((SELECTIVE, ""), (BROADER, "_broader")):
        found, filters[f"filtered{kind}"] = await _quickest(partial(store.count, lookup, Query(needle)))
        same, filters[f"scanned{kind}"] = await _quickest(partial(_scan, database, needle), 2)
        assert found == same, (found, same)
    items, page = await _quickest(partial(store.page, lookup, limit=PAGE))
    by_hand, page_by_hand = await _quickest(partial(_page_by_hand, database))
    assert len(items) == len(orjson.loads(by_hand)), "both give the same page"
    return filters | {"page": page, "page_by_hand": page_by_hand}


async def _quickest(ask: Callable[[], Awaitable[Any]], times: int = TIMES) -> tuple[Any, float]:
    """The answer, and the least seconds that it took."""
    least, answer = float("inf"), None
    for _ in range(times):
        begun = time.perf_counter()
        answer = await ask()
        least = min(least, time.perf_counter() - begun)
    return answer, least


async def _scan(database: Database, needle: str) -> int:
    """What a filter without an index does."""
    items = "lookup_items"
    if database.dialect.name == "postgresql":  # an expression has no index
        items = "(SELECT search_text || '' AS search_text FROM lookup_items) AS items"
    ((count,),) = await database.fetch(f"SELECT count(*) FROM {items} WHERE search_text LIKE '%{needle}%'", [])
    return int(count)


async def _page_by_hand(database: Database) -> bytes:
    columns = "item_id, keys, fields, expires_at, created_at, modified_at, version"
    rows = await database.fetch(f"SELECT {columns} FROM lookup_items ORDER BY space, item_id LIMIT {PAGE}", [])
    return orjson.dumps(
        [
            {"_id": row[0], "_keys": orjson.loads(row[1]), **dict(zip(FIELDS, orjson.loads(row[2]), strict=True)), "_v": row[6]}
            for row in rows
        ]
    )


def _read_plainly(path: Path) -> float:
    """Seconds of processor time that `csv.DictReader` takes."""
    begun = time.process_time()
    with path.open(newline="", encoding="utf-8-sig") as file:
        for _ in csv.DictReader(file, delimiter=";"):
            pass
    return time.process_time() - begun


def peak() -> float:
    """Megabytes; what `getrusage` says includes the process that started this one."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as own:
        found = asyncio.run(figures(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(own)))
    print(json.dumps(asdict(found)))
