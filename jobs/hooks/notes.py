"""What hooks have to say to whoever reads the run's log: a few lines about each thing, and how often it happened in all."""

from __future__ import annotations

from collections import Counter

_TOLD = 5


class Notes:
    """Written by a thread, read between its calls."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lines: list[str] = []

    def add(self, topic: str, line: str) -> None:
        """A line about something that may happen to every file."""
        self._counts[topic] += 1
        if self._counts[topic] <= _TOLD:
            self._lines.append(line)

    def count(self, topic: str) -> None:
        """The same again, not worth a line."""
        self._counts[topic] += 1

    def taken(self) -> list[str]:
        """The lines since it was asked last."""
        lines, self._lines = self._lines, []
        return lines

    def totals(self) -> list[str]:
        """Of what happened too often for a line each time."""
        return [f"{topic}: {count} times in all" for topic, count in self._counts.items() if count > _TOLD]
