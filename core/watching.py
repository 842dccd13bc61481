"""Who is told what a request costs while it runs: its statements, and how many objects it may ask for.

A context variable and no argument, so that stores and plans need not pass on what only operators look at.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Protocol


class Watch(Protocol):
    """Is told of one request."""

    def statement(self, name: str, text: str) -> AbstractContextManager[object]:
        """Entered while a statement runs: what a plan calls it, if it is a plan's, and its text without values."""

    def cost(self, nodes: int) -> None:
        """How many objects the operation may ask for."""


watching: ContextVar[Watch | None] = ContextVar("watching", default=None)
