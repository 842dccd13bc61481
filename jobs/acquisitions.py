"""Which folders of an instrument are acquisitions: measurements that are written as several files.

The instrument's `transfer_config` says it. Any object can be stored there, so whether it makes sense is seen when a harvest begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from itertools import dropwhile
from typing import Annotated, Any, Self

import orjson
from pydantic import AfterValidator, Field, ValidationError

from core.errors import InvalidInput
from jobs.hooks.config import Config, problems
from jobs.sources.protocol import EPOCH

AHEAD = timedelta(days=1)
"""How far a source's clock may be ahead of ours. A time beyond that tells nothing: its acquisition would wait for years."""

_ANY_DEPTH = "**"

Names = tuple[str, ...]


def _of_folders(pattern: str) -> str:
    names = pattern.split("/")
    if "\\" in pattern or not all(names) or names[-1] == _ANY_DEPTH:
        raise ValueError("a pattern is names of folders with / between them, the last one not **")
    return pattern


class AcquisitionConfig(Config):
    """What is said of acquisitions."""

    folders: list[Annotated[str, Field(max_length=2048), AfterValidator(_of_folders)]] = Field(min_length=1)
    settle_seconds: int = Field(60, ge=0, le=604_800)


class TransferConfig(Config):
    """What is read of a `transfer_config`."""

    acquisition: AcquisitionConfig | None = None


class Acquisitions:
    """The acquisitions of one instrument, known by the paths of their folders."""

    def __init__(self, folders: Sequence[str] = (), settle_seconds: int = 60) -> None:
        self._patterns = frozenset(rest for pattern in folders for rest in _begun(tuple(pattern.split("/"))))
        self._settle = timedelta(seconds=settle_seconds)
        self._folder = ""
        self._acquisition: str | None = None

    @classmethod
    def of(cls, transfer_config: Mapping[str, Any] | None) -> Self:
        """As an instrument's row says. Raises `InvalidInput` naming each key that is wrong."""
        try:
            config = TransferConfig.model_validate_json(orjson.dumps(transfer_config or {})).acquisition
        except ValidationError as error:
            raise InvalidInput(f"the instrument's transfer_config cannot be used: {problems(error)}") from error
        return cls() if config is None else cls(config.folders, config.settle_seconds)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def of_file(self, path: str) -> str | None:
        """The path of the acquisition that a file belongs to: the outermost of its folders that matches a pattern."""
        folder = path.rpartition("/")[0]
        if folder != self._folder:  # files come folder by folder
            self._folder, self._acquisition = folder, self._outermost(folder.split("/") if folder else [])
        return self._acquisition

    def busy_times(self, now: datetime) -> range:
        """The times of change, in nanoseconds, of files that are still being written: the last seconds, and the next day."""
        if not self._settle:
            return range(0)
        return range(_nanoseconds(now - self._settle) + 1, _nanoseconds(now + AHEAD) + 1)

    def _outermost(self, names: Sequence[str]) -> str | None:
        """Goes through all patterns at once, a name at a time: however many `*` they have, nothing is tried twice."""
        left = self._patterns
        for depth, name in enumerate(names, 1):
            left = frozenset(rest for pattern in left for rest in _behind(pattern, name))
            if () in left:
                return "/".join(names[:depth])
            if not left:
                break
        return None


def _begun(pattern: Names) -> Iterator[Names]:
    """What may be expected next: `**` also stands for no folder."""
    yield pattern
    if pattern[:1] == (_ANY_DEPTH,):
        yield tuple(dropwhile(_ANY_DEPTH.__eq__, pattern))


def _behind(pattern: Names, name: str) -> Iterator[Names]:
    """What may be expected behind a folder of that name."""
    if pattern[0] == _ANY_DEPTH:
        yield from _begun(pattern)
    elif fnmatchcase(name, pattern[0]):
        yield from _begun(pattern[1:])


def _nanoseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000
