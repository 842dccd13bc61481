"""Files that hooks are asked about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from jobs.hooks.asking import CopiedFile, Subject

RUN, INSTRUMENT, FILE, TRANSFER = (UUID(f"00000000-0000-4000-8000-00000000000{number}") for number in range(4))


def subject(path: str = "20260115_sampleA/run_001.csv", size: int = 14, **metadata: Any) -> Subject:
    return Subject(
        run_id=RUN,
        instrument_id=INSTRUMENT,
        instrument_name="NMR 400",
        source_path=path,
        size_bytes=size,
        source_mtime=datetime(2026, 11, 21, 0, 28, 6, 249000, tzinfo=UTC),
        metadata=metadata,
    )


COPIED = CopiedFile(
    file_id=FILE, transfer_id=TRANSFER, destination_path="/archive/NMR 400/a", bytes_transferred=14, xxhash="d6a06c8f22ac88e4"
)
