"""`make bench`: what requests cost here, by hand and with the usual frameworks, as ratios within one run.

`BENCH_ROUNDS` and `BENCH_DATABASES` (`sqlite`, `postgresql`) change how much is measured.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass

import uvloop

from app.collecting import settle_garbage_collector
from app.wiring import assemble
from bench import harvest, lists, lookups, stream, subscriptions
from bench.data import fill
from bench.databases import available, fresh, server_time
from bench.measure import compare
from bench.targets import Verdict
from bench.variants import DEEP, GRAPHQL, check_answers, requests, statements


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    rounds: int = 41
    files: int = 5000
    list_rounds: int = 15
    listed: int = 50_000
    streamed: int = 50_000
    streams: int = 5
    harvested: int = harvest.FILES
    known: int = harvest.KNOWN
    idle: int = subscriptions.IDLE
    subscribers: int = subscriptions.SUBSCRIBERS
    events: int = subscriptions.EVENTS
    uploaded: int = 50_000
    items: int = 200_000


async def main(size: Size, databases: Sequence[str]) -> Verdict:
    """Print one table per request and database; what was missed is in the verdict."""
    verdict = Verdict()
    for database in databases:
        await _requests(database, size, verdict)
        await lists.measure(database, size.list_rounds, size.listed, verdict)
        await stream.measure(database, size.streamed, size.streams, verdict)
    await harvest.measure(size.harvested, size.known, 3, verdict)
    for database in databases:
        told = await subscriptions.measure(database, size.idle, size.subscribers, size.events)
        verdict.subscriptions(f"subscriptions, {database}", told)
        verdict.lookups(f"lookups, {database}", await lookups.measure(database, size.uploaded, size.items))
    if (sent := await lookups.measure_elasticsearch(size.uploaded)) is not None:
        verdict.sent("upload to a lookup, Elasticsearch", sent)
    return verdict


async def _requests(database: str, size: Size, verdict: Verdict) -> None:
    async with fresh(database) as settings:
        parts = await assemble(settings)
        try:
            filled = await fill(parts.database, files=size.files)
            async with requests(parts, filled) as asked:
                settle_garbage_collector()
                for title, calls in asked.items():
                    await check_answers(title, calls)
                    costs = await compare(calls, size.rounds, await server_time(settings))
                    verdict.costs(f"{title}, {database}", title, costs)
                verdict.statements(f"{DEEP}, {database}", await statements(parts, asked[DEEP][GRAPHQL]))
        finally:
            await parts.close()


if __name__ == "__main__":
    logging.disable(logging.INFO)  # the line per request: for the other variants their server writes it
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        size = Size(rounds=int(os.environ.get("BENCH_ROUNDS", Size().rounds)))
        verdict = runner.run(main(size, available()))
    raise SystemExit(verdict.conclude())
