"""What takes too long is ended, and nothing else is."""

import asyncio
import gc
import weakref

import pytest

from core import deadlines
from core.deadlines import InTime
from core.errors import Timeout

SHORT = 0.02


async def test_what_is_in_time_is_left_alone():
    async with InTime(SHORT):
        await asyncio.sleep(0)
    await asyncio.sleep(2 * SHORT)


async def test_what_takes_too_long_is_cancelled():
    ended = []

    async def run() -> None:
        async with InTime(SHORT):
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(True)

    with pytest.raises(Timeout, match=r"this took longer than 0\.02 seconds, and was ended"):
        await run()
    assert ended == [True]
    assert asyncio.current_task().cancelling() == 0


async def test_without_a_time_there_is_no_end():
    async with InTime(None):
        await asyncio.sleep(2 * SHORT)


async def test_each_has_its_own_time():
    async def take(seconds: float) -> str:
        try:
            async with InTime(SHORT):
                await asyncio.sleep(seconds)
        except Timeout:
            return "late"
        return "in time"

    assert await asyncio.gather(*map(take, (60, 0, SHORT / 4, 60))) == ["late", "in time", "in time", "late"]


async def test_one_that_begins_later_ends_later():
    loop = asyncio.get_running_loop()
    begun, ends = loop.time(), []

    async def take(wait: float) -> None:
        await asyncio.sleep(wait)
        with pytest.raises(Timeout):
            async with InTime(SHORT):
                await asyncio.sleep(60)
        ends.append(loop.time() - begun - wait)

    await asyncio.gather(take(0), take(SHORT / 2), take(SHORT * 3))
    assert all(SHORT <= end < 20 * SHORT for end in ends)


async def test_somebody_elses_cancellation_goes_on():
    async def run() -> None:
        async with InTime(60):
            await asyncio.sleep(60)

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_somebody_elses_timeout_goes_on():
    with pytest.raises(TimeoutError) as raised:
        async with InTime(60):
            raise TimeoutError("theirs")
    assert str(raised.value) == "theirs"


async def test_an_error_on_the_way_out_goes_on():
    async def run() -> None:
        async with InTime(SHORT):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise KeyError from None

    with pytest.raises(KeyError):
        await run()
    assert asyncio.current_task().cancelling() == 0


@pytest.mark.parametrize("times", [(60, SHORT), (SHORT, 60)])
async def test_one_within_another(times):
    async def run(outer: float, inner: float) -> None:
        async with InTime(outer), InTime(inner):
            await asyncio.sleep(60)

    with pytest.raises(Timeout, match=r"0\.02"):
        await run(*times)


async def test_what_is_over_is_forgotten():
    async with InTime(60):
        for _ in range(100):
            async with InTime(60):
                pass
    assert not deadlines._queues.of(60)._running


@pytest.mark.slow
def test_an_event_loop_is_not_held_for_ever():
    async def run() -> weakref.ref:
        async with InTime(60):
            return weakref.ref(asyncio.get_running_loop())

    first = asyncio.run(run())
    asyncio.run(run())
    gc.collect()
    assert first() is None


async def test_what_makes_progress_may_take_longer():
    ended = []

    async def other() -> None:
        async with InTime(SHORT):
            await asyncio.sleep(60)

    limit = InTime(5 * SHORT)
    async with limit:
        for _ in range(8):
            await asyncio.sleep(SHORT)
            limit.renew()
        ended.append(True)
    with pytest.raises(Timeout):
        await other()
    assert ended == [True]


async def test_progress_that_ends_is_not_waited_for():
    limit = InTime(3 * SHORT)

    async def run() -> None:
        async with limit:
            limit.renew()
            await asyncio.sleep(60)

    with pytest.raises(Timeout):
        await run()
    limit.renew()
    assert limit.over
