"""A worker process for tests: harvests with a source that takes its time.

Arguments: database URL, allowed root, parent, and the seconds that each read takes.
"""

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
    def __init__(self, stream: BinaryIO, pause: float) -> None:
        self._stream = stream
        self._pause = pause

    def read(self, size: int = -1) -> bytes:
        time.sleep(self._pause)
        return self._stream.read(size)

    def close(self) -> None:
        self._stream.close()
        super().close()


class SlowFolder(LocalFolder):
    def __init__(self, root: Path, pause: float) -> None:
        super().__init__(root)
        self._pause = pause

    def open(self, path: str) -> Any:
        return SlowReader(super().open(path), self._pause)


async def main(url: str, root: str, parent: str, pause: str) -> None:
    def source(instrument, roots, account):
        return SlowFolder(open_source(instrument, roots, account)._root, float(pause))

    database = await open_database(url)
    job = harvest_job(HarvestSettings(allowed_roots=[Path(root)]), source_of=source)
    try:
        await run_worker(database, {"harvest": job}, parent=int(parent), poll=0.05)
    finally:
        await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
