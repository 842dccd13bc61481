"""Items of lookups that have expired are removed in the background."""

from __future__ import annotations

import asyncio

from core.errors import Unavailable
from jobs.lookups import EVERY, purge_lookups


class Store:
    """Fails the first time."""

    def __init__(self) -> None:
        self.rounds = 0
        self.done = asyncio.Event()

    async def purge(self) -> int:
        self.rounds += 1
        if self.rounds == 1:
            raise Unavailable("down")
        self.done.set()
        return 3


async def test_rounds_go_on_after_a_failure_until_told_to_stop(caplog):
    caplog.set_level("INFO")
    store, stop = Store(), asyncio.Event()
    task = asyncio.create_task(purge_lookups(store, stop, every=0.01))  # type: ignore[arg-type]  # as much as is used
    await asyncio.wait_for(store.done.wait(), 5)
    stop.set()
    await asyncio.wait_for(task, 5)
    assert [record.levelname for record in caplog.records][:2] == ["ERROR", "INFO"]
    assert "3 items of lookups were removed" in caplog.text


def test_what_has_expired_is_gone_within_a_minute():
    assert EVERY < 60
