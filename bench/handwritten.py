"""The yardstick: what an engineer would write by hand for one route, on the same driver, store, token and user.

Its SQL is text, its rows come raw over the store's own reading path (`Database.fetch`), and it answers byte for byte what the
generated routes answer. Nothing is checked, logged, limited or counted that a route does not need to answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import jwt
import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from app.settings import Settings, master_secret
from app.tokens import ALGORITHM, AUDIENCE
from bench.sql import Sql
from core.identity import INSTRUMENTS
from core.policy import ADMIN
from core.secrets import derive_key
from storage.sql.database import Database

BATCH, SLICE = 200, 100
"""Rows per statement of a stream, and rows rendered before others have their turn: the same as ours."""


class Proof(NamedTuple):
    """What a token says."""

    subject: str
    version: int
    token_id: str


Verify = Callable[[str], Proof]


def verify_with_pyjwt(settings: Settings) -> Verify:
    """Every signature, every time."""
    key = derive_key(master_secret(settings), "instruments tokens")

    def verify(token: str) -> Proof:
        claims = jwt.decode(token, key, algorithms=[ALGORITHM], audience=AUDIENCE)
        return Proof(claims["sub"], claims["ver"], claims["jti"])

    return verify


def application(database: Database, verify: Verify) -> Starlette:
    """Three routes; that of the files streams them all when it is not told how many."""
    handlers = Handlers(database, verify)
    return Starlette(
        routes=[
            Route("/files", handlers.files),
            Route("/instruments/{id}", handlers.instrument),
            Route("/nested", handlers.nested, methods=["POST"]),
        ]
    )


class Handlers:
    """One method per route."""

    def __init__(self, database: Database, verify: Verify) -> None:
        self._fetch, self._sql, self._verify = database.fetch, Sql(database.dialect.name), verify

    async def files(self, request: Request) -> Response:
        which, values = _visible(*await self._viewer(request))
        if "limit" not in request.query_params:
            return StreamingResponse(self._array(which, values), media_type="application/json")
        rows = await self._fetch(self._sql.files[which], [*values, int(request.query_params["limit"])])
        ((total,),) = await self._fetch(self._sql.count[which], values)
        body = orjson.dumps([_file(*row) for row in rows])
        return Response(body, media_type="application/json", headers={"X-Total-Count": str(total)})

    async def instrument(self, request: Request) -> Response:
        _, role = await self._viewer(request)
        rows = await self._fetch(self._sql.instrument, [request.path_params["id"]])
        if not rows:
            raise HTTPException(404)
        return Response(orjson.dumps(_instrument(role, *rows[0])), media_type="application/json")

    async def nested(self, request: Request) -> Response:
        which, values = _visible(*await self._viewer(request))
        rows = await self._fetch(self._sql.nested[which], [*values, 100])
        names = {row[0]: row[1] for row in await self._fetch(self._sql.names, [self._sql.keys({row[3] for row in rows})])}
        last: dict[int, list[Any]] = {}
        for position, status, verified in await self._fetch(self._sql.last, [self._sql.keys(row[0] for row in rows)]):
            last.setdefault(position, []).append({"status": status.upper(), "checksum_verified": verified == 1})
        nodes = [
            {
                "filename": filename,
                "persistent_id": ark,
                "instrument": {"name": names[machine]},
                "transfers": {"nodes": last.get(index, [])},
            }
            for index, (_, filename, ark, machine) in enumerate(rows)
        ]
        return Response(orjson.dumps({"data": {"files": {"nodes": nodes}}}), media_type="application/json")

    async def _viewer(self, request: Request) -> tuple[str, str]:
        """Whose token it is, and the role."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise HTTPException(401)
        proof = self._verify(token)
        rows = await self._fetch(self._sql.holder, [INSTRUMENTS, proof.subject, proof.version, proof.token_id])
        if not rows:
            raise HTTPException(401)
        return proof.subject, rows[0][0]

    async def _array(self, which: str, values: list[object]) -> AsyncIterator[bytes]:
        rows, separator = await self._fetch(self._sql.files[which], [*values, BATCH]), b"["
        while rows:
            for first in range(0, len(rows), SLICE):
                yield separator + orjson.dumps([_file(*row) for row in rows[first : first + SLICE]])[1:-1]
                separator = b","
                await asyncio.sleep(0)
            place = [*values, BATCH, rows[-1][10], rows[-1][0]]
            rows = await self._fetch(self._sql.files_after[which], place) if len(rows) == BATCH else []
        yield b"]" if separator == b"," else b"[]"


def _visible(subject: str, role: str) -> tuple[str, list[object]]:
    """Which version of a statement, and its first values."""
    return ("all", []) if role == ADMIN else ("granted", [subject])


def when(stored: str) -> str:
    """A stored time on the wire: the fraction goes if it is exactly zero."""
    return stored if stored[19:26] != ".000000" else stored[:19] + "Z"


def _file(
    key: str,
    ark: str,
    kind: str,
    instrument: str,
    path: str,
    name: str,
    size: int,
    modified: str | None,
    xxhash: str | None,
    sha256: str | None,
    found: str,
    metadata: str | None,
    owner: str | None,
) -> dict[str, Any]:
    return {
        "id": key,
        "persistent_id": ark,
        "persistent_id_type": kind,
        "instrument_id": instrument,
        "source_path": path,
        "filename": name,
        "size_bytes": size,
        "source_mtime": modified and when(modified),
        "xxhash": xxhash,
        "sha256": sha256,
        "first_discovered_at": when(found),
        "metadata_": metadata and orjson.Fragment(metadata),
        "owner_id": owner,
    }


def _instrument(
    role: str,
    key: str,
    name: str,
    description: str | None,
    location: str | None,
    pid: str | None,
    host: str,
    share: str,
    base_path: str | None,
    account: str | None,
    adapter: str,
    config: str | None,
    enabled: int,
    harvested: str | None,
    created: str,
    updated: str,
    deleted: str | None,
) -> dict[str, Any]:
    return {
        "id": key,
        "name": name,
        "description": description,
        "location": location,
        "pid": pid,
        "cifs_host": host,
        "cifs_share": share,
        "cifs_base_path": base_path,
        "service_account_id": account,
        "transfer_adapter": adapter,
        "transfer_config": config and orjson.Fragment(config) if role == ADMIN else None,
        "enabled": enabled == 1,
        "last_harvested_at": harvested and when(harvested),
        "created_at": when(created),
        "updated_at": when(updated),
        "deleted_at": deleted and when(deleted),
    }
