"""The content of files under signed links: `/download/{file id}?token=…`.

A link says which file, for whom, and until when; whether that person may read the file is asked again of the database.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import jwt
from sqlalchemy import bindparam, select
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.auth import holder_of
from app.observability import exchange_of
from app.places import PLACE
from app.problems import problem
from app.ranges import Part, UnsatisfiableError, asked_part
from app.tokens import ALGORITHM, NO_TOKEN, signed_claims
from core.clock import Clock
from core.errors import DomainError, RateLimited
from core.identity import INSTRUMENTS, Principal, Principals
from core.policy import Verb, may
from core.sql import Statement
from core.vocabulary import TransferStatus
from engine.kinds import One
from engine.relations import OneRelation, Projection
from rest_compat.caching import has
from rest_compat.calls import StreamCut
from rest_compat.reply import disposition
from schema.instruments.file_record import FileRecord
from storage.objects.copies import OpenCopy, place_of_copy
from storage.objects.opening import StorageAccess
from storage.sql.database import Database
from storage.sql.tables import file_records, file_transfers, storage_locations

log = logging.getLogger(__name__)

AUDIENCE = "switchyard:download"
CHUNK = 512 * 2**10
THREADS = 8
MOST_COPIES = 3
"""Of one file that are tried, the newest first."""

_EXPIRED = "This link is not valid, or not any more: ask for a new one"
_MISSING = "File not found"
_GONE = "The copy of this file is no longer where it was put"
_BROKEN = "The copy of this file cannot be read at the moment"
_CHANGED = "The copy of this file is not what was put there"
_BUSY = "Too many downloads at the moment: try again in a moment"


class SignedLinks:
    """The `resolvers.context.Downloads` of the application. Signs with the first key; what older ones signed counts, too."""

    def __init__(self, keys: Sequence[bytes], lifetime: int, clock: Clock) -> None:
        self._keys, self._lifetime, self._clock = keys, lifetime, clock

    def url(self, file: UUID, subject: UUID) -> str:
        """Where that person finds the content for the next minutes; the path and query of a URL."""
        expires = int(self._clock().timestamp()) + self._lifetime
        claims = {"aud": AUDIENCE, "sub": str(subject), "file": str(file), "exp": expires}
        return f"/download/{file}?token={jwt.encode(claims, self._keys[0], algorithm=ALGORITHM)}"

    def subject(self, file: str, token: str) -> UUID | None:
        """For whom the link to that file was made, if it still counts."""
        with suppress(*NO_TOKEN):
            claims = signed_claims(token, self._keys, AUDIENCE)
            if claims["file"] == file and float(claims["exp"]) > self._clock().timestamp():
                return UUID(claims["sub"])
        return None


class Copy(NamedTuple):
    """Where a copy is and what it was when it was put there."""

    location: Mapping[Any, Any]
    path: str
    size: int | None
    checksum: str | None


@dataclass(frozen=True, slots=True)
class Content:
    """An open copy and how to speak of it."""

    copy: OpenCopy
    filename: str
    etag: str


class UnreadableError(Exception):
    """There is no content to be had; says why, and with which status."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class Downloads:
    """Answers for links. Reads in threads of its own, so that a storage that hangs delays nobody else."""

    def __init__(
        self, links: SignedLinks, database: Database, access: StorageAccess, roots: Sequence[Any], *, most: int
    ) -> None:
        self._links, self._database, self._access, self._roots = links, database, access, roots
        self._most, self.under_way = most, 0
        self._threads = ThreadPoolExecutor(THREADS, "download")
        self._holder = Statement(holder_of(), database.dialect, "download: who")
        self._columns = Projection()
        self._filename = self._columns.index(file_records.c.filename)
        self._file = OneRelation(FileRecord.__stored__, One(live=True), self._columns, database.dialect, name="download: file")  # type: ignore[attr-defined]  # made by `stored`

    def close(self) -> None:
        """Wait for nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def reply(self, request: Request, count: Any) -> Any:
        """To GET and HEAD; `count` counts the request for a principal, or raises `RateLimited`."""
        file, scope = request.path_params["file_id"], request.scope
        subject = self._links.subject(file, request.query_params.get("token", ""))
        if subject is None:
            return problem(403, _EXPIRED, scope)
        principal = await self._principal(subject)
        if principal is None:
            return problem(404, _MISSING, scope)
        exchange_of(scope).subject = subject
        principals = Principals([principal])
        try:
            count(principals)
        except RateLimited as error:
            return problem(429, error.detail, scope)
        if self.under_way >= self._most:
            return problem(503, _BUSY, scope, {"Retry-After": "5"})
        self.under_way += 1
        try:
            content = await self._content(UUID(file), principals)
        except UnreadableError as error:
            self.under_way -= 1
            return problem(error.status, error.detail, scope)
        except BaseException:
            self.under_way -= 1
            raise
        return Sending(self, content, request)

    async def run(self, what: Any, *arguments: Any) -> Any:
        """In a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, what, *arguments)

    async def ended(self, content: Content) -> None:
        """One download."""
        self.under_way -= 1
        await self.run(content.copy.close)

    async def _principal(self, subject: UUID) -> Principal | None:
        rows = await self._holder.fetch(self._database, subject=subject)
        found = Principal(INSTRUMENTS, subject, rows[0][0], rows[0][1]) if rows else None
        return found if may(found, Verb.READ, "file") else None

    async def _content(self, file: UUID, principals: Principals) -> Content:
        ctx: Any = _Asking(self._database, principals)
        (row,) = await self._file.fetch(ctx, [file])
        if row is None:
            raise UnreadableError(404, _MISSING)
        copies = await self._copies(file)
        if not copies:
            raise UnreadableError(404, "There is no copy of this file yet")
        failures: list[UnreadableError] = []
        for copy in copies:
            try:
                opened = await self.run(self._open, copy)
                return Content(opened, row[self._filename], f'"xxh64-{copy.checksum}"')
            except UnreadableError as error:
                failures.append(error)
        raise next((error for error in failures if error.status != 410), failures[0])

    async def _copies(self, file: UUID) -> list[Copy]:
        columns = [file_transfers.c[name] for name in ("destination_path", "bytes_transferred", "dest_checksum")]
        where = storage_locations.c
        found = select(*columns, where.type, where.base_path, where.connection_config, where.secrets_sealed)
        found = found.join(storage_locations, where.id == file_transfers.c.storage_location_id).where(
            file_transfers.c.file_id == bindparam("file"),
            file_transfers.c.status == TransferStatus.COMPLETED,
            file_transfers.c.destination_path.is_not(None),
        )
        found = found.order_by(file_transfers.c.completed_at.desc(), file_transfers.c.id).limit(MOST_COPIES)
        async with self._database.engine.connect() as connection:
            rows = (await connection.execute(found, {"file": file})).mappings().all()
        return [Copy(row, row["destination_path"], row["bytes_transferred"], row["dest_checksum"]) for row in rows]

    def _open(self, copy: Copy) -> OpenCopy:
        try:
            opened = OpenCopy(*place_of_copy(copy.location, copy.path, self._roots, self._access))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UnreadableError(410, _GONE) from error
        except (OSError, DomainError) as error:
            log.warning("a copy cannot be read: %s", error)
            raise UnreadableError(502, _BROKEN) from error
        if copy.size is not None and opened.size != copy.size:
            opened.close()
            raise UnreadableError(502, _CHANGED)
        return opened


