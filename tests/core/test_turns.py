"""Between two turns of long work others get on, and what they ask next is not kept waiting either."""

import asyncio
import time

from core.turns import give_way


async def test_nobody_else():
    begun = time.perf_counter()
    for _ in range(20):
        await give_way()
    assert time.perf_counter() - begun < 1


async def test_others_come_first_and_what_they_begin_as_well():
    happened = []

    async def other():
        time.sleep(0.002)  # noqa: ASYNC251  # works
        happened.append("answers")
        await asyncio.sleep(0.0005)
        happened.append("answers again")

    task = asyncio.create_task(other())
    await give_way()
    happened.append("goes on")
    await task
    assert happened == ["answers", "answers again", "goes on"]


async def test_whoever_takes_long_is_not_waited_for_as_long():
    asyncio.get_running_loop().call_soon(time.sleep, 0.3)
    begun = time.perf_counter()
    await give_way()
    assert 0.3 <= time.perf_counter() - begun < 0.5
