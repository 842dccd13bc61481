"""What the figures have to be, and which of them are not."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.measure import Costs, Ratio
from bench.variants import AGAIN, DEEP, FASTAPI, FILES, GRANTED, GRAPHQL, HAND, ONE, REMEMBERED, REST, STRAWBERRY

if TYPE_CHECKING:
    from bench.harvest import Spent
    from bench.lookups import Figures as LookupFigures
    from bench.lookups import Sent
    from bench.stream import Streamed
    from bench.subscriptions import Figures

AT_MOST: Mapping[str, float] = {FILES: 1.5, ONE: 1.5, DEEP: 2.0, GRANTED: 1.5}
"""Times the hand-written handler."""

LIST_AT_MOST, GRANTS_AT_MOST = 1.5, 1.5
"""Times the hand-written handler; times the same list of an admin."""

TIMES_LESS: Mapping[str, float] = {FASTAPI: 3.5, STRAWBERRY: 8.0}
"""Than the usual servers, on lists."""

LISTS = (FILES, DEEP)
STATEMENTS = 3
STREAM_AT_MOST, GROWTH, HEALTH, HARVEST_AT_MOST = 2.0, 50.0, 0.5, 3.0
IDLE_KILOBYTES, EVENT_AT_MOST = 100.0, 3.0
"""Of one idle subscription, so that a thousand take less than 100 MB; times a bare loop that writes the same frames."""

UPLOAD_AT_MOST, UPLOAD_GROWTH, FILTER_AT_LEAST, PAGE_AT_MOST, EXPORT_GROWTH = 30.0, 150.0, 10.0, 2.0, 20.0
"""Times `csv.DictReader`; MB; times a scan that has no index; times a page by hand; MB."""

SENT_AT_MOST = 1.5
"""Times a script that sends the same rows to Elasticsearch."""


class Verdict:
    """Prints what it is told, and remembers what misses its target by more than the noise of the run."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def costs(self, title: str, asked: str, costs: Costs) -> None:
        """One request."""
        noise = noise_of(costs.ratio(AGAIN, HAND))
        columns = ["CPU ms", "÷ hand-written (quartiles)", f"÷ {REMEMBERED}", "÷ Switchyard (REST, GraphQL)", "database CPU ms"]
        self._table(title, ["variant", *columns], [self._row(name, costs) for name in costs.own])
        for ours in (REST, GRAPHQL):
            if ours in costs.own:
                self._at_most(f"{title}: {ours} ÷ hand-written", costs.ratio(ours, HAND).median, AT_MOST[asked], noise)
                for peer, factor in TIMES_LESS.items() if asked in LISTS else ():
                    self._at_least(f"{title}: {peer} ÷ {ours}", costs.ratio(peer, ours).median, factor, noise)

    def lists(self, title: str, found: Mapping[str, Costs]) -> None:
        """List pages by their path."""
        rows = [
            [path, _milliseconds(costs.own[HAND]), _milliseconds(costs.own[REST]), str(costs.ratio(REST, HAND))]
            for path, costs in found.items()
        ]
        self._table(title, ["page", "CPU ms by hand", "ours", "ours ÷ hand-written (quartiles)"], rows)
        for path, costs in found.items():
            noise = noise_of(costs.ratio(AGAIN, HAND))
            self._at_most(f"{title}: {path} ÷ hand-written", costs.ratio(REST, HAND).median, LIST_AT_MOST, noise)

    def grants(self, title: str, costs: Costs) -> None:
        """A list for an admin, twice, and for somebody who was granted each row."""
        total = Costs(
            {name: [a + b for a, b in zip(own, costs.database[name], strict=True)] for name, own in costs.own.items()}, {}
        )
        admin, again, user = costs.own
        rows = [[name, _milliseconds(own), str(total.ratio(name, admin))] for name, own in total.own.items()]
        self._table(title, ["for", "CPU ms, with the database's", "÷ admin (quartiles)"], rows)
        noise = noise_of(total.ratio(again, admin))
        self._at_most(f"{title}: {user} ÷ {admin}", total.ratio(user, admin).median, GRANTS_AT_MOST, noise)

    def statements(self, title: str, count: int) -> None:
        """Of a request of ours."""
        print(f"\n{title}: {count} statements")
        if count != STATEMENTS:
            self.missed.append(f"{title}: {count} statements instead of {STATEMENTS}")

    def streamed(self, title: str, hand: Streamed, ours: Streamed) -> None:
        """A whole list."""
        ratio = Ratio.of(ours.cpu, hand.cpu)
        rows = [
            [
                name,
                f"{each.megabytes:.1f}",
                f"{statistics.median(each.cpu):.2f}",
                str(Ratio.of(each.cpu, hand.cpu)),
                f"{each.growth:.1f}",
                f"{statistics.median(each.idle):.0f}",
                f"{statistics.median(each.busy):.0f}",
                str(Ratio.of(each.busy, each.idle)),
            ]
            for name, each in ((HAND, hand), (REST, ours))
        ]
        columns = ["variant", "MB", "CPU s", "÷ hand-written (quartiles)", "growth MB"]
        self._table(title, [*columns, "/health per second, idle", "meanwhile", "meanwhile ÷ idle (quartiles)"], rows)
        self._at_most(f"{title}: CPU ÷ hand-written", ratio.median, STREAM_AT_MOST, noise_of(ratio, ratio.median))
        self._at_most(f"{title}: growth in MB", ours.growth, GROWTH)
        health = Ratio.of(ours.busy, ours.idle)
        self._at_least(f"{title}: /health meanwhile ÷ idle", health.median, HEALTH, noise_of(health, health.median))

    def harvest(self, title: str, plain: Spent, ours: Spent, ratio: Spent) -> None:
        """Small local files."""
        rows = [
            ["a loop that copies, syncs, renames, hashes again", f"{plain.wall:.2f}", "1.00", f"{plain.cpu:.2f}", "1.00"],
            ["Switchyard harvest", f"{ours.wall:.2f}", f"{ratio.wall:.2f}", f"{ours.cpu:.2f}", f"{ratio.cpu:.2f}"],
        ]
        self._table(title, ["variant", "wall s", "÷ loop", "CPU s", "÷ loop"], rows)
        self._at_most(f"{title}: wall ÷ loop", ratio.wall, HARVEST_AT_MOST)

    def harvest_again(self, title: str, walk: Spent, ours: Spent, ratio: Spent, growth: float) -> None:
        """Nothing new is found; the growth of the memory in MB."""
        rows = [
            ["a bare walk: every folder listed, every file looked at", f"{walk.wall:.2f}", "1.00", f"{walk.cpu:.2f}", "1.00"],
            ["Switchyard harvest", f"{ours.wall:.2f}", f"{ratio.wall:.2f}", f"{ours.cpu:.2f}", f"{ratio.cpu:.2f}"],
        ]
        self._table(f"{title}; memory grew by {growth:.0f} MB", ["variant", "wall s", "÷ walk", "CPU s", "÷ walk"], rows)
        self._at_most(f"{title}: wall ÷ walk", ratio.wall, HARVEST_AT_MOST)

    def subscriptions(self, title: str, found: Figures) -> None:
        """Idle ones, and one event to many."""
        each = found.idle / found.subscriptions / 1000
        rows = [
            [f"{found.subscriptions:,} idle", f"{found.idle / 10**6:.1f} MB", f"{each:.1f} KB each"],
            [f"one event to {found.subscribers:,}", f"{found.event * 1000:.2f} ms CPU", f"{found.ratio:.2f} times"],
            ["a bare loop that writes the same frames", f"{found.bare * 1000:.2f} ms CPU", "1.00"],
        ]
        self._table(title, ["subscriptions", "takes", "that is"], rows)
        self._at_most(f"{title}: KB of an idle one", each, IDLE_KILOBYTES)
        self._at_most(f"{title}: an event ÷ bare loop", found.ratio, EVENT_AT_MOST)

    def lookups(self, title: str, found: LookupFigures) -> None:
        """An upload, and what is asked of the items then."""
        upload, page = found.upload / found.plain, found.page / found.page_by_hand
        faster, broader = found.scanned / found.filtered, found.scanned_broader / found.filtered_broader
        rows = [
            [f"upload of {found.uploaded:,} rows, CPU", f"{found.upload:.2f} s", f"{upload:.1f} times csv.DictReader"],
            ["its memory", f"{found.upload_growth:.0f} MB", ""],
            ["filter that 16 have", f"{found.filtered * 1000:.1f} ms", f"{faster:.1f} times faster than a scan"],
            ["filter that one in 300 has", f"{found.filtered_broader * 1000:.1f} ms", f"{broader:.1f} times faster"],
            ["page of 1,000", f"{found.page * 1000:.1f} ms", f"{page:.2f} times by hand"],
            [f"export of {found.export_size:.0f} MB, CPU", f"{found.export:.2f} s", f"memory {found.export_growth:.0f} MB"],
        ]
        self._table(title, [f"{found.stored:,} items", "takes", "that is"], rows)
        self._at_most(f"{title}: upload ÷ csv.DictReader", upload, UPLOAD_AT_MOST)
        self._at_most(f"{title}: growth of an upload in MB", found.upload_growth, UPLOAD_GROWTH)
        self._at_least(f"{title}: scan ÷ selective filter", faster, FILTER_AT_LEAST)
        self._at_most(f"{title}: page ÷ by hand", page, PAGE_AT_MOST)
        self._at_most(f"{title}: growth of an export in MB", found.export_growth, EXPORT_GROWTH)

    def sent(self, title: str, found: Sent) -> None:
        """An upload to Elasticsearch."""
        rows = [
            ["a script with the client's bulk helper", f"{found.script:.2f}", "1.00"],
            ["Switchyard upload", f"{found.ours:.2f}", f"{found.ours / found.script:.2f}"],
        ]
        self._table(title, [f"{found.rows:,} rows", "wall s", "÷ script"], rows)
        self._at_most(f"{title}: wall ÷ script", found.ours / found.script, SENT_AT_MOST)

    def conclude(self) -> int:
        """Print what was missed; the exit status."""
        print("\nEvery target is met." if not self.missed else "\nMissed:\n" + "\n".join(f"- {each}" for each in self.missed))
        return 1 if self.missed else 0

    def _row(self, name: str, costs: Costs) -> list[str]:
        over = [costs.ratio(name, ours).median for ours in (REST, GRAPHQL) if ours in costs.own and name in TIMES_LESS]
        return [
            name,
            _milliseconds(costs.own[name]),
            str(costs.ratio(name, HAND)),
            f"{costs.ratio(name, REMEMBERED).median:.2f}" if REMEMBERED in costs.own else "",
            ", ".join(f"{each:.1f}" for each in over),
            _milliseconds(costs.database[name]) if any(costs.database[name]) else "",
        ]

    def _table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        print(f"\n{title}\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
        for row in rows:
            print(f"| {' | '.join(row)} |", flush=True)

    def _at_most(self, what: str, value: float, limit: float, noise: float = 0.0) -> None:
        if value > limit * (1 + noise):
            self.missed.append(f"{what} is {value:.2f}, at most {limit:g} was wanted{_margin(noise)}")

    def _at_least(self, what: str, value: float, limit: float, noise: float = 0.0) -> None:
        if value < limit * (1 - noise):
            self.missed.append(f"{what} is {value:.2f}, at least {limit:g} was wanted{_margin(noise)}")


def noise_of(control: Ratio, middle: float = 1.0) -> float:
    """How far the quartiles of a ratio lie from where they should, as a share."""
    return max(control.high - middle, middle - control.low, 0.0) / middle


def _margin(noise: float) -> str:
    return f" (noise {noise:.0%})" if noise else ""


def _milliseconds(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.2f}"
