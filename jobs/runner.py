"""What the layers above may ask of background work: start a run, register a schedule. Where it runs is the adapter's affair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from storage.sql.database import Transaction


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be queued. Runs that share an `exclusive_key` never run at the same time."""

    kind: str
    parameters: Mapping[str, Any]
    exclusive_key: str | None = None
    subject_id: UUID | None = None
    target_id: UUID | None = None


class Runner(Protocol):
    """Queues runs and keeps schedules registered."""

    async def start(self, transaction: Transaction, run: NewRun) -> UUID:
        """Queue a run as part of the caller's change; the run's id, a new one for each call.

        When one with the same `exclusive_key` is queued already, the new run is recorded as SKIPPED and says which one
        will do its work.
        """

    async def cancel(self, transaction: Transaction, run_id: UUID) -> None:
        """End a run as part of the caller's change: a waiting one at once, a running one as soon as its worker notices.

        Raises `NotFound`, and `Conflict` for one that has ended.
        """

    async def register(self, transaction: Transaction, schedule_id: UUID) -> UUID:
        """Register a schedule; the id of its deployment."""

    async def unregister(self, transaction: Transaction, deployment_id: UUID) -> None:
        """Forget a deployment; unknown ones are no error."""
