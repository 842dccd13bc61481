"""What the domain needs of the application."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from resolvers.lookups.csv_reading import LONGEST_CELL
from storage.lookups.protocol import CHUNK, LookupStore


@dataclass(frozen=True, slots=True)
class LookupServices:
    """Made once at start-up."""

    store: LookupStore
    folder: Path
    """Where uploads wait."""
    tenants: frozenset[str] | None = None
    """All there are; None if every tenant counts that a token names."""
    longest_cell: int = LONGEST_CELL
    chunk: int = CHUNK
