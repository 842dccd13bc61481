"""A worker process for tests: harvests with a source that takes its time. Arguments: database URL, allowed root, parent."""

from __future__ import annotations

import asyncio
import io
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from jobs.harvest import HarvestSettings, harvest_job
from jobs.sources import LocalFolder, open_source
from jobs.worker import run_worker
from storage.sql.opening import open_database


class SlowReader(io.RawIOBase):
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        time.sleep(0.1)
        return self._stream.read(size)

    def close(self) -> None:
        self._stream.close()
        super().close()


class SlowFolder(LocalFolder):
    def open(self, path: str) -> Any:
        return SlowReader(super().open(path))


def slow_source(instrument, roots):
    return SlowFolder(open_source(instrument, roots)._root)


async def main(url: str, root: str, parent: str) -> None:
    database = await open_database(url)
    job = harvest_job(HarvestSettings(allowed_roots=[Path(root)]), source_of=slow_source)
    try:
        await run_worker(database, {"harvest": job}, parent=int(parent), poll=0.05)
    finally:
        await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
