"""Mistakes in a request, where they are on the wire: what a binder finds, and what a use case names by its own fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake: `where` begins with path, query or body; `context` holds the facts of the message."""

    where: tuple[str | int, ...]
    kind: str
    message: str
    value: object = None
    context: Mapping[str, Any] | None = None


class Unbindable(InvalidInput):
    """A request that does not fit the variables of its operation."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, fault.where))}: {fault.message}" for fault in faults))
        self.faults = tuple(faults)
