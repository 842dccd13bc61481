"""The order in which every source is discovered, and the paths that none of them can have.

A folder at a time is in memory, however deep and wide the source is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import cast

from jobs.sources.protocol import FoundFile

LONGEST_PATH = 2048

Entry = str | FoundFile
"""A file, or the path of a folder, which ends with `/`."""


def in_order(entries: Callable[[str], list[Entry]]) -> Iterator[FoundFile]:
    """All files in the order of their whole paths. `entries` lists a folder; the first one is `""`."""
    # Depth first, the next one last. With a "/" after folder names, entries come in the order of whole paths.
    pending: list[Entry] = [""]
    while pending:
        entry = pending.pop()
        if isinstance(entry, FoundFile):
            yield entry
        elif str in map(type, found := entries(entry)):
            pending.extend(sorted(found, key=_path, reverse=True))
        else:  # only files, as in most folders of most sources
            yield from cast("list[FoundFile]", sorted(found, key=itemgetter(0)))


def unusable(path: str) -> str | None:
    """Why a path cannot be recorded, if it cannot."""
    if path.isascii() and len(path) <= LONGEST_PATH:
        return None
    try:
        path.encode()
    except UnicodeEncodeError:
        return "the name is not valid UTF-8"
    return f"the path is longer than {LONGEST_PATH} characters" if len(path) > LONGEST_PATH else None


def _path(entry: Entry) -> str:
    return entry.path if isinstance(entry, FoundFile) else entry
