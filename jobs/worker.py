"""The worker process' loop: claim a run, do it under a lease, write how it ended, go on.

Several workers share one queue; each does one run at a time and survives whatever a job raises. A job that is to end
and hangs where nothing can end it costs the process: the run's outcome is written, and the supervisor starts another.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

from core.clock import Clock, utc_now
from core.errors import DomainError, Unavailable
from core.vocabulary import RunState
from jobs.active import ActiveRun, InterruptedRunError, Job, RunCanceledError, RunFailedError
from jobs.pausing import pause
from jobs.queue import LEASE, Claim, LeaseLostError, Queue
from storage.sql.database import Database

log = logging.getLogger(__name__)

_WRITE_AGAIN = (0.5, 2.0, 8.0)
"""Pauses before an outcome is written again. If that fails, too, the lease runs out and the run is repeated."""

PATIENCE = 5.0
"""Seconds in which a job that is to end should notice by itself; then it is cancelled, and has as long again six times."""


class StuckError(Exception):
    """A job does not end. Its thread would go on for as long as the process."""


def worker_name() -> str:
    """A name no other worker has, in which an operator finds the process."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:6]}"


async def run_worker(
    database: Database,
    jobs: Mapping[str, Job],
    *,
    name: str | None = None,
    parent: int | None = None,
    poll: float = 0.5,
    longest: timedelta | None = None,
    patience: float = PATIENCE,
) -> None:
    """A whole worker process: works until SIGTERM or SIGINT, or until the process `parent` is no longer its parent."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    watch = None if parent is None else asyncio.create_task(stop_without_parent(stop, parent))
    try:
        await work(database, jobs, name=name or worker_name(), stop=stop, poll=poll, longest=longest, patience=patience)
    except StuckError:
        log.exception("the worker gives up")
        os._exit(70)  # a thread that hangs would hold up any other way out
    finally:
        if watch is not None:
            watch.cancel()


async def stop_without_parent(stop: asyncio.Event, parent: int, *, poll: float = 1.0) -> None:
    """Set `stop` when the process that started this one has died: nobody would end us otherwise."""
    while os.getppid() == parent:  # noqa: ASYNC110  # no event tells of it on every system
        await asyncio.sleep(poll)
    log.warning("the server has gone; this worker stops")
    stop.set()


async def work(
    database: Database,
    jobs: Mapping[str, Job],
    *,
    name: str,
    stop: asyncio.Event,
    poll: float = 0.5,
    lease: timedelta = LEASE,
    longest: timedelta | None = None,
    patience: float = PATIENCE,
    clock: Clock = utc_now,
) -> None:
    """Do one run after the other until `stop` is set. The name must be this process' own. Raises `StuckError`."""
    queue = Queue(database, clock=clock, lease=lease)
    while not stop.is_set():
        claim = await _claim(queue, name, jobs)
        if claim is None:
            await pause(stop, poll)
            continue
        run = ActiveRun(database, queue, claim, stop=stop, longest=longest, clock=clock)
        await _do(run, jobs[claim.kind], queue, claim, patience)


async def _claim(queue: Queue, name: str, jobs: Mapping[str, Job]) -> Claim | None:
    try:
        return await queue.claim(name, tuple(jobs))
    except Exception:  # a store that is down comes back
        log.exception("no run could be claimed")
        return None


async def _do(run: ActiveRun, job: Job, queue: Queue, claim: Claim, patience: float) -> None:
    log.info("run %s (%s, attempt %s) begins", claim.id, claim.kind, claim.attempt)
    task = asyncio.ensure_future(job(run))
    heartbeat = asyncio.create_task(_keep(run, queue.lease))
    try:
        async with run.timed():
            await _until_ended(run, task, patience)
    except asyncio.CancelledError:  # this worker itself is to end
        task.cancel()
        raise
    finally:
        heartbeat.cancel()
    hangs = not task.done()
    await _conclude(run, queue, claim, task)
    if hangs:
        raise StuckError(f"run {claim.id} was to end and its job hangs")


async def _until_ended(run: ActiveRun, task: asyncio.Future[str | None], patience: float) -> None:
    """Wait for the job. One that is to end may do so at its next step, then it is cancelled, then it is given up."""
    told = asyncio.create_task(run.told_to_end())
    either: set[asyncio.Future[Any]] = {task, told}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        told.cancel()
    if not task.done() and not isinstance(run.ending, LeaseLostError):
        await asyncio.wait({task}, timeout=patience)
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=patience * 6)


async def _keep(run: ActiveRun, lease: timedelta) -> None:
    """Renew the lease three times as often as it runs out, until it is lost."""
    while True:
        await asyncio.sleep(lease.total_seconds() / 3)
        try:
            await run.renew()
        except LeaseLostError:
            return
        except Exception:  # nobody else can take the run while the store is down
            log.exception("the lease of run %s could not be renewed", run.id)


async def _conclude(run: ActiveRun, queue: Queue, claim: Claim, task: asyncio.Future[str | None]) -> None:
    for wait in (*_WRITE_AGAIN, None):
        try:
            await _write_outcome(run, queue, claim, task)
        except LeaseLostError:
            log.warning("run %s was taken from this worker", run.id)
        except Unavailable:
            log.exception("the outcome of run %s could not be written", run.id)
            if wait is not None:
                await asyncio.sleep(wait)
                continue
        return


async def _write_outcome(run: ActiveRun, queue: Queue, claim: Claim, task: asyncio.Future[str | None]) -> None:
    error = task.exception() if task.done() and not task.cancelled() else run.ending or LeaseLostError()
    if isinstance(error, LeaseLostError):
        raise error
    if isinstance(error, InterruptedRunError):
        await queue.release(claim)
    elif isinstance(error, RunCanceledError):
        await queue.finish(claim, RunState.CANCELED, str(error), run.reached or None)
    elif error is None:
        await queue.finish(claim, RunState.SUCCEEDED, task.result(), run.reached or None)
    else:
        message = _explain(error, claim)
        await queue.log(claim, "error", message)
        await queue.finish(claim, RunState.FAILED, message, run.reached or None)


def _explain(error: BaseException, claim: Claim) -> str:
    """For the person who reads the run. What nobody foresaw goes to the process' log, where it may name anything."""
    if isinstance(error, RunFailedError):
        return str(error)
    if isinstance(error, DomainError):
        return error.detail
    log.error("run %s (%s) failed unexpectedly", claim.id, claim.kind, exc_info=error)
    return f"an unexpected error ended the run ({type(error).__name__}); the server's log has the details under {claim.id}"
