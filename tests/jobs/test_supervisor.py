"""Worker processes are kept alive, and end with the server."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from jobs.supervisor import Supervisor

pytestmark = pytest.mark.slow

SLEEPS = [sys.executable, "-c", "import time; time.sleep(60)"]


async def _until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # other processes set no events
            await asyncio.sleep(0.01)


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_workers_run_and_are_ended():
    async with Supervisor(SLEEPS, 2) as supervisor:
        await _until(lambda: len(supervisor.pids) == 2)
        pids = supervisor.pids
    assert supervisor.pids == ()
    assert all(_gone(pid) for pid in pids)


async def test_a_worker_that_dies_is_replaced():
    async with Supervisor(SLEEPS, 1, first_backoff=0.01) as supervisor:
        await _until(lambda: supervisor.pids)
        (first,) = supervisor.pids
        os.kill(first, signal.SIGKILL)
        await _until(lambda: supervisor.pids and supervisor.pids != (first,))


async def test_a_worker_that_keeps_dying_is_started_ever_more_slowly(tmp_path):
    births = tmp_path / "births"
    argv = [sys.executable, "-S", "-c", f"open({str(births)!r}, 'a').write('x'); raise SystemExit(3)"]
    async with Supervisor(argv, 1, first_backoff=0.01, longest_backoff=60):
        await asyncio.sleep(1)
    assert 2 <= len(births.read_text()) <= 8


async def test_a_command_that_does_not_exist_is_no_reason_to_fall():
    async with Supervisor(["/does/not/exist"], 1, first_backoff=0.01) as supervisor:
        await asyncio.sleep(0.05)
        assert supervisor.pids == ()


async def test_a_worker_that_does_not_stop_is_killed(tmp_path):
    ready = tmp_path / "ready"
    code = (
        f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({str(ready)!r}, 'w').close(); time.sleep(60)"
    )
    supervisor = Supervisor([sys.executable, "-c", code], 1, grace=0.1)
    supervisor.start()
    await _until(ready.exists)
    (pid,) = supervisor.pids
    await asyncio.wait_for(supervisor.stop(), 10)
    assert _gone(pid)


async def test_stopping_before_starting_is_harmless():
    await Supervisor(SLEEPS, 1).stop()
