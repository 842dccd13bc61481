"""Every list page of the instruments domain beside a handler by hand, and a list for somebody with thousands of grants.

One table tells what each page reads; the handler by hand is made of it, with its statement and its rows written out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.server import application
from app.wiring import Parts, assemble
from bench.data import Filled, fill, fill_lists, grant
from bench.databases import fresh, server_time
from bench.handwritten import Handlers, verify_with_pyjwt, when
from bench.measure import Call, Costs, compare
from bench.targets import Verdict
from bench.variants import AGAIN, HAND, REST

ROWS = 100
ADMIN, ADMIN_AGAIN, GRANTED = "an admin", "an admin again", "a user who was granted one in five"


@dataclass(frozen=True, slots=True)
class ListPage:
    """What a page reads. Columns: `!` marks an id, `@` a time, `?` a truth, `%` JSON; `name=column` where they differ."""

    path: str
    columns: str
    table: str
    order: str = "f.created_at, f.id"
    where: str = "f.deleted_at IS NULL"
    limit: int = ROWS
    shape: Literal["envelope", "slice", "array"] = "envelope"


_CHANGED = "created_at@ updated_at@ deleted_at@"

PAGES = (
    ListPage(
        "/api/instruments",
        "id! name description location pid cifs_host cifs_share cifs_base_path service_account_id! transfer_adapter "
        f"transfer_config% enabled? last_harvested_at@ {_CHANGED}",
        "instruments f",
    ),
    ListPage(
        "/api/storage-locations", f"id! name type connection_config% base_path enabled? {_CHANGED}", "storage_locations f"
    ),
    ListPage("/api/service-accounts", f"id! name domain username {_CHANGED}", "service_accounts f", shape="array"),
    ListPage(
        "/api/schedules",
        "id! instrument_id! default_storage_location_id! cron_expression prefect_deployment_id=deployment_id! "
        f"enabled? {_CHANGED}",
        "schedules f",
    ),
    ListPage(
        "/api/hooks",
        "id! name description trigger implementation builtin_name script_path webhook_url config% instrument_id! priority "
        f"enabled? {_CHANGED}",
        "hooks f",
        "f.number",
    ),
    ListPage(
        "/api/transfers",
        "id! file_id! storage_location_id! destination_path transfer_adapter status bytes_transferred source_checksum "
        "dest_checksum checksum_verified? started_at@ completed_at@ error_message prefect_flow_run_id=run_id!",
        "file_transfers f",
        "f.started_at DESC NULLS LAST, f.id DESC",
        "true",
        shape="slice",
    ),
    ListPage("/api/groups", f"id! name description {_CHANGED}", "groups f"),
    ListPage("/api/projects", f"id! name description {_CHANGED}", "projects f"),
    ListPage(
        "/api/admin/users",
        "id! email is_active? is_superuser? is_verified? role=role deleted_at@",
        "(SELECT u.*, m.role FROM users u JOIN memberships m ON m.user_id = u.id AND m.domain = 'instruments') f",
        "f.number",
    ),
    ListPage(
        "/api/instrument-requests",
        "id! requester_id! requester_email name location harvest_frequency justification description status admin_notes "
        "created_at@ updated_at@",
        "(SELECT r.*, u.email AS requester_email FROM instrument_requests r JOIN users u ON u.id = r.requester_id) f",
        "f.created_at DESC, f.id DESC",
        "true",
    ),
    ListPage(
        "/api/admin/audit-logs",
        "id! entity_type entity_id! action actor_id! actor_email changes% created_at@",
        "audit_log f",
        "f.number DESC",
        "f.domain = 'instruments'",
    ),
    ListPage(
        "/api/notifications",
        "id! recipient_id! type title message link read? dismissed_at@ created_at@",
        "notifications f",
        "f.read, f.created_at DESC, f.id DESC",
        "f.recipient_id = (SELECT id FROM users WHERE email = 'admin@example.org') AND f.dismissed_at IS NULL",
        50,
        shape="array",
    ),
)


async def measure(database: str, rounds: int, files: int, verdict: Verdict) -> None:
    """Each list page for an admin; then 100 of so many files for somebody who was granted one in five."""
    async with fresh(database) as settings:
        parts = await assemble(settings)
        try:
            filled = await fill(parts.database, files=files, transfers_per_file=0)
            await fill_lists(parts.database, filled, ROWS)
            elsewhere = await server_time(settings)
            ours, hand = application(parts), _by_hand(parts)
            costs: dict[str, Costs] = {}
            for page in PAGES:
                calls = _calls(page, hand, ours, _headers(parts, filled.admin))
                await _check(page, calls)
                costs[page.path] = await compare(calls, rounds, elsewhere)
            verdict.lists(f"list pages, {database}", costs)
            await _measure_grants(parts, filled, ours, rounds, files, verdict)
        finally:
            await parts.close()


async def _measure_grants(parts: Parts, filled: Filled, app: Any, rounds: int, files: int, verdict: Verdict) -> None:
    user = await grant(parts.database)
    of_admin, of_user = _headers(parts, filled.admin), _headers(parts, user)
    target = f"/api/files?limit={ROWS}"
    calls = {
        ADMIN: Call(app, "GET", target, of_admin),
        ADMIN_AGAIN: Call(app, "GET", target, of_admin),
        GRANTED: Call(app, "GET", target, of_user),
    }
    for call in calls.values():
        status, body = await call()
        assert (status, len(orjson.loads(body))) == (200, ROWS)
    elsewhere = await server_time(parts.settings)
    verdict.grants(f"100 of {files:,} files, {parts.database.dialect.name}", await compare(calls, rounds, elsewhere))


def _headers(parts: Parts, person: UUID) -> Mapping[str, str]:
    return {"authorization": f"Bearer {parts.services.tokens.issue(person, 1)}"}


def _calls(page: ListPage, hand: Starlette, ours: Any, headers: Mapping[str, str]) -> Mapping[str, Call]:
    by_hand = Call(hand, "GET", f"{page.path}?limit={page.limit}", headers)
    asked = page.path if page.shape == "array" else f"{page.path}?limit={page.limit}"
    return {HAND: by_hand, AGAIN: by_hand, REST: Call(ours, "GET", asked, headers)}


async def _check(page: ListPage, calls: Mapping[str, Call]) -> None:
    hand, ours = await calls[HAND](), await calls[REST]()
    items = orjson.loads(hand[1])
    if hand != ours or len(items["items"] if page.shape == "envelope" else items) != page.limit:
        raise SystemExit(f"{page.path}: {ours[0]} {ours[1][:400]!r}, not {hand[1][:400]!r}")


def _by_hand(parts: Parts) -> Starlette:
    handlers = _Lists(parts.database, verify_with_pyjwt(parts.settings))
    return Starlette(routes=[Route(page.path, handlers.serve(page)) for page in PAGES])


class _Lists(Handlers):
    """As the other handlers by hand: the token is verified, the user read, statements are text, rows come raw."""

    def serve(self, page: ListPage) -> Callable[[Request], Any]:
        """What an engineer would write for that page."""
        native = self._sql.native
        statement = f"SELECT {', '.join(_sql(each, native) for each in page.columns.split())} FROM {page.table}"
        statement += f" WHERE {page.where} ORDER BY {page.order}"
        counted = f"SELECT count(*) FROM {page.table} WHERE {page.where}"
        first, after = ("$1", "$2") if native else ("?1", "?2")
        row = _row(page.columns.split())

        async def answer(request: Request) -> Response:
            await self._viewer(request)
            skip, limit = int(request.query_params.get("skip", "0")), int(request.query_params["limit"])
            rows = [row(*each) for each in await self._fetch(f"{statement} LIMIT {first} OFFSET {after}", [limit, skip])]
            if page.shape == "array":
                return Response(orjson.dumps(rows), media_type="application/json")
            ((total,),) = await self._fetch(counted, [])
            if page.shape == "slice":
                headers = {"X-Total-Count": str(total)}
                return Response(orjson.dumps(rows), media_type="application/json", headers=headers)
            body = {"items": rows, "total": total, "skip": skip, "limit": limit}
            return Response(orjson.dumps(body), media_type="application/json")

        return answer


def _parts(column: str) -> tuple[str, str, str]:
    """Name on the wire, name in the table, mark."""
    mark = column[-1] if column[-1] in "!@?%" else ""
    name, _, stored = column.removesuffix(mark).partition("=")
    return name, stored or name, mark


def _sql(column: str, native: bool) -> str:
    _, stored, mark = _parts(column)
    if native and mark == "!":
        return f"f.{stored}::text"
    if native and mark == "@":
        return f"""to_char(timezone('UTC', f.{stored}), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    return f"f.{stored}"


_RENDERED = {"": "{0}", "!": "{0}", "@": "{0} and when({0})", "?": "{0} == 1", "%": "{0} and Fragment({0})"}


def _row(columns: Sequence[str]) -> Callable[..., dict[str, Any]]:
    """A function with the object written out: nobody by hand would look up names for each row."""
    named = [(name, mark) for name, _, mark in map(_parts, columns)]
    body = ", ".join(f'"{name}": {_RENDERED[mark].format(name)}' for name, mark in named)
    text = f"lambda {', '.join(name for name, _ in named)}: {{{body}}}"
    made: Callable[..., dict[str, Any]] = eval(text, {"when": when, "Fragment": orjson.Fragment})  # text of ours
    return made
