"""The yardstick: what an engineer would write by hand for one route, on the same driver, store, token and user.

It answers byte for byte what the generated routes answer.
"""

from __future__ import annotations

from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.wiring import Parts
from core.identity import INSTRUMENTS
from engine.scalars import stored_time_to_wire as when

FILES = """SELECT id, persistent_id, persistent_id_type, instrument_id, source_path, filename, size_bytes, source_mtime, xxhash, sha256,
first_discovered_at, metadata, owner_id FROM file_records ORDER BY first_discovered_at DESC, id DESC LIMIT ?"""
COUNT = "SELECT count(*) FROM file_records"
INSTRUMENT = """SELECT id, name, description, location, pid, cifs_host, cifs_share, cifs_base_path, service_account_id, transfer_adapter,
transfer_config, enabled, last_harvested_at, created_at, updated_at, deleted_at FROM instruments WHERE id = ? AND deleted_at IS NULL"""
NESTED = (
    "SELECT id, filename, persistent_id, instrument_id FROM file_records ORDER BY first_discovered_at DESC, id DESC LIMIT ?"
)
NAMES = "SELECT id, name FROM instruments WHERE id IN (SELECT value FROM json_each(?))"
LAST = """SELECT k.key, t.status, t.checksum_verified FROM json_each(?) k JOIN file_transfers t ON t.id IN (
SELECT id FROM file_transfers WHERE file_id = k.value ORDER BY started_at DESC, id DESC LIMIT 3) ORDER BY k.key, t.started_at DESC"""


def application(parts: Parts) -> Starlette:
    """Three routes."""
    fetch = parts.database.fetch

    async def admin(request: Request) -> None:
        principals = await parts.contexts.schemes.authenticate(request.headers, request.cookies)
        principal = principals.of(INSTRUMENTS)
        assert principal is not None
        assert principal.role == "admin"

    async def files(request: Request) -> Response:
        await admin(request)
        rows = await fetch(FILES, [int(request.query_params["limit"])])
        ((total,),) = await fetch(COUNT, [])
        body = [_file(*row) for row in rows]
        return Response(orjson.dumps(body), media_type="application/json", headers={"X-Total-Count": str(total)})

    async def instrument(request: Request) -> Response:
        await admin(request)
        (row,) = await fetch(INSTRUMENT, [request.path_params["id"]])
        return Response(orjson.dumps(_instrument(*row)), media_type="application/json")

    async def nested(request: Request) -> Response:
        await admin(request)
        rows = await fetch(NESTED, [100])
        names = dict(await fetch(NAMES, [orjson.dumps(list({row[3] for row in rows})).decode()]))  # type: ignore[arg-type]
        last: dict[int, list[Any]] = {}
        for position, status, verified in await fetch(LAST, [orjson.dumps([row[0] for row in rows]).decode()]):
            last.setdefault(position, []).append({"status": status.upper(), "checksumVerified": verified == 1})
        nodes = [
            {
                "filename": filename,
                "persistentId": ark,
                "instrument": {"name": names[machine]},
                "transfers": {"nodes": last[index]},
            }
            for index, (_, filename, ark, machine) in enumerate(rows)
        ]
        return Response(orjson.dumps({"data": {"files": {"nodes": nodes}}}), media_type="application/json")

    return Starlette(routes=[Route("/files", files), Route("/instruments/{id}", instrument), Route("/nested", nested)])


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
        "transfer_config": config and orjson.Fragment(config),
        "enabled": enabled == 1,
        "last_harvested_at": harvested and when(harvested),
        "created_at": when(created),
        "updated_at": when(updated),
        "deleted_at": deleted and when(deleted),
    }
