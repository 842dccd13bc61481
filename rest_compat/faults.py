"""Mistakes in a request, where they are on the wire: what a binder finds, and what a use case names by its own fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.errors import InvalidInput
from core.secrets import MASK, names_secret, without_secrets


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake: `where` begins with path, query or body; `context` holds the facts of the message."""

    where: tuple[str | int, ...]
    kind: str
    message: str
    value: object = None
    context: Mapping[str, Any] | None = None

    def without_secrets(self) -> Fault:
        """The same, with what may be secret masked: members and parameters with such names, and texts with such words."""
        holder = self.where[:-1] if self.kind == "missing" else self.where  # what is missing shows what is around it
        named = any(names_secret(each) for each in holder) or names_secret(self.value)
        return replace(self, value=MASK if named and self.value is not None else without_secrets(self.value))


class NoFile(InvalidInput):
    """A request that was to bring a file, and does not."""


class Unbindable(InvalidInput):
    """A request that does not fit the variables of its operation."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, fault.where))}: {fault.message}" for fault in faults))
        self.faults = tuple(faults)
