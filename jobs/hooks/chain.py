"""The hooks of one harvest, asked one after the other. Contract streamweave §7, Execution.

A hook that fails is noted and passed over. One that fails again and again has a rest, so that a server that is down costs
a harvest minutes and not days.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from core.vocabulary import GranteeType
from jobs.hooks.asking import PROCEED, Action, Ask, HookError, Result, Subject, Wish
from jobs.hooks.notes import Notes

log = logging.getLogger(__name__)

PATIENCE = 5
"""Failures in a row after which a hook has a rest."""

REST = 60.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a file: it is left out for a reason, or copied, perhaps to another folder."""

    skipped: str | None = None
    destination: str | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known of a copied file thanks to hooks, who is to be granted it, and who that is, once it was looked up."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    wishes: tuple[Wish, ...] = ()
    grantees: tuple[tuple[GranteeType, UUID], ...] = ()


AS_USUAL = Decision()
NOTHING = Findings()


class Hook:
    """One hook, and how it has been doing."""

    def __init__(self, key: UUID, name: str, ask: Ask, notes: Notes) -> None:
        self.key = key
        self.name = name
        self._ask = ask
        self._notes = notes
        self._failures = 0
        self._rests_until = 0.0

    def ask(self, file: Subject) -> Result:
        """What it says; that the file goes on, when it fails or has a rest."""
        topic = f"The hook {self.name!r} failed"
        if time.monotonic() < self._rests_until:
            self._notes.count(topic)
            return PROCEED
        try:
            result = self._ask(file)
        except Exception as error:  # noqa: BLE001  # whatever it is, the file goes on
            self._notes.add(topic, f"{topic} for {file.source_path}: {_why(error, self.key)}")
            self._failures += 1
            if self._failures >= PATIENCE:
                self._rests_until = time.monotonic() + REST
                self._notes.add(
                    f"The hook {self.name!r} had a rest",
                    f"The hook {self.name!r} has failed {self._failures} times in a row: it is left out for {REST:g} s",
                )
            return PROCEED
        self._failures = 0
        return result


def _why(error: Exception, key: UUID) -> str:
    if isinstance(error, HookError):
        return str(error)
    log.error("hook %s: unexpected error", key, exc_info=error)
    return f"an unexpected error happened ({type(error).__name__})"


@dataclass(frozen=True, slots=True)
class Chain:
    """Those before the copy, those after it, each in their order."""

    before: Sequence[Hook] = ()
    after: Sequence[Hook] = ()

    def decide(self, file: Subject) -> Decision:
        """The first that skips or redirects decides."""
        for hook in self.before:
            result = hook.ask(file)
            if result.action is Action.SKIP:
                return Decision(skipped=result.message or f"Skipped by the hook {hook.name!r}")
            if result.action is Action.REDIRECT:
                return Decision(destination=result.redirect_path)
        return AS_USUAL

    def find(self, file: Subject) -> Findings:
        """All are asked, each with the metadata so far; of equal keys the later wins, wishes add up."""
        metadata: dict[str, Any] = {}
        wishes: dict[Wish, None] = {}
        for hook in self.after:
            result = hook.ask(replace(file, metadata=dict(metadata)))
            metadata |= result.metadata
            wishes |= dict.fromkeys(result.wishes)
        return Findings(metadata, tuple(wishes))
