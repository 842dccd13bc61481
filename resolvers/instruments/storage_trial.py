"""Whether a storage location can be used now: contract streamweave §5. Nothing is written there.

Places may hang for as long as they like, a mounted folder where nothing can end it: each is asked in a thread of its own.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.engine import RowMapping

from core.errors import Conflict, DomainError, NotFound, Unavailable, UpstreamFailed
from core.identity import INSTRUMENTS
from core.policy import Verb
from core.vocabulary import StorageType
from resolvers.context import RequestContext
from storage.objects.opening import StorageAccess, open_store
from storage.objects.smb_access import Address
from storage.sql.tables import storage_locations

ANSWER = 5.0
"""Seconds for a connection and for each answer."""

DEADLINE = 15.0
"""Seconds for all of it."""

_NFS_PORT = 2049

_at_a_time = threading.BoundedSemaphore(8)


async def try_storage_location(ctx: RequestContext, key: UUID, *, deadline: float = DEADLINE) -> RowMapping:
    """The row of one that can be used. Raises `Conflict` for a disabled one, and `UpstreamFailed` with the reason why it cannot be used."""
    ctx.require(INSTRUMENTS, Verb.READ, "storage location")
    row = await ctx.sql.first(select(storage_locations).where(storage_locations.c.id == key))
    if row is None or row["deleted_at"] is not None:
        raise NotFound("Storage location not found")
    if not row["enabled"]:
        raise Conflict("Storage location is disabled")
    await _in_own_thread(_test_of(row, ctx), deadline)
    return row


class _Test:
    """One test; `interrupt` may be called while it runs."""

    def __init__(self, run: Callable[[], None], interrupt: Callable[[], None] = lambda: None) -> None:
        self.run = run
        self.interrupt = interrupt


def _test_of(row: RowMapping, ctx: RequestContext) -> _Test:
    if row["type"] is StorageType.NFS:
        return _Test(lambda: _reach(row["connection_config"]["host"]))
    access = StorageAccess(ctx.services.keyring, connecting=ANSWER, smb_answer=ANSWER, s3_answer=ANSWER)
    try:
        store = open_store(row, ctx.services.allowed_roots, access)
    except DomainError as error:
        reason = error.detail
        return _Test(lambda: _refuse(row, reason))

    def run() -> None:
        try:
            store.check()
        finally:
            store.close()

    return _Test(run, store.interrupt)


def _refuse(row: RowMapping, reason: str) -> None:
    if row["type"] is StorageType.POSIX and "\0" not in row["base_path"] and not Path(row["base_path"]).is_dir():
        reason = f"Path does not exist or is not a directory: {row['base_path']}"
    raise UpstreamFailed(reason)


def _reach(host: str) -> None:
    """Whether an NFS server listens. The export itself is mounted by whoever runs this server."""
    address = Address.parse(host, _NFS_PORT)
    try:
        socket.create_connection((address.host, address.port), timeout=ANSWER).close()
    except socket.gaierror as error:
        raise UpstreamFailed(f"there is no host called {address.host}") from error
    except TimeoutError as error:
        raise UpstreamFailed(f"the NFS server {address} does not answer within {ANSWER:g} s") from error
    except OSError as error:
        raise UpstreamFailed(f"the NFS server {address} does not answer: {error.strerror}") from error


async def _in_own_thread(test: _Test, deadline: float) -> None:
    """Run it and wait for so long. A thread that hangs ends with the process, and counts until then."""
    if not _at_a_time.acquire(blocking=False):
        raise Unavailable("Too many storage locations are being tested; try again in a minute")
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    threading.Thread(target=_run, args=(test, ended), name="storage-test", daemon=True).start()
    try:
        await asyncio.wait_for(asyncio.shield(ended), deadline)
    except TimeoutError as error:
        raise UpstreamFailed(f"The storage location does not answer within {deadline:g} s") from error
    except UpstreamFailed:
        raise
    except DomainError as error:
        raise UpstreamFailed(error.detail) from error
    except OSError as error:
        raise UpstreamFailed(error.strerror or str(error)) from error
    finally:
        if not ended.done():
            test.interrupt()
            ended.cancel()


def _run(test: _Test, ended: asyncio.Future[None]) -> None:
    """The thread."""
    failure: Exception | None = None
    try:
        test.run()
    except Exception as error:  # noqa: BLE001  # it is told to whoever waits
        failure = error
    finally:
        _at_a_time.release()
        with suppress(RuntimeError):  # the loop has ended in the meantime
            ended.get_loop().call_soon_threadsafe(_tell, ended, failure)


def _tell(ended: asyncio.Future[None], failure: Exception | None) -> None:
    if ended.done():
        return
    if failure is None:
        ended.set_result(None)
    else:
        ended.set_exception(failure)
