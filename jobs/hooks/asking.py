"""What a hook is told about a file, and what it may say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from core.vocabulary import GranteeType


class HookError(Exception):
    """A hook that cannot do its work; says why, in words for an admin, without anything secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedFile:
    """What is known once there is a copy."""

    file_id: UUID
    transfer_id: UUID
    destination_path: str
    bytes_transferred: int
    xxhash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The file that a hook is asked about. `metadata` is what hooks before this one have found."""

    run_id: UUID
    instrument_id: UUID
    instrument_name: str
    source_path: str
    size_bytes: int
    source_mtime: datetime | None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    copied: CopiedFile | None = None

    @property
    def filename(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.source_path).name


class Action(StrEnum):
    """What is to become of a file that has not been copied yet."""

    PROCEED = "proceed"
    SKIP = "skip"
    REDIRECT = "redirect"


@dataclass(frozen=True, slots=True)
class Wish:
    """Somebody who is to be granted the file: by id, or by a name that the metadata has (or has not) under `field`."""

    grantee_type: GranteeType
    wanted: UUID | str | None
    field: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What one hook says. The first three count before the copy, the others after it."""

    action: Action = Action.PROCEED
    message: str | None = None
    redirect_path: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    wishes: tuple[Wish, ...] = ()


PROCEED = Result()

Ask = Callable[[Subject], Result]
"""One hook, ready to be asked. Raises `HookError`, or anything else."""
