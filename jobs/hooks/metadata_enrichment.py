"""`metadata_enrichment`: reads metadata out of paths and names of files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from typing import Any, Literal

import regex
from pydantic import Field

from jobs.hooks.asking import Ask, HookError, Result, Subject
from jobs.hooks.config import Config, read

LONGEST = 1.0
"""Seconds that one expression may take for one file: some take for ever, and nobody sees by looking which."""

_LARGEST = 2000
"""Characters of an expression."""

_MOST_REPEATED = 10_000
"""How often an expression may repeat a part by a count: counts are written out, and counts in counts multiply."""

_COUNT = re.compile(r"(?P<of_group>\)\s*)?\{(?P<counts>[\d\s]*,?[\d\s]*)\}")


class Rule(Config):
    """Its first hit contributes every group that has a name; groups that took no part are null."""

    pattern: str = Field(max_length=_LARGEST, description="Regular expression with named groups: `(?P<sample>[a-z]+)`.")
    source: Literal["path", "filename"] = Field("path", description="What is searched.")


class MetadataEnrichment(Config):
    """The config."""

    rules: list[Rule] = Field([], description="Gone through one after the other; of equal names, the later wins.")


def metadata_enrichment(config: Mapping[str, Any] | None) -> Ask:
    """Ready to be asked. Raises `HookError` for a config that cannot be used."""
    rules = [(_compiled(rule.pattern), rule.source) for rule in read(MetadataEnrichment, config).rules]

    def ask(file: Subject) -> Result:
        found: dict[str, Any] = {}
        for pattern, source in rules:
            text = file.source_path if source == "path" else file.filename
            try:
                hit = pattern.search(text, timeout=LONGEST, concurrent=True)
            except TimeoutError as error:
                raise HookError(f"the expression {pattern.pattern!r} takes more than {LONGEST:g} s") from error
            if hit is not None:
                found |= hit.groupdict()
        return Result(metadata=found)

    return ask


def _compiled(pattern: str) -> regex.Pattern[str]:
    if _repetitions(pattern) > _MOST_REPEATED:
        raise HookError(f"the expression {pattern!r} repeats a part more than {_MOST_REPEATED} times")
    try:
        return regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError) as error:
        raise HookError(f"the expression {pattern!r} is not valid: {error}") from error


def _repetitions(pattern: str) -> int:
    """At most: as if every group with a count stood in every other, and all around the largest other count."""
    counts = [
        (found["of_group"], max(map(int, re.findall(r"\d+", found["counts"])), default=1)) for found in _COUNT.finditer(pattern)
    ]
    of_groups = prod(max(most, 1) for of_group, most in counts if of_group)
    return of_groups * max((most for of_group, most in counts if not of_group), default=1)
