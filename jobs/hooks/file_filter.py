"""`file_filter`: leaves files out by size and name, or sends their copies elsewhere."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from jobs.hooks.asking import PROCEED, Action, Ask, Result, Subject
from jobs.hooks.config import Config, read

_PATTERNS = "Shell patterns (`*`, `?`, `[a-z]`; `*` crosses `/`), tried on the file's name, then on its whole path."


class RedirectRule(Config):
    """Copies of files that match go below another folder."""

    pattern: str = Field(description=_PATTERNS)
    destination: str = Field(description="Takes the place of the storage location's base path.")


class FileFilter(Config):
    """The config; it is gone through in this order."""

    min_size_bytes: int = Field(0, description="Smaller files are left out.")
    redirect_rules: list[RedirectRule] = Field([], description="The first that matches decides where the copy goes.")
    exclude_patterns: list[str] = Field([], description=f"Files that match one are left out. {_PATTERNS}")
    include_patterns: list[str] = Field([], description=f"If there are any, files that match none are left out. {_PATTERNS}")


class _Glob:
    """One pattern. Translated, it is a regular expression that never tries anything twice."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._match = re.compile(fnmatch.translate(pattern)).match

    def matches(self, file: Subject) -> bool:
        return self._match(file.filename) is not None or self._match(file.source_path) is not None


def file_filter(config: Mapping[str, Any] | None) -> Ask:
    """Ready to be asked. Raises `HookError` for a config that cannot be used."""
    given = read(FileFilter, config)
    rules = [(_Glob(rule.pattern), rule.destination) for rule in given.redirect_rules]
    excluded, included = _globs(given.exclude_patterns), _globs(given.include_patterns)

    def ask(file: Subject) -> Result:
        if file.size_bytes < given.min_size_bytes:
            return _skip(f"File too small ({file.size_bytes} B < min {given.min_size_bytes} B)")
        for rule, destination in rules:
            if rule.matches(file):
                return Result(Action.REDIRECT, redirect_path=destination)
        for glob in excluded:
            if glob.matches(file):
                return _skip(f"Excluded by pattern '{glob.pattern}'")
        if included and not any(glob.matches(file) for glob in included):
            return _skip("Not matched by any include pattern")
        return PROCEED

    return ask


def _globs(patterns: Sequence[str]) -> list[_Glob]:
    return [_Glob(pattern) for pattern in patterns]


def _skip(reason: str) -> Result:
    return Result(Action.SKIP, reason)
