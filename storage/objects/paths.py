"""Which paths are safe: names that stay where they are put, and folders inside the allowed roots.

Everything here raises `InvalidInput` with words for the person who configured the path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from core.errors import InvalidInput

_FORBIDDEN = ("\0", "/", "\\")


def safe_name(name: str) -> str:
    """The name, if it can only ever mean one entry of one folder, on any kind of share."""
    if name in {"", ".", ".."} or any(character in name for character in _FORBIDDEN):
        raise InvalidInput(f"{name!r} cannot be used as the name of a file or folder")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{name!r} is not valid UTF-8") from error
    return name


def safe_key(key: str) -> PurePosixPath:
    """A relative path made of safe names only."""
    return PurePosixPath(*(safe_name(name) for name in key.split("/")))


def unlinked(folder: str, path: str) -> os.stat_result | None:
    """What lies at a relative path, if nothing on the way is a link: then it is where it seems to be. Raises `OSError`."""
    found: os.stat_result | None = None
    for name in path.split("/"):
        if name in {"", ".", ".."}:
            return None
        folder = f"{folder}/{name}"
        found = os.lstat(folder)
        if stat.S_ISLNK(found.st_mode):
            return None
    return found


def allowed_folder(path: str, roots: Iterable[Path], *, noun: str) -> Path:
    """The real folder that an absolute path means, which need not exist, if it lies inside one of the roots."""
    if "\0" in path or not path.startswith("/"):
        raise InvalidInput(f"{noun} {path!r} is not an absolute path")
    if ".." in path.split("/"):
        raise InvalidInput(f"{noun} {path!r} must not contain '..'")
    try:
        folder = Path(path).resolve()
        inside = any(folder.is_relative_to(root.resolve()) for root in roots)
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
        raise InvalidInput(f"{noun} {path!r} cannot be followed") from error
    if not inside:
        raise InvalidInput(f"{noun} {path!r} lies outside the folders that this server may use")
    return folder