class _Asking(NamedTuple):
    """As much of a `core.context.Context` as a relation needs."""

    sql: Database
    principals: Principals


class Sending:
    """The reply with an open copy: whole, a part, or only its head."""

    def __init__(self, downloads: Downloads, content: Content, request: Request) -> None:
        self._downloads, self._content, self._request = downloads, content, request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        leave = scope.get(PLACE)
        if leave is not None:
            leave()  # there is a bound of its own for these, which may take long
        try:
            await self._send(scope, receive, send)
        finally:
            await asyncio.shield(self._downloads.ended(self._content))

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        size, headers = self._content.copy.size, self._headers()
        if has(self._content.etag, self._request.headers):
            await Response(status_code=304, headers=headers)(scope, receive, send)
            return
        try:
            part = asked_part(self._range(), size)
        except UnsatisfiableError:
            refused = {"Content-Range": f"bytes */{size}"}
            await problem(416, "The range lies outside the file", scope, refused)(scope, receive, send)
            return
        whole = part or Part(0, size)
        if part is not None:
            headers["Content-Range"] = f"bytes {part.begin}-{part.end - 1}/{size}"
        headers["Content-Length"] = str(whole.end - whole.begin)
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200 if part is None else 206, "headers": raw})
        if scope["method"] != "HEAD":
            async for chunk in self._chunks(whole):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def _range(self) -> str | None:
        """Unless the client has another version of which it wants the rest."""
        condition = self._request.headers.get("if-range")
        return self._request.headers.get("range") if condition in {None, self._content.etag} else None

    async def _chunks(self, part: Part) -> AsyncIterator[bytes]:
        place = part.begin
        while place < part.end:
            try:
                chunk = await self._downloads.run(self._content.copy.read, place, min(CHUNK, part.end - place))
            except (OSError, DomainError) as error:
                raise StreamCut("the copy could not be read to its end") from error
            if not chunk:
                raise StreamCut("the copy became shorter while it was read")
            place += len(chunk)
            yield chunk

    def _headers(self) -> dict[str, str]:
        return {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": disposition(self._content.filename),
            "ETag": self._content.etag,
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-cache, no-transform",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
