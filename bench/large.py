"""One upload of many rows: how long it takes, and by how much the process grows. No part of `make bench`: a million take minutes.

`python -m bench.large sqlite|postgresql|elasticsearch [ROWS]`
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.collecting import settle_garbage_collector
from bench.databases import elasticsearch, fresh
from bench.lookups import make_file, new_lookup, peak, upload_file
from storage.lookups.elasticsearch import ElasticsearchLookupStore
from storage.lookups.elasticsearch_server import Server
from storage.lookups.protocol import LookupStore
from storage.lookups.sql import SqlLookupStore
from storage.sql.database import Database
from storage.sql.migrate import migrate
from storage.sql.opening import open_database


async def main(store: str, rows: int) -> str:
    """What is printed."""
    settle_garbage_collector()
    with tempfile.TemporaryDirectory() as own:
        path = Path(own) / "rows.csv"
        make_file(path, range(rows))
        async with fresh("postgresql" if store == "postgresql" else "sqlite") as settings:
            database = await open_database(settings.url)
            await migrate(database)
            async with _opened(store, database) as items:
                lookup, before, begun, spent = await new_lookup(database), peak(), time.perf_counter(), time.process_time()
                await upload_file(items, lookup, path)
                took, cpu, grown = time.perf_counter() - begun, time.process_time() - spent, peak() - before
                count, size = await items.count(lookup), path.stat().st_size / 2**20
            await database.close()
    return (
        f"{store}: {count:,} items of {size:.0f} MB in {took:.0f} s ({cpu:.0f} s CPU), {before:.0f} MB grew by {grown:.0f} MB"
    )


@asynccontextmanager
async def _opened(store: str, database: Database) -> AsyncIterator[LookupStore]:
    if store != "elasticsearch":
        yield SqlLookupStore(database)
        return
    address, prefix = elasticsearch(), f"bench{os.getpid()}-"
    if address is None:
        raise SystemExit("Elasticsearch does not answer: scripts/services up elasticsearch")
    server = Server(address)
    try:
        yield ElasticsearchLookupStore(server, database, prefix=prefix)
    finally:
        for index in await server.notes(f"{prefix}*"):
            await server.remove(index)
        await server.close()


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)))
